"""Properties of configs, texts, sizes, crops and tilings, tried with Hypothesis.

The examples are the same in every run.
"""

import typing

import click
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kstyle.cli.options import config_options, merge_options
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.images.picture import crop_box, fit_long_edge, parse_crop
from kstyle.networks.architecture import PADDINGS
from kstyle.networks.registry import NETWORKS
from kstyle.networks.vgg import VGG19
from kstyle.planning.scales import (
    COARSEST_EDGE,
    plan_scales,
    plan_scales_of_run,
    style_size_at,
)
from kstyle.tiling.geometry import axis_spans, make_tiles, split_stages, stage_edge

settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")
few, many = settings(max_examples=60), settings(max_examples=300)

finite = {"allow_nan": False, "allow_infinity": False}
texts = st.text(max_size=20)
weights = st.floats(0, 1e300, **finite)
positive = st.floats(5e-324, 1e300, **finite)
shares = st.floats(0.001, 0.999)
naturals, counts = st.integers(0, 2**63), st.integers(1, 2**63)
edges = st.integers(1, 65_535)
nets = st.sampled_from(sorted(NETWORKS))
sizes = st.tuples(st.integers(1, 9000), st.integers(1, 9000))
numbers = st.one_of(
    st.integers(0, 10**9 - 1).map(str),
    st.integers(0, 100).map("{}%".format),
    st.floats(0, 1e6, **finite).map("{:.3f}".format),
)
crops = st.sampled_from(["left", "center", "right"]) | st.tuples(*[numbers] * 4).map(
    ",".join
)
rising = st.lists(edges, min_size=2, max_size=6, unique=True).map(sorted).map(tuple)

# What an option may be, but for choices and switches; layers depend on the network.
VALUES = {
    **dict.fromkeys(("content", "style", "weights", "init", "logdir"), texts),
    **dict.fromkeys(("content_weight", "style_weight", "palette_weight"), weights),
    "tv_weight": positive,  # so that there is something to optimise
    "palette_weight": weights,
    **dict.fromkeys(
        ("learning_rate", "stop_when_still", "time_limit"), st.none() | positive
    ),
    **dict.fromkeys(("steps", "snapshot_every"), naturals),
    **dict.fromkeys(("scale_steps", "report_every"), counts),
    "net": st.sampled_from(list(NETWORKS)),
    "finish": st.sampled_from([None, "nearest", "nearest:20"]),
    "output": st.none() | texts,
    "strength": st.none() | st.floats(0, 1),
    "style_growth": st.floats(0, 4),
    "style_weights": st.sampled_from([None, "auto", "equal-loss", "equal-gradient"])
    | positive.map("init-loss:{!r}".format)
    | shares.map("equal-gradient:{!r}".format),
    "content_weights": st.sampled_from([None, "equal-loss", "equal-gradient"]),
    "iterations": st.none(),
    "style_loss": st.sampled_from(["gram", "wasserstein"]),
    "content_loss": st.sampled_from(["mse", "self-similarity"]),
    "content_size": st.sampled_from([None, "original"]) | edges,
    "content_crop": st.none() | crops,
    "average": st.just(0.0) | shares,
    "size": edges,
    "tile": st.sampled_from(("off", "whole")) | st.integers(128, 65_535),
    "history": st.integers(1, 100),
    "scales": st.just("auto") | edges | rising,
    "style_size": st.sampled_from([None, "original"]) | edges,
    "style_crop": st.none() | crops,
    "style_scale": st.floats(1e-9, 1000),
    "seed": st.integers(0, 2**32 - 1),
    "device": st.sampled_from(["auto", "cpu", "gpu", "gpu:0", "gpu:12"]),
    "checkpoint_every": naturals.map(str) | st.floats(0, 1e6).map("{:.3f}s".format),
    "quality": st.integers(1, 100),
}


# What needs several styles: tests/config/test_style_source.py.
SEVERAL = ("styles", "blend", "region", "content_map", "style_map", "region_layers")


def values(name, field):
    """A strategy of what the option `name` may be."""
    if typing.get_origin(field.annotation) is typing.Literal:
        return st.sampled_from(typing.get_args(field.annotation))
    return st.booleans() if field.annotation is bool else VALUES[name]


@st.composite
def options(draw):
    """Some of the options of a valid config."""
    fields = dict(StyleConfig.model_fields)
    layers = ("content_layers", "style_layers")
    given = {
        k: draw(values(k, f)) for k, f in fields.items() if k not in (*layers, *SEVERAL)
    }
    known = st.sampled_from(NETWORKS[given["net"]].layer_names)
    first, second = (st.dictionaries(known, weights, min_size=n) for n in (1, 0))
    pair = draw(st.permutations([draw(first), draw(second)]))
    given |= dict(zip(layers, pair, strict=True))
    if not (any(given["style_layers"].values()) and given["style_weight"]):
        given["finish"] = None
    given["preprocess"] = "auto"  # that of the networks in the package is known
    if given["average"]:
        given["optimizer"] = "adam"
    if given["convention"] != "reference":
        given |= {"style_loss": "gram", "content_loss": "mse", "tv_loss": "squared"}
    if given["optimizer"] == "scipy":  # it has fewer options
        given |= {"parameterization": "pixels", "learning_rate": None}
    return given


