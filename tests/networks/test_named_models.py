"""Networks by name or file: weights, aliases, refusals, runs."""

import re

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers

from kstyle import StyleConfig, build_extractor, load_weights, stylize
from kstyle.cli.main import cli
from kstyle.errors import ConfigError, WeightsError
from kstyle.networks.applications import APPLICATIONS, find_application
from kstyle.networks.named_models import open_model
from kstyle.networks.registry import canonical_net, get_graph
from kstyle.networks.weights import keras_path
from kstyle.runs.job import reopen_run
from kstyle.runs.pipeline import run_job


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A trained network of two halvings with a residual, as a file."""
    x = image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, -1, name="scale")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="branch")(x)
    x = layers.Add(name="sum")([x, y])
    x = layers.Conv2D(8, 3, padding="same", name="second")(
        layers.MaxPooling2D(name="pool")(x)
    )
    path = tmp_path_factory.mktemp("networks") / "small.keras"
    keras.Model(image, x, name="anything").save(path)
    return str(path)


@pytest.fixture
def file_run(small_run, model_file):
    """Options of a run of a second with the network of a file."""
    kept = {k: v for k, v in small_run.items() if "layers" not in k and k != "weights"}
    return {**kept, "net": model_file}


def test_names_are_understood_in_keras_spelling():
    assert canonical_net("ResNet50V2") == canonical_net("resnet50v2") == "resnet50_v2"
    assert canonical_net("VGG16") == "vgg16"
    with pytest.raises(ConfigError, match=r"Did you mean 'resnet50'\?"):
        canonical_net("resnet5")
    with pytest.raises(ConfigError, match="one size only"):
        canonical_net("NASNetMobile")


def test_the_table_has_functions_of_keras():
    for application in APPLICATIONS.values():
        assert callable(getattr(keras.applications, application.function))
        assert application.url.startswith("https://storage.googleapis.com/")
        assert find_application(application.function) is application


def test_inception_has_the_names_of_its_authors():
    config = StyleConfig(net="InceptionV3", style_layers="Mixed_5b,mixed3:2")
    assert config.style_layers == {"mixed0": 1, "mixed3": 2}
    assert config.content_layers == {"activation_4": 1}
    assert (config.net, config.weights) == ("inception_v3", "keras")
    graph = get_graph("inception_v3")
    assert graph.layer_alias("Conv2d_1a_3x3") == "activation"
    assert graph.by_name["activation"].channels == 32
    assert len(open_model("inception_v3").layers) == len(graph.layers)


def test_another_network_replaces_layers_and_weights(model_file):
    config = StyleConfig(net=model_file)
    assert (config.weights, list(config.style_layers)) == ("builtin", ["sum", "second"])
    assert config.replace(net="vgg19") == StyleConfig()
    assert StyleConfig.from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 256}, "tile: .*cannot be computed in tiles"),
        ({"padding": "valid"}, "padding: .*needs its padding"),
        ({"weights": "keras"}, "Keras has no weights"),
        ({"style_layers": "secnd"}, "Did you mean 'second'"),
    ],
)
def test_what_a_graph_cannot_do_is_refused(model_file, options, message):
    with pytest.raises(ConfigError) as error:
        StyleConfig(net=model_file, **options)
    assert re.search(message, f"{error.value.option}: {error.value}")


def test_a_file_must_say_what_it_expects(tmp_path):
    image = keras.Input((None, None, 3))
    path = str(tmp_path / "bare.keras")
    keras.Model(image, layers.Conv2D(4, 3, strides=2)(image)).save(path)
    with pytest.raises(ConfigError, match="does not say what it expects"):
        StyleConfig(net=path)
    assert StyleConfig(net=path, preprocess="tf").preprocess == "tf"
    with pytest.raises(ConfigError, match="no maximum pooling"):
        StyleConfig(net=path, preprocess="tf", pool="max")


def test_random_weights_keep_the_size_of_features(model_file, random_picture):
    picture = random_picture(64, 64)[None]
    layers = ["norm", "sum", "second"]
    first, again, other = (
        build_extractor(model_file, layers, weights=f"random:{seed}")(picture)
        for seed in (1, 1, 2)
    )
    for name in layers:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.allclose(first[name], other[name])
        assert 127.5 / 10 < np.std(first[name]) < 127.5 * 10


def test_weights_of_a_file_replace_those_of_the_model(model_file, tmp_path):
    model = keras.models.load_model(model_file)
    model.get_layer("first").kernel.assign_add(
        np.ones(model.get_layer("first").kernel.shape)
    )
    model.save_weights(tmp_path / "other.weights.h5")
    found = load_weights(model_file, tmp_path / "other.weights.h5", ["first"])
    own = load_weights(model_file, "builtin", ["first"])
    difference = found.layers["first"][0] - own.layers["first"][0]
    np.testing.assert_allclose(difference, 1, rtol=1e-5)
    assert list(found.layers) == ["first"] and found.sha256 != own.sha256
    (tmp_path / "wrong.weights.h5").write_text("no weights")
    with pytest.raises(WeightsError, match="does not fit"):
        load_weights(model_file, tmp_path / "wrong.weights.h5")


def test_weights_of_keras_have_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    expected = tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5"
    assert keras_path("mobilenet") == expected
    expected.parent.mkdir()
    expected.write_bytes(b"damaged")  # Keras publishes no checksum of this one
    with pytest.raises(WeightsError, match="does not fit mobilenet"):
        load_weights("mobilenet", "keras")


def test_a_resumed_run_has_the_bits_of_the_unbroken_one(file_run):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.global_step == 2:
                raise KeyboardInterrupt

    config = StyleConfig(**{**file_run, "checkpoint_every": "1"})
    whole = stylize(config)
    broken = stylize(config, callbacks=[Interrupt()])
    assert broken.interrupted and broken.losses["loss"] > whole.losses["loss"]
    job, state = reopen_run(broken.folder)
    resumed = run_job(job, state=state)
    assert resumed.losses == whole.losses
    np.testing.assert_array_equal(resumed.picture.pixels, whole.picture.pixels)


def test_the_layers_of_a_file_are_listed_with_aliases(model_file):
    def rows(*words):
        result = CliRunner().invoke(cli, ["layers", "--net", model_file, *words])
        assert result.exit_code == 0, result.stderr
        cells = [line.strip("│ \n").split("│") for line in result.stdout.splitlines()]
        return {row[0].strip(): row[1].strip() for row in cells if len(row) > 3}

    ends = {"norm": "", "sum": "stage1", "pool": "", "second": "stage2"}
    assert rows() == ends
    assert {"first", "branch"} < set(rows("--all"))
