"""Statistics by steps: selections, tiles, blends of styles, regions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.losses.base import LossTerm
from kstyle.losses.moments import CovarianceLoss, GramLoss, MeanStdLoss
from kstyle.losses.optimal_transport import RelaxedEMDLoss
from kstyle.losses.samples import SampleLoss, draw_positions
from kstyle.losses.terms import loss_terms
from kstyle.losses.wasserstein import WassersteinLoss
from kstyle.networks.extractor import build_extractor
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.transfer.style_transfer import StyleTransfer
from kstyle.transfer.targets import TargetPicture, compute_targets


class MeanOfSamples(SampleLoss):
    """The squared difference of the samples' means."""

    def call(self, target, samples):
        error = tf.reduce_mean(samples, 1) - tf.reduce_mean(target, 1)
        return tf.reduce_sum(tf.square(error), -1)


def features(rows):
    """`rows` (H, W, C) nested lists as a batch of one."""
    return np.array([rows], "float32")


def test_weights_of_positions_are_not_squared():
    loss, x = GramLoss(), features([[[1.0], [2.0]], [[3.0], [5.0]]])
    # (1 * 1 + 0.5 * 4 + 0.5 * 25) / 2
    selection = loss.select((2, 2), np.array([[1, 0.5], [0, 0.5]]))
    assert float(loss.represent(x, selection)[0, 0, 0]) == pytest.approx(7.75)


@pytest.mark.parametrize("loss", [CovarianceLoss(), MeanStdLoss(), WassersteinLoss()])
def test_weighted_positions_are_as_repeated_ones(loss):
    # (0, 0) once and (4, 2) three times.
    covariance, mean = [[3, 1.5], [1.5, 0.75]], [3, 1.5]
    x = tf.constant(features([[[0.0, 0.0], [4.0, 2.0], [9.0, 9.0]]]))
    selection = loss.select((1, 3), np.array([[0.2, 0.6, 0]]))
    repeated = tf.gather(x, [0, 1, 1, 1], axis=2)
    for found in (loss.represent(x, selection), loss.represent(repeated)):
        check_moments(loss, found, covariance, mean)


@pytest.mark.parametrize("loss", [CovarianceLoss(), WassersteinLoss()])
def test_weighted_bfloat16_features_that_do_not_vary_have_no_covariance(loss):
    x = tf.constant(features([[[300.0, 7.0]] * 3]), "bfloat16")
    selection = loss.select((1, 3), np.array([[0.3, 0.55, 1]]))
    covariance = loss.represent(x, selection)[0, :2].numpy()
    np.testing.assert_allclose(covariance, 0, atol=1e-6 * 300**2)


def check_moments(loss, found, covariance, mean):
    """Compare what a loss represents with a covariance and a mean."""
    expected = {
        "covariance": covariance,
        "mean_std": [mean, np.sqrt(np.diag(covariance))],
        "wasserstein": [*covariance, mean],
    }
    np.testing.assert_allclose(found[0], expected[loss.name], rtol=1e-4)


@pytest.mark.parametrize("loss", [CovarianceLoss(), MeanStdLoss(), WassersteinLoss()])
def test_a_mixture_covers_the_spread_between_its_styles(loss):
    # Means (1, 5) and (4, -1), shares 2:1: 2/9 d d^T with d = (3, -6).
    parts = (features([[[1.0, 5.0]] * 2]), features([[[4.0, -1.0]] * 3]))
    parts = [loss.complete(loss.collect(tf.constant(x), {}), {}) for x in parts]
    found = loss.finish(loss.blend(parts, [2 / 3, 1 / 3]))
    check_moments(loss, found, [[2, -4], [-4, 8]], [2, 3])


def test_weights_that_no_layer_can_have_are_refused():
    for weights in (np.ones((2, 3)), np.zeros((2, 2)), np.full((2, 2), -1.0)):
        with pytest.raises(ConfigError, match="weights of the positions"):
            GramLoss().select((2, 2), weights)


