"""Real weights on real pictures: the numbers are right and a picture comes out."""

import csv

import numpy as np
import pytest
from scipy.optimize import minimize

import kstyle
from kstyle.images.picture import resize
from kstyle.runs.initialization import noise_picture
from kstyle.runs.model_options import build_terms

pytestmark = pytest.mark.end_to_end

STYLE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
# Mean and standard deviation of the features of sample:coffee at 96 x 144 pixels with
# average pooling, from the built-in weights: a wrong channel order, kernel orientation
# or mean would move every one of them.
REFERENCE = {
    "vgg16": {
        "conv1_1": (22.3572, 38.0781),
        "conv2_1": (46.5343, 81.9045),
        "conv3_1": (52.9636, 109.022),
        "conv4_1": (31.8199, 91.1731),
        "conv5_1": (9.95012, 28.8663),
    },
    "vgg19": {
        "conv1_1": (28.3142, 49.5673),
        "conv2_1": (124.784, 176.754),
        "conv3_1": (102.398, 185.03),
        "conv4_1": (291.211, 458.648),
        "conv5_1": (17.2942, 43.6121),
    },
}


def coffee(height=96, width=144):
    return resize(kstyle.load_picture("sample:coffee").pixels, (height, width))


@pytest.mark.parametrize("net", ["vgg16", "vgg19"])
def test_features_of_a_known_photograph_are_the_stored_numbers(net):
    features = kstyle.build_extractor(net, STYLE)(coffee()[None])
    for layer, (mean, deviation) in REFERENCE[net].items():
        value = np.asarray(features[layer])
        assert value.mean() == pytest.approx(mean, rel=1e-3), layer
        assert value.std() == pytest.approx(deviation, rel=1e-3), layer
    assert set(REFERENCE[net]) == set(STYLE)


def problem(net, init):
    """A real problem of 48 x 64 pixels with the default losses, and L-BFGS."""
    content = coffee(48, 64)
    style = resize(kstyle.load_picture("sample:night").pixels, (50, 64))
    config = kstyle.StyleConfig(net=net)
    extractor = kstyle.build_extractor(net, config.layers(), padding=config.padding)
    start = noise_picture((48, 64), seed=0) if init == "noise" else content
    model = kstyle.StyleTransfer(extractor, build_terms(config), content, style, start)
    model.compile(kstyle.LBFGS())
    return model


# All four pairs, at 256 px, are in benchmarks/lbfgs.py.
@pytest.mark.parametrize(("net", "init"), [("vgg16", "noise"), ("vgg19", "content")])
def test_lbfgs_loss_is_within_5_percent_of_scipys(net, init):
    model, count, values = problem(net, init), 80, []
    start = model.image.numpy()

    def function(x):
        model.image.assign(x.reshape(start.shape))
        values.append(float(model.evaluate_losses()["loss"]))
        return values[-1], model.gradient.numpy().ravel().astype("float64")

    options = {"maxcor": 10, "maxfun": count}
    x, bounds = start.ravel().astype("float64"), [(0, 1)] * start.size
    minimize(function, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    assert len(values) >= count
    model.image.assign(start)
    model.evaluate_losses()
    model.fit(steps_per_epoch=count - 1)  # and one evaluation of the start
    ours = float(model.evaluate_losses()["loss"])
    assert ours <= 1.05 * min(values[:count])


@pytest.mark.parametrize("net", ["vgg16", "vgg19"])
def test_the_main_job_paints_the_samples(net, tmp_path):
    config = kstyle.StyleConfig(
        net=net, size=128, scales=2, steps=15, scale_steps=15, logdir=str(tmp_path)
    )
    result = kstyle.stylize(config)
    with open(result.folder / "losses.csv") as file:
        rows = list(csv.DictReader(file))
    before, after = (
        sum(float(value) for name, value in row.items() if name.startswith("style/"))
        for row in (rows[0], rows[-1])
    )
    assert after < 0.2 * before
    content = resize(kstyle.load_picture("sample:coffee").pixels, result.picture.size)
    painted = kstyle.load_picture(result.path).pixels
    assert painted.shape == content.shape
    # Recognisable, but painted: light and shade are kept, colours are the painting's.
    likeness = np.corrcoef(content.mean(-1).ravel(), painted.mean(-1).ravel())[0, 1]
    assert likeness > 0.3
    blue = painted[..., 2].mean() - painted[..., 0].mean()
    assert blue > content[..., 2].mean() - content[..., 0].mean() + 0.05
    assert painted.std() > 0.08  # not grey


def test_a_style_alone_makes_a_pastiche_from_noise(tmp_path):
    config = kstyle.StyleConfig(
        content_weight=0,
        init="noise",
        size=96,
        scales=1,
        steps=30,
        logdir=str(tmp_path),
    )
    picture = kstyle.stylize(config).picture.pixels
    assert picture.std() > 0.08
    assert picture[..., 2].mean() > picture[..., 0].mean()  # the night is blue


def test_tiles_change_nothing_in_the_default_run(tmp_path):
    options = {"size": 144, "scales": 1, "steps": 3, "logdir": str(tmp_path)}
    options |= {"precision": "float32", "optimizer": "adam"}
    whole, tiled = (
        kstyle.stylize(kstyle.StyleConfig(**options, tile=tile)).picture.pixels
        for tile in ("off", 128)
    )
    assert np.abs(tiled - whole).max() <= 1 / 255
    assert not np.array_equal(tiled, whole)  # another order of sums
