"""The scorer: every score of a result, and the distances of an experiment's records."""

import numpy as np
import pytest

import kstyle
from kstyle.experiments.scoring.names import SCORES
from kstyle.experiments.scoring.scorer import Scorer, judged_size
from kstyle.images.picture import resize

CURVE = {"step": [0, 1], "seconds": [0.0, 1.0], "loss": [2.0, 1.0]}


@pytest.fixture
def config(tmp_path, random_picture):
    """Return the config of a result 24 pixels wide; both pictures are 40."""
    for name, size, seed in (("content", (30, 40), 0), ("style", (32, 40), 1)):
        kstyle.save_picture(tmp_path / f"{name}.png", random_picture(*size, seed))
    files = {name: str(tmp_path / f"{name}.png") for name in ("content", "style")}
    return kstyle.StyleConfig(**files, size=24)


@pytest.fixture
def record(tmp_path, random_picture):
    """Return a function that saves a random result; the keys of its record."""

    def make(trial, seed, size=(18, 24)):
        kstyle.save_picture(tmp_path / f"{trial}.png", random_picture(*size, seed))
        return {"trial": trial, "picture": f"{trial}.png"}

    return make


def test_a_result_has_every_score_in_order(tmp_path, config, random_picture):
    found = Scorer(tmp_path).score(random_picture(18, 24), config, CURVE)
    assert list(found) == list(SCORES)
    assert (found["steps_to_near"], found["seconds_to_near"]) == (1, 1)


def test_without_a_curve_there_are_no_scores_of_speed(tmp_path, config, random_picture):
    found = Scorer(tmp_path).score(random_picture(18, 24), config)
    assert SCORES.keys() - found.keys() == {
        "steps_to_fall",
        "steps_to_near",
        "seconds_to_near",
    }


def test_the_style_is_compared_at_the_scale_of_the_result(tmp_path, config):
    pixels = kstyle.load_picture(config.style).pixels
    kstyle.save_picture(tmp_path / "small.png", resize(pixels, (19, 24)))
    small = config.replace(content=str(tmp_path / "small.png"))
    judge, _ = Scorer(tmp_path).get_judges(small, (19, 24))
    assert judge.distances(judge.content)["style_distance"] < 1e-3


def test_a_mixture_is_compared_by_the_shares_of_its_styles(
    tmp_path, config, random_picture
):
    styles = [config.style, config.content]
    mixture = config.replace(style=styles, blend=[3, 1])
    scorer, picture = Scorer(tmp_path), random_picture(18, 24)
    single, both = scorer.score(picture, config), scorer.score(picture, mixture)
    other = scorer.score(picture, config.replace(style=config.content))
    mean = 0.75 * single["dists_style"] + 0.25 * other["dists_style"]
    assert both["dists_style"] == pytest.approx(mean, rel=1e-5)
    assert both["style_distance"] != single["style_distance"]
    twice = config.replace(style=[config.style] * 2)
    again = scorer.score(picture, twice)
    for name in ("style_distance", "sifid", "dists_style", "content_distance"):
        assert again[name] == pytest.approx(single[name], rel=1e-5)


@pytest.mark.parametrize("measure", ["style", "colour"])
def test_distances_are_symmetric_and_zero_for_equal_results(
    tmp_path, config, record, measure
):
    first, second, twin = record("a", 2), record("b", 3), record("c", 2)
    distance = Scorer(tmp_path).distance_function(dict.fromkeys("abc", config))
    assert distance(measure, first, twin) == 0
    assert distance(measure, first, second) > 1e-4
    assert distance(measure, second, first) == distance(measure, first, second)


def test_results_of_two_sizes_have_a_colour_distance(tmp_path, config, record):
    small, large = record("a", 2), record("b", 2, size=(36, 48))
    distance = Scorer(tmp_path).distance_function({"a": config, "b": config})
    assert distance("colour", small, large) > 0


def test_a_large_result_is_judged_at_1024_pixels(tmp_path, config):
    picture = np.zeros((17, 1100, 3), "float32")
    picture[:, ::2] = 1
    shrunk = resize(picture, judged_size(picture.shape[:2]))
    assert shrunk.shape == (16, 1024, 3)
    scorer = Scorer(tmp_path)
    np.testing.assert_equal(scorer.score(picture, config), scorer.score(shrunk, config))
