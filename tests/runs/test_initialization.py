"""The start of a run: initial picture, initial losses, solved weights."""

import numpy as np
import pytest

from kstyle import StyleConfig, load_picture, stylize
from kstyle.config.layer_balance import parse_balance_method
from kstyle.errors import ConfigError
from kstyle.images.picture import resize
from kstyle.losses.terms import loss_terms
from kstyle.networks.vgg import VGG16
from kstyle.runs.initialization import (
    initial_layer_values,
    initial_picture,
    layer_losses,
    noise_picture,
    replace_method,
    solve_job_weights,
)
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import build_terms
from kstyle.runs.pipeline import run_job

STYLE, CONTENT = ("style/conv1_1", "style/conv2_1"), "content/conv1_2"


@pytest.fixture
def make_job(small_run):
    """A function that prepares the small run with changes."""
    return lambda **changes: prepare(StyleConfig(**small_run | changes))


def model_at(job, start=None, number=-1):
    """The model of the job's own terms at scale `number`; at its initial picture, or
    at another."""
    scale = job.scales[number].for_measuring()
    start = initial_picture(job, scale.content_size) if start is None else start
    return build_model(job, scale, ModelCache(), build_terms(job.config), start)


def losses_at(job, start=None, number=-1):
    """`{tag: loss}` of the job's own terms, as a real model finds them."""
    model = model_at(job, start, number)
    return {tag: float(x) for tag, x in model.measure_losses().items()}


def norms_at(job, start=None):
    """`{tag: gradient norm}`, as `losses_at`."""
    return {tag: float(x) for tag, x in model_at(job, start).gradient_norms().items()}


def method(text):
    """The option that names a method."""
    return {"style_weights": text}


MEASURES = {"equal-loss": losses_at, "equal-gradient": norms_at}


# -------------------------------------------------------------------- first pictures


def test_the_content_as_init_is_the_content_itself(make_job):
    job = make_job()
    content = job.content_at((12, 18))
    np.testing.assert_array_equal(initial_picture(job, (12, 18)), content)


def test_a_noise_init_is_flat_grey_of_the_contents_size(make_job):
    job = make_job(init="noise", seed=3)
    pixels = initial_picture(job, (12, 18))
    assert pixels.shape == (12, 18, 3)
    assert 127 <= 255 * pixels.min() < 127.2  # 127 to 128 grey levels
    assert 127.8 < 255 * pixels.max() <= 128
    np.testing.assert_array_equal(pixels, noise_picture((12, 18), 3))


def test_the_seed_decides_the_noise():
    first, other = noise_picture((4, 5), 7), noise_picture((4, 5), 8)
    np.testing.assert_array_equal(first, noise_picture((4, 5), 7))
    assert np.abs(first - other).max() > 1e-3


def test_an_init_of_another_size_is_brought_to_the_contents(make_job, small_run):
    job = make_job(init=small_run["style"])
    start = resize(load_picture(small_run["style"]).pixels, (12, 18))
    np.testing.assert_array_equal(initial_picture(job, (12, 18)), start)


# -------------------------------------------------------------- the model of a scale


def test_a_transfer_is_of_the_jobs_pictures_at_that_size(make_job, random_picture):
    job, start = make_job(scales="9,18"), random_picture(6, 9, seed=5)
    scale, terms = job.scales[0], build_terms(job.config)
    model = build_model(job, scale, ModelCache(), terms, start, start_step=7)
    np.testing.assert_array_equal(model.pixels(), start)
    assert int(model.global_step) == 7
    assert set(model.targets) == {*STYLE, CONTENT}
    content, style = job.content_at((6, 9)), job.style_at(scale.style_size)
    for picture, tags in ((content, [CONTENT]), (style, STYLE)):
        features = model.extractor(picture[None])
        for term in (t for t in model.terms if t.tag in tags):
            expected = term.loss.represent(features[term.layer])
            np.testing.assert_array_equal(model.targets[term.tag], expected)


def test_a_model_has_the_layers_of_its_terms_and_no_other(make_job):
    job = make_job()
    terms = loss_terms({"conv1_1": 1.0}, {"conv1_1": 1.0}, tv=1.0)
    start = job.content_at((12, 18))
    model = build_model(job, job.scales[-1], ModelCache(), terms, start)
    assert set(model.extractor.output) == {"conv1_1"}


# ---------------------------------------------------------------- losses of all layers


def test_the_losses_of_every_layer_at_the_start(make_job):
    builtin = {"weights": "builtin", "net": "vgg16", "all_losses": True}
    losses = layer_losses(make_job(**builtin))
    assert tuple(losses) == VGG16.layer_names[:13]  # 12 rows are too few for pool4
    assert all(content == 0 and style > 0 for content, style in losses.values())
    noise = make_job(init="noise", **builtin)
    assert all(content > 0 for content, _ in layer_losses(noise).values())


