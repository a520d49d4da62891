"""The finish: steps with other losses after the last scale."""

import csv

import numpy as np
import pytest

from kstyle import StyleConfig, stylize
from kstyle.config.finishes import pulled_layers
from kstyle.errors import ConfigError
from kstyle.planning.estimates import cost_model, estimate_run
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.finish import FINISH_SHARE, finish_terms
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache, build_model, job_targets
from kstyle.runs.model_options import build_terms
from kstyle.runs.provenance import read_run
from kstyle.runs.results import losses_of_result


@pytest.fixture
def finished_run(small_run):
    return small_run | {"finish": "nearest:8", "style_weights": "normalized"}


def test_a_finish_adds_steps_at_the_last_size(finished_run):
    result = stylize(StyleConfig(**finished_run))
    assert (result.steps, result.interrupted) == (4 + 8, False)
    with open(result.folder / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [str(step) for step in range(0, 13, 2)]
    # The losses of the result are those of the scales, by another model.
    again = losses_of_result(read_run(result.folder))
    assert result.losses["loss"] == pytest.approx(again["loss"], rel=0.05)
    without = stylize(StyleConfig(**finished_run | {"finish": None}))
    assert np.abs(result.picture.pixels - without.picture.pixels).max() > 1e-3


def test_a_finish_lowers_the_distance_to_the_nearest_features(finished_run):
    job = prepare(StyleConfig(**finished_run))
    scale, models = job.scales[-1], ModelCache()
    terms = build_terms(job.config)
    pulled = finish_terms(job, scale, models, terms)
    start = job.content_at(scale.content_size)
    model = build_model(job, scale, models, pulled, start, optimise=True)
    before = float(model.evaluate_losses()["loss"])
    model.fit(steps_per_epoch=3, verbose=0)
    assert float(model.evaluate_losses()["loss"]) < before
    # Next to features of 0, the loss is a share of that in the scales.
    targets = job_targets(job, scale, models, terms)[1]
    assert job.config.style_layers.keys() == {"conv1_1", "conv2_1"}
    for term, own in zip(pulled, terms, strict=True):
        if term.tag == "style/conv2_1":
            target = model.targets[term.tag]
            found = term.weight * float(term.loss.normal_loss(target)[0])
            of_scales = own.weight * float(own.loss.normal_loss(targets[own.tag])[0])
            assert found == pytest.approx(FINISH_SHARE * of_scales, rel=1e-4)
        else:
            assert term is own


def test_a_finish_keeps_the_loss_of_the_first_style_layer():
    for given, pulled in (
        (["conv3_1", "conv1_1", "conv2_1"], {"conv2_1", "conv3_1"}),
        (["conv2_1"], {"conv2_1"}),
        ([], set()),
    ):
        assert pulled_layers("vgg16", given) == pulled


def test_a_layer_without_a_weight_is_not_the_first_of_a_finish(small_run):
    layers = "conv1_1:0,conv1_2:1,conv2_1:1"
    job = prepare(StyleConfig(**small_run | {"style_layers": layers}, finish="nearest"))
    terms = build_terms(job.config)
    pulled = finish_terms(job, job.scales[-1], ModelCache(), terms)
    changed = {a.layer for a, b in zip(pulled, terms, strict=True) if a is not b}
    assert changed == {"conv2_1"}


def test_a_finish_without_a_style_weight_is_refused(small_run):
    with pytest.raises(ConfigError, match="needs a style_weight above 0"):
        StyleConfig(**small_run, finish="nearest", style_weight=0)


def test_finishes_that_cannot_be_are_refused(small_run):
    for text in ("nearby", "nearest:0", "nearest:x", "nearest:"):
        with pytest.raises(ConfigError, match="is not a finish"):
            StyleConfig(**small_run, finish=text)
    with pytest.raises(ConfigError, match="needs style layers"):
        StyleConfig(**small_run | {"style_layers": {"conv1_1": 0}}, finish="nearest")


def test_a_finish_is_part_of_the_estimate(finished_run):
    config = StyleConfig(**finished_run)
    plans = [
        plan_scales_of_run(each, (16, 24), (14, 18))
        for each in (config, config.replace(finish=None))
    ]
    assert [len(plan) for plan in plans] == [2, 1] and plans[0][-1].finish
    long, short = (
        estimate_run(cost_model(config), plan, lambda precision: 1.0) for plan in plans
    )
    assert (long.steps, short.steps) == (12, 4) and long.seconds > short.seconds
