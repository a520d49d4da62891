"""The style and content losses by name: worked numbers, gradients, tiles."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle import StyleConfig, stylize
from kstyle.errors import ConfigError
from kstyle.losses.moments import CovarianceLoss, MeanStdLoss
from kstyle.losses.names import CONTENT_LOSS_NAMES, STYLE_LOSS_NAMES, choose_losses
from kstyle.losses.nearest import NearestLoss
from kstyle.losses.optimal_transport import (
    RelaxedEMDLoss,
    SlicedWassersteinLoss,
    cosine_distances,
    resample_sorted,
)
from kstyle.losses.self_similarity import SelfSimilarityLoss
from kstyle.losses.statistics import StatisticLoss, distance_scale
from kstyle.losses.terms import CONTENT_LOSSES, STYLE_LOSSES, loss_terms
from kstyle.losses.wasserstein import WassersteinLoss, transport_map
from kstyle.networks.extractor import build_extractor
from kstyle.transfer.style_transfer import StyleTransfer


def features(rows):
    """`rows` (H, W, C) nested lists as a batch of one."""
    return tf.constant([rows], "float32")


def target_of(loss, style):
    selection = loss.select(tuple(style.shape[1:3]))
    statistic = loss.complete(loss.collect(style, selection), selection)
    return loss.make_target(statistic)


def loss_of(loss, style, picture):
    return float(loss.compare(target_of(loss, style), loss.represent(picture)))


def test_the_covariance_ignores_a_common_shift():
    style = features([[[1.0], [3.0]]])  # variance 1
    loss = CovarianceLoss()
    assert loss_of(loss, style, style + 5) == pytest.approx(0, abs=1e-9)
    # Variance 9 of (0, 6): 1e-4 (9 - 1)^2 / 2, times 0.3.
    assert loss_of(loss, style, features([[[0.0], [6.0]]])) == pytest.approx(96e-5)


def test_a_style_without_texture_gets_no_boundless_weight():
    loss = CovarianceLoss()
    target = target_of(loss, features([[[3.0], [3.0]]]))
    assert float(loss.loss_of_zeros(target)[0]) == 0
    # A hundredth of that of the Gram matrix, 1e-4 9^2 / 2.
    assert float(loss.normal_loss(target)[0]) == pytest.approx(405e-7)
    target = target_of(loss, features([[[1.0], [3.0]]]))  # variance 1, Gram matrix 5
    assert float(loss.normal_loss(target)[0]) == pytest.approx(5e-5)


def test_mean_std_of_two_pixels():
    # Mean 2 and deviation 1 next to 4 and 3: (4 + 4) / (4 + 1), times 1e-4 5^2 / 2.
    style, picture = features([[[1.0], [3.0]]]), features([[[1.0], [7.0]]])
    expected = 1e-4 * 25 / 2 * 8 / 5
    assert loss_of(MeanStdLoss(), style, picture) == pytest.approx(expected, rel=1e-4)


def test_wasserstein_of_one_channel_is_that_of_normals():
    # (mu - mu_s)^2 + (sigma - sigma_s)^2 = 4 + 4 next to a power of 4 + 1.
    style, picture = features([[[1.0], [3.0]]]), features([[[1.0], [7.0]]])
    expected = 1e-4 * 25 / 2 * 8 / 5 / 4
    found = loss_of(WassersteinLoss(), style, picture)
    assert found == pytest.approx(expected, rel=1e-3)
    assert loss_of(WassersteinLoss(), style, style) == pytest.approx(0, abs=1e-8)


def test_wasserstein_to_a_style_without_texture_is_finite():
    # A variance of 1e-4 0.3 9, next to 4.
    style, picture = features([[[3.0], [3.0]]]), features([[[1.0], [5.0]]])
    expected = 1e-4 * 81 / 2 * (2 - 270e-6**0.5) ** 2 / 9 / 4
    found = loss_of(WassersteinLoss(), style, picture)
    assert found == pytest.approx(expected, rel=1e-3)
    assert loss_of(WassersteinLoss(), style, style) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("spreads", [(0, 0), (0, 1e-4), (1e-4, 0)])
@pytest.mark.parametrize("channels", [64, 512])
def test_wasserstein_of_two_pictures_that_hardly_vary_is_finite(channels, spreads):
    generator = np.random.default_rng(0)
    mean = generator.random(channels) * 40
    style, picture = (
        mean * (1 + spread * generator.normal(size=(1, 60, 90, channels)))
        for spread in spreads
    )
    loss = WassersteinLoss()
    with tf.GradientTape() as tape:
        picture = tf.Variable(picture, dtype="float32")
        target = target_of(loss, tf.constant(style, "float32"))
        value = loss.compare(target, loss.represent(picture))
    # Next to features of 0: the scale of the losses.
    assert 0 <= float(value) < 1e-3 * float(loss.loss_of_zeros(target)[0])
    assert np.isfinite(tape.gradient(value, picture).numpy()).all()


def random_layer(seed, channels=12):
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(channels, channels))
    values = generator.normal(size=(1, 20, 10, channels)) @ mixing + 1
    return tf.constant(np.maximum(values, 0), "float32")


def exact_wasserstein(loss, target, moments):
    """The loss of `(C + 1, C)` moments in float64, by eigenvalues."""
    style, mean = np.split(target.numpy()[0].astype("float64"), [-1])
    trace, channels = np.trace(style), len(style)
    covariance = moments[:-1] + np.eye(channels) * 1e-4 / (1 + 1e-4) * trace / channels
    values = np.linalg.eigvals(style @ covariance).real
    bures = np.trace(covariance) + trace - 2 * np.sum(np.sqrt(values))
    power = np.sum(mean**2) + trace
    distance = np.sum((moments[-1] - mean) ** 2) + bures
    return loss.balance * distance_scale(power / channels) * distance / power


def test_wasserstein_and_its_gradient_are_those_of_float64():
    loss, style, picture = WassersteinLoss(), random_layer(0), random_layer(1)
    target = loss.make_target(loss.collect(style, {}))
    moments = loss.represent(picture)
    with tf.GradientTape() as tape:
        tape.watch(moments)
        value = loss.call(target, moments)
    gradient = tape.gradient(value, moments).numpy()[0]
    x = moments.numpy()[0].astype("float64")
    assert float(value[0]) == pytest.approx(
        exact_wasserstein(loss, target, x), rel=1e-4
    )
    step = np.random.default_rng(2).normal(size=x.shape)
    step[:-1] += step[:-1].T
    up, down = (exact_wasserstein(loss, target, x + s * step) for s in (1e-3, -1e-3))
    assert np.sum(gradient * step) == pytest.approx((up - down) / 2e-3, rel=1e-3)


def test_wasserstein_of_few_positions_has_a_gradient():
    loss, style = WassersteinLoss(), random_layer(0, 40)[:, :2]  # 20 positions
    picture = random_layer(1, 40)[:, :2]
    target = loss.make_target(loss.collect(style, {}))
    with tf.GradientTape() as tape:
        tape.watch(picture)
        value = loss.compare(target, loss.represent(picture))
    gradient = tape.gradient(value, picture).numpy()

    def exact(flat):
        mean = flat.mean(0)
        covariance = (flat - mean).T @ (flat - mean) / len(flat)
        return exact_wasserstein(loss, target, np.vstack([covariance, mean]))

    flat = picture.numpy()[0].reshape(-1, 40).astype("float64")
    assert float(value) == pytest.approx(exact(flat), rel=1e-3)
    for seed in range(3):
        step = np.random.default_rng(seed).normal(size=flat.shape) * flat.std()
        slope = (exact(flat + 1e-4 * step) - exact(flat - 1e-4 * step)) / 2e-4
        found = np.sum(gradient.reshape(flat.shape) * step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(step) / flat.size**0.5
        assert abs(found - slope) < 0.02 * scale


def test_the_transport_map_turns_one_covariance_into_the_other():
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    values = np.array([1e6, 1e4, 300.0, 20.0, 5.0, 2.0])
    covariance = (vectors * values) @ vectors.T
    style = np.diag([4e5, 9e3, 2e3, 100.0, 1.0, 9.0])
    given = (tf.constant(x[None], "float32") for x in (style, covariance))
    found = transport_map(*given)[0].numpy()
    turned = found @ covariance @ found
    assert np.linalg.norm(turned - style) < 1e-3 * np.linalg.norm(style)
    np.testing.assert_allclose(found, found.T)


def test_the_transport_map_of_large_features_is_finite():
    style, covariance = np.diag([9.0, 4.0]), np.diag([4.0, 16.0])
    given = (tf.constant(1e12 * x[None], "float32") for x in (style, covariance))
    found = transport_map(*given)[0].numpy()
    np.testing.assert_allclose(found, np.diag([1.5, 0.5]), rtol=1e-3, atol=1e-6)


def test_sliced_wasserstein_of_one_channel_sorts():
    # Sorted (1, 3) and (2, 6): (1 + 9) / 2 = 5, next to a mean square of 5.
    style, picture = features([[[3.0], [1.0]]]), features([[[2.0], [6.0]]])
    loss = SlicedWassersteinLoss()
    assert loss_of(loss, style, picture) == pytest.approx(1e-4 * 25 / 2 * 2)
    assert loss_of(loss, style, features([[[1.0], [3.0]]])) == pytest.approx(0)


def test_each_drawing_of_sliced_has_its_own_direction():
    # One position: d . (4, -3, 0) squared, in the mean 25 / 3, next to a mean square
    # of 3.
    style, picture = features([[[3.0, 0.0, 0.0]]]), features([[[7.0, -3.0, 0.0]]])
    loss = SlicedWassersteinLoss(directions=1)
    target = target_of(loss, style)

    def loss_of_drawing(draw):
        selection = loss.select((1, 1), draw=draw)
        return float(loss.compare(target, loss.represent(picture, selection)))

    found = [loss_of_drawing(draw) for draw in range(200)]
    assert len(set(found)) == 200
    assert loss_of_drawing(7) == found[7]
    assert np.mean(found) == pytest.approx(1e-4 * 9 / 2 * 2 * 25 / 3 / 3, rel=0.2)


def test_all_directions_of_sliced_measure_the_distance():
    # As above, and now in every drawing: the directions are orthogonal.
    style, picture = features([[[3.0, 0.0, 0.0]]]), features([[[7.0, -3.0, 0.0]]])
    loss = SlicedWassersteinLoss(directions=3)
    assert loss_of(loss, style, picture) == pytest.approx(1e-4 * 9 * 25 / 3 / 3)


def test_more_samples_of_the_style_are_interpolated():
    values = tf.constant([[[0.0, 1.0, 2.0, 3.0]]])
    np.testing.assert_allclose(resample_sorted(values, 2), [[[0.5, 2.5]]])


def test_cosine_distances_of_three_directions():
    a = tf.constant([[[2.0, 0.0], [0.0, 0.0]]])
    b = tf.constant([[[1.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]])
    expected = [[[0, 1, 2], [1, 1, 1]]]
    np.testing.assert_allclose(cosine_distances(a, b), expected, atol=1e-4)


def test_relaxed_emd_wants_every_style_direction():
    style = features([[[1.0, 0.0], [0.0, 1.0]]])
    picture = features([[[1.0, 0.0], [1.0, 0.0]]])
    # One of the style's two directions is missing: E = 1/2. Means (1, 0) and
    # (1/2, 1/2), covariances 0 and +-1/4: M = (1/2 + 1/4) / (1/2 + 1/4) = 1.
    expected = distance_scale(0.5) * (0.5 + 1) / 2 / 4
    assert loss_of(RelaxedEMDLoss(), style, picture) == pytest.approx(expected, 1e-3)
    assert loss_of(RelaxedEMDLoss(), style, style) == pytest.approx(0, abs=1e-8)


def test_nearest_is_the_centred_cosine_of_the_best_match():
    # Centred by (1, 1): (1, -1) and (-1, 1). The picture's (0, 1) is nearest to the
    # second of them, at 45 degrees.
    style = features([[[2.0, 0.0], [0.0, 2.0]]])
    picture = features([[[2.0, 0.0], [1.0, 2.0]]])
    expected = distance_scale(2.0) * (1 - np.sqrt(0.5)) / 2 * NearestLoss.balance
    assert loss_of(NearestLoss(), style, picture) == pytest.approx(expected, 1e-3)
    positions = NearestLoss().select((4, 5))["positions"]
    assert sorted(map(tuple, positions)) == [(r, c) for r in (1, 2) for c in (1, 2, 3)]


def test_nearest_draws_inside_a_region_at_the_border():
    def rows(*weights):
        region = np.repeat(np.float32(weights)[:, None], 6, axis=1)
        return sorted(
            {int(r) for r, _ in NearestLoss().select((5, 6), region)["positions"]}
        )

    assert rows(1, 0, 0, 0, 0) == [0]
    assert rows(1, 0.3, 0, 0, 0) == [0]  # row 1 is less than half inside
    bump = np.zeros((5, 9), "float32")
    bump[0] = bump[1, 4] = 1  # one of ten is no border position
    assert len(NearestLoss().select((5, 9), bump)["positions"]) == 10
    assert rows(1, 1, 0.6, 0.4, 0) == [1, 2]


def test_self_similarity_ignores_what_the_features_are():
    content = features([[[2.0, 0.0], [0.0, 2.0]]])
    turned = features([[[0.0, 5.0], [1.0, 0.0]]])
    alike = features([[[1.0, 0.0], [1.0, 0.0]]])
    loss = SelfSimilarityLoss()
    assert loss_of(loss, content, turned) == pytest.approx(0, abs=2e-3)
    # Two of four distances are 0, not 1; mean square 2: 2 / 2 * 1 / 2, times 16 and
    # sqrt(1 + 0.05^2) - 0.05.
    assert loss_of(loss, content, alike) == pytest.approx(8 * 0.95125, rel=1e-3)


def test_self_similarity_is_smooth_at_the_content():
    x = tf.constant(random_layer(0) + 0.1)
    loss = SelfSimilarityLoss()
    target = target_of(loss, x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss.compare(target, loss.represent(x))
    assert float(tf.reduce_max(tf.abs(tape.gradient(value, x)))) < 1e-3


@pytest.mark.parametrize("name", STYLE_LOSS_NAMES)
def test_normal_losses_are_about_that_of_gram(name):
    style, loss = random_layer(3), STYLE_LOSSES[name]()
    target = target_of(loss, style)
    power = float(tf.reduce_mean(tf.square(style)))
    zero = float(loss.normal_loss(target)[0])
    assert 0.02 * distance_scale(power) < zero < 2 * distance_scale(power)


def test_losses_are_chosen_by_layer():
    layers = ("conv1_1", "conv3_1")
    found = choose_losses("emd,conv1_1=gram", layers, STYLE_LOSS_NAMES)
    assert found == {"conv1_1": "gram", "conv3_1": "emd"}
    found = choose_losses("conv3_1=sliced", layers, STYLE_LOSS_NAMES)
    assert found == {"conv1_1": "gram", "conv3_1": "sliced"}
    for text, message in (
        ("wassertein", "Did you mean 'wasserstein'"),
        ("conv4_1=emd", "not one of the layers"),
        ("emd,gram", "Two losses"),
    ):
        with pytest.raises(ConfigError, match=message):
            StyleConfig(style_layers=layers, style_loss=text)
    given = StyleConfig(style_layers=layers, style_loss={"conv1_1": "mean-std"})
    assert given.style_loss == "conv1_1=mean-std"
    assert (tuple(STYLE_LOSSES), tuple(CONTENT_LOSSES)) == (
        STYLE_LOSS_NAMES,
        CONTENT_LOSS_NAMES,
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("relu3_1=covariance", "conv3_1=covariance"),
        ("emd,block3_conv1=gram", "emd,conv3_1=gram"),
        ("conv[13]_*=emd", "conv1_1=emd,conv3_1=emd"),
        ({"relu1_1": "emd"}, "conv1_1=emd"),
        ("emd, conv3_1=gram", "emd, conv3_1=gram"),
    ],
)
def test_losses_take_the_names_that_layers_take(given, meant):
    config = StyleConfig(style_layers="conv1_1,conv3_1", style_loss=given)
    assert config.style_loss == meant
    assert StyleConfig.from_yaml(config.to_yaml()) == config


def test_content_losses_take_the_names_that_layers_take():
    config = StyleConfig(
        content_layers="relu4_2", content_loss="mse,conv4_*=self-similarity"
    )
    assert config.content_loss == "mse,conv4_2=self-similarity"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("conv9_1=gram", "style_loss: vgg19 has no layer 'conv9_1'. Did you mean"),
        ("fc*=gram", "style_loss: vgg19 has no layer like 'fc"),
        ("relu3_2=gram", "'conv3_2' has a loss, but is not one of the layers conv1_1"),
        ("conv3_*=gram", "fits none of the layers conv1_1, conv2_1. Name one of its"),
        ("conv1_*=gram,conv1_1=emd", "Two losses for conv1_1"),
    ],
)
def test_a_loss_of_no_layer_is_refused_with_the_reason(text, words):
    with pytest.raises(ConfigError) as caught:
        StyleConfig(style_layers="conv1_1,conv2_1", style_loss=text)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", STYLE_LOSS_NAMES + CONTENT_LOSS_NAMES)
def test_three_steps_lower_each_loss(name):
    loss = (STYLE_LOSSES | CONTENT_LOSSES)[name]()
    target = random_layer(0)
    if isinstance(loss, StatisticLoss):
        target = target_of(loss, target)
    x = tf.Variable(random_layer(1) + 0.1)
    optimizer = keras.optimizers.Adam(0.02)
    values = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            values.append(loss.compare(target, loss.represent(x.value())))
        optimizer.apply([tape.gradient(values[-1], x)], [x])
    assert all(after < before for before, after in itertools.pairwise(values))


@pytest.mark.parametrize(
    ("style_loss", "content_loss"),
    [
        ("conv1_1=sliced,conv1_2=covariance,conv2_1=wasserstein", "self-similarity"),
        ("conv1_1=mean-std,conv1_2=emd,conv2_1=nearest", "mse"),
    ],
)
def test_tiles_give_the_losses_of_the_whole(random_picture, style_loss, content_loss):
    style = {"conv1_1": 9, "conv1_2": 5, "conv2_1": 20}
    extractor = build_extractor("vgg16", list(style), padding="replicate")
    terms = loss_terms(
        {"conv2_1": 8},
        style,
        style_loss=style_loss,
        content_loss=content_loss,
        palette=3.0,
    )
    pictures = (random_picture(40, 33), random_picture(35, 42, seed=1) ** 2)
    found = []
    for tile in (None, 16):
        start = random_picture(40, 33, seed=2)
        model = StyleTransfer(extractor, terms, *pictures, start, tile=tile)
        model.compile(keras.optimizers.Adam())
        losses = {k: float(v) for k, v in model.evaluate_losses().items()}
        found.append((losses, model.gradient.numpy()))
    (losses, gradient), (in_tiles, other) = found
    assert in_tiles == pytest.approx(losses, rel=1e-3)
    assert np.linalg.norm(other - gradient) <= 2e-3 * np.linalg.norm(gradient)


def test_a_run_with_statistics_by_layer_is_saved(small_run, tmp_path):
    options = small_run | {"style_loss": "emd,conv1_1=wasserstein", "steps": 2}
    config = StyleConfig(**options | {"content_loss": "self-similarity"})
    result = stylize(config)
    saved = StyleConfig.from_yaml((result.folder / "config.yaml").read_text())
    assert saved.style_loss == "emd,conv1_1=wasserstein"
    assert np.isfinite(result.losses["loss"])