@few
@given(options())
def test_a_config_is_equal_when_read_from_its_own_yaml(given):
    config = StyleConfig(**given)
    assert StyleConfig.from_yaml(config.to_yaml()) == config
    assert config.replace() == config


@click.command()
@click.argument("content", required=False)
@click.argument("style", required=False)
@config_options
@click.pass_context
def resolve(context, **_):
    """The config that the command line makes."""
    return StyleConfig(**merge_options(context, None))


def flags(config):
    """`config` as typed on the command line."""
    words = []
    for name, value in config.model_dump(
        exclude={"content", "style", *SEVERAL}
    ).items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, dict):
            layers = ",".join(f"{layer}:{weight!r}" for layer, weight in value.items())
            words.append(f"--{flag}={layers}")
        elif isinstance(value, tuple):
            words.append(f"--{flag}={','.join(map(str, value))}")
        elif value is not None:  # which is what it is without a flag
            words.append(f"--{flag}={value}")
    return [*words, "--", config.content, config.style]


@few
@given(options())
def test_flags_and_yaml_make_the_same_config(given):
    config = StyleConfig(**given)
    with resolve.make_context("resolve", flags(config)) as context:
        assert resolve.invoke(context) == config


def only_config_errors(make, *arguments):
    """Whether `make` refuses, if it does, in one line."""
    try:
        make(*arguments)
    except ConfigError as error:
        assert str(error).strip() and "\n" not in str(error)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    texts,
    st.binary(max_size=5),
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3)
    ),
    max_leaves=5,
)
keys = st.sampled_from(sorted(StyleConfig.model_fields))
bits_of_yaml = st.sampled_from(
    ["!!int ", "!!float ", "!!bool ", "!!timestamp ", "!!set ", "!x ", "&a ", "*a"]
    + ["'", '"', "[", "]", "{", "}", "? ", "- ", ": ", "<<: ", "= ", "\n", " ", "#"]
    + ["| ", "> ", "%", "---", ",", "0x_", "0b", "1:60", ".inf", "-1", "2001-01-01"]
    + ["y", "~", "\t", "\\", "\x00", "\x85", "\ufeff", "net", "steps", "size: ", "a"]
)


@many
@given(st.text() | st.lists(bits_of_yaml, max_size=12).map("".join))
@example("a: !!timestamp x")
@example("? !!int ''\n: 1")
def test_any_text_as_yaml_is_a_config_or_refused(text):
    only_config_errors(StyleConfig.from_yaml, text)


@many
@given(keys, anything)
def test_any_value_of_an_option_is_taken_or_refused(name, value):
    only_config_errors(lambda: StyleConfig(**{name: value}))


@many
@given(sizes, edges)
def test_the_aspect_is_kept_within_a_pixel(size, edge):
    height, width = fit_long_edge(size, edge)
    assert max(height, width) == edge
    factor = edge / max(size)
    for new, old in zip((height, width), size, strict=True):
        assert new == 1 or abs(new - old * factor) <= 0.5 + 1e-6
        assert new >= 1


@many
@given(sizes, edges, st.integers(1, 2000), st.none() | edges, st.floats(0.01, 10))
def test_a_style_picture_keeps_its_aspect_at_every_scale(
    size, edge, full, style_edge, factor
):
    found = style_size_at(size, edge, full, style_edge, factor)
    wanted = (style_edge / min(size) if style_edge else min(3, full / max(size))) * (
        factor * edge / full
    )
    for new, old in zip(found, size, strict=True):
        assert new >= 1 and abs(new - max(1, old * wanted)) <= 0.5 + 1e-6 * new


@many
@given(crops, sizes)
def test_a_crop_is_inside_the_picture_and_not_empty(text, size):
    try:
        top, left, bottom, right = crop_box(text, size)
    except ConfigError:
        assume(False)
    assert 0 <= top < bottom <= size[0]
    assert 0 <= left < right <= size[1]


@many
@given(st.sampled_from(["left", "center", "right"]), sizes)
def test_a_named_crop_is_the_largest_square_at_its_place(name, size):
    top, left, bottom, right = crop_box(name, size)
    assert bottom - top == right - left == min(size)
    before, after = top + left, sum(size) - bottom - right
    wanted = {"left": before == 0, "right": after == 0, "center": after - before < 2}
    assert wanted[name] and min(before, after) >= 0


@many
@given(texts | st.lists(numbers, max_size=5).map(",".join))
def test_any_text_is_a_crop_or_refused(text):
    only_config_errors(parse_crop, text)