def test_the_losses_of_every_layer_are_those_of_the_run(small_run):
    builtin = {"weights": "builtin", "net": "vgg16", "all_losses": True, "steps": 0}
    config = StyleConfig(**small_run | builtin)
    table, result = layer_losses(prepare(config)), stylize(config).losses
    for layer in config.style_layers:
        assert result[f"raw/style/{layer}"] == pytest.approx(table[layer][1], rel=1e-4)


# ------------------------------------------------------------------- solved weights


@pytest.mark.parametrize("init", ["content", "noise"])
@pytest.mark.parametrize("name", MEASURES)
def test_equal_means_equal_in_the_model_and_the_sum_stays(make_job, name, init):
    given = make_job(init=init, style_layers="conv1_1:3,conv2_1")
    solved = solve_job_weights(make_job(**given.config.model_dump() | method(name)))
    before, after = MEASURES[name](given), MEASURES[name](solved)
    first, second = (before[tag] for tag in STYLE)
    assert first != pytest.approx(second, rel=0.1)  # there was something to solve
    for tag in STYLE:
        assert after[tag] == pytest.approx((first + second) / 2, rel=1e-4)
    assert after[CONTENT] == pytest.approx(before[CONTENT], rel=1e-4)


@pytest.mark.parametrize("init", ["content", "noise"])
@pytest.mark.parametrize("name", MEASURES)
def test_style_has_its_share_of_style_and_content(make_job, name, init):
    job = solve_job_weights(make_job(init=init, seed=2, **method(f"{name}:0.7")))
    at_start = MEASURES[name](job)
    # At a content init the content has no loss: it is measured at grey noise.
    at_noise = MEASURES[name](job, noise_picture((12, 18), 2))
    style, content = sum(at_start[tag] for tag in STYLE), at_noise[CONTENT]
    assert style / (style + content) == pytest.approx(0.7, rel=1e-4)


def test_normalized_losses_of_zeros_are_in_proportion(make_job):
    # Of the targets at the first scale; 18 px are 18 / 512 of the normal edge.
    layers = {"style_layers": "conv1_1:1,conv2_1:3", "content_layers": "conv1_2:2"}
    job = make_job(scales="9,18", **layers, **method("normalized"))
    solved = solve_job_weights(job)
    model = model_at(solved, number=0)
    empty = {
        term.tag: float(np.sum(term.loss.loss_of_zeros(model.targets[term.tag])))
        for term in model.terms
        if term.source
    }
    weights = solved.config.style_layers
    unit = 2 * empty[CONTENT] * 18 / 512
    for tag, share in zip(STYLE, (1, 3), strict=True):
        weight = weights[tag.removeprefix("style/")]
        assert weight * empty[tag] == pytest.approx(share * unit, rel=1e-4)
    assert solved.config.content_weight == job.config.content_weight
    assert solved.config.style_growth == job.config.style_growth == 1


def test_solved_weights_keep_what_their_method_implies():
    config = StyleConfig()
    weights = dict.fromkeys(config.style_layers, 2.0)
    solved = replace_method(config, {"style_layers": weights})
    assert solved == config.replace(
        style_layers=weights,
        content_layers={"conv4_2": 0.5, "conv3_2": 2},
        style_loss="gram,conv2_1=covariance,conv3_1=covariance",
        style_growth=1,
        tv_loss="charbonnier",
        tv_weight=2000,
    )


def test_a_network_without_chosen_weights_is_balanced(make_job):
    layers = {"style_layers": "conv1_1:1,conv2_1:3", "content_layers": "conv1_2:2"}
    options = {"weights": "random", **layers, **method("normalized")}
    job = make_job(init="noise", scales="1", **options)
    solved = solve_job_weights(job)
    model = model_at(solved)
    empty = {
        term.tag: term.weight * float(np.sum(term.loss.loss_of_zeros(target)))
        for term in model.terms
        if (target := model.targets.get(term.tag)) is not None
    }
    content_weight, style_weight = job.config.content_weight, job.config.style_weight
    assert empty[CONTENT] == pytest.approx(5e4 * content_weight, rel=1e-4)
    style = sum(empty[tag] for tag in STYLE)
    assert style == pytest.approx(4 * 5e4 * style_weight * 18 / 512, rel=1e-4)
    # The gradients are those at the content, wherever the run starts.
    norms = norms_at(solved, job.content_at((12, 18)))
    assert norms[STYLE[1]] == pytest.approx(3 * norms[STYLE[0]], rel=1e-3)
    content = make_job(content_weights="equal-loss", **options)
    kept = solve_job_weights(content).config.content_layers
    assert kept == {"conv1_2": 2.0}


def test_style_grows_with_the_scale(make_job):
    job = make_job(style_growth=2)
    coarse, fine = (
        {term.tag: term.weight for term in build_terms(job.config, edge)}
        for edge in (0.5, 1.0)
    )
    assert fine == {term.tag: term.weight for term in build_terms(job.config)}
    for tag, weight in fine.items():
        assert coarse[tag] == (weight / 4 if tag in STYLE else weight)


