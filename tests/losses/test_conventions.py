"""Each convention against the formula of its program, written out in NumPy."""

import numpy as np
import pytest

from kstyle import StyleConfig
from kstyle.errors import ConfigError
from kstyle.losses.conventions import CONVENTIONS, Factor, LayerSize
from kstyle.runs.initialization import initial_picture
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import build_terms

STYLE = {"conv1_1": 3.0, "conv2_1": 0.5}
WEIGHTS = {"content_weight": 7.0, "style_weight": 11.0, "tv_weight": 13.0}


def square_sum(a, b):
    return float(np.sum((a - b) ** 2))


def gram(features):
    flat = features.reshape(-1, features.shape[-1])
    return flat.T @ flat


def gatys_paper(content, style, picture):
    losses = {"content": sum(square_sum(a, b) / 2 for a, b in content.values())}
    losses["style"] = 0.0
    for layer, (a, b) in style.items():
        n, m, c = a[..., 0].size, b[..., 0].size, a.shape[-1]
        # With N^2 inside of each Gram matrix: the pictures differ in size.
        error = square_sum(gram(a) / n, gram(b) / m)
        losses["style"] += STYLE[layer] * error / (4 * c**2)
    return losses


def gatys_code(content, style, picture):
    losses = {"content": sum(np.mean((a - b) ** 2) for a, b in content.values())}
    losses["style"] = 0.0
    for layer, (a, b) in style.items():
        n, m, c = a[..., 0].size, b[..., 0].size, a.shape[-1]
        error = np.mean((gram(a) / n - gram(b) / m) ** 2)
        losses["style"] += STYLE[layer] * 1e3 / c**2 * error
    return losses


def johnson(content, style, picture):
    losses = {"content": sum(np.mean((a - b) ** 2) for a, b in content.values())}
    losses["style"] = sum(
        STYLE[layer] * np.mean((gram(a) / a.size - gram(b) / b.size) ** 2)
        for layer, (a, b) in style.items()
    )
    pixels = 256 * picture
    down, right = np.diff(pixels, axis=0), np.diff(pixels, axis=1)
    losses["tv"] = (np.sum(down**2) + np.sum(right**2)) / 2
    return losses


def keras_example(content, style, picture):
    losses = {"content": sum(square_sum(a, b) for a, b in content.values())}
    losses["style"] = 0.0
    for layer, (a, b) in style.items():
        n, m = a[..., 0].size, b[..., 0].size
        error = square_sum(gram(a), gram(b) * n / m)  # there both have the same size
        pixels = picture[..., 0].size
        losses["style"] += STYLE[layer] / len(STYLE) * error / (4 * 3**2 * pixels**2)
    return losses


FORMULAS = {
    "gatys-paper": gatys_paper,
    "gatys-code": gatys_code,
    "johnson": johnson,
    "keras-example": keras_example,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_convention_is_the_formula_of_its_program(small_run, name):
    layers = {"style_layers": STYLE, "content_layers": "conv1_2"}
    options = small_run | layers | WEIGHTS | {"init": "noise", "convention": name}
    job = prepare(StyleConfig(**options))
    assert job.config.convention == "reference"
    assert job.requested_config.convention == name
    scale = job.scales[-1]
    start = initial_picture(job, scale.content_size).astype("float32")
    terms = build_terms(job.config)
    model = build_model(job, scale, ModelCache(), terms, start)
    losses = {tag: float(loss) for tag, loss in model.measure_losses().items()}

    def features(picture):
        return {k: v.numpy()[0] for k, v in model.extractor(picture[None]).items()}

    picture = features(start)
    photograph = features(job.content_at(scale.content_size))
    painting = features(job.style_at(scale.style_size))
    expected = FORMULAS[name](
        {"conv1_2": (picture["conv1_2"], photograph["conv1_2"])},
        {layer: (picture[layer], painting[layer]) for layer in STYLE},
        start,
    )
    found = {
        kind: sum(loss for tag, loss in losses.items() if tag.split("/")[0] == kind)
        for kind in ("content", "style", "tv")
    }
    assert found["content"] == pytest.approx(7 * expected["content"], rel=1e-4)
    assert found["style"] == pytest.approx(11 * expected["style"], rel=1e-4)
    if CONVENTIONS[name].tv is None:
        assert found["tv"] == pytest.approx(13 * losses["raw/tv"], rel=1e-5)
    else:  # rows and columns have not quite as many differences as pixels
        assert found["tv"] == pytest.approx(13 * expected["tv"], rel=0.1)


def test_the_notebooks_weights_are_known_numbers():
    # At content weight 8 and style weight 100: the issue of these conventions.
    code, johnson = CONVENTIONS["gatys-code"], CONVENTIONS["johnson"]
    sizes = [LayerSize(999, channels) for channels in (64, 128, 256, 512, 512)]
    gatys = [
        code.style.value(size, 1) * 8 / code.content.constant / 100 for size in sizes
    ]
    assert gatys == pytest.approx([195, 48.8, 12.2, 3.05, 3.05], rel=2e-3)
    neural_style = [
        100 * johnson.style.value(size, 1) * 8 / (5 * johnson.content.constant) / 100
        for size in sizes
    ]
    assert neural_style == pytest.approx([3.9, 0.98, 0.24, 0.061, 0.061], rel=2e-2)


def test_a_factor_is_a_product_of_powers():
    factor = Factor(2.0, positions=1, channels=-2, pixels=3, layers=-1)
    assert factor.value(LayerSize(5, 10), pixels=2, layers=4) == 2 * 5 / 100 * 8 / 4


def test_a_convention_needs_its_weights():
    with pytest.raises(ConfigError, match="needs content_weight and style_weight too"):
        StyleConfig(convention="johnson")
    with pytest.raises(ConfigError, match="needs content_weight too"):
        StyleConfig(convention="johnson", style_weight=100)
    weights = {"style_weight": 100, "content_weight": 5}
    with pytest.raises(ConfigError, match="gram, content_loss mse and tv_loss squared"):
        StyleConfig(convention="johnson", style_loss="wasserstein", **weights)
    config = StyleConfig(convention="johnson", **weights)
    assert set(config.style_layers.values()) == {1.0}
    assert config.style_weights is None


def test_reference_changes_nothing(small_run):
    config = StyleConfig(**small_run)
    assert prepare(config).config == config


def test_every_option_has_its_table():
    choices = StyleConfig.model_fields["convention"].annotation.__args__
    assert set(choices) == set(CONVENTIONS)
