"""Weights: what is in the package, what a user may bring, and what is refused."""

import hashlib
import http.server
import io
import json
import pickle
import socket
import threading
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest

from kstyle.errors import ConfigError, WeightsError
from kstyle.networks import weights
from kstyle.networks.registry import NETWORKS
from kstyle.networks.weights import load_weights, weights_status


def random_arrays(net="vgg16", last="conv2_1", dtype="float32"):
    """`{key: array}` of `net` down to `last`, as a user's .npz holds it."""
    generator, arrays = np.random.default_rng(0), {}
    for name, shape in NETWORKS[net].kernel_shapes().items():
        arrays[f"{name}/kernel"] = generator.normal(size=shape).astype(dtype)
        arrays[f"{name}/bias"] = generator.normal(size=shape[3:]).astype(dtype)
        if name == last:
            return arrays


@pytest.fixture
def npz(tmp_path):
    """A function that writes arrays as .npz and gives the path."""

    def write(arrays, name="user.npz"):
        path = tmp_path / name
        with open(path, "wb") as file:
            np.savez(file, **arrays)
        return path

    return write


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """An empty folder for Keras's downloads, on a machine without internet."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", proxy)
        yield tmp_path / "keras"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of an HTTP server for the files in `tmp_path / "www"`."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "www").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "www")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def tiny_keras_model(last=2):
    """The first convolutions of VGG16 as keras.applications names them, random."""
    x = image = keras.Input((None, None, 3))
    for i in range(1, last + 1):
        x = keras.layers.Conv2D(
            64, 3, name=f"block1_conv{i}", bias_initializer="random_normal"
        )(x)
    return keras.Model(image, x)


def write_legacy_h5(path, model):
    """The layout of keras.applications' files: a group a layer, `…_W_1:0` inside."""
    with h5py.File(path, "w") as file:
        for layer in model.layers[1:]:
            for value, what in zip(layer.get_weights(), "Wb", strict=True):
                file[f"{layer.name}/{layer.name}_{what}_1:0"] = value


def assert_same_layers(found, model):
    """`found` is what `model`'s convolutions hold, under kstyle's names."""
    layers = {layer.name: layer.get_weights() for layer in model.layers[1:]}
    assert len(found) == len(layers)
    for name, (kernel, bias) in found.items():
        wanted = layers[f"block{name[4]}_conv{name[6]}"]
        np.testing.assert_array_equal(kernel, wanted[0])
        np.testing.assert_array_equal(bias, wanted[1])


