"""LPIPS, DISTS, SIFID and SSIM by hand, and on pictures against PyTorch's numbers."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from kstyle.experiments.scoring.perceptual import (
    L2Pooling,
    PerceptualJudge,
    dists,
    dists_features,
    feature_moments,
    frechet_distance,
    lpips,
    mix_moments,
    ssim,
)
from kstyle.images.picture import cover, resize
from kstyle.images.reading import load_picture


def positions(*channels):
    """Return features `(1, 1, positions, channels)`."""
    return tf.constant([[channels]], "float32")


def test_lpips_weights_squares_of_unit_vectors():
    a, b = {"x": positions((3, 4), (0, 0))}, {"x": positions((7, 0), (0, 0))}
    # (0.6 - 1)^2 + 2 (0.8 - 0)^2 at one of two positions.
    weights = {"x": np.array((1, 2), "float32")}
    assert lpips(a, b, weights) == pytest.approx((0.16 + 2 * 0.64) / 2)
    assert lpips(a, a, weights) == 0


def test_l2_pooling_is_a_hann_window_at_every_second_pixel():
    pixels = np.zeros((1, 4, 5, 1), "float32")
    pixels[0, 0, 0], pixels[0, 3, 3] = 2, 4
    found = L2Pooling()(pixels)[0, ..., 0]
    # Squares 4 and 16, times 1/2 x 1/2 in the middle of a window, 1/4 x 1/4 at corners.
    np.testing.assert_allclose(found, [[1, 0, 0], [0, 1, 1]], atol=1e-4)


def test_frechet_distance_is_of_means_and_deviations():
    a, b = (np.array([4.0]), np.array([[1.0]])), (np.array([1.0]), np.array([[4.0]]))
    assert frechet_distance(a, b) == pytest.approx(3**2 + (2 - 1) ** 2)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)


def test_frechet_distance_agrees_with_scipy():
    generator = np.random.default_rng(0)
    (mean, a), (other, b) = (
        (factors.mean(0), factors.T @ factors)
        for factors in generator.normal(size=(2, 6, 4))
    )
    root = scipy.linalg.sqrtm(a @ b).real
    wanted = np.square(mean - other).sum() + np.trace(a + b - 2 * root)
    assert frechet_distance((mean, a), (other, b)) == pytest.approx(wanted)


def test_moments_are_over_positions_at_the_scale_of_torchvision():
    mean, covariance = feature_moments(57.6 * positions((0, 1), (2, 1)))
    np.testing.assert_allclose(mean, [1, 1], rtol=1e-6)
    np.testing.assert_allclose(covariance, [[1, 0], [0, 0]], atol=1e-6)


def test_moments_are_mixed_with_the_distance_of_the_means():
    near, far = (np.zeros(1), np.ones((1, 1))), (np.full(1, 4.0), np.ones((1, 1)))
    mean, variance = mix_moments([(0.75, near), (0.25, far)])
    assert (mean[0], variance[0, 0]) == (1, 1 + 0.75 * 1**2 + 0.25 * 3**2)


def test_ssim_of_flat_pictures_compares_their_means():
    grey, dark = np.full((2, 12, 12, 3), 0.5, "float32") * [[[[1]]], [[[0.5]]]]
    wanted = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)
    assert ssim(grey, dark) == pytest.approx(wanted, rel=1e-4)
    assert ssim(grey, grey) == pytest.approx(1)


def test_a_small_picture_has_no_lpips_by_alexnet(random_picture):
    picture = random_picture(16, 40)
    found = PerceptualJudge(picture, picture).measures(picture)
    assert np.isnan(found["lpips"])
    assert found["lpips_vgg"] == 0
    assert found["dists_content"] == pytest.approx(0, abs=1e-6)


def test_a_picture_smaller_than_the_window_has_no_ssim(random_picture):
    assert np.isnan(ssim(random_picture(10, 40), random_picture(10, 40)))


def test_dists_is_zero_for_equals_and_symmetric(random_picture):
    a, b = (dists_features(random_picture(16, 20, seed)) for seed in (0, 1))
    assert dists(a, a) == pytest.approx(0, abs=1e-6)
    assert dists(a, b) == pytest.approx(dists(b, a))
    assert dists(a, b) > 0.01


# By PyTorch 2.13 in float32 from the published weights: the linear layers of lpips
# 0.1.4 and the weights of dists-pytorch 0.1, on torchvision's AlexNet and VGG16.
# "blurred" is the content shrunk to a quarter and enlarged again.
PUBLISHED = {
    "night": {"lpips": 0.620558, "lpips_vgg": 0.840924, "dists_content": 0.439179},
    "blurred": {"lpips": 0.257355, "lpips_vgg": 0.341072, "dists_content": 0.305843},
}
PUBLISHED_SIFID = 663.751  # of the two pictures, with the layer and unit of ours


@pytest.mark.end_to_end
def test_measures_are_within_one_percent_of_the_published():
    coffee = resize(load_picture("sample:coffee").pixels, (64, 96))
    night = load_picture("sample:night").pixels
    judge = PerceptualJudge(coffee, cover(night, (64, 96)))
    pictures = {
        "night": cover(night, (64, 96)),
        "blurred": resize(resize(coffee, (16, 24)), (64, 96)),
    }
    for name, wanted in PUBLISHED.items():
        found = judge.measures(pictures[name])
        for measure, value in wanted.items():
            assert found[measure] == pytest.approx(value, rel=0.01), (name, measure)
    found = judge.measures(coffee)
    assert found["sifid"] == pytest.approx(PUBLISHED_SIFID, rel=0.01)
    assert found["dists_style"] == pytest.approx(0.439179, rel=0.01)
