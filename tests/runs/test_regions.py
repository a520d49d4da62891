"""Runs with regions: what stays, what is painted, records, the command, Python."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from shared_models import stylize

import kstyle
from kstyle.cli.main import cli
from kstyle.errors import ConfigError, ImageError
from kstyle.images.masks import resize_mask
from kstyle.runs.initialization import initial_picture, layer_losses, solve_job_weights
from kstyle.runs.job import prepare, reopen_run
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import job_terms
from kstyle.runs.pipeline import run_job
from kstyle.runs.provenance import read_run

LEFT = np.zeros((16, 24), "float32")
LEFT[:, :12] = 1


def save_mask(path, mask):
    """Write a mask as a grey picture; return its path."""
    kstyle.save_picture(path, np.repeat(mask[..., None], 3, axis=2))
    return str(path)


@pytest.fixture
def left(small_run, tmp_path):
    """Options of a small run that paints the left half."""
    mask = save_mask(tmp_path / "left.png", LEFT)
    return {**small_run, "region": mask, "style_weights": "none"}


def test_the_photograph_stays_as_far_as_nothing_covers_it(left, tmp_path):
    columns = np.clip(np.linspace(1.5, -0.5, 24, dtype="float32"), 0, 1)
    left["region"] = save_mask(tmp_path / "soft.png", np.tile(columns, (16, 1)))
    config = kstyle.StyleConfig(**left, init="noise", style_weight=500)
    job = prepare(config)
    change = np.abs(run_job(job).picture.pixels - job.content_at((12, 18)))
    limits = resize_mask(job.regions[0].mask, (12, 18))
    assert (change <= limits[..., None] + 1e-6).all()
    assert change[:, 14:].max() == 0
    assert change[:, :4].mean() > 0.05


def flat(*colors):
    """A picture of 16 rows, 32 columns of each colour."""
    return np.concatenate(
        [np.broadcast_to(np.float32(c), (16, 32, 3)) for c in colors], axis=1
    )


def test_a_region_is_a_single_run_away_from_its_edge(small_run, tmp_path):
    red, blue, grey = (0.8, 0.2, 0.1), (0.1, 0.3, 0.9), (0.5, 0.5, 0.5)
    noise = np.random.default_rng(5).random((3, 16, 32, 1), "float32")
    red, blue = flat(red) * (0.4 + 1.2 * noise[0]), flat(blue) * (0.4 + 1.2 * noise[1])
    grey = flat(grey) * (0.9 + 0.2 * noise[2])
    parts = {"content": (grey, grey), "both": (red, blue)}
    parts |= {"left": (red, red), "right": (blue, blue)}
    parts["map"] = flat((1, 0, 0)), flat((0, 0, 1))
    paths = {name: str(tmp_path / f"{name}.png") for name in parts}
    for name, halves in parts.items():
        kstyle.save_picture(paths[name], np.concatenate(halves, axis=1).clip(0, 1))
    options = {**small_run, "style_weights": "none", "size": 64, "scales": 1}
    # Steps of Adam on pixels depend on each pixel's own gradients only.
    options |= {"optimizer": "adam", "parameterization": "pixels", "steps": 8}
    options |= {"style_loss": "gram,conv2_1=covariance", "content": paths["content"]}
    config = kstyle.StyleConfig(**options, style_weight=3000, tv_weight=0)
    maps = {"content_map": paths["map"], "style_map": paths["map"]}
    left, right, both = (
        stylize(config.replace(style=paths[name], **more)).picture.pixels
        for name, more in (("left", {}), ("right", {}), ("both", maps))
    )
    assert np.abs(left - right).mean() > 0.1
    # In the mean: Adam's steps are as long where a gradient is almost 0.
    assert np.abs(both - left)[:, :20].mean() < 0.002
    assert np.abs(both - right)[:, 44:].mean() < 0.002


def test_each_region_has_its_share_of_the_style_loss(left):
    left["style"] = [left["style"], left["content"]]
    left["region"] = [left["region"], "rest"]
    config = kstyle.StyleConfig(**{**left, "style_weights": "normalized"})
    job = solve_job_weights(prepare(config))
    terms = {term.tag: term for term in job_terms(job, job.scales[0])}
    for name in ("left", "rest"):
        for layer, weight in job.config.region_layers[name].items():
            term = terms[f"style/{layer}/{name}"]
            assert term.weight == pytest.approx(100 * weight / 2)
    # The same empty picture has the same loss in both regions and in the content.
    model = build_model(
        job, job.scales[0], ModelCache(), list(terms.values()), job.content_at((12, 18))
    )
    empty = [
        float(np.sum(t.loss.normal_loss(model.targets[t.tag]))) * t.weight
        for t in terms.values()
        if t.is_style and t.layer == "conv2_1"
    ]
    assert empty[0] == pytest.approx(empty[1], rel=1e-4)


def solved_losses(left, method):
    """`{region: weighted losses of its layers}` at the start, and those of content, of
    a run with two regions whose weights were solved by `method`."""
    left["style"] = [left["style"], left["content"]]
    left["region"] = [left["region"], "rest"]
    config = kstyle.StyleConfig(**{**left, "init": "noise", "style_weights": method})
    job = solve_job_weights(prepare(config))
    scale = job.scales[0]
    terms, start = job_terms(job, scale), initial_picture(job, scale.content_size)
    losses = build_model(job, scale, ModelCache(), terms, start).measure_losses()
    found = {"left": [], "rest": [], None: []}
    for term in terms:
        if term.source is not None:
            region = term.source.partition("/")[2] or None
            found[region].append(float(losses[term.tag]))
    return found


def test_the_layers_of_each_region_get_equal_losses(left):
    losses = solved_losses(left, "equal-loss:0.8")
    for name in ("left", "rest"):
        assert losses[name] == pytest.approx([losses[name][0]] * 2, rel=1e-4)
    style = sum(losses["left"] + losses["rest"])
    assert style == pytest.approx(0.8 * (style + sum(losses[None])), rel=1e-4)


def test_the_layers_of_each_region_start_at_a_loss(left):
    losses = solved_losses(left, "init-loss:1e9")
    assert losses["left"] + losses["rest"] == pytest.approx([1e9] * 4, rel=1e-4)


@pytest.mark.parametrize("method", ["equal-gradient:0.8", "init-loss:1e9"])
def test_a_layer_is_solved_at_the_first_scale_that_has_it(left, method):
    corner = np.zeros_like(LEFT)
    corner[:8, :4] = 1  # too small for conv2_1, and at 9 px for conv1_1
    left |= {"region": save_mask(left["region"], corner), "scales": "9,18"}
    config = kstyle.StyleConfig(**{**left, "init": "noise", "style_weights": method})
    job = solve_job_weights(prepare(config))
    assert job.config.region_layers["left"]["conv2_1"] == 1
    scale = job.scales[-1]
    terms, start = job_terms(job, scale), initial_picture(job, scale.content_size)
    losses = build_model(job, scale, ModelCache(), terms, start).measure_losses()
    assert [t.tag for t in terms if t.is_style] == ["style/conv1_1/left"]
    if method == "init-loss:1e9":
        assert float(losses["style/conv1_1/left"]) == pytest.approx(1e9, rel=1e-4)


def test_a_region_that_is_too_small_for_its_own_layers_is_refused(left):
    corner = np.zeros_like(LEFT)
    corner[:4, :4] = 1
    region = save_mask(left["region"], corner)
    few = {"region": region, "region_layers": {"left": {"conv2_1": 1}}}
    with pytest.raises(ConfigError, match="region left has too few positions"):
        prepare(kstyle.StyleConfig(**left | few))
    assert prepare(kstyle.StyleConfig(**left | {"region": region}))


def test_the_style_loss_of_all_regions_is_theirs_by_share(left):
    left |= {"weights": "builtin", "all_losses": True}
    whole = layer_losses(prepare(kstyle.StyleConfig(**{**left, "region": None})))
    left["region"] = save_mask(left["region"], np.ones_like(LEFT))
    job = prepare(kstyle.StyleConfig(**left))
    (name, (content, style)), *_ = layer_losses(job).items()
    assert (content, style) == pytest.approx(whole[name], rel=1e-4)


def test_tiles_and_a_saved_model_measure_the_same_losses(left, tmp_path):
    job = prepare(kstyle.StyleConfig(**left))
    terms = job_terms(job, job.scales[0])
    start = job.content_at((12, 18))[::-1]
    models = [
        build_model(
            prepare(kstyle.StyleConfig(**left, tile=tile)),
            prepare(kstyle.StyleConfig(**left, tile=tile)).scales[0],
            ModelCache(),
            terms,
            start,
        )
        for tile in ("off", "whole")
    ]
    losses = [model.evaluate(return_dict=True) for model in models]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    models[0].save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(return_dict=True) == pytest.approx(losses[0], rel=1e-6)
    np.testing.assert_array_equal(loaded._range.low, models[0]._range.low)


class InterruptAtStep2(keras.callbacks.Callback):
    """Raises what Ctrl-C raises."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step == 2:
            raise KeyboardInterrupt


