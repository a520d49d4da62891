"""The built-in pictures, by name, and that they are the ones that were released."""

import difflib
import hashlib
import os
from pathlib import Path

from kstyle.errors import ImageError
from kstyle.files import is_web_address

SAMPLE_FOLDER = Path(__file__).parents[1] / "data" / "samples"
SAMPLE_SHA256 = {  # of NAME.jpg
    "astronaut": "de49b3df0083ef798bd38a6e76aa2e8324763df7f3f944c833081abe3bb8fa2d",
    "chelsea": "5ca0cac0d16756ef8fd198e58eb750521b1b8b3b9d978593f19b8a6142b9621a",
    "coffee": "dd8bb6e4ae34deabeb4337a0a71c42939a13e20d88a23853bb0f628f403a1f7c",
    "meadow": "765a5ba1cbdc2172829e9f10baa31586b7e9dd1c59c3a1b004fa3acdf65af9f2",
    "night": "d8284430549b12f5d00702439b12dc31e8bee9790488ccfe845257350dc5fb23",
    "window": "3d69875e86fd788e973b40094777ca03518256784cfaf2c8d4090cbe9f706a94",
}


def sample_names() -> list[str]:
    """List the names that `load_picture("sample:NAME")` knows."""
    return sorted(SAMPLE_SHA256)


def picture_file(path: str | os.PathLike[str], folder: Path = SAMPLE_FOLDER) -> Path:
    """Give the path of the file behind `sample:NAME`; other paths as they are.

    folder: where the samples are.

    Raises: ImageError: no sample is called so, or its file is not, byte for byte, the
        one that was released.
    """
    name = str(path).removeprefix("sample:")
    if name == str(path):
        if is_web_address(name) and not os.path.exists(path):
            raise ImageError(
                f"{name} is a web address, and kstyle reads files. Download the "
                "picture and name its file."
            )
        return Path(path)
    if name not in SAMPLE_SHA256:
        close = difflib.get_close_matches(name.lower(), SAMPLE_SHA256, n=1)
        hint = f"Did you mean sample:{close[0]}? " if close else ""
        raise ImageError(
            f"no sample is called {name!r}. {hint}There are {sample_names()}."
        )
    path, expected = folder / f"{name}.jpg", SAMPLE_SHA256[name]
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ImageError(
            f"kstyle's own picture sample:{name} cannot be read ({error}). Reinstall "
            "kstyle."
        ) from None
    if digest != expected:
        raise ImageError(
            f"kstyle's own picture sample:{name} is damaged: SHA-256 is {digest}, "
            f"expected {expected}. Reinstall kstyle."
        )
    return path
