"""Extractors, targets and models are shared by equal runs, and only by these."""

import keras
import numpy as np
import pytest

from kstyle import StyleConfig, save_picture
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs import pipeline
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import (
    MAX_MODEL_BYTES,
    ModelCache,
    array_digest,
    build_model,
)
from kstyle.runs.model_options import build_terms, network_options

TAGS = ["content/conv1_2", "style/conv1_1", "style/conv2_1"]


@pytest.fixture
def make_job(small_run):
    """A function that prepares the small run with changes."""
    return lambda **changes: prepare(StyleConfig(**small_run | changes))


def scale_at(job, edge):
    """The job's scale as it would be at another long edge, in float32."""
    config = job.config.replace(size=edge, scales=1)
    (scale,) = plan_scales_of_run(config, job.content.size, job.styles[0].shape[:2])
    return scale


def computed_targets(job, models, edge=18):
    """The targets of the job's own terms."""
    scale, network = scale_at(job, edge), network_options(job, "float32")
    extractor = models.get_extractor(network, job.config.layers())
    pictures = {
        "content": job.content_at(scale.content_size),
        "style": job.style_at(scale.style_size),
    }
    return models.get_targets(network, extractor, build_terms(job.config), pictures)


def targets_of(job, models, edge=18):
    """The targets of the job's own terms, as NumPy arrays."""
    targets = computed_targets(job, models, edge)
    return {tag: np.asarray(target) for tag, target in targets.items()}


def assert_same(first, second):
    """Two mappings of arrays are equal, bit for bit."""
    assert first.keys() == second.keys()
    for tag in first:
        np.testing.assert_array_equal(first[tag], second[tag])


# ----------------------------------------------------------------------- extractors


def extractor_of(job, models, *layers, precision="float32"):
    return models.get_extractor(network_options(job, precision), layers)


def test_an_extractor_is_built_once_for_layers_in_any_order(make_job):
    models, job = ModelCache(), make_job()
    first = extractor_of(job, models, "conv1_1", "conv2_1")
    assert extractor_of(make_job(steps=1), models, "conv2_1", "conv1_1") is first
    assert extractor_of(job, models, "conv1_1") is not first
    assert set(first.output) == {"conv1_1", "conv2_1"}


def test_another_network_or_precision_is_another_extractor(make_job, other_weights):
    models, changes = ModelCache(), [{}, {"net": "vgg16"}, {"pool": "max"}]
    changes += [{"padding": "same"}, {"weights": other_weights}]
    jobs = [make_job(**change) for change in changes]
    built = [extractor_of(job, models, "conv1_1") for job in jobs]
    built.append(extractor_of(jobs[0], models, "conv1_1", precision="bfloat16"))
    assert len({id(extractor) for extractor in built}) == len(changes) + 1
    assert [e.name for e in built[:4]] == [
        *("vgg19_avg_replicate", "vgg16_avg_replicate"),
        *("vgg19_max_replicate", "vgg19_avg_same"),
    ]


@pytest.fixture
def other_weights(tiny_weights, tmp_path):
    """The small run's weights, twice as large."""
    with np.load(tiny_weights) as file:
        np.savez(tmp_path / "other.npz", **{name: 2 * file[name] for name in file})
    return str(tmp_path / "other.npz")


# -------------------------------------------------------------------------- targets


def test_targets_are_computed_once(make_job):
    models = ModelCache()
    first = computed_targets(make_job(), models)
    again = computed_targets(make_job(style_weight=7, tv_weight=0), models)
    assert sorted(again) == TAGS
    assert all(again[tag] is first[tag] for tag in TAGS)


def test_only_what_is_new_is_computed(make_job):
    models = ModelCache()
    first = computed_targets(make_job(style_layers="conv1_1"), models)
    found = computed_targets(make_job(), models)
    assert all(found[tag] is first[tag] for tag in TAGS[:2])
    assert set(found) - set(first) == {"style/conv2_1"}
    assert_same(targets_of(make_job(), models), targets_of(make_job(), ModelCache()))


