"""What runs have in common is made once, is the same, and is never another's."""

import gc

import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph

from kstyle import StyleConfig, save_picture
from kstyle.losses.terms import build_terms
from kstyle.lru_cache import LRUCache
from kstyle.runs import models, pipeline
from kstyle.runs.job import prepare
from kstyle.runs.models import MAX_MODEL_BYTES, ModelCache, picture_digest

TAGS = ["content/conv1_2", "style/conv1_1", "style/conv2_1"]


@pytest.fixture
def make_job(small_run):
    """A function that prepares the small run with changes."""
    return lambda **changes: prepare(StyleConfig(**small_run | changes))


@pytest.fixture
def represented(monkeypatch):
    """The tags of the targets that are computed, in order."""
    tags, represent = [], models.represent

    def counting(extractor, terms, pictures):
        tags.extend(term.tag for term in terms)
        return represent(extractor, terms, pictures)

    monkeypatch.setattr("kstyle.runs.models.represent", counting)
    return tags


def targets_of(job, common, edge=18):
    """The targets of the job's own terms, as NumPy arrays."""
    extractor = common.extractor(job, job.config.layers())
    pictures = {"content": job.content_at(edge), "style": job.style_at(edge)}
    targets = common.targets(job, extractor, build_terms(job.config), pictures)
    return {tag: np.asarray(target) for tag, target in targets.items()}


def assert_same(first, second):
    """Two mappings of arrays are equal, bit for bit."""
    assert first.keys() == second.keys()
    for tag in first:
        np.testing.assert_array_equal(first[tag], second[tag])


# ------------------------------------------------------------------------- `Recent`


def test_a_value_is_made_once():
    recent, made = LRUCache(2), []
    assert [recent.get("a", lambda: made.append(1) or 5) for _ in range(3)] == [5] * 3
    assert made == [1]


def test_the_least_recently_used_makes_room():
    recent = LRUCache(2)
    for key in "abac":  # at c, b is the one that was not used for longest
        recent.get(key, key.upper)
    assert ["a" in recent, "b" in recent, "c" in recent] == [True, False, True]
    assert recent.get("b", lambda: "again") == "again"
    assert len(recent.values) == 2


def test_what_costs_more_makes_more_room_and_too_much_is_not_kept():
    recent = LRUCache(5, cost=len)
    for value in ("aa", "bb", "ccc"):  # 2 + 2 + 3 is too much, 2 + 3 is not
        recent.get(value, lambda value=value: value)
    assert list(recent.values) == ["bb", "ccc"]
    assert recent.get("d", lambda: "dddddd") == "dddddd"
    assert list(recent.values) == ["bb", "ccc"]


# ----------------------------------------------------------------------- extractors


def test_an_extractor_is_built_once_for_the_same_layers_in_any_order(make_job):
    common, job = ModelCache(), make_job()
    first = common.extractor(job, ["conv1_1", "conv2_1"])
    assert common.extractor(make_job(steps=1), ["conv2_1", "conv1_1"]) is first
    assert common.extractor(job, ["conv1_1"]) is not first
    assert set(first.output) == {"conv1_1", "conv2_1"}


def test_another_network_pooling_padding_or_weights_is_another_extractor(
    make_job, other_weights
):
    common, changes = ModelCache(), [{}, {"net": "vgg16"}, {"pool": "max"}]
    changes += [{"padding": "same"}, {"weights": other_weights}]
    jobs = [make_job(**change) for change in changes]
    built = [common.extractor(job, ["conv1_1"]) for job in jobs]
    assert len({id(extractor) for extractor in built}) == len(jobs)
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


def test_targets_are_computed_once(make_job, represented):
    common = ModelCache()
    first = targets_of(make_job(), common)
    assert sorted(represented) == TAGS
    again = targets_of(make_job(style_weight=7, tv_weight=0), common)
    assert sorted(represented) == TAGS
    assert_same(again, first)


def test_only_what_is_new_is_computed(make_job, represented):
    common = ModelCache()
    targets_of(make_job(style_layers="conv1_1"), common)
    del represented[:]
    found = targets_of(make_job(), common)
    assert represented == ["style/conv2_1"]
    assert_same(found, targets_of(make_job(), ModelCache()))


def test_a_layer_of_both_kinds_has_two_targets(make_job):
    job = make_job(content_layers="conv1_1", style_layers="conv1_1")
    same = {"content": job.content_at(18), "style": job.content_at(18)}
    common = ModelCache()
    extractor = common.extractor(job, ["conv1_1"])
    for _ in range(2):  # computed, then kept
        found = common.targets(job, extractor, build_terms(job.config), same)
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


