"""Uploaded pictures: bounded and checked."""

import io

import pytest
from PIL import Image

from kstyle.app.uploads import Thumbnails, UploadRefused, Uploads, safe_file_name
from kstyle.errors import ImageError


def png(width=8, height=6, colour="red"):
    """The bytes of a PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def test_an_upload_is_kept_once_under_its_name(tmp_path):
    uploads = Uploads(tmp_path)
    path = uploads.add("holiday.png", png())
    assert path.name == "holiday.png" and path.read_bytes() == png()
    assert uploads.add("holiday.png", png()) == path
    assert uploads.add("holiday.png", png(colour="blue")) != path
    assert uploads.owns(str(path)) and not uploads.owns(str(tmp_path / "other.png"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/x.png", "x.png"),
        ("C:\\pictures\\x.JPG", "x.jpg"),
        (".hidden.png", "hidden.png"),
        ("a b\x00\n<c>.png", "a_b_c_.png"),
        ("Ж花.png", "Ж花.png"),
        ("x" * 300 + ".png", "x" * 60 + ".png"),
    ],
)
def test_names_become_safe(name, expected):
    assert safe_file_name(name) == expected


@pytest.mark.parametrize("name", ["", "x", "x.exe", "x.svg", "png", "x.png/"])
def test_names_of_no_pictures_are_refused(name):
    with pytest.raises(UploadRefused, match="does not look like a picture"):
        safe_file_name(name)


def test_bytes_pixels_and_the_folder_are_bounded(tmp_path):
    data = png(20, 10)
    with pytest.raises(UploadRefused, match="may have at most"):
        Uploads(tmp_path, max_bytes=len(data) - 1).add("a.png", data)
    with pytest.raises(UploadRefused, match="20 x 10 pixels"):
        Uploads(tmp_path, max_pixels=199).add("a.png", data)
    with pytest.raises(UploadRefused, match="uploaded pictures"):
        Uploads(tmp_path, max_folder_bytes=len(data) - 1).add("a.png", data)
    assert not list(tmp_path.rglob("*.png"))
    Uploads(tmp_path, max_bytes=len(data), max_pixels=200).add("a.png", data)


@pytest.mark.parametrize("data", [b"", b"nonsense", png()[:40]])
def test_what_is_no_picture_is_refused_by_its_own_name(tmp_path, data):
    with pytest.raises(ImageError, match=r"^mine\.png") as caught:
        Uploads(tmp_path).add("mine.png", data)
    assert "/" not in str(caught.value).replace("JPEG/", "")
    assert not list(tmp_path.rglob("*.png"))


def test_a_link_out_of_the_folder_is_not_owned(tmp_path):
    uploads = Uploads(tmp_path)
    uploads.folder.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    (uploads.folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert not uploads.owns(str(uploads.folder / "link.png"))
    assert not uploads.owns(str(uploads.folder / ".." / "secret.png"))


def test_a_thumbnail_is_made_again_when_the_file_changes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(40, 20))
    thumbnails = Thumbnails()
    first = thumbnails.get(path, 10)
    assert Image.open(io.BytesIO(first)).size == (10, 5)
    assert thumbnails.get(path, 10) is first
    assert Image.open(io.BytesIO(thumbnails.get(path, 10, "center"))).size == (10, 10)
    path.unlink()
    with pytest.raises(ImageError):
        thumbnails.get(path, 10)
