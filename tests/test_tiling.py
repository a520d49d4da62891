"""Tiles change the memory, not the result: losses, gradients, targets, pictures."""

import numpy as np
import pytest

from kstyle import tiles
from kstyle.extractor import build_extractor
from kstyle.losses import loss_terms
from kstyle.model import StyleTransfer, represent
from kstyle.optimizers import make_optimizer
from kstyle.tiled_model import TiledTransfer
from kstyle.tiling import represent_tiled

CONTENT = {"conv2_2": 8, "pool3": 3}
STYLE = {"conv1_1": 100, "pool1": 50, "conv3_1": 200, "conv4_1": 40, "conv5_1": 90}
LAYERS = list(CONTENT | STYLE)


@pytest.fixture(scope="module")
def make_pair(request):
    """A function that makes the whole and the tiled model of the same problem."""
    built = {}

    def make(picture, size=(70, 53), edge=16, layers=LAYERS, **terms):
        pool, padding = terms.pop("pool", "avg"), terms.pop("padding", "replicate")
        key = (pool, padding, tuple(layers))
        if key not in built:
            built[key] = build_extractor("vgg16", layers, pool=pool, padding=padding)
        terms = loss_terms(*(terms or {"content": CONTENT, "style": STYLE}).values(), 3)
        given = (built[key], terms, picture(*size), picture(45, 58, seed=1) ** 2)
        start = picture(*size, seed=2)
        pair = (
            StyleTransfer(*given, start),
            TiledTransfer(*given, start, edge=edge),
        )
        for model in pair:
            model.compile(make_optimizer("adam"))
        return pair

    return make


def assert_equal_looks(pair):
    """The losses and the gradients agree to 1e-4 of the whole one's."""
    whole, tiled = ({k: float(v) for k, v in m.look().items()} for m in pair)
    assert tiled == pytest.approx(whole, rel=1e-4)
    slope, other = (m.gradient.numpy() for m in pair)
    assert np.linalg.norm(slope) > 0
    assert np.linalg.norm(other - slope) <= 1e-4 * np.linalg.norm(slope)


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("padding", ["same", "reflect", "replicate"])
def test_losses_and_gradient_are_those_of_the_whole(
    make_pair, random_picture, pool, padding
):
    assert_equal_looks(make_pair(random_picture, pool=pool, padding=padding))


def test_valid_padding_too(make_pair, random_picture):
    shallow = {"content": {"conv2_2": 8}, "style": {"conv1_1": 9, "conv3_2": 20}}
    layers = ["conv1_1", "conv2_2", "conv3_2"]
    pair = make_pair(random_picture, padding="valid", layers=layers, **shallow)
    assert_equal_looks(pair)