def test_masks_from_memory_are_recorded_and_resumed(left):
    options = {k: v for k, v in left.items() if k != "region"}
    config = kstyle.StyleConfig(**options, checkpoint_every=1)
    whole = kstyle.stylize(config, region=LEFT > 0)
    part = kstyle.stylize(config, [InterruptAtStep2()], region=LEFT)
    record = read_run(part.folder)
    assert set(record["pictures"]) == {"content", "style", "region"}
    assert record["config"].region == str(part.folder / "region.png")
    job, state = reopen_run(part.folder)
    again = run_job(job, state=state)
    np.testing.assert_array_equal(again.picture.pixels, whole.picture.pixels)
    assert json.loads(kstyle.read_metadata(again.path)["config"])["region"] == (
        "region.png"
    )
    events = [path.read_bytes() for path in whole.folder.glob("events*")]
    assert any(b"source/regions" in data for data in events)


def test_alpha_of_the_content_is_a_mask(small_run, tmp_path, random_picture):
    picture = kstyle.Picture(random_picture(16, 24), LEFT)
    kstyle.save_picture(tmp_path / "content.png", picture)
    config = kstyle.StyleConfig(**small_run, region="alpha", color="match")
    (region,) = prepare(config).regions
    np.testing.assert_array_equal(region.mask, LEFT)
    kstyle.save_picture(tmp_path / "content.png", random_picture(16, 24))
    with pytest.raises(ConfigError, match="has no transparency"):
        prepare(config)


