"""`StyleTransfer`: its losses, its step, and Keras's own machinery around it."""

import gc

import keras
import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph

from kstyle.losses.base import LossTerm
from kstyle.losses.content import ContentLoss
from kstyle.losses.terms import loss_terms
from kstyle.networks.extractor import MEAN_RGB, build_extractor
from kstyle.optimizers.factory import make_optimizer
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.transfer.style_transfer import StyleTransfer
from kstyle.transfer.whole_evaluator import layer_features

LAYERS = ["conv1_1", "conv1_2"]


@pytest.fixture
def make_model(random_picture):
    """A function that makes a small compiled model, each time the same."""
    keras.utils.set_random_seed(2)
    extractor = build_extractor("vgg16", LAYERS, weights=None)

    def make(optimizer="lbfgs", style_weight=200, content_weight=8, **kwargs):
        terms = loss_terms(
            {"conv1_2": content_weight},
            {"conv1_1": style_weight, "conv1_2": 2 * style_weight},
            tv=3,
        )
        content, style = random_picture(9, 8), random_picture(7, 11, seed=1) ** 3
        model = StyleTransfer(extractor, terms, content, style, **kwargs)
        model.compile(make_optimizer(optimizer))
        return model

    return make


class Recorder(keras.callbacks.Callback):
    """Keeps the logs and the picture of every step."""

    def __init__(self):
        super().__init__()
        self.logs, self.pictures = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))
        self.pictures.append(self.model.pixels())


def numpy_features(picture, extractor):
    """conv1_1 and conv1_2 in float64, from the definition."""
    x = (255 * np.asarray(picture, "float64") - MEAN_RGB)[..., ::-1]
    features = {}
    for name in LAYERS:
        kernel, bias = (
            np.asarray(w, "float64") for w in extractor.get_layer(name).get_weights()
        )
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        height, width = x.shape[:2]
        x = sum(
            padded[i : i + height, j : j + width] @ kernel[i, j]
            for i in range(3)
            for j in range(3)
        )
        x = features[name] = np.maximum(x + bias, 0)
    return features


def gram(x):
    flat = x.reshape(-1, x.shape[2])
    return flat.T @ flat / len(flat)


def test_all_losses_equal_a_numpy_implementation(make_model, random_picture):
    start = random_picture(9, 8, seed=5)
    model = make_model(init=start)
    content, style, image = (
        numpy_features(x, model.extractor)
        for x in (random_picture(9, 8), random_picture(7, 11, seed=1) ** 3, start)
    )
    expected = {
        "content/conv1_2": np.mean((image["conv1_2"] - content["conv1_2"]) ** 2) / 2
    }
    for name in LAYERS:
        error = gram(image[name]) - gram(style[name])
        expected[f"style/{name}"] = 1e-4 * np.sum(error**2) / 2 / 64**2
    grey = 255 * np.asarray(start, "float64")
    expected["tv"] = sum(np.mean(np.diff(grey, axis=a) ** 2) / 2 for a in (0, 1))
    weights = {
        "content/conv1_2": 8,
        "style/conv1_1": 200,
        "style/conv1_2": 400,
        "tv": 3,
    }
    losses = model.evaluate_losses()
    for tag, value in expected.items():
        assert float(losses[f"raw/{tag}"]) == pytest.approx(value, rel=1e-4)
        assert float(losses[tag]) == pytest.approx(weights[tag] * value, rel=1e-4)
    total = sum(weights[tag] * value for tag, value in expected.items())
    assert float(losses["loss"]) == pytest.approx(total, rel=1e-4)


def test_the_weighted_parts_add_up_to_the_total_at_every_step(make_model):
    model, recorder = make_model(), Recorder()
    model.fit(steps_per_epoch=5, callbacks=[recorder])
    for logs in recorder.logs:
        parts = [logs[term.tag] for term in model.terms]
        assert sum(parts) == pytest.approx(logs["loss"], rel=1e-6)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_few_steps_lower_the_loss_and_move_the_picture_alone(make_model, optimizer):
    model, recorder = make_model(optimizer), Recorder()
    kernels = [w.numpy() for w in model.extractor.weights]
    model.fit(steps_per_epoch=20, callbacks=[recorder])
    assert recorder.logs[-1]["loss"] < 0.5 * float(model.initial_losses["loss"])
    assert [v.name for v in model.trainable_variables] == ["image"]
    for before, after in zip(kernels, model.extractor.weights, strict=True):
        np.testing.assert_array_equal(before, after.numpy())


def test_the_losses_of_a_step_are_those_of_the_picture_after_it(make_model):
    model, recorder = make_model(), Recorder()
    model.fit(steps_per_epoch=3, callbacks=[recorder])
    for logs, picture in zip(recorder.logs, recorder.pictures, strict=True):
        fresh = make_model(init=picture)
        assert float(fresh.evaluate_losses()["loss"]) == pytest.approx(
            logs["loss"], rel=1e-5
        )


def test_change_is_the_mean_move_of_the_pixels_in_grey_levels(make_model):
    model, recorder = make_model("adam"), Recorder()
    before = model.pixels()
    model.fit(steps_per_epoch=1, callbacks=[recorder])
    moved = 255 * np.abs(model.pixels() - before).mean()
    assert recorder.logs[0]["change"] == pytest.approx(moved, rel=1e-4)
    assert 0 < moved <= 5.001  # Adam's default rate is five grey levels