def test_tiles_collect_what_the_whole_collects():
    x = np.random.default_rng(0).random((1, 4, 6, 3), "float32")
    weights = np.random.default_rng(1).random((4, 6), "float32")
    moments = GramLoss(), CovarianceLoss(), MeanStdLoss()
    for loss in (*moments, MeanOfSamples("mean", 7)):
        whole = loss.select((4, 6), weights)
        added = 0.0
        for columns, share in (((0, 2), 1 / 3), ((2, 6), 2 / 3)):
            tile = loss.select_tile(whole, (0, 4), columns)
            part = loss.collect(tf.constant(x[:, :, slice(*columns)]), tile)
            added += part * (share if loss.collects_means else 1)
        expected = loss.collect(tf.constant(x), whole)
        np.testing.assert_allclose(added, expected, rtol=1e-5)


def test_gram_matrices_of_several_styles_are_averaged():
    loss = GramLoss()
    parts = [np.float32([[[4.0]]]), np.float32([[[1.0]]])]
    assert float(loss.blend(parts, [2 / 3, 1 / 3])[0, 0, 0]) == pytest.approx(3.0)


def test_positions_are_drawn_in_turn_and_inside_a_region():
    drawn = [draw_positions((3, 4), 4, draw=k) for k in range(3)]
    assert len({tuple(p) for p in np.concatenate(drawn)}) == 12
    np.testing.assert_array_equal(draw_positions((3, 4), 4, draw=3), drawn[0])
    region = np.zeros((3, 4))
    region[1, 1:3] = 0.7
    found = draw_positions((3, 4), 9, region)
    np.testing.assert_array_equal(found, [[1, 1], [1, 2]])


def test_styles_give_samples_in_proportion_to_their_shares():
    loss = MeanOfSamples("mean", 8)
    counts = [len(loss.select((9, 9), share=s)["positions"]) for s in (0.75, 0.25)]
    assert counts == [6, 2]
    joined = loss.blend([np.zeros((1, 6, 3)), np.ones((1, 2, 3))], [0.75, 0.25])
    assert joined.shape == (1, 8, 3)


def test_styles_with_few_positions_keep_their_shares_by_repeating_samples():
    loss = MeanOfSamples("mean", 8)
    few = [np.float32([[[1.0], [2.0]]]), np.float32([[[5.0], [6.0]]])]
    joined = loss.blend(few, [0.75, 0.25])
    np.testing.assert_array_equal(joined[0, :, 0], [1, 1, 1, 2, 2, 2, 5, 6])
    np.testing.assert_array_equal(loss.blend(few, [0.5, 0.5])[0, :, 0], [1, 2, 5, 6])
    # Not more samples than of one style: of the second, one of two is left out.
    joined = loss.blend(few, [0.9, 0.1])
    np.testing.assert_array_equal(joined[0, :, 0], [1, 1, 1, 1, 2, 2, 2, 5])


@pytest.fixture(scope="module")
def extractor():
    layers = ["conv1_1", "conv2_1", "conv3_1"]
    return build_extractor("vgg16", layers, padding="replicate")


def region_terms():
    terms = [
        LossTerm(f"style/{k}", k, GramLoss(), 100.0, "style")
        for k in ("conv1_1", "conv3_1")
    ]
    # Of whole pictures, and of a region.
    terms += [
        LossTerm(f"style/{tag}", "conv1_1", CovarianceLoss(), 100.0, "style")
        for tag in ("covariance", "inside")
    ]
    samples = LossTerm("style/conv2_1", "conv2_1", MeanOfSamples("m", 40), 1.0, "style")
    return (*terms, samples, *loss_terms({"conv2_1": 8}, {}, 3))