def test_a_layer_of_both_kinds_has_two_targets(make_job):
    job = make_job(content_layers="conv1_1", style_layers="conv1_1")
    same = {"content": job.content_at((12, 18)), "style": job.content_at((12, 18))}
    models, network = ModelCache(), network_options(job, "float32")
    extractor = models.get_extractor(network, ["conv1_1"])
    for _ in range(2):  # computed, then kept
        found = models.get_targets(network, extractor, build_terms(job.config), same)
        assert found["content/conv1_1"].shape == (1, 12, 18, 64)
        assert found["style/conv1_1"].shape == (1, 64, 64)


CHANGES = {
    "style picture": {"style": "content"},
    "crop": {"style_crop": "left"},
    "style size": {"style_size": 9},
    "content picture": {"content": "other"},
    "padding": {"padding": "same"},
    "pooling": {"pool": "max"},
    "weights": {"weights": "other_weights"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_is_not_confused(
    make_job, small_run, other_weights, random_picture, tmp_path, change
):
    save_picture(tmp_path / "other.png", random_picture(16, 24, seed=9))
    files = {"content": small_run["content"], "other_weights": other_weights}
    files["other"] = str(tmp_path / "other.png")
    changes = {k: files.get(v, v) for k, v in CHANGES[change].items()}
    common, plain, changed = ModelCache(), make_job(), make_job(**changes)
    first, second = targets_of(plain, common), targets_of(changed, common)
    assert_same(second, targets_of(changed, ModelCache()))
    assert_same(targets_of(plain, common), first)
    assert any(not np.array_equal(first[tag], second[tag]) for tag in TAGS)


def test_another_size_is_not_confused(make_job):
    common, job = ModelCache(), make_job()
    shapes = [targets_of(job, common, edge)[TAGS[0]].shape for edge in (18, 9, 18)]
    assert shapes == [(1, 12, 18, 64), (1, 6, 9, 64), (1, 12, 18, 64)]


def test_pictures_are_distinguished_by_shape_and_bytes():
    picture = np.zeros((2, 3, 3))
    assert array_digest(picture) == array_digest(picture.astype("float32"))
    assert array_digest(picture) != array_digest(np.zeros((3, 2, 3)))
    assert array_digest(picture) != array_digest(picture + 1e-6)


def test_a_target_in_use_is_not_dropped_for_a_new_one(make_job):
    # conv1_2 of 18 x 12 pixels has 55 kB, a Gram of 64 channels 16, of 128 channels 66.
    models, job = ModelCache(max_target_bytes=130_000), make_job()
    targets_of(job, models)
    # The style's two are kept; a new content's target comes first and drops one.
    changed = make_job(content=job.config.style)
    assert_same(targets_of(changed, models), targets_of(changed, ModelCache()))
    assert len(models.targets.values) == 2


def test_targets_too_large_to_be_kept_are_returned(make_job):
    models, job = ModelCache(max_target_bytes=1), make_job()
    assert_same(targets_of(job, models), targets_of(job, ModelCache()))
    assert len(models.targets.values) == 0


# ----------------------------------------------------------------------------- runs


def test_runs_that_share_models_have_the_same_pixels(make_job):
    models = ModelCache()
    options = {"steps": 2, "snapshot_every": 0, "style_weights": "equal-loss"}
    jobs = [make_job(**options, init=init) for init in ("content", "noise")]
    together = [pipeline.run_job(job, (), models) for job in jobs]
    for job, shared_result in zip(jobs, together, strict=True):
        alone = pipeline.run_job(prepare(job.config))
        np.testing.assert_array_equal(
            alone.picture.pixels, shared_result.picture.pixels
        )
        assert alone.losses == shared_result.losses


# --------------------------------------------------------------------------- models

KINDS = {
    "lbfgs": {},
    "adam": {"optimizer": "adam", "average": 0.9, "log_gradients": True},
    "tiles": {"tile": 128, "size": 132, "scales": 1, "style_size": 20, "steps": 2},
}


@pytest.fixture
def pictures(tmp_path, random_picture):
    """Two contents of one shape, and two styles."""
    shapes = {"a": (16, 24), "b": (16, 24), "s": (14, 18), "t": (15, 18)}
    for seed, (name, shape) in enumerate(shapes.items()):
        save_picture(tmp_path / f"{name}.png", random_picture(*shape, seed=seed) ** 2)
    return lambda name: str(tmp_path / f"{name}.png")


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_started_again_ends_bit_for_bit_as_a_new_one(make_job, pictures, kind):
    common = ModelCache(MAX_MODEL_BYTES)
    options = {"scales": "9,18", "scale_steps": 3, "steps": 3} | KINDS[kind]
    for content, style in ("as", "bt"):
        job = make_job(content=pictures(content), style=pictures(style), **options)
        again = pipeline.run_job(job, (), common)
    alone = pipeline.run_job(prepare(job.config))
    assert len(common.models.values) == len(job.scales)  # those of "a"
    np.testing.assert_array_equal(again.picture.pixels, alone.picture.pixels)
    assert again.losses == alone.losses
    rows = [(x.folder / "losses.csv").read_bytes() for x in (again, alone)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("kind", KINDS)
def test_other_weights_use_the_same_model_bit_for_bit(make_job, kind):
    common = ModelCache(MAX_MODEL_BYTES)
    options = {"scales": "9,18", "scale_steps": 3, "steps": 3} | KINDS[kind]
    other = {"style_layers": "conv1_1:3,conv2_1:0.5", "tv_weight": 7}
    for weights in ({}, other):
        job = make_job(**options | weights)
        shared = pipeline.run_job(job, (), common)
    alone = pipeline.run_job(prepare(job.config))
    assert len(common.models.values) == len(job.scales)
    np.testing.assert_array_equal(shared.picture.pixels, alone.picture.pixels)
    assert shared.losses == alone.losses


def test_a_model_that_was_spoiled_is_as_good_as_new(make_job):
    common, job = ModelCache(MAX_MODEL_BYTES), make_job(steps=2, optimizer="adam")
    first = pipeline.run_job(job, (), common)
    (model,) = common.models.values.values()
    for variable in (model.image, model.gradient, *model.optimizer.variables):
        variable.assign(variable + 1 if "int" in variable.dtype else variable * np.nan)
    again = pipeline.run_job(prepare(job.config), (), common)
    np.testing.assert_array_equal(again.picture.pixels, first.picture.pixels)


def test_a_picture_of_the_same_size_uses_the_same_model(make_job, pictures):
    models = ModelCache(MAX_MODEL_BYTES)
    jobs = [make_job(content=pictures(name), steps=2) for name in "ab"]
    seen = []
    witness = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(witness.model)
    )
    for job in jobs:
        pipeline.run_job(job, [witness], models)
    first, second = seen
    assert first is second


DIFFERENT = {
    "content layers": {"content_layers": "conv1_1"},
    "a weight of 0": {"tv_weight": 0},
    "a layer's weight of 0": {"style_layers": "conv1_1:0,conv2_1"},
    "the optimiser": {"optimizer": "adam"},
    "the rate": {"learning_rate": 0.5},
    "the parameterization": {"parameterization": "pixels"},
    "the history": {"history": 3},
    "pooling": {"pool": "max"},
    "padding": {"padding": "same"},
    "the size": {"size": 17},
    "the device": {"device": "cpu"},
}


@pytest.mark.parametrize("change", DIFFERENT)
def test_another_configuration_is_another_model(make_job, change):
    models, built = ModelCache(MAX_MODEL_BYTES), []
    for changes in ({}, DIFFERENT[change], {}):
        job = make_job(**changes)
        scale, terms = job.scales[-1], build_terms(job.config)
        start = job.content_at(scale.content_size)
        built.append(build_model(job, scale, models, terms, start, optimise=True))
    assert built[0] is built[2]
    assert built[1] is not built[0]


def test_a_model_larger_than_the_limit_is_not_kept(make_job):
    job = make_job(steps=1)
    for limit in (0, 10_000):
        models = ModelCache(limit)
        pipeline.run_job(job, (), models)
        assert len(models.models.values) == 0
