"""What Keras users do with a model: save, copy, evaluate, stop early, refuse data."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError, ImageError
from kstyle.losses.base import LossTerm, TermLoss
from kstyle.losses.terms import loss_terms
from kstyle.networks.extractor import build_extractor
from kstyle.optimizers.factory import make_optimizer
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.transfer.selections import STEPS_PER_DRAW
from kstyle.transfer.style_transfer import StyleTransfer
from kstyle.transfer.targets import compute_targets

ROOT = Path(__file__).parents[2]
TERMS = loss_terms({"conv1_2": 8}, {"conv1_1": 200, "conv1_2": 100}, tv=3)


@keras.saving.register_keras_serializable("tests")
class ChannelMeanLoss(TermLoss):
    """Compares the mean of each channel."""

    def represent(self, features):
        return ops.mean(features, axis=(1, 2))

    def call(self, target, features):
        return ops.mean(ops.square(features - target), axis=1)


@pytest.fixture(scope="module")
def extractor():
    """conv1_1 and conv1_2 of VGG16 with random weights, the same in each run."""
    keras.utils.set_random_seed(2)
    return build_extractor("vgg16", ["conv1_1", "conv1_2"], weights=None)


@pytest.fixture
def make_model(extractor, random_picture):
    """A function that makes a small compiled model, each time the same."""

    def make(optimizer=None, terms=TERMS, **options):
        pictures = random_picture(9, 8), random_picture(7, 11, seed=1) ** 3
        model = StyleTransfer(extractor, terms, *pictures, **options)
        model.compile(optimizer or LBFGS())
        return model

    return make


class HeldPictures(keras.callbacks.Callback):
    """Keeps the loss and the picture of each step."""

    def __init__(self):
        super().__init__()
        self.losses, self.pictures = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        self.pictures.append(self.model.pixels())


# ----------------------------------------------------------------- what L-BFGS reports


@pytest.mark.parametrize("tile", [None, 128])
def test_a_rejected_step_reports_the_picture_that_is_held(make_model, tile):
    model, seen = make_model(LBFGS(learning_rate=30.0), tile=tile), HeldPictures()
    model.fit(steps_per_epoch=12, callbacks=[seen], verbose=0)
    losses = [float(model.initial_losses["loss"]), *seen.losses]
    assert any(a == b for a, b in zip(losses, losses[1:], strict=False))  # rejected
    assert all(b <= a * (1 + 1e-6) for a, b in zip(losses, losses[1:], strict=False))
    other = make_model()
    for loss, picture in zip(seen.losses, seen.pictures, strict=True):
        other.image.assign(picture[None])
        assert other.evaluate() == pytest.approx(loss, rel=1e-5)


def test_holding_a_picture_changes_no_step(make_model):
    model, plain = (make_model(LBFGS(learning_rate=30.0)) for _ in range(2))
    model.fit(steps_per_epoch=12, verbose=0)
    plain.evaluate_losses()
    for _ in range(12):
        plain.optimizer.apply([plain.gradient.value], [plain.image])
        plain.evaluate_losses()
    plain.optimizer.finalize_variable_values([plain.image])
    np.testing.assert_array_equal(model.pixels(), plain.pixels())


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_callbacks_that_watch_the_loss_act_on_it(make_model, optimizer):
    patient = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=1e9)
    model = make_model(make_optimizer(optimizer))
    assert len(model.fit(epochs=9, callbacks=[patient], verbose=0).epoch) == 3
    rate = float(model.optimizer.learning_rate)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=1e9)
    model.fit(epochs=3, callbacks=[plateau], verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(rate / 100)


def test_no_number_is_nan_with_check_numerics(make_model):
    tf.debugging.enable_check_numerics()
    try:
        model = make_model()
        history = model.fit(epochs=3, verbose=0).history["loss"]
    finally:
        tf.debugging.disable_check_numerics()
    assert history[-1] < float(model.initial_losses["loss"])


# --------------------------------------------------------------------- save and copy


COPIES = {
    "saved": lambda model, path: saved_and_loaded(model, path),
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
}


def saved_and_loaded(model, folder):
    """The model after a way through a file."""
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_copy_continues_with_the_same_bits(make_model, tmp_path, way, optimizer):
    model = make_model(make_optimizer(optimizer))
    model.fit(steps_per_epoch=3, verbose=0)
    other = COPIES[way](model, tmp_path)
    assert other.global_step == 3
    np.testing.assert_array_equal(other.pixels(), model.pixels())
    for each in (model, other):
        each.fit(steps_per_epoch=3, verbose=0)
    np.testing.assert_array_equal(other.pixels(), model.pixels())
    assert other.evaluate() == model.evaluate()


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("loss", ["sliced", "nearest"])
def test_a_copy_draws_the_same_positions_of_a_region(make_model, tmp_path, way, loss):
    region = np.zeros((9, 8), "float32")
    region[2:7, 1:5] = 1
    terms = loss_terms({"conv1_2": 8}, {"conv1_1": 200}, style_loss=loss)
    model = make_model(terms=terms, position_weights={"style/conv1_1": region})
    model.fit(steps_per_epoch=STEPS_PER_DRAW + 1, verbose=0)
    assert COPIES[way](model, tmp_path).evaluate() == model.evaluate()


@pytest.mark.end_to_end
def test_a_program_that_imports_the_class_loads_a_model(make_model, tmp_path):
    adam = make_optimizer("adam", parameterization="pyramid")
    model = make_model(adam)
    model.fit(steps_per_epoch=2, verbose=0)
    model.save(tmp_path / "model.keras")
    program = (
        "import sys, keras\nfrom kstyle import StyleTransfer\n"
        "print(repr(keras.models.load_model(sys.argv[1]).evaluate()))"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "model.keras")]
    done = subprocess.run(
        arguments, capture_output=True, text=True, cwd=ROOT, check=True, timeout=300
    )
    assert float(done.stdout) == model.evaluate()


def test_a_model_in_tiles_with_no_steps_is_saved(make_model, tmp_path):
    model = make_model(tile=128)
    other = saved_and_loaded(model, tmp_path)
    assert other.tile == 128
    assert other.evaluate() == pytest.approx(model.evaluate(), rel=1e-6)


def test_a_term_of_ones_own_is_optimised_and_saved(make_model, tmp_path):
    own = LossTerm("mean", "conv1_2", ChannelMeanLoss("mean"), 1000.0, "style")
    model = make_model(terms=[*TERMS, own])
    history = model.fit(epochs=5, verbose=0).history
    assert history["mean"][-1] < history["mean"][0]
    assert saved_and_loaded(model, tmp_path).evaluate() == model.evaluate()


def test_model_checkpoint_keeps_the_best_model(make_model, tmp_path):
    path = tmp_path / "best.keras"
    best = keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    model = make_model()
    history = model.fit(epochs=4, callbacks=[best], verbose=0).history["loss"]
    loaded = keras.models.load_model(path)
    assert loaded.evaluate() == pytest.approx(min(history), rel=1e-6)


def test_weights_fit_a_model_of_the_same_size_only(make_model, tmp_path):
    model, other = make_model(), make_model()
    model.fit(steps_per_epoch=2, verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(other.pixels(), model.pixels())
    smaller = make_model(terms=loss_terms({"conv1_1": 1}, {}))
    with pytest.raises(ValueError, match="another size or with other terms"):
        smaller.load_weights(tmp_path / "a.weights.h5")


def test_a_clone_without_weights_says_what_to_do(make_model):
    clone = keras.models.clone_model(make_model())
    clone.compile(LBFGS())
    for use in (clone.fit, clone.evaluate):
        with pytest.raises(ConfigError, match=r"Use copy\.deepcopy\(model\)"):
            use()


# ------------------------------------------------------------------ evaluate and refuse


def test_evaluate_returns_the_losses_of_the_picture(make_model):
    model = make_model()
    losses = model.evaluate(return_dict=True)
    assert set(losses) == set(model.evaluate_losses())
    assert model.evaluate() == losses["loss"]
    assert losses["loss"] == pytest.approx(sum(losses[t.tag] for t in TERMS))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m, x: m.evaluate(x), r"evaluate\(\) of a StyleTransfer takes no data"),
        (lambda m, x: m.fit(x), "takes no x"),
        (lambda m, x: m.fit(validation_data=(x, x)), "takes no validation_data"),
        (lambda m, x: m.fit(validation_split=0.1), "takes no validation_split"),
        (lambda m, x: m.fit(batch_size=1), "takes no batch_size"),
        (lambda m, x: m.compile("adam", loss="mse"), r"compile\(\) of.*takes no loss"),
        (lambda m, x: m.compile("adam", metrics=["mse"]), "takes no metrics"),
        (lambda m, x: m.test_on_batch(x), r"evaluate\(\) returns the loss"),
        (lambda m, x: m.export("model"), "nothing to export"),
    ],
)
def test_data_and_other_losses_are_refused(make_model, random_picture, use, message):
    with pytest.raises(ConfigError, match=message):
        use(make_model(), random_picture(9, 8))


def test_a_model_in_a_distribution_strategy_is_refused(make_model):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        with pytest.raises(ConfigError, match="MirroredStrategy distributes batches"):
            make_model()


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (
            loss_terms({"conv3_1": 1}, {}),
            "'conv3_1', and the extractor has conv1_1",
        ),
        ([TERMS[0], TERMS[0]], "2 terms have the tag 'content/conv1_2'"),
        ([LossTerm("a", "conv1_1", TERMS[0].loss, 1.0, "photo")], "source 'photo'"),
        (["content"], "Expected terms from kstyle.loss_terms.*'content'"),
        ([], "no loss term"),
    ],
)
def test_terms_that_cannot_be_computed_are_refused(make_model, terms, message):
    with pytest.raises(ConfigError, match=message):
        make_model(terms=terms)


def test_a_term_of_ones_own_is_refused_in_tiles(make_model):
    own = LossTerm("mean", "conv1_2", ChannelMeanLoss("mean"), 1.0, "style")
    with pytest.raises(ConfigError, match="ChannelMeanLoss, cannot be computed in til"):
        make_model(terms=[own], tile=128)


@pytest.mark.parametrize("argument", ["content", "style", "init"])
def test_each_picture_is_checked_by_name(extractor, random_picture, argument):
    pictures = dict.fromkeys(("content", "style", "init"), random_picture(9, 8))
    pictures[argument] = pictures[argument] * 255
    with pytest.raises(ImageError, match=rf"^{argument}: floats must be in 0\.\.1"):
        StyleTransfer(extractor, TERMS, **pictures)


# ------------------------------------------------------------------------ progress line


def test_fit_shows_one_line_with_the_loss_by_default(make_model, capsys):
    make_model().fit(steps_per_epoch=2)
    shown = capsys.readouterr().out
    assert "2/2" in shown and "loss: " in shown and "change: " in shown
    assert "raw/" not in shown and "content" not in shown
    make_model().fit(steps_per_epoch=2, verbose=0)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------- reset


def test_reset_with_another_painting_is_a_new_model(extractor, random_picture):
    content, style = random_picture(9, 8), random_picture(7, 11, seed=1)
    model = StyleTransfer(extractor, TERMS, content, random_picture(7, 11, seed=2))
    model.compile(LBFGS())
    model.fit(steps_per_epoch=2, verbose=0)
    model.reset(content, style=style)
    new = StyleTransfer(extractor, TERMS, content, style)
    new.compile(LBFGS())
    for each in (model, new):
        each.fit(steps_per_epoch=3, verbose=0)
    np.testing.assert_array_equal(model.pixels(), new.pixels())


def test_reset_without_pictures_keeps_the_targets(make_model, random_picture):
    model = make_model()
    before = model.evaluate()
    model.fit(steps_per_epoch=2, verbose=0)
    model.reset(random_picture(9, 8))
    assert (model.evaluate(), model.global_step) == (before, 0)


def test_reset_refuses_pictures_of_another_size(make_model, random_picture):
    model = make_model()
    with pytest.raises(ConfigError, match="`init` must be of this model's size"):
        model.reset(random_picture(8, 9))
    with pytest.raises(ConfigError, match="The target of 'content/conv1_2' has the sh"):
        model.reset(random_picture(9, 8), content=random_picture(8, 8))


def test_reset_refuses_what_the_model_cannot_become(make_model, random_picture):
    model, start = make_model(), random_picture(9, 8)
    with pytest.raises(ConfigError, match="nothing else of them can change"):
        model.reset(start, terms=TERMS[:-1])
    above = np.ones((9, 8, 3)), np.zeros((9, 8, 3))
    with pytest.raises(ConfigError, match="the first nowhere above the second"):
        model.reset(start, pixel_limits=above)
    regions = loss_terms({"conv1_2": 8}, {"conv1_1": 1}, regions={"a": {"conv1_1": 1}})
    targets = compute_targets(
        model.extractor, regions, {"content": start, "style/a": start}
    )
    model = make_model(terms=regions, targets=targets)
    with pytest.raises(ConfigError, match="No term of this model .* `style`"):
        model.reset(start, style=start)
    loose = StyleTransfer(model.extractor, TERMS, start, start)
    with pytest.raises(ConfigError, match="Call compile"):
        loose.reset(start)


def test_regions_of_terms_need_their_pictures_layers_and_tags(make_model):
    with pytest.raises(ConfigError, match="The region 'a' has conv1_2"):
        loss_terms({}, {"conv1_1": 1}, regions={"a": {"conv1_2": 1}})
    regions = loss_terms({}, {"conv1_1": 1}, regions={"a": {"conv1_1": 1}})
    with pytest.raises(ConfigError, match="no picture 'style/a', .* Given: content"):
        make_model(terms=regions)
    weights = {"conv1_1": np.ones((9, 8))}
    with pytest.raises(ConfigError, match="'conv1_1', which is not the tag of a term"):
        make_model(position_weights=weights)


def test_a_term_has_the_weight_1_and_no_target_by_default():
    term = LossTerm("tv", "image", TERMS[-1].loss)
    assert (term.weight, term.source) == (1.0, None)