@many
@given(edges, st.just("auto") | st.integers(1, 40) | rising, naturals, counts)
def test_scales_grow_and_end_at_the_size(size, scales, steps, scale_steps):
    try:
        plan = plan_scales(size, steps, scales, scale_steps)
    except ConfigError:
        assert scales != "auto"
        return
    found = [scale.edge for scale in plan]
    assert found == sorted(set(found))
    assert found[0] >= 1 and found[-1] == size
    assert [scale.steps for scale in plan] == [scale_steps] * (len(plan) - 1) + [steps]
    if scales == "auto":
        assert len(plan) == 1 or found[0] >= COARSEST_EDGE - 0.5
        assert all(b / a == pytest.approx(2**0.5, rel=0.01) for a, b in pairs(found))


def pairs(items):
    return zip(items, items[1:], strict=False)


@many
@given(sizes, sizes, st.integers(1, 3000), nets, st.data())
def test_every_usable_scale_is_large_enough_for_its_layers(
    content, style, size, net, data
):
    padding = data.draw(st.sampled_from(PADDINGS))
    layer = data.draw(st.sampled_from(NETWORKS[net].layer_names))
    config = StyleConfig(
        net=net, padding=padding, size=size, content_layers=layer, style_layers=layer
    )
    least = NETWORKS[net].minimum_size([layer], padding)
    try:
        plan = plan_scales_of_run(config, content, style)
    except ConfigError:  # only where the full size is too small as well
        full = fit_long_edge(content, size), style_size_at(style, size, size)
        assert min(map(min, full)) < least
        return
    assert plan[-1].edge == size
    for scale in plan:
        assert min(*scale.content_size, *scale.style_size) >= least


def run_layers(stage, values, borders, padding):
    """`{layer: values}` of a network of one axis on integers, so that all is exact.

    borders: 1 or 0 for each end: whether the convolutions pad there.
    """
    found = {}
    for layer in stage:
        if layer.is_padded(padding):
            kind = {"same": "constant", "replicate": "edge"}.get(padding, padding)
            values = np.pad(values, [layer.margin * border for border in borders], kind)
        count = (len(values) - layer.kernel) // layer.stride + 1
        windows = np.lib.stride_tricks.sliding_window_view(values, layer.kernel)
        factors = np.arange(1, layer.kernel + 1, dtype=np.uint64)
        values = (windows[:: layer.stride][:count] * factors).sum(1, dtype=np.uint64)
        found[layer.name] = values
    return found


@many
@given(
    st.sampled_from(sorted(NETWORKS)),
    st.integers(1, 400),
    st.integers(1, 300),
    st.data(),
)
def test_tiles_compute_every_position_once_as_the_whole_does(net, length, edge, data):
    architecture, padding = NETWORKS[net], data.draw(st.sampled_from(PADDINGS))
    deepest = data.draw(st.sampled_from(architecture.layer_names))
    assume(length >= architecture.minimum_size([deepest], padding))
    signal = np.random.default_rng(length).integers(0, 2**62, length, dtype=np.uint64)
    for number, stage in enumerate(split_stages(architecture.trunk([deepest]))):
        names = [layer.name for layer in stage]
        needed = data.draw(st.sets(st.sampled_from(names))) | {names[-1]}
        whole = run_layers(stage, signal, (1, 1), padding)
        size = stage_edge(edge, number, stage)
        cut = axis_spans(stage, len(signal), size, padding, sorted(needed))
        for layer in needed:
            ends = [span.inside[layer] for span in cut]
            assert ends[0][0] == 0 and ends[-1][1] == len(whole[layer])
            assert all(a < b for a, b in ends)
            assert all(a[1] == b[0] for a, b in pairs(ends))
        for span in cut:
            (start, stop), borders = span.read, span.border
            assert 0 <= start < stop <= len(signal)
            assert borders == (start == 0, stop == len(signal))
            found = run_layers(stage, signal[start:stop], borders, padding)
            for layer in needed:
                part = found[layer][slice(*span.crop[layer])]
                assert (
                    part.tolist() == whole[layer][slice(*span.inside[layer])].tolist()
                )
        signal = whole[names[-1]]


@few
@given(st.tuples(*[st.integers(16, 120)] * 2), st.integers(4, 150))
def test_tiles_cover_a_picture_exactly_once(size, edge):
    stage = split_stages(VGG19.layers)[0]
    wanted = ["conv1_1", "pool2"]
    cut = make_tiles(stage, size, stage_edge(edge, 0, stage), "replicate", wanted)
    for layer, part in (("conv1_1", 1), ("pool2", 4)):
        covered = np.zeros((1, size[0] // part, size[1] // part, 1), int)
        for tile in cut:
            covered[tile.place(layer)] += 1
        assert (covered == 1).all()
        assert sum(tile.share(layer) for tile in cut) == pytest.approx(1)
