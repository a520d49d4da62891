"""Weights files: what they declare, compared with the network, and then read.

`.npz`, `.safetensors` and Keras's `.h5` and `.weights.h5`. What a file says of an
array is checked before the array is read, and nothing is ever unpickled, so a file
from a stranger can be refused but cannot run code or fill the memory.
"""

import contextlib
import dataclasses
import json
import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kstyle.errors import WeightsError

WEIGHT_KEY = re.compile(r"conv\d_\d/(kernel|bias|codes|centroids|int8|scale)")
H5_LAYER = re.compile(r"(?:block|conv)(\d)_(?:conv)?(\d)")  # Keras's name or ours
SAFETENSORS_DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "U8": "u1", "I8": "i1"}
PICKLE_SUFFIXES = {".pth", ".pt", ".pkl", ".pickle", ".ckpt"}
WEIGHT_FORMS = (
    "kstyle reads .npz and .safetensors (keys 'conv1_1/kernel' of shape (3, 3, in, "
    "out) and 'conv1_1/bias', for BGR input in 0..255 less the mean) and Keras's .h5 "
    "and .weights.h5."
)
# What zipfile, zlib, NumPy, json and h5py raise on bytes that make no sense.
DAMAGE_ERRORS = (OSError, EOFError, ValueError, LookupError, RuntimeError, TypeError)
DAMAGE_ERRORS += (zipfile.BadZipFile, zlib.error, MemoryError, OverflowError)
DAMAGE_ERRORS += (SyntaxError, tokenize.TokenError)  # a .npy header is a Python literal


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array as its file declares it, not yet read."""

    shape: tuple
    dtype: np.dtype
    read: Callable


def read_weight_file(file, where, net, shapes):
    """`{layer: (kernel, bias)}`, float32, of an open binary file.

    where: the file's name for messages. shapes: `{layer: kernel shape}` of what is
        needed; anything else in the file is passed over.
    Raises: WeightsError: no weights file, damaged, or not those of `net`.
    """
    try:
        with contextlib.ExitStack() as stack:
            arrays = list_arrays(file, where, stack)
            return read_layer_weights(arrays, where, net, shapes)
    except WeightsError:
        raise
    except DAMAGE_ERRORS as error:
        raise WeightsError(
            f"{where}: cannot be read ({error}). The file is damaged or incomplete: "
            "copy or download it again."
        ) from error


def list_arrays(file, where, stack):
    """`{key: Stored}` of an open file, whose kind is told by its first bytes."""
    head = file.read(8)
    file.seek(0)
    suffix = Path(where).suffix.lower()
    if suffix in PICKLE_SUFFIXES or re.match(rb"\x80[\x02-\x05]", head):
        refuse_pickle(where)
    if head.startswith(b"PK"):
        return list_npz(file, where, stack)
    if head == b"\x89HDF\r\n\x1a\n":
        return list_h5(file, stack)
    if suffix == ".safetensors":
        return list_safetensors(file)
    raise WeightsError(
        f"{where}: not a weights file that kstyle knows (it begins with {head!r}). "
        f"{WEIGHT_FORMS} If it should be one of these, it is damaged."
    )


def refuse_pickle(where):
    """Say why, and how to get the same weights in."""
    raise WeightsError(
        f"{where}: this is a Python pickle, as PyTorch writes it. kstyle does not open "
        "pickles, because they can run any code. Convert it once to .npz where you "
        "trust it: np.savez(path, **{'conv1_1/kernel': kernel, 'conv1_1/bias': bias, "
        "...}), kernels of shape (3, 3, in, out) for BGR input in 0..255 less the mean."
    )


def list_npz(file, where, stack):
    """The arrays of an `.npz`: headers only, which cannot be larger than 64 KiB."""
    npz = stack.enter_context(np.load(file, allow_pickle=False))
    if any(name.endswith("data.pkl") for name in npz.files):
        refuse_pickle(where)
    arrays = {}
    for key in filter(WEIGHT_KEY.fullmatch, npz.files):
        with npz.zip.open(f"{key}.npy") as member:
            if np.lib.format.read_magic(member) != (1, 0):
                raise ValueError(f"{key}.npy is not of .npy version 1.0")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        arrays[key] = StoredArray(shape, dtype, lambda key=key: npz[key])
    return arrays


def list_h5(file, stack):
    """The arrays of a Keras `.h5` (any age) or `.weights.h5`, found by layer name.

    A kernel is what has four axes in a layer's group, a bias what has one.
    """
    import h5py  # comes with Keras; 0.2 s

    h5, arrays = stack.enter_context(h5py.File(file, "r")), {}

    def visit(path, node):
        # An optimizer's moments have the shapes of what they belong to. Data outside
        # the file would let a stranger's weights read other files of the user.
        outside = isinstance(node, h5py.Dataset) and (node.external or node.is_virtual)
        if "optimizer" in path or outside or not isinstance(node, h5py.Dataset):
            return
        names = [*path.split("/")[:-1], str(node.parent.attrs.get("name"))]
        found = list(filter(None, map(H5_LAYER.fullmatch, names)))
        kind = {4: "kernel", 1: "bias"}.get(node.ndim)
        if found and kind:
            key = "conv{}_{}/{}".format(*found[-1].groups(), kind)
            arrays[key] = StoredArray(node.shape, node.dtype, lambda: node[()])

    h5.visititems(visit)
    return arrays


def list_safetensors(file):
    """The arrays of a `.safetensors`: a length, that much JSON, raw values."""
    length = int.from_bytes(file.read(8), "little")
    if length > 2**20:  # this network's is 4 kB
        raise ValueError(f"its header claims {length} bytes")
    entries = json.loads(file.read(length))
    if not isinstance(entries, dict):
        raise ValueError("its header names no arrays")

    def read(entry, shape, dtype):
        file.seek(8 + length + entry["data_offsets"][0])
        raw = file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(raw, dtype).reshape(shape)

    arrays = {}
    for key, entry in entries.items():
        key = key.replace(".", "/")
        if WEIGHT_KEY.fullmatch(key):
            # An unknown type becomes "object", which is refused by name further on.
            dtype = np.dtype(SAFETENSORS_DTYPES.get(entry["dtype"], "O"))
            shape = tuple(entry["shape"])
            arrays[key] = StoredArray(
                shape, dtype, lambda args=(entry, shape, dtype): read(*args)
            )
    return arrays


def read_layer_weights(arrays, where, net, shapes):
    """`{layer: (kernel, bias)}` for the kernel shapes in `shapes`."""
    held = sorted({key.split("/")[0] for key in arrays})
    missing = [name for name in shapes if name not in held]
    if missing:
        raise WeightsError(
            f"{where}: {missing[0]} of {net} is needed, but the file holds "
            f"{', '.join(held) or 'no layer by such a name'}. Ask for shallower layers "
            f"or give a file that goes that deep. {WEIGHT_FORMS}"
        )

    def take(key, shape, kind=np.floating):
        return read_array(arrays, where, net, key, shape, kind)

    pairs = {}
    for name, shape in shapes.items():
        if f"{name}/codes" in arrays:
            codes = take(f"{name}/codes", shape, np.uint8)
            kernel = take(f"{name}/centroids", (256,))[codes]
        elif f"{name}/int8" in arrays:
            scale = take(f"{name}/scale", shape[3:])
            kernel = take(f"{name}/int8", shape, np.int8) * scale
        else:
            kernel = take(f"{name}/kernel", shape)
        pairs[name] = kernel, take(f"{name}/bias", shape[3:])
    return pairs


def read_array(arrays, where, net, key, shape, kind):
    """The array `key`, once what is declared of it fits; floats come as float32."""
    if key not in arrays:
        raise WeightsError(f"{where}: {key} is missing. {WEIGHT_FORMS}")
    stored = arrays[key]
    if stored.shape != shape:
        raise WeightsError(
            f"{where}: {key} has the shape {stored.shape}, but {net} needs {shape}. "
            "Give the file of this network, with kernels as (3, 3, in, out)."
        )
    if not np.issubdtype(stored.dtype, kind):
        raise WeightsError(
            f"{where}: {key} has the type {stored.dtype}, expected {kind.__name__}. "
            "Save it as float32."
        )
    array = stored.read()
    if kind is not np.floating:
        return array
    with np.errstate(over="ignore"):  # too large for float32 is found just below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise WeightsError(
            f"{where}: {key} has values that are not finite numbers. The file is "
            "damaged or its training diverged: use another."
        )
    return array