def test_an_alpha_of_next_to_nothing_is_refused(small_run, tmp_path, random_picture):
    picture = kstyle.Picture(random_picture(16, 24), LEFT / 255)
    kstyle.save_picture(tmp_path / "content.png", picture)
    with pytest.raises(ImageError, match="lightest grey level is 1 of 255"):
        prepare(kstyle.StyleConfig(**small_run, region="alpha"))


def test_a_rest_of_next_to_nothing_is_refused(left):
    left |= {"style": [left["style"], left["content"]]}
    left["region"] = [save_mask(left["region"], np.full_like(LEFT, 0.99)), "rest"]
    with pytest.raises(ConfigError, match="the other regions cover the whole picture"):
        prepare(kstyle.StyleConfig(**left))


def test_a_crop_without_any_part_of_a_map_is_refused(left, tmp_path):
    parts = np.repeat(LEFT[..., None], 3, axis=2)
    kstyle.save_picture(tmp_path / "map.png", parts)
    kstyle.save_picture(tmp_path / "white.png", np.ones_like(parts))
    options = {k: v for k, v in left.items() if k != "region"}
    options |= {"style": left["content"], "style_map": str(tmp_path / "white.png")}
    options |= {"content_map": str(tmp_path / "map.png")}
    config = kstyle.StyleConfig(**options, content_crop="50%,0,50%,100%")
    with pytest.raises(ConfigError, match="no part that has a style is in the content"):
        prepare(config)


def test_a_crop_of_the_content_crops_its_mask(left):
    job = prepare(kstyle.StyleConfig(**left, content_crop="25%,0,50%,100%"))
    np.testing.assert_array_equal(job.regions[0].mask, LEFT[:, 6:18])
    with pytest.raises(ConfigError, match="nothing of it is in the content"):
        prepare(kstyle.StyleConfig(**left, content_crop="50%,0,50%,100%"))


