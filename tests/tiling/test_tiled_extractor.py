"""Tiles change the memory, not the result: losses, gradients, targets, pictures."""

import numpy as np
import pytest

from kstyle import StyleConfig, save_picture, stylize
from kstyle.errors import ConfigError
from kstyle.losses.terms import loss_terms
from kstyle.networks.extractor import build_extractor
from kstyle.optimizers.factory import make_optimizer
from kstyle.transfer.style_transfer import StyleTransfer
from kstyle.transfer.targets import compute_targets

CONTENT = {"conv2_2": 8, "pool3": 3}
STYLE = {"conv1_1": 100, "pool1": 50, "conv3_1": 200, "conv4_1": 40, "conv5_1": 90}
LAYERS = list(CONTENT | STYLE)


@pytest.fixture(scope="module")
def make_pair():
    """A function that makes the whole and the tiled model of the same problem."""
    built = {}

    def make(picture, size=(54, 37), edge=16, layers=LAYERS, **terms):
        pool, padding = terms.pop("pool", "avg"), terms.pop("padding", "replicate")
        key = (pool, padding, tuple(layers))
        if key not in built:
            built[key] = build_extractor("vgg16", layers, pool=pool, padding=padding)
        layer_weights = (terms or {"content": CONTENT, "style": STYLE}).values()
        terms = loss_terms(*layer_weights, 3, tv_loss="charbonnier")
        given = (built[key], terms, picture(*size), picture(35, 42, seed=1) ** 2)
        start = picture(*size, seed=2)
        pair = (
            StyleTransfer(*given, start),
            StyleTransfer(*given, start, tile=edge),
        )
        for model in pair:
            model.compile(make_optimizer("adam"))
        return pair

    return make


def assert_equal_losses_and_gradients(pair):
    """The losses and the gradients agree to 1e-4 of the whole one's."""
    whole, tiled = ({k: float(v) for k, v in m.evaluate_losses().items()} for m in pair)
    assert tiled == pytest.approx(whole, rel=1e-4)
    gradient, other = (m.gradient.numpy() for m in pair)
    assert np.linalg.norm(gradient) > 0
    assert np.linalg.norm(other - gradient) <= 1e-4 * np.linalg.norm(gradient)


@pytest.mark.parametrize(
    ("pool", "padding"), [("avg", "replicate"), ("max", "same"), ("max", "reflect")]
)
def test_losses_and_gradient_are_those_of_the_whole(
    make_pair, random_picture, pool, padding
):
    assert_equal_losses_and_gradients(
        make_pair(random_picture, pool=pool, padding=padding)
    )


@pytest.mark.parametrize(("pool", "padding"), [("max", "replicate"), ("avg", "same")])
def test_layers_without_a_loss_pass_gradients_by_signs(
    make_pair, random_picture, pool, padding
):
    deep = {"content": {"conv3_1": 8}, "style": {"conv4_1": 40}}
    pair = make_pair(
        random_picture,
        *((54, 61), 16, ["conv3_1", "conv4_1"]),
        **deep,
        pool=pool,
        padding=padding,
    )
    stages = pair[1].evaluator.tiled_extractor.graphs
    signed = [[layer.name for layer in stage.signed.layers] for stage in stages]
    assert signed[0] == ["conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2"]
    assert signed[1:] == [["conv3_2", "conv3_3", "pool3"], []]
    assert_equal_losses_and_gradients(pair)


@pytest.mark.parametrize(("pool", "padding"), [("max", "same"), ("avg", "replicate")])
def test_strides_and_overlapping_poolings_too(random_picture, pool, padding):
    style, layers = {"conv1": 9, "conv3": 20}, ["conv1", "conv2", "conv3", "conv5"]
    network = build_extractor("alexnet", layers, pool=pool, padding=padding)
    terms = loss_terms({"conv2": 8, "conv5": 3}, style, 3)
    pictures = random_picture(101, 74), random_picture(90, 85, seed=1) ** 2
    start = random_picture(101, 74, seed=2)
    pair = [StyleTransfer(network, terms, *pictures, start, tile=t) for t in (None, 32)]
    for model in pair:
        model.compile(make_optimizer("adam"))
    assert_equal_losses_and_gradients(pair)


def test_valid_padding_too(make_pair, random_picture):
    shallow = {"content": {"conv2_1": 8}, "style": {"conv1_1": 9, "conv3_2": 20}}
    layers = ["conv1_1", "conv2_1", "conv3_2"]
    pair = make_pair(random_picture, padding="valid", layers=layers, **shallow)
    assert_equal_losses_and_gradients(pair)


def test_weights_of_zero_and_gradient_norms_too(make_pair, random_picture):
    measured = {"content": {"conv2_2": 0}, "style": {"conv1_1": 9, "conv3_1": 0}}
    layers = ["conv1_1", "conv2_2", "conv3_1"]
    pair = make_pair(random_picture, layers=layers, **measured)
    assert_equal_losses_and_gradients(pair)
    whole, tiled = (m.gradient_norms() for m in pair)
    assert {k: float(v) for k, v in tiled.items()} == pytest.approx(
        {k: float(v) for k, v in whole.items()}, rel=1e-4
    )
    assert float(tiled["content/conv2_2"]) == 0


def test_targets_are_those_of_the_whole_pictures(make_pair, random_picture):
    _, tiled = make_pair(random_picture)
    pictures = {"content": random_picture(37, 54), "style": random_picture(35, 42)}
    whole = compute_targets(tiled.extractor, tiled.terms, pictures)
    for tag, found in compute_targets(
        tiled.extractor, tiled.terms, pictures, 16
    ).items():
        scale = np.abs(whole[tag]).max()
        np.testing.assert_allclose(found / scale, whole[tag] / scale, atol=1e-5)


# ---------------------------------------------------------------------------- a run


def test_tiles_and_recomputation_end_in_the_same_picture(
    small_run, random_picture, tmp_path
):
    save_picture(tmp_path / "wide.png", random_picture(20, 140))
    options = small_run | {"content": str(tmp_path / "wide.png"), "size": 140}
    options |= {"scales": 1, "steps": 3, "optimizer": "adam"}
    whole, *tiled = (
        stylize(StyleConfig(**options, tile=tile)).picture.pixels
        for tile in ("off", 128, "whole")
    )
    for picture in tiled:
        assert np.abs(picture - whole).max() <= 1 / 255
        assert not np.array_equal(picture, whole)  # another order of sums
    assert not np.array_equal(whole, random_picture(20, 140))


def test_tiles_are_written_as_a_number_or_off_or_whole():
    assert StyleConfig.from_yaml("tile: off").tile == "off"
    assert StyleConfig(tile="whole").tile == "whole"
    with pytest.raises(ConfigError, match="tile"):
        StyleConfig(tile=64)
