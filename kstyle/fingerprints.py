"""Hashes of what a run is made of: its pictures and its weights."""

import functools
import hashlib
import os
from pathlib import Path

from kstyle.sample_pictures import picture_file
from kstyle.weights import BUILTIN_SHA256, keras_path


def picture_hashes(config):
    """`{option: SHA-256}` of the picture files that the config names."""
    names = ["content", "style"]
    if config.init not in ("content", "noise"):
        names.append("init")
    return {name: file_hash(picture_file(getattr(config, name))) for name in names}


def weights_hash(config):
    """SHA-256 of the file of weights that the config names."""
    if config.weights == "builtin":
        return BUILTIN_SHA256[config.net]
    keras = config.weights == "keras"
    return file_hash(keras_path(config.net) if keras else config.weights)


def file_hash(path):
    """SHA-256 of a file's bytes; "absent" where there is none to be read."""
    try:
        path = Path(path).expanduser()
        state = os.stat(path)
        return hash_once(path, state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, RuntimeError):
        return "absent"


@functools.lru_cache(maxsize=256)
def hash_once(path, changed, size):
    """One pass over a file that many trials share; anew when it has changed."""
    del changed, size  # part of the key alone
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
