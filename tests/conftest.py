"""Fixtures for all tests: a quiet TensorFlow, no weights from the internet."""

import functools
import os
import signal
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Three workers share two cores (see setup.cfg), as one often waits for a process; more
# threads would only wait.
for kind in ("INTRA", "INTER"):
    os.environ.setdefault(f"TF_NUM_{kind}OP_THREADS", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import yaml  # noqa: E402

with warnings.catch_warnings():
    # Other packages' deprecations while they load are not ours to answer for.
    warnings.simplefilter("ignore")
    import keras  # noqa: E402
    import tensorflow  # noqa: E402, F401

import kstyle  # noqa: E402
from kstyle.hardware.machine import Machine  # noqa: E402
from kstyle.losses.terms import loss_terms  # noqa: E402
from kstyle.networks.extractor import build_extractor  # noqa: E402
from kstyle.optimizers.factory import make_optimizer  # noqa: E402
from kstyle.planning.estimates import cost_model  # noqa: E402
from kstyle.planning.scales import plan_scales_of_run  # noqa: E402
from kstyle.runs.inputs import read_pictures  # noqa: E402
from kstyle.transfer.style_transfer import StyleTransfer  # noqa: E402


def pytest_collection_modifyitems(items):
    """Begin with the tests that take long: at the end a core would wait for them."""
    long = {"cluster", "end_to_end"}
    items.sort(key=lambda item: long.isdisjoint(m.name for m in item.iter_markers()))


@pytest.fixture(autouse=True)
def fixed_seed():
    """Random weights and pictures are the same in every test run."""
    keras.utils.set_random_seed(1)


@pytest.fixture
def enabled_interrupts():
    """Let processes that are started get Ctrl-C, also where a shell has this process in
    the background and ignoring it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def random_picture():
    """A function from (height, width) to a picture of smooth random colours."""

    def make(height, width, seed=0):
        generator = np.random.default_rng(seed)
        return generator.uniform(0.1, 0.9, (height, width, 3)).astype("float32")

    return make


@pytest.fixture(scope="session")
def small_extractor():
    """conv1_1 and conv1_2 of VGG16 with random weights."""
    return build_extractor("vgg16", ["conv1_1", "conv1_2"], weights=None)


@pytest.fixture
def small_model(small_extractor, random_picture):
    """A function that makes a model of 9 x 8 pixels, compiled with Adam."""

    def make(terms, start_step=0, learning_rate=None):
        content, style = random_picture(9, 8), random_picture(7, 11, seed=1)
        model = StyleTransfer(
            small_extractor, terms, content, style, start_step=start_step
        )
        model.compile(make_optimizer("adam", learning_rate))
        return model

    return make


@pytest.fixture
def make_model(small_model):
    """A function that makes a small compiled model, each time the same."""
    terms = loss_terms({"conv1_2": 8}, {"conv1_1": 200, "conv1_2": 100}, tv=3)
    return functools.partial(small_model, terms)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """An .npz of random weights, down to conv2_1, where both networks are alike."""
    generator, arrays = np.random.default_rng(3), {}
    for name, channels, width in (
        ("conv1_1", 3, 64),
        ("conv1_2", 64, 64),
        ("conv2_1", 64, 128),
    ):
        scale = np.sqrt(2 / (9 * channels))  # He et al. 2015: keeps the features' size
        kernel = scale * generator.standard_normal((3, 3, channels, width))
        arrays[f"{name}/kernel"] = kernel.astype("float32")
        arrays[f"{name}/bias"] = np.zeros(width, "float32")
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def small_run(tmp_path, tiny_weights, random_picture):
    """Options of a run of a second: content 24 x 16 pixels, style 14 x 18, 4 steps."""
    kstyle.save_picture(tmp_path / "content.png", random_picture(16, 24))
    kstyle.save_picture(tmp_path / "style.png", random_picture(14, 18, seed=1))
    return {
        "content": str(tmp_path / "content.png"),
        "style": str(tmp_path / "style.png"),
        "logdir": str(tmp_path / "logs"),
        "weights": str(tiny_weights),
        "content_layers": "conv1_2",
        "style_layers": "conv1_1,conv2_1",
        "size": 18,
        "steps": 4,
        "report_every": 2,
        "snapshot_every": 2,
        "precision": "float32",  # "auto" is another picture on another processor
    }


@pytest.fixture
def machine_for():
    """A function from a config to a machine whose memory just suffices for its run."""

    def make(config):
        scales = plan_scales_of_run(config, *read_pictures(config).sizes)
        need = cost_model(config).peak_bytes(scales)
        return Machine(available_bytes=lambda device: need)

    return make


@pytest.fixture
def pools(tmp_path, small_run, random_picture):
    """A function that writes an experiment file of avg against max; its path."""
    base = {k: v for k, v in small_run.items() if k != "logdir"}
    # The judge needs 16 pixels each way: content 24 x 16, style 24 x 18.
    base |= {"size": 24, "scales": 1, "steps": 2}
    kstyle.save_picture(base["style"], random_picture(18, 24, seed=1))

    def write(**keys):
        options = {
            "base": base | keys.pop("base", {}),
            "axes": {"pool": ["avg", "max"]},
        }
        path = tmp_path / "pools.yaml"
        path.write_text(yaml.safe_dump(options | keys))
        return path

    return write