class Bomb:
    """Unpickling it makes a file: the sign that code from a weights file has run."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


# Builtin ----------------------------------------------------------------------


@pytest.mark.parametrize("net", list(NETWORKS))
def test_builtin_weights_are_float32_of_the_right_shapes(net):
    found = load_weights(net)
    assert {name: kernel.shape for name, (kernel, _) in found.layers.items()} == (
        NETWORKS[net].kernel_shapes()
    )
    for kernel, bias in found.layers.values():
        assert kernel.dtype == bias.dtype == np.float32
        assert bias.shape == kernel.shape[3:]
    assert found.source == "builtin"
    assert found.sha256 == weights.BUILTIN_SHA256[net]


def test_builtin_vgg16_is_brought_to_caffe_scale():
    # torchvision's first kernel is for pixels of size one, with biases up to 1.3; times
    # 57.6 they fit pixels in 0..255, while the kernel stays as it was within 2 %.
    kernel, bias = load_weights("vgg16", layers=["conv1_1"]).layers["conv1_1"]
    assert 70 < np.abs(bias).max() < 80
    assert 1 < np.abs(kernel).max() < 1.5


def test_keras_has_no_weights_of_alexnet():
    with pytest.raises(WeightsError, match="alexnet. Use --weights builtin"):
        load_weights("alexnet", "keras")


def test_random_weights_depend_on_the_seed_alone():
    first, again = (load_weights("alexnet", "random:3") for _ in range(2))
    part = load_weights("alexnet", "random:3", ["conv3"])
    kernel = first.layers["conv3"][0]
    np.testing.assert_array_equal(kernel, again.layers["conv3"][0])
    np.testing.assert_array_equal(kernel, part.layers["conv3"][0])
    assert kernel.std() == pytest.approx((2 / (9 * 192)) ** 0.5, rel=0.01)
    other = load_weights("alexnet", "random")
    assert (other.layers["conv3"][0] != kernel).any() and other.sha256 != first.sha256


def test_builtin_reads_only_the_requested_layers():
    assert list(load_weights("vgg19", layers=["conv1_1"]).layers) == ["conv1_1"]


def test_damaged_builtin_file_is_refused_before_it_is_opened(tmp_path):
    (tmp_path / "vgg16.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(WeightsError, match=r"damaged: SHA-256.*Reinstall kstyle"):
        weights.open_builtin("vgg16", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_missing_builtin_file_says_reinstall(tmp_path):
    with pytest.raises(WeightsError, match="missing.*Reinstall kstyle"):
        weights.open_builtin("vgg19", tmp_path)


def test_unknown_net_and_layer_are_config_errors():
    with pytest.raises(ConfigError, match="vgg11"):
        load_weights("vgg11")
    with pytest.raises(ConfigError, match="conv3_4"):
        load_weights("vgg16", layers=["conv3_4"])


# A user's .npz ----------------------------------------------------------------


def test_npz_gives_back_its_arrays_with_path_and_checksum(npz):
    arrays = random_arrays()
    path = npz(arrays)
    found = load_weights("vgg16", path, ["conv1_1", "conv2_1"])
    assert list(found.layers) == ["conv1_1", "conv2_1"]
    np.testing.assert_array_equal(found.layers["conv2_1"][0], arrays["conv2_1/kernel"])
    np.testing.assert_array_equal(found.layers["conv2_1"][1], arrays["conv2_1/bias"])
    assert found.source == str(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_npz_of_other_float_types_comes_as_float32(npz, dtype):
    arrays = random_arrays(last="conv1_1", dtype=dtype)
    kernel, bias = load_weights("vgg16", npz(arrays), ["conv1_1"]).layers["conv1_1"]
    assert kernel.dtype == bias.dtype == np.float32
    np.testing.assert_array_equal(kernel, arrays["conv1_1/kernel"].astype("float32"))


def test_compact_forms_are_decoded(npz):
    one, two = (3, 3, 3, 64), (3, 3, 64, 64)
    bias = np.zeros(64, "float32")
    path = npz(
        {
            "conv1_1/codes": np.full(one, 7, "uint8"),
            "conv1_1/centroids": np.arange(256, dtype="float32") / 2,
            "conv1_1/bias": bias,
            "conv1_2/int8": np.full(two, -3, "int8"),
            "conv1_2/scale": np.arange(64, dtype="float32"),
            "conv1_2/bias": bias,
        }
    )
    layers = load_weights("vgg16", path, ["conv1_1", "conv1_2"]).layers
    assert (layers["conv1_1"][0] == 3.5).all()
    assert (layers["conv1_2"][0][1, 2, 30] == -3.0 * np.arange(64)).all()


def test_npz_that_ends_early_is_refused_for_deeper_layers(npz):
    path = npz(random_arrays(last="conv1_2"))
    assert len(load_weights("vgg16", path, ["conv1_1", "conv1_2"]).layers) == 2
    message = r"user\.npz: conv2_1 of vgg16 is needed.*holds conv1_1, conv1_2\."
    with pytest.raises(WeightsError, match=message):
        load_weights("vgg16", path, ["conv1_1", "conv2_1"])


def test_wrong_shape_is_refused_with_both_shapes(npz):
    arrays = random_arrays(last="conv1_1")
    arrays["conv1_1/kernel"] = arrays["conv1_1/kernel"].transpose(3, 2, 0, 1)
    message = r"conv1_1/kernel has the shape \(64, 3, 3, 3\).*\(3, 3, 3, 64\)"
    with pytest.raises(WeightsError, match=message):
        load_weights("vgg16", npz(arrays), ["conv1_1"])


def test_missing_bias_is_refused_by_name(npz):
    arrays = random_arrays(last="conv1_1")
    del arrays["conv1_1/bias"]
    with pytest.raises(WeightsError, match="conv1_1/bias is missing"):
        load_weights("vgg16", npz(arrays), ["conv1_1"])


@pytest.mark.parametrize("dtype", ["int32", "complex64", "U1"])
def test_wrong_type_is_refused_by_name(npz, dtype):
    arrays = random_arrays(last="conv1_1")
    arrays["conv1_1/bias"] = np.zeros(64, dtype)
    with pytest.raises(WeightsError, match="conv1_1/bias has the type .*float32"):
        load_weights("vgg16", npz(arrays), ["conv1_1"])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_float32_cannot_hold_are_refused(npz, value):
    arrays = random_arrays(last="conv1_1", dtype="float64")
    arrays["conv1_1/kernel"][1, 1, 1, 5] = value
    with pytest.raises(WeightsError, match="conv1_1/kernel has values that are not"):
        load_weights("vgg16", npz(arrays), ["conv1_1"])


@pytest.mark.parametrize("keep", [3, 3000, -30])
def test_truncated_npz_is_refused(npz, keep):
    path = npz(random_arrays(last="conv1_1"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"user\.npz.*damaged"):
        load_weights("vgg16", path, ["conv1_1"])


def test_npz_with_a_flipped_byte_is_refused(npz):
    path = npz(random_arrays(last="conv1_1"))
    blob = bytearray(path.read_bytes())
    blob[1000] ^= 1
    path.write_bytes(blob)
    with pytest.raises(WeightsError, match="damaged"):
        load_weights("vgg16", path, ["conv1_1"])


def test_array_that_declares_a_huge_shape_is_not_read(tmp_path):
    header = io.BytesIO()
    huge = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 3, 3, 64)}
    np.lib.format.write_array_header_1_0(header, huge)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("conv1_1/kernel.npy", header.getvalue())
        archive.writestr("conv1_1/bias.npy", header.getvalue())
    with pytest.raises(WeightsError, match="has the shape"):
        load_weights("vgg16", tmp_path / "bomb.npz", ["conv1_1"])


# Pickles, and what is no weights file -----------------------------------------


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.pkl", "model.npz"])
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle_is_refused_and_not_run(tmp_path, name, protocol):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol))
    with pytest.raises(WeightsError, match="pickle.*Convert it once to .npz"):
        load_weights("vgg16", tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_pickle_of_the_text_protocol_named_npz_is_not_run(tmp_path):
    (tmp_path / "old.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), 0))
    with pytest.raises(WeightsError, match="not a weights file"):
        load_weights("vgg16", tmp_path / "old.npz")
    assert not (tmp_path / "ran").exists()


def test_pth_of_the_old_protocol_error_says_how_to_convert(tmp_path):
    (tmp_path / "old.PTH").write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), 0))
    with pytest.raises(WeightsError, match="Convert it once to .npz"):
        load_weights("vgg16", tmp_path / "old.PTH")
    assert not (tmp_path / "ran").exists()


def test_pytorch_zip_named_npz_is_refused_and_not_run(tmp_path):
    with zipfile.ZipFile(tmp_path / "torch.npz", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(WeightsError, match="pickle.*Convert"):
        load_weights("vgg16", tmp_path / "torch.npz")
    assert not (tmp_path / "ran").exists()


def test_object_array_in_npz_is_refused_and_not_run(tmp_path, npz):
    arrays = random_arrays(last="conv1_1")
    arrays["conv1_1/bias"] = np.array([Bomb(tmp_path / "ran")] * 64, dtype=object)
    with pytest.raises(WeightsError, match="conv1_1/bias has the type object"):
        load_weights("vgg16", npz(arrays), ["conv1_1"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_other_content_is_refused_with_the_forms_that_are_known(tmp_path, content):
    (tmp_path / "weights.h5").write_bytes(content)
    with pytest.raises(WeightsError, match=r"not a weights file.*\.npz"):
        load_weights("vgg16", tmp_path / "weights.h5")


@pytest.mark.parametrize("path", ["nowhere/vgg.npz", ".", "Builtin", "no\0name"])
def test_path_that_cannot_be_opened_says_what_was_expected(path):
    with pytest.raises(WeightsError, match="cannot be opened.*'builtin'"):
        load_weights("vgg16", path)


# Keras's files ----------------------------------------------------------------


def test_h5_in_the_layout_of_keras_applications_loads_equal(tmp_path):
    model = tiny_keras_model()
    write_legacy_h5(tmp_path / "legacy.h5", model)
    found = load_weights("vgg16", tmp_path / "legacy.h5", ["conv1_1", "conv1_2"])
    assert_same_layers(found.layers, model)


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_saved_by_keras_load_without_the_optimizer(tmp_path, name):
    model = tiny_keras_model()
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((1, 8, 8, 3)), np.ones((1, 4, 4, 64)))
    save = model.save_weights if "weights" in name else model.save
    save(tmp_path / name)
    found = load_weights("vgg16", tmp_path / name, ["conv1_1", "conv1_2"])
    assert_same_layers(found.layers, model)


def test_moments_of_an_optimizer_in_an_h5_are_no_weights(tmp_path):
    model = tiny_keras_model(last=1)
    write_legacy_h5(tmp_path / "old.h5", model)
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file["optimizer_weights/adam/block1_conv1/m:0"] = np.zeros((3, 3, 3, 64))
    found = load_weights("vgg16", tmp_path / "old.h5", ["conv1_1"])
    assert_same_layers(found.layers, model)


def test_weights_h5_of_a_whole_keras_application_loads_equal(tmp_path):
    model = keras.applications.VGG16(weights=None, include_top=False)
    model.save_weights(tmp_path / "vgg16.weights.h5")
    found = load_weights("vgg16", tmp_path / "vgg16.weights.h5").layers
    assert len(found) == 13
    for name, (kernel, _) in found.items():
        layer = model.get_layer(f"block{name[4]}_conv{name[6]}")
        np.testing.assert_array_equal(kernel, layer.get_weights()[0])


@pytest.mark.parametrize("keep", [100, 5000])
def test_truncated_h5_is_refused(tmp_path, keep):
    path = tmp_path / "cut.h5"
    write_legacy_h5(path, tiny_keras_model())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"cut\.h5: cannot be read.*damaged"):
        load_weights("vgg16", path, ["conv1_1"])


def test_h5_with_data_outside_the_file_does_not_read_it(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(256))
    write_legacy_h5(tmp_path / "thief.h5", tiny_keras_model(last=1))
    with h5py.File(tmp_path / "thief.h5", "a") as file:
        del file["block1_conv1/block1_conv1_b_1:0"]
        outside = [(str(tmp_path / "secret"), 0, 256)]
        file.create_dataset("block1_conv1/b", (64,), "float32", external=outside)
    with pytest.raises(WeightsError, match="conv1_1/bias is missing"):
        load_weights("vgg16", tmp_path / "thief.h5", ["conv1_1"])


def test_safetensors_load_equal_and_are_refused_when_cut(tmp_path):
    arrays, header, raw = random_arrays(last="conv1_1"), {"__metadata__": {}}, b""
    for key, array in arrays.items():
        place = [len(raw), len(raw) + array.nbytes]
        header[key.replace("/", ".")] = {
            "dtype": "F32",
            "shape": array.shape,
            "data_offsets": place,
        }
        raw += array.tobytes()
    text, path = json.dumps(header).encode(), tmp_path / "user.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw)
    kernel, bias = load_weights("vgg16", path, ["conv1_1"]).layers["conv1_1"]
    np.testing.assert_array_equal(kernel, arrays["conv1_1/kernel"])
    np.testing.assert_array_equal(bias, arrays["conv1_1/bias"])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="damaged"):
        load_weights("vgg16", path, ["conv1_1"])


# The source "keras" -----------------------------------------------------------


def md5_of(content):
    """A checksum as Keras publishes it."""
    return f"md5:{hashlib.md5(content).hexdigest()}"


def put_in_cache(home, monkeypatch):
    """A small random file where Keras keeps VGG16, with its checksum as published."""
    path = home / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    model = tiny_keras_model()
    write_legacy_h5(path, model)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.KERAS_MD5, "vgg16", digest)
    return path, model


def test_cached_keras_file_is_used_without_the_internet(keras_home, monkeypatch):
    path, model = put_in_cache(keras_home, monkeypatch)
    found = load_weights("vgg16", "keras", ["conv1_1", "conv1_2"])
    assert_same_layers(found.layers, model)
    assert found.source == "keras"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_damaged_cached_keras_file_is_not_used(keras_home, monkeypatch):
    path, _ = put_in_cache(keras_home, monkeypatch)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="cannot be used and a download failed"):
        load_weights("vgg16", "keras", ["conv1_1"])


def test_keras_without_internet_names_the_remedy(keras_home):
    message = (
        r"(?s)Connection refused.*--weights builtin, or put the file "
        r"vgg19_weights_tf_dim_ordering_tf_kernels_notop\.h5 in .*models"
    )
    with pytest.raises(WeightsError, match=message):
        load_weights("vgg19", "keras")
    assert list(keras_home.rglob("*.h5")) == []


def test_a_download_is_kept_if_its_checksum_is_right(server, tmp_path):
    (tmp_path / "www" / "vgg.h5").write_bytes(b"weights")
    path = tmp_path / "new" / "vgg.h5"
    with pytest.raises(ValueError, match="not the file that Keras published"):
        weights.download(f"{server}/vgg.h5", path, md5_of(b"other"))
    assert list(path.parent.iterdir()) == []
    weights.download(f"{server}/vgg.h5", path, md5_of(b"weights"))
    assert path.read_bytes() == b"weights"


def test_a_download_replaces_a_damaged_file(server, tmp_path):
    (tmp_path / "www" / "vgg.h5").write_bytes(b"weights")
    path = tmp_path / "vgg.h5"
    path.write_bytes(b"weigh")
    weights.download(f"{server}/vgg.h5", path, md5_of(b"weights"))
    assert path.read_bytes() == b"weights"


def test_a_missing_file_on_the_server_is_an_error(server, tmp_path):
    with pytest.raises(OSError, match="404"):
        weights.download(f"{server}/vgg.h5", tmp_path / "vgg.h5", "")


def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/vgg.h5"
        begun = time.monotonic()
        with pytest.raises(OSError, match="no answer in 0.2 s|timed out"):
            weights.download(url, tmp_path / "vgg.h5", "", timeout=0.2)
    assert time.monotonic() - begun < 5


def test_published_keras_names_are_those_of_keras_itself():
    from keras.src.applications import vgg16, vgg19

    for net, module in (("vgg16", vgg16), ("vgg19", vgg19)):
        file = weights.KERAS_FILE.format(net)
        assert f"{weights.KERAS_URL}/{net}/{file}" == module.WEIGHTS_PATH_NO_TOP
        with open(module.__file__, encoding="utf-8") as source:
            assert f'file_hash="{weights.KERAS_MD5[net]}"' in source.read()


# What `kstyle weights` shows --------------------------------------------------


def test_status_has_a_row_for_each_net_and_source(keras_home, monkeypatch):
    path, _ = put_in_cache(keras_home, monkeypatch)
    rows = {(row["net"], row["source"]): row for row in weights_status()}
    vggs = [(net, k) for net in ("vgg16", "vgg19") for k in ("builtin", "keras")]
    assert list(rows) == [("alexnet", "builtin"), *vggs]
    own = rows["vgg19", "builtin"]
    assert own["present"] and own["intact"] and own["size"] > 10_000_000
    assert own["path"] == "kstyle/data/weights/vgg19.npz"
    assert own["sha256"] == weights.BUILTIN_SHA256["vgg19"]
    cached = rows["vgg16", "keras"]
    assert cached["present"] and cached["intact"]
    assert cached["size"] == path.stat().st_size
    absent = rows["vgg19", "keras"]
    assert not absent["present"] and not absent["intact"]
    assert absent["size"] is None and absent["sha256"] is None
    assert all(row["licence"] for row in rows.values())


def test_status_shows_the_home_folder_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = [row["path"] for row in weights_status() if row["source"] == "keras"]
    assert all(path.startswith("~/.keras/models/vgg") for path in paths)


def test_status_of_a_keras_network_says_what_it_needs(keras_home):
    (row,) = weights_status("ResNet50")
    file = weights.keras_path("resnet50")
    assert (row["net"], row["source"], row["present"]) == ("resnet50", "keras", False)
    assert row["path"].endswith("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5")
    assert row["address"].endswith("/resnet/" + file.name)
    assert row["checksum"] == "md5:4d473c1dd8becc155b73f8504c6f6626"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"part of it")
    assert "resnet50" in [row["net"] for row in weights_status()]
    (row,) = weights_status("resnet50")
    assert (row["size"], row["intact"]) == (10, False)
    with pytest.raises(WeightsError, match="in the file itself"):
        weights_status("mine.keras")