def test_tiles_with_regions_and_two_styles_are_as_the_whole(extractor, random_picture):
    size, terms, generator = (54, 37), region_terms(), np.random.default_rng(0)
    sizes = {"style/conv1_1": (54, 37), "style/conv2_1": (27, 18)}
    sizes["style/inside"] = (54, 37)
    weights = {tag: generator.random(shape) for tag, shape in sizes.items()}
    styles = [
        TargetPicture(random_picture(35, 42, seed=1), 0.75),
        TargetPicture(random_picture(54, 37, seed=2) ** 2, 0.25, weights),
    ]
    content = random_picture(*size)
    found = []
    for tile in (None, 16):
        pictures = {"content": content, "style": styles}
        targets = compute_targets(extractor, terms, pictures, tile)
        model = StyleTransfer(
            extractor,
            terms,
            content,
            content,
            random_picture(*size, seed=3),
            targets=targets,
            tile=tile,
            position_weights=weights,
        )
        model.compile(keras.optimizers.Adam())
        losses = {k: float(v) for k, v in model.evaluate_losses().items()}
        found.append((targets, losses, model.gradient.numpy()))
    (targets, losses, gradient), (in_tiles, other_losses, other) = found
    assert targets["style/conv2_1"].shape[1] == 40
    for tag, target in targets.items():
        np.testing.assert_allclose(
            in_tiles[tag], target, atol=1e-5 * np.abs(target).max()
        )
    assert other_losses == pytest.approx(losses, rel=1e-4)
    assert np.linalg.norm(other - gradient) <= 1e-4 * np.linalg.norm(gradient)


def test_the_target_covers_the_spread_between_the_styles(extractor):
    terms = (LossTerm("style/conv1_1", "conv1_1", CovarianceLoss(), 1.0, "style"),)
    colors = [np.full((4, 4, 3), color, "float32") for color in (0.2, 0.8)]
    shares = 2 / 3, 1 / 3
    styles = [TargetPicture(*each) for each in zip(colors, shares, strict=True)]
    (found,) = compute_targets(extractor, terms, {"style": styles}).values()
    first, second = (extractor(x[None])["conv1_1"][0, 0, 0].numpy() for x in colors)
    expected = 2 / 9 * np.outer(first - second, first - second)
    np.testing.assert_allclose(found[0, :-1], expected, atol=1e-4 * expected.max())


def test_a_region_pulls_only_at_its_own_positions(extractor, random_picture):
    size = (32, 32)
    left = np.zeros(size, "float32")
    left[:, :16] = 1
    terms = tuple(
        LossTerm(f"style/{loss.name}", "conv1_1", loss, 1.0, "style")
        for loss in (GramLoss(), CovarianceLoss())
    )
    content = random_picture(*size)
    model = StyleTransfer(
        extractor,
        terms,
        content,
        random_picture(*size, seed=1),
        position_weights={term.tag: left for term in terms},
    )
    model.compile(keras.optimizers.Adam())
    model.evaluate_losses()
    gradient = model.gradient.numpy()[0]
    assert np.abs(gradient[:, :16]).max() > 0
    assert not gradient[:, 17:].any()  # a 3 x 3 kernel sees one pixel further


def test_positions_are_drawn_anew_and_as_without_a_stop(extractor, random_picture):
    size = (32, 32)
    loss = RelaxedEMDLoss(samples=60)
    terms = (LossTerm("style/conv1_1", "conv1_1", loss, 1.0, "style"),)
    pictures = random_picture(*size), random_picture(*size, seed=1)

    def make(init):
        model = StyleTransfer(extractor, terms, *pictures, init)
        model.compile(LBFGS())
        return model

    through = make(pictures[0])
    first = through.evaluator.selections["style/conv1_1"]["positions"].numpy()
    through.fit(steps_per_epoch=22, verbose=0)
    assert through.draw == 1
    again = through.evaluator.selections["style/conv1_1"]["positions"].numpy()
    assert not np.array_equal(first, again)

    stopped = make(pictures[0])
    stopped.fit(steps_per_epoch=20, verbose=0)
    resumed = make(stopped.pixels())
    resumed.global_step = 20
    resumed.gradient.assign(stopped.gradient)
    for variable, value in zip(
        resumed.optimizer.variables, stopped.optimizer.variables, strict=True
    ):
        variable.assign(value)
    resumed.fit(steps_per_epoch=2, verbose=0)
    np.testing.assert_array_equal(resumed.pixels(), through.pixels())
