"""Keras's own settings: a command ignores them, Python takes or refuses them."""

import json
import os
import subprocess
import sys

import keras
import pytest

import kstyle
from kstyle.errors import ConfigError

HOSTILE = {
    "backend": "torch",
    "floatx": "float16",
    "epsilon": 0.01,
    "image_data_format": "channels_first",
}


def run_python(*words, **variables):
    """Run Python with these environment variables; return the finished process."""
    return subprocess.run(
        [sys.executable, *words],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def keras_home(tmp_path):
    """A function that writes a keras.json; the folder for KERAS_HOME."""

    def write(**settings):
        (tmp_path / "keras.json").write_text(json.dumps(settings))
        return str(tmp_path)

    return write


@pytest.fixture
def restored_settings():
    """Keras's settings are restored after the test."""
    config = keras.config
    before = config.floatx(), config.image_data_format(), config.dtype_policy()
    yield
    config.set_floatx(before[0])
    config.set_image_data_format(before[1])
    config.set_dtype_policy(before[2])


def test_a_command_ignores_all_settings_of_keras(small_run, tmp_path, keras_home):
    expected = kstyle.stylize(kstyle.StyleConfig(**small_run), verbose=0)
    config = kstyle.StyleConfig(**small_run, output=str(tmp_path / "out.png"))
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    done = run_python(
        *("-m", "kstyle", "stylize", "--config", str(tmp_path / "config.yaml")),
        KERAS_HOME=keras_home(**HOSTILE),
        KERAS_BACKEND="jax",
        KERAS_MAX_EPOCHS="1",
        KERAS_MAX_STEPS_PER_EPOCH="1",
    )
    assert done.returncode == 0, done.stderr
    found = kstyle.load_picture(tmp_path / "out.png").pixels
    assert (found == kstyle.load_picture(expected.path).pixels).all()


def test_a_wrong_value_in_keras_own_file_is_one_sentence(keras_home):
    code = (
        "from kstyle.cli.common import user_errors\n"
        "from kstyle.hardware.tensorflow_setup import load_tensorflow\n"
        "with user_errors(): load_tensorflow()\n"
    )
    done = run_python("-c", code, KERAS_HOME=keras_home(floatx="float8"))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("Error: TensorFlow cannot be loaded (")
    assert line.endswith("keras.json?")


ACCESS = """
import kstyle
assert kstyle.load_picture("sample:coffee")
try:
    kstyle.stylize
except kstyle.errors.ConfigError as error:
    print(error)
"""


def test_another_backend_is_refused_by_the_variable():
    done = run_python("-c", ACCESS, KERAS_BACKEND="torch")
    assert done.stdout == (
        "Keras has the backend 'torch' (set by KERAS_BACKEND), and kstyle needs "
        "'tensorflow'. Set KERAS_BACKEND=tensorflow before keras is imported.\n"
    )


def test_another_backend_is_refused_by_the_file(keras_home):
    home = keras_home(backend="jax")
    done = run_python("-c", ACCESS, KERAS_HOME=home, KERAS_BACKEND="")
    assert done.stdout.startswith(f"Keras has the backend 'jax' (set in {home}")


def test_the_variable_overrides_the_file(keras_home):
    home = keras_home(backend="jax")
    code = "from kstyle.hardware import keras_setup as k; k.check_keras_backend()"
    done = run_python("-c", code, KERAS_HOME=home, KERAS_BACKEND="tensorflow")
    assert done.returncode == 0, done.stderr


def test_layout_and_policy_do_not_change_the_picture(small_run, restored_settings):
    options = small_run | {"scales": 2, "scale_steps": 2, "steps": 2}
    config = kstyle.StyleConfig(**options)
    expected = kstyle.stylize(config, verbose=0)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_float16")
    found = kstyle.stylize(config, verbose=0)
    assert (found.picture.pixels == expected.picture.pixels).all()
    assert found.losses == expected.losses


def test_another_float_type_is_refused(small_run, tmp_path, restored_settings):
    keras.config.set_floatx("float16")
    with pytest.raises(ConfigError, match="float type is 'float16'"):
        kstyle.stylize(kstyle.StyleConfig(**small_run))
    assert not (tmp_path / "logs").exists()


def test_a_model_with_another_float_type_is_refused(make_model, restored_settings):
    model = make_model()
    keras.config.set_floatx("float64")
    with pytest.raises(ConfigError, match="set_floatx"):
        model.compile("adam")


@pytest.mark.parametrize("name", ["KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"])
def test_a_limit_of_fit_is_refused(name, small_run, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"{name}=1 would cut the run short"):
        kstyle.stylize(kstyle.StyleConfig(**small_run))
    assert not (tmp_path / "logs").exists()
