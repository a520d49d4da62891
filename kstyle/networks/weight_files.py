"""Weights files: their declarations are compared with the network, then they are read.

`.npz`, `.safetensors` and Keras's `.h5` and `.weights.h5`. What a file says of an
array is checked before the array is read, and nothing is ever unpickled, so a file
from a stranger cannot run code or fill the memory.
"""

import contextlib
import dataclasses
import functools
import io
import json
import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from kstyle.errors import WeightsError
from kstyle.npz import open_npz

WEIGHT_KEY = re.compile(r"conv\d(?:_\d)?/(kernel|bias|codes|centroids|int8|scale)")
H5_LAYER = re.compile(r"(?:block|conv)(\d)_(?:conv)?(\d)")  # Keras's name or ours
SAFETENSORS_DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "U8": "u1", "I8": "i1"}
PICKLE_SUFFIXES = {".pth", ".pt", ".pkl", ".pickle", ".ckpt"}
WEIGHT_FORMS = (
    "kstyle reads .npz and .safetensors (keys 'conv1_1/kernel' of shape (3, 3, in, "
    "out) and 'conv1_1/bias', for BGR input in 0..255 less the mean) and Keras's .h5 "
    "and .weights.h5."
)
# What zipfile, zlib, NumPy, json and h5py raise on bytes that make no sense.
DAMAGE_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    TypeError,
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,  # the header of a .npy is a Python literal
    tokenize.TokenError,
)

Shape = tuple[int, ...]
KernelsAndBiases = dict[str, tuple[np.ndarray, np.ndarray]]  # layer to (kernel, bias)


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array as its file declares it, not read yet."""

    shape: Shape
    dtype: np.dtype
    read: Callable[[], np.ndarray]


Arrays = dict[str, StoredArray]


def read_weight_file(
    file: io.BufferedIOBase, where: str, net: str, shapes: Mapping[str, Shape]
) -> KernelsAndBiases:
    """Read `{layer: (kernel, bias)}`, float32, from an open binary file.

    where: the file's name for messages. shapes: `{layer: kernel shape}` of the layers
        that are needed; others in the file are ignored.
    Raises: WeightsError: the file is no weights file, damaged, or not that of `net`.
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


def list_arrays(
    file: io.BufferedIOBase, where: str, stack: contextlib.ExitStack
) -> Arrays:
    """List the arrays of an open file, whose format its first bytes show.

    stack: closes what stays open to read them.
    """
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


def refuse_pickle(where: str) -> NoReturn:
    """Raise a `WeightsError` that says how to convert the weights."""
    raise WeightsError(
        f"{where}: this is a Python pickle, as PyTorch writes it. kstyle does not open "
        "pickles, because they can run any code. Convert it once to .npz where you "
        "trust it: np.savez(path, **{'conv1_1/kernel': kernel, 'conv1_1/bias': bias, "
        "...}), kernels of shape (3, 3, in, out) for BGR input in 0..255 less the mean."
    )


def list_npz(
    file: io.BufferedIOBase, where: str, stack: contextlib.ExitStack
) -> Arrays:
    """List the arrays of an `.npz` by their headers, which are 64 KiB at most."""
    npz = stack.enter_context(open_npz(file))
    if any(name.endswith("data.pkl") for name in npz.files):
        refuse_pickle(where)
    arrays = {}
    for key in filter(WEIGHT_KEY.fullmatch, npz.files):
        with npz.zip.open(f"{key}.npy") as member:
            if np.lib.format.read_magic(member) != (1, 0):
                raise ValueError(f"{key}.npy is not of .npy version 1.0")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        arrays[key] = StoredArray(shape, dtype, functools.partial(npz.get, key))
    return arrays


def list_h5(file: io.BufferedIOBase, stack: contextlib.ExitStack) -> Arrays:
    """List the arrays of a Keras `.h5` (any version) or `.weights.h5` by layer names.

    In a layer's group, the array with four axes is the kernel, that with one the bias.
    """
    import h5py  # comes with Keras; 0.2 s

    h5 = stack.enter_context(h5py.File(file, "r"))
    arrays: Arrays = {}

    def visit(path: str, node: Any) -> None:
        # An optimizer's moments have the shapes of their weights. Data outside the
        # file would let a stranger's weights read other files of the user.
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


def list_safetensors(file: io.BufferedIOBase) -> Arrays:
    """List the arrays of a `.safetensors`: a length, so many bytes of JSON, values."""
    length = int.from_bytes(file.read(8), "little")
    if length > 2**20:  # this network's is 4 kB
        raise ValueError(f"its header claims {length} bytes")
    entries = json.loads(file.read(length))
    if not isinstance(entries, dict):
        raise ValueError("its header names no arrays")

    def read(offset: int, shape: Shape, dtype: np.dtype) -> np.ndarray:
        file.seek(8 + length + offset)
        raw = file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(raw, dtype).reshape(shape)

    arrays: Arrays = {}
    for key, entry in entries.items():
        key = key.replace(".", "/")
        if WEIGHT_KEY.fullmatch(key):
            # An unknown type becomes "object", which is refused by name later.
            dtype = np.dtype(SAFETENSORS_DTYPES.get(entry["dtype"], "O"))
            shape = tuple(entry["shape"])
            offset = entry["data_offsets"][0]
            reader = functools.partial(read, offset, shape, dtype)
            arrays[key] = StoredArray(shape, dtype, reader)
    return arrays


def read_layer_weights(
    arrays: Arrays, where: str, net: str, shapes: Mapping[str, Shape]
) -> KernelsAndBiases:
    """Read `{layer: (kernel, bias)}` of the layers in `shapes`."""
    held = sorted({key.split("/")[0] for key in arrays})
    missing = [name for name in shapes if name not in held]
    if missing:
        raise WeightsError(
            f"{where}: {missing[0]} of {net} is needed, but the file holds "
            f"{', '.join(held) or 'no layer by such a name'}. Ask for shallower layers "
            f"or give a file that goes that deep. {WEIGHT_FORMS}"
        )

    def take(key: str, shape: Shape, kind: type = np.floating) -> np.ndarray:
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


def read_array(
    arrays: Arrays, where: str, net: str, key: str, shape: Shape, kind: type
) -> np.ndarray:
    """Read the array `key` after a check of its shape and type; floats as float32."""
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
    with np.errstate(over="ignore"):  # values too large for float32 are found below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise WeightsError(
            f"{where}: {key} has values that are not finite numbers. The file is "
            "damaged or its training diverged: use another."
        )
    return array