def test_pictures_are_told_apart_by_shape_as_well_as_by_bytes():
    picture = np.zeros((2, 3, 3))
    assert picture_digest(picture) == picture_digest(picture.astype("float32"))
    assert picture_digest(picture) != picture_digest(np.zeros((3, 2, 3)))
    assert picture_digest(picture) != picture_digest(picture + 1e-6)


def test_what_is_needed_now_is_not_put_out_by_what_is_new(make_job, monkeypatch):
    # conv1_2 of 18 x 12 pixels has 55 kB, a Gram of 64 channels 16, of 128 channels 66.
    monkeypatch.setattr("kstyle.runs.models.MAX_TARGET_BYTES", 130_000)
    common, job = ModelCache(), make_job()
    targets_of(job, common)
    # The style's two are kept; a new content's target comes first and puts one out.
    changed = make_job(content=job.config.style)
    assert_same(targets_of(changed, common), targets_of(changed, ModelCache()))
    assert len(common.kept.values) == 2


def test_targets_too_large_to_be_kept_are_all_there(make_job, monkeypatch):
    monkeypatch.setattr("kstyle.runs.models.MAX_TARGET_BYTES", 1)
    common, job = ModelCache(), make_job()
    assert_same(targets_of(job, common), targets_of(job, ModelCache()))
    assert len(common.kept.values) == 0


# ----------------------------------------------------------------------------- runs


def test_runs_that_share_end_bit_for_bit_as_runs_that_do_not(make_job, represented):
    common = ModelCache()
    options = {"steps": 2, "snapshot_every": 0, "style_weights": "equal-loss"}
    jobs = [make_job(**options, init=init) for init in ("content", "noise")]
    together = [pipeline.run_job(job, models=common) for job in jobs]
    assert sorted(represented) == TAGS  # once for solving and for both runs
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
        again = pipeline.run_job(job, models=common)
    alone = pipeline.run_job(prepare(job.config))
    assert len(common.models.values) == len(job.scales)  # those of "a"
    np.testing.assert_array_equal(again.picture.pixels, alone.picture.pixels)
    assert again.losses == alone.losses
    rows = [(x.folder / "losses.csv").read_bytes() for x in (again, alone)]
    assert rows[0] == rows[1]


def test_a_model_that_was_spoiled_is_as_good_as_new(make_job):
    common, job = ModelCache(MAX_MODEL_BYTES), make_job(steps=2, optimizer="adam")
    first = pipeline.run_job(job, models=common)
    (model,) = common.models.values.values()
    for variable in (model.image, model.gradient, *model.optimizer.variables):
        variable.assign(variable + 1 if "int" in variable.dtype else variable * np.nan)
    again = pipeline.run_job(prepare(job.config), models=common)
    np.testing.assert_array_equal(again.picture.pixels, first.picture.pixels)


def test_another_picture_of_the_same_size_needs_no_new_graph(make_job, pictures):
    def graphs():
        gc.collect()
        return sum(isinstance(each, FuncGraph) for each in gc.get_objects())

    common, counts = ModelCache(MAX_MODEL_BYTES), []
    for name in "ab":
        pipeline.run_job(make_job(content=pictures(name), steps=2), models=common)
        counts.append(graphs())
    assert counts[0] == counts[1]


DIFFERENT = {
    "content layers": {"content_layers": "conv1_1"},
    "a layer's weight": {"style_layers": "conv1_1:2,conv2_1"},
    "a weight": {"tv_weight": 1},
    "the optimiser": {"optimizer": "adam"},
    "the rate": {"learning_rate": 0.5},
    "the parameterization": {"parameterization": "pixels"},
    "the history": {"history": 3},
    "pooling": {"pool": "max"},
    "padding": {"padding": "same"},
    "the size": {"size": 17},
    "the device": {"device": "cpu"},
}


class Made:
    """Stands for a model, and tells how often it was started again."""

    restarts = 0

    def reset(self, init, targets):
        self.restarts += 1


@pytest.mark.parametrize("change", DIFFERENT)
def test_another_configuration_is_another_model(make_job, change):
    common, made = ModelCache(), []
    common.models = LRUCache(3)

    def build():
        made.append(Made())
        return made[-1]

    for changes in ({}, DIFFERENT[change], {}):
        job = make_job(**changes)
        start = {"init": job.content_at(job.config.size), "targets": {}}
        common.model(job, build_terms(job.config), None, "float32", build, start)
    assert [model.restarts for model in made] == [1, 0]


def test_a_model_is_not_kept_where_there_is_no_room(make_job):
    job = make_job(steps=1)
    for room in (0, 10_000):
        common = ModelCache(room)
        pipeline.run_job(job, models=common)
        assert len(common.models.values) == 0
