"""Picture files: what is written, what is refused, and the check before a run."""

import contextlib
import os

import numpy as np
import pytest
from picture_files import TYPES, saved, steps
from PIL import Image

from kstyle.errors import ConfigError, ImageError
from kstyle.images import writing
from kstyle.images.color_profiles import SRGB_BYTES
from kstyle.images.picture import Picture
from kstyle.images.reading import load_picture
from kstyle.images.writing import check_writable, read_metadata, save_picture

TEXT = {"config": "Größe 512, 風景 🙂", "weights": "vgg19"}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_was_written_is_read_back_exactly(tmp_path, suffix, bits):
    top = 2**bits - 1
    levels = np.float32(steps(4, 5, 6) >> (16 - bits)) / top
    before = Picture(levels[..., :3], levels[..., 3])
    save_picture(tmp_path / f"out{suffix}", before, bits=bits)
    after = load_picture(tmp_path / f"out{suffix}")
    for name in ("pixels", "alpha"):
        found = np.round(getattr(after, name) * top)
        np.testing.assert_array_equal(found, np.round(getattr(before, name) * top))


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_lossy_types_keep_alpha(tmp_path, suffix):
    alpha = np.zeros((16, 16), np.float32)
    alpha[:8] = 1
    picture = Picture(np.full((16, 16, 3), 0.6, np.float32), alpha)
    save_picture(tmp_path / f"out{suffix}", picture)
    found = load_picture(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(found.alpha, alpha)
    np.testing.assert_allclose(found.pixels, 0.6, atol=0.03)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_types_without_alpha_show_the_picture_over_white(tmp_path, suffix):
    black = np.zeros((8, 8, 3), np.float32)
    save_picture(tmp_path / f"out{suffix}", Picture(black, np.full((8, 8), 0.75)))
    found = load_picture(tmp_path / f"out{suffix}")
    np.testing.assert_allclose(found.pixels, 0.25, atol=0.01)
    assert found.alpha is None


def test_values_are_rounded_to_nearest_and_clipped(tmp_path):
    pixels = np.float32([[[0.5 / 255, 0.49 / 255, 254.6 / 255], [-1, 2, 1]]])
    save_picture(tmp_path / "out.png", pixels[None])  # a batch of one
    with Image.open(tmp_path / "out.png") as image:
        expected = [[[1, 0, 255], [0, 255, 255]]]
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize(("suffix", "bits"), TYPES)
def test_an_srgb_profile_and_the_metadata_are_inside(tmp_path, suffix, bits):
    path = tmp_path / f"out{suffix}"
    save_picture(path, np.zeros((2, 2, 3)), bits=bits, metadata=TEXT)
    assert read_metadata(path) == TEXT
    with Image.open(path) as image:
        assert image.info["icc_profile"] == SRGB_BYTES


@pytest.mark.parametrize("suffix", writing.WRITABLE_BITS)
def test_a_picture_without_metadata_gives_an_empty_dict(tmp_path, suffix):
    save_picture(tmp_path / f"out{suffix}", np.zeros((2, 2, 3)))
    assert read_metadata(tmp_path / f"out{suffix}") == {}


def test_the_description_of_another_program_is_not_ours(tmp_path):
    exif = Image.Exif()
    exif[270] = '{"config": "not ours"}'
    path = saved(tmp_path, Image.new("RGB", (2, 2)), "in.jpg", exif=exif)
    assert read_metadata(path) == {}


@pytest.mark.parametrize("suffix", [".jpg", ".avif"])
def test_lossy_types_keep_full_colour_resolution(tmp_path, suffix):
    stripes = np.zeros((16, 16, 3), np.float32)
    stripes[:, ::2, 0] = 1
    stripes[:, 1::2, 2] = 1
    save_picture(tmp_path / f"out{suffix}", stripes, quality=95)
    found = load_picture(tmp_path / f"out{suffix}").pixels
    assert np.abs(found - stripes).max() < 0.1


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros((2, 0, 3)), np.nan])
def test_what_is_no_picture_is_not_written(tmp_path, pixels):
    pixels = np.full((2, 2, 3), pixels) if np.ndim(pixels) == 0 else pixels
    with pytest.raises(ImageError, match="NaN|expected the shape"):
        save_picture(tmp_path / "out.png", pixels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "bits"), [*TYPES, (".bmp", 8)])
def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path, random_picture, suffix, bits
):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")
    with file_limit(1000), pytest.raises(ImageError, match="cannot be written"):
        save_picture(path, random_picture(64, 64), bits=bits)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


@contextlib.contextmanager
def file_limit(size):
    """Limit files to `size` bytes in the block, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_the_file_type_cannot_hold_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="cannot be written"):
        save_picture(tmp_path / "out.webp", np.zeros((1, 20_000, 3)))
    with pytest.raises(ImageError, match="cannot be written"):
        save_picture(
            tmp_path / "out.jpg", np.zeros((1, 1, 3)), metadata={"a": "b" * 70_000}
        )
    assert not list(tmp_path.iterdir())


def test_missing_folders_are_made(tmp_path):
    save_picture(tmp_path / "a" / "b" / "out.png", np.zeros((1, 1, 3)))
    assert load_picture(tmp_path / "a" / "b" / "out.png").size == (1, 1)


# The check before a run


def test_check_writable_makes_and_changes_nothing(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "out.tif", bits=16)
    (tmp_path / "old.png").write_bytes(b"old")
    check_writable(tmp_path / "old.png", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"old"


def test_check_writable_logs_that_transparency_will_be_lost(tmp_path, caplog):
    caplog.set_level("INFO", logger="kstyle")
    check_writable(tmp_path / "out.jpg", alpha=True)
    assert "over white" in caplog.text


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("out.xyz", {}, ConfigError, r"\.xyz is not a type.*\.png, \.jpg"),
        ("out", {}, ConfigError, "no suffix"),
        ("out.jpg", {"bits": 16}, ConfigError, r"8 bits.*not 16\. Use one of \.png"),
        ("out.png", {"bits": 12}, ConfigError, "Use 8 or 16"),
        ("old.png", {}, ConfigError, "exists.*--overwrite"),
        ("dir.png", {"overwrite": True}, ImageError, "is a folder"),
        ("old.png/out.png", {}, ImageError, "old.png is not a folder"),
    ],
)
def test_check_writable_refuses(tmp_path, name, options, error, message):
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(error, match=message):
        check_writable(tmp_path / name, **options)


def test_check_writable_refuses_a_read_only_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ImageError, match="may not be written to"):
        check_writable(tmp_path / "out.png")


def test_integers_are_scaled_and_0_to_255_floats_refused(tmp_path):
    grey = np.full((2, 2, 3), 51, "uint8")
    save_picture(tmp_path / "grey.png", grey)
    np.testing.assert_allclose(load_picture(tmp_path / "grey.png").pixels, 0.2)
    with pytest.raises(ImageError, match=r"floats must be in 0\.\.1"):
        save_picture(tmp_path / "white.png", grey.astype("float32"))
    assert not (tmp_path / "white.png").exists()
