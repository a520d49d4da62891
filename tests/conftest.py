"""Fixtures for all tests: a quiet TensorFlow, no weights from the internet."""

import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

with warnings.catch_warnings():
    # Other packages' deprecations while they load are not ours to answer for.
    warnings.simplefilter("ignore")
    import keras  # noqa: E402
    import tensorflow  # noqa: E402, F401


@pytest.fixture(autouse=True)
def fixed_seed():
    """Random weights and pictures are the same in every test run."""
    keras.utils.set_random_seed(1)


@pytest.fixture
def random_picture():
    """A function from (height, width) to a picture of smooth random colours."""

    def make(height, width, seed=0):
        generator = np.random.default_rng(seed)
        return generator.uniform(0.1, 0.9, (height, width, 3)).astype("float32")

    return make