def test_auto_is_normalized(make_job):
    auto = solve_job_weights(make_job(**method("auto"))).config
    assert auto == solve_job_weights(make_job(**method("normalized"))).config


def test_init_loss_raises_the_layers_below_it_alone(make_job):
    layers = "conv1_1:3,conv2_1:5"
    raw = losses_at(make_job(style_layers=layers))
    low, high = sorted(STYLE, key=lambda tag: raw[f"raw/{tag}"])
    start = 100 * (raw[f"raw/{low}"] + raw[f"raw/{high}"]) / 2  # style_weight is 100
    job = solve_job_weights(
        make_job(style_layers=layers, **method(f"init-loss:{start}"))
    )
    losses = losses_at(job)
    assert losses[low] == pytest.approx(start, rel=1e-4)
    assert losses[high] == raw[high]
    assert job.config.content_weight == StyleConfig().content_weight


def test_content_and_style_can_both_start_at_a_loss(make_job):
    options = {"content_weights": "init-loss:5e9", "style_weights": "init-loss:6e9"}
    job = solve_job_weights(make_job(init="noise", **options))
    losses = losses_at(job)
    assert losses[CONTENT] == pytest.approx(5e9, rel=1e-4)
    assert [losses[tag] for tag in STYLE] == pytest.approx([6e9, 6e9], rel=1e-4)
    text = (job.folder / "config.yaml").read_text(encoding="utf-8")
    assert "content_weights: init-loss:5e+09, style_weights: init-loss:6e+09" in text
    assert StyleConfig.from_yaml(text) == job.config


def test_weights_are_solved_at_the_first_scale(make_job):
    job = solve_job_weights(make_job(scales="9,18", **method("equal-loss")))
    first, second = (losses_at(job, number=0)[tag] for tag in STYLE)
    assert first == pytest.approx(second, rel=1e-4)
    last = losses_at(job)
    assert last[STYLE[0]] != pytest.approx(last[STYLE[1]], rel=1e-3)


def test_initial_values_are_measured_with_weights_of_one(make_job):
    job = make_job(style_layers="conv1_1:3,conv2_1:0", content_layers="conv1_2:0")
    values = initial_layer_values(job, parse_balance_method("equal-loss"), ModelCache())
    style, content = values["style"], values["content"]
    start, noise = losses_at(job), losses_at(job, noise_picture((12, 18), 0))
    for tag in STYLE:
        layer = tag.removeprefix("style/")
        assert style.pop(layer) == pytest.approx(start[f"raw/{tag}"], rel=1e-6)
    assert content.pop("conv1_2") == pytest.approx(noise[f"raw/{CONTENT}"], rel=1e-6)
    assert (style, content) == ({}, {})


def test_without_a_method_there_is_nothing_to_solve(make_job):
    job = make_job()
    before = (job.folder / "config.yaml").read_bytes()
    assert solve_job_weights(job) is job
    assert (job.folder / "config.yaml").read_bytes() == before


def test_the_config_in_the_folder_has_plain_numbers(make_job):
    job = solve_job_weights(make_job(**method("equal-loss:0.8")))
    text = (job.folder / "config.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[0].endswith(" equal-loss:0.8")
    assert StyleConfig.from_yaml(text) == job.config
    assert job.config.style_weights is None
    for weight in (*job.config.style_layers.values(), job.config.content_weight):
        assert weight == float(f"{weight:.6g}")
    assert solve_job_weights(job) is job


def test_a_run_tells_the_weights_that_it_has_solved(make_job):
    told = []
    options = {"steps": 0, "snapshot_every": 0}
    result = run_job(make_job(**options, **method("auto")), on_solved=told.append)
    assert told == [result.config]
    assert result.config.style_weights is None
    run_job(make_job(**options), on_solved=told.append)
    assert len(told) == 1  # there was nothing to solve


def test_solved_weights_repeat_the_run_bit_for_bit(make_job):
    first = run_job(make_job(init="noise", steps=2, snapshot_every=0, **method("auto")))
    yaml = (first.folder / "config.yaml").read_text(encoding="utf-8")
    again = stylize(StyleConfig.from_yaml(yaml))
    np.testing.assert_array_equal(again.picture.pixels, first.picture.pixels)
    assert again.losses == first.losses
    assert again.path.read_bytes() == first.path.read_bytes()


@pytest.mark.parametrize("text", ["equal-loss", "equal-gradient:0.8", "init-loss:1"])
def test_a_style_that_is_the_start_picture_is_refused(make_job, small_run, text):
    job = make_job(style=small_run["content"], **method(text))
    with pytest.raises(ConfigError, match="layer conv1_1 starts with the value 0,"):
        solve_job_weights(job)


@pytest.mark.parametrize("name", MEASURES)
def test_an_init_file_that_is_the_content_leaves_no_share(make_job, small_run, name):
    job = make_job(init=small_run["content"], **method(f"{name}:0.8"))
    with pytest.raises(ConfigError, match="the content has no loss"):
        solve_job_weights(job)
