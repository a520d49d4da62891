"""The built-in pictures, by name."""

import pytest
from picture_files import saved
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.reading import load_picture
from kstyle.images.samples import SAMPLE_FOLDER, picture_file, sample_names


def test_samples_are_found_by_name():
    assert sample_names() == sorted(path.stem for path in SAMPLE_FOLDER.glob("*.jpg"))
    assert load_picture("sample:night").size == (560, 720)
    with pytest.raises(ImageError, match=r"'dog'\. There are \['astronaut', 'chelsea'"):
        load_picture("sample:dog")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("cofee", "coffee"), ("Night", "night"), ("astro", "astronaut")],
)
def test_a_mistyped_sample_gets_a_suggestion(typed, meant):
    with pytest.raises(ImageError, match=f"Did you mean sample:{meant}[?]"):
        load_picture(f"sample:{typed}")


@pytest.mark.parametrize("name", sample_names())
def test_every_sample_is_the_one_that_was_released(name):
    assert load_picture(f"sample:{name}").size > (250, 250)


def test_a_changed_or_missing_sample_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"sample:night cannot be read.*Reinstall"):
        picture_file("sample:night", folder=tmp_path)
    saved(tmp_path, Image.new("RGB", (2, 1)), "night.jpg")
    with pytest.raises(ImageError, match=r"night is damaged: SHA-256.*Reinstall"):
        picture_file("sample:night", folder=tmp_path)