def test_exact_colours_are_those_of_each_region_s_style(left, tmp_path):
    for name, color in (("red", (0.8, 0.2, 0.2)), ("blue", (0.2, 0.2, 0.8))):
        kstyle.save_picture(tmp_path / f"{name}.png", flat(color))
    left["style"] = [str(tmp_path / "red.png"), str(tmp_path / "blue.png")]
    left["region"] = [left["region"], "rest"]
    job = prepare(kstyle.StyleConfig(**left, color="exact"))
    found = job.recolored(job.content_at((12, 18)))
    assert (found[:, :9, 0] > found[:, :9, 2]).all()
    assert (found[:, 9:, 2] > found[:, 9:, 0]).all()


@pytest.mark.parametrize("color", ["style", "keep", "exact"])
def test_a_soft_region_limits_the_recoloured_picture_too(left, tmp_path, color):
    left["region"] = save_mask(tmp_path / "soft.png", np.full((16, 24), 51 / 255))
    job = prepare(kstyle.StyleConfig(**left, color=color))
    content = job.content_at((12, 18))
    found = job.recolored(np.clip(1 - content, content - 0.2, content + 0.2))
    assert np.abs(found - content).max() <= 0.2 + 1e-6


def test_the_command_shows_the_regions(left, tmp_path):
    words = ["regions", left["content"], left["style"], "--region", left["region"]]
    words += ["--style-layers", "conv1_1,conv2_1", "--content-layers", "conv1_1"]
    words += ["--size", "18", "-o", str(tmp_path / "overlay.png")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "left" in result.stdout and "50.0 %" in result.stdout
    found = kstyle.load_picture(tmp_path / "overlay.png").pixels
    assert found.shape == (12, 18, 3)
    assert np.ptp(found[:, 10:], axis=2).max() == 0  # grey
    assert np.ptp(found[:, :8], axis=2).min() > 0
    assert "no regions" in CliRunner().invoke(cli, words[:3]).stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"region": "rest"}, "and there is none"),
        ({"style": ["a", "b"], "region": ["m.png", None]}, "style 2 has none"),
        ({"style": ["a", "b"], "region": ["m", "n"], "blend": "1,2"}, "blend: each"),
        ({"content_map": "m.png"}, "go together"),
        ({"style_map": "m.png"}, "go together"),
        ({"content_map": "m", "style_map": "n", "region": "r"}, "content_map says"),
        ({"region_layers": {"a": {"conv1_2": 1}}, "region": "m"}, "not among"),
    ],
)
def test_regions_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        kstyle.StyleConfig(**options)


def test_masks_that_cannot_be_used_are_refused(left, tmp_path):
    shapes = save_mask(tmp_path / "square.png", np.ones((16, 16), "float32"))
    with pytest.raises(ImageError, match="their proportions differ"):
        prepare(kstyle.StyleConfig(**{**left, "region": shapes}))
    config = kstyle.StyleConfig(**left, region_layers={"right": {"conv1_1": 1}})
    with pytest.raises(ConfigError, match="no region 'right'"):
        prepare(config)
    with pytest.raises(ConfigError, match="right has layers, and there are no regions"):
        prepare(config.replace(region=None))
    for name, color in (("map", (1, 0, 0)), ("other", (0, 1, 0))):
        kstyle.save_picture(tmp_path / f"{name}.png", flat(color)[:16, :24])
    options = {k: v for k, v in left.items() if k != "region"}
    options |= {"style": left["content"], "style_map": str(tmp_path / "other.png")}
    config = kstyle.StyleConfig(**options, content_map=str(tmp_path / "map.png"))
    with pytest.raises(ConfigError, match=r"none of its colours \(ff0000\)"):
        prepare(config)


def test_styles_with_one_region_are_blended_in_it(left):
    left["style"] = [left["style"], left["content"], left["content"]]
    left["region"] = [left["region"], left["region"], "rest"]
    job = prepare(kstyle.StyleConfig(**left, blend=[3, 1, 5]))
    first, rest = job.regions
    assert (first.styles, first.shares) == ((0, 1), (0.75, 0.25))
    assert (rest.name, rest.styles, rest.shares) == ("rest", (2,), (1.0,))