def test_the_picture_never_leaves_the_pixel_range(make_model):
    for optimizer in ("adam", "lbfgs"):
        model = make_model(optimizer, style_weight=1e6)
        model.fit(steps_per_epoch=10)
        image = model.image.numpy()
        assert 0 <= image.min() and image.max() <= 1


def test_two_fits_of_one_step_count_on(make_model):
    model = make_model(start_step=7)
    model.fit(epochs=2, steps_per_epoch=2)
    assert int(model.global_step) == 11


def test_a_weight_of_zero_is_measured_but_not_optimised(make_model):
    model = make_model(content_weight=0)
    losses, norms = model.evaluate_losses(), model.gradient_norms()
    assert float(losses["content/conv1_2"]) == 0
    assert "raw/content/conv1_2" in losses
    assert float(norms["content/conv1_2"]) == 0
    assert float(norms["style/conv1_1"]) > 0


def test_gradient_norms_are_those_of_each_weighted_term(make_model, random_picture):
    model = make_model(init=random_picture(9, 8, seed=4))
    norms = model.gradient_norms()
    tv = 255 * 255 * np.array(model.pixels(), "float64")
    slope = np.zeros_like(tv)
    for axis in (0, 1):
        difference = np.diff(tv, axis=axis)
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        slope[tuple(ahead)] += difference / difference.size
        slope[tuple(behind)] -= difference / difference.size
    assert float(norms["tv"]) == pytest.approx(3 * np.linalg.norm(slope), rel=1e-4)


def test_standard_callbacks_work(make_model, tmp_path):
    model = make_model("adam")
    history = model.fit(
        epochs=5,
        steps_per_epoch=2,
        callbacks=[
            keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e12),
            keras.callbacks.TensorBoard(tmp_path, write_graph=False),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.TerminateOnNaN(),
        ],
    )
    assert len(history.history["loss"]) == 2  # stopped early
    assert history.history["loss"][1] < history.history["loss"][0]
    assert list(tmp_path.glob("train/events*"))


def test_many_models_do_not_make_tensorflow_warn_of_retracing(make_model, caplog):
    for _ in range(7):
        make_model().fit()
    assert "retracing" not in caplog.text


def test_fit_before_compile_is_refused(make_model):
    model = make_model()
    fresh = StyleTransfer(model.extractor, model.terms, *[model.pixels()] * 2)
    with pytest.raises(ValueError, match=r"Call compile\(\) before"):
        fresh.fit()


def test_a_second_compile_gives_the_loss_to_its_optimizer(make_model):
    model = make_model()
    model.fit(steps_per_epoch=2)
    model.compile(LBFGS())
    loss = float(
        model.evaluate_losses()["loss"]
    )  # before a step of the new one could tell it
    assert float(model.optimizer.trial_loss) == pytest.approx(loss)
    model.fit(steps_per_epoch=2)
    assert np.isfinite(float(model.optimizer.trial_loss))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_xla_takes_the_same_steps(make_model, optimizer):
    losses = []
    for jit_compile in (False, True):
        model = make_model()
        model.compile(make_optimizer(optimizer), jit_compile=jit_compile)
        losses.append(model.fit(epochs=5).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_steps_and_evaluations_share_one_trace(make_model, random_picture):
    traces = []

    class CountingLoss(ContentLoss):
        def call(self, target, features):  # the Python of a graph runs when traced
            traces.append(self)
            return super().call(target, features)

    terms = [LossTerm("content", "conv1_2", CountingLoss(), 1.0, "content")]
    picture = random_picture(9, 8)
    model = StyleTransfer(make_model().extractor, terms, picture, picture)
    model.compile(make_optimizer("lbfgs"))
    model.fit(steps_per_epoch=3)
    model.evaluate_losses()
    assert len(traces) == 1


def test_lbfgs_by_name_and_adam_by_string_compile(make_model):
    model = make_model()
    model.compile("adam")
    model.fit(steps_per_epoch=1)
    model.compile(LBFGS(history=2))
    model.fit(steps_per_epoch=1)
    assert int(model.global_step) == 2


def test_an_init_of_another_size_is_refused(make_model, random_picture):
    with pytest.raises(ValueError, match=r"content's shape \(9, 8, 3\)"):
        make_model(init=random_picture(8, 8))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_graph_outlives_its_model(make_model, optimizer):
    def graphs():
        gc.collect()
        return sum(isinstance(each, FuncGraph) for each in gc.get_objects())

    def fit():
        model = make_model()
        model.compile(make_optimizer(optimizer))
        model.fit(steps_per_epoch=1)

    fit()
    before = graphs()
    fit()
    assert graphs() <= before


def test_pictures_of_all_sizes_are_seen_by_one_graph(random_picture, monkeypatch):
    extractor = build_extractor("vgg16", LAYERS, weights=None)
    traced, call = [], extractor.call
    monkeypatch.setattr(extractor, "call", lambda x: traced.append(x.shape) or call(x))
    for size in ((9, 8), (7, 11), (16, 16)):
        picture = random_picture(*size)
        found = layer_features(extractor, picture[None], LAYERS)
        expected = numpy_features(picture, extractor)
        for name in LAYERS:
            np.testing.assert_allclose(found[name][0], expected[name], 1e-4, 1e-3)
    assert traced == [(1, None, None, 3)]
