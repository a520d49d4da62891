"""`kstyle.score`: sizes, proportions and kinds of pictures."""

import numpy as np
import pytest
from PIL import Image

import kstyle
from kstyle.errors import ConfigError, ImageError
from kstyle.experiments.scoring.names import SCORES
from kstyle.experiments.scoring.pictures import score_pictures
from kstyle.experiments.scoring.scorer import Scorer

SPEED = {"steps_to_fall", "steps_to_near", "seconds_to_near"}


@pytest.fixture
def pair(random_picture):
    return random_picture(30, 40), random_picture(44, 36, 1)


def test_a_picture_has_every_score_but_those_of_speed(pair, random_picture):
    found = kstyle.score(random_picture(30, 40, 2), *pair)
    assert SCORES.keys() - found.keys() == SPEED


def test_scores_are_those_of_an_experiment(tmp_path, pair, random_picture):
    picture = random_picture(18, 24, 2)
    for name, pixels in zip(("content", "style"), pair, strict=True):
        kstyle.save_picture(tmp_path / f"{name}.png", pixels)
    paths = {name: str(tmp_path / f"{name}.png") for name in ("content", "style")}
    config = kstyle.StyleConfig(**paths, size=24)
    wanted = Scorer(tmp_path).score(picture, config)
    assert kstyle.score(picture, **paths) == pytest.approx(wanted, nan_ok=True)


def test_several_styles_are_scored_as_their_mixture(tmp_path, pair, random_picture):
    content, style = pair
    result, other = random_picture(24, 32, 2), random_picture(30, 30, 3)
    paths = [str(tmp_path / f"{n}.png") for n in ("content", "style", "other")]
    for path, pixels in zip(paths, (content, style, other), strict=True):
        kstyle.save_picture(path, pixels)
    config = kstyle.StyleConfig(content=paths[0], style=paths[1:], blend=[3, 1])
    wanted = Scorer(tmp_path).score(result, config)
    found = kstyle.score(result, paths[0], paths[1:], blend=[3, 1])
    assert found == pytest.approx(wanted, nan_ok=True)
    equal = kstyle.score(result, paths[0], paths[1:])
    assert equal["style_distance"] != pytest.approx(found["style_distance"])


@pytest.mark.parametrize("blend", [[1], [1, 0], [1, 1e10], [1, 1, 1], "2,1", 2])
def test_a_blend_that_does_not_fit_the_styles_is_refused(pair, blend):
    content, style = pair
    with pytest.raises(ConfigError, match="blend: give a number above 0 .* 2 in all"):
        kstyle.score(content, content, [style, style], blend=blend)
    with pytest.raises(ConfigError, match="style: the list is empty"):
        kstyle.score(content, content, [])


def test_all_are_judged_at_the_size_of_the_smallest(pair, random_picture):
    results = [random_picture(45, 60, 2), kstyle.Picture(random_picture(27, 36, 3))]
    found = score_pictures(results, *pair)
    assert [(row["height"], row["width"]) for row in found] == [(27, 36)] * 2
    (row,) = score_pictures(results[:1], *pair, size=24)
    assert (row["height"], row["width"]) == (18, 24)
    assert kstyle.score(results[0], *pair, size=24) == pytest.approx(
        row["scores"], nan_ok=True
    )


def test_a_large_picture_is_judged_at_1024_pixels():
    long = np.zeros((20, 1100, 3), "float32")
    (row,) = score_pictures([long], long, long)
    assert (row["height"], row["width"]) == (19, 1024)


def test_bytes_and_pillow_images_score_as_their_floats(pair, random_picture):
    levels = np.uint8(255 * random_picture(30, 40, 2))
    wanted = kstyle.score(levels / 255, *pair)
    for result in (levels, Image.fromarray(levels)):
        assert kstyle.score(result, *pair) == pytest.approx(wanted, nan_ok=True)


def test_a_square_result_is_compared_with_the_middle(pair, caplog):
    content, style = pair
    found = kstyle.score(content[:, 5:35], content, style)
    assert found["content_distance"] == pytest.approx(0, abs=1e-6)
    assert "30 x 30, the content 40 x 30: compared with the middle" in caplog.text


def test_what_is_no_picture_is_refused(tmp_path, pair):
    with pytest.raises(ImageError, match="result: floats must be in 0..1"):
        kstyle.score(np.full((30, 40, 3), 255.0), *pair)
    with pytest.raises(ImageError):
        kstyle.score(tmp_path / "none.png", *pair)
    with pytest.raises(ConfigError, match="at 8 pixels: give at least 16"):
        kstyle.score(pair[0], *pair, size=8)
