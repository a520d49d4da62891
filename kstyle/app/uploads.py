"""Pictures that were dropped into the page: bounded, checked, and kept beside the runs.

A run refers to its pictures by their paths, so they stay: `kstyle rerun` finds them.
"""

import hashlib
import io
import itertools
import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from kstyle.errors import ConfigError, ImageError
from kstyle.files import atomic_path
from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.reading import READABLE_SUFFIXES, load_picture, picture_size
from kstyle.images.samples import picture_file
from kstyle.lru_cache import LRUCache

UPLOAD_FOLDER = ".uploads"  # in the folder of runs; hidden from the list of runs
MAX_UPLOAD_BYTES = 64 * 2**20  # of a file
MAX_UPLOAD_PIXELS = 64_000_000
MAX_FOLDER_BYTES = 4 * 2**30  # of all uploads together
THUMBNAIL_PIXELS = 800  # long edge of a picture that the page shows
MAX_NAME = 60  # characters of a file's name
UNSAFE = re.compile(r"[^\w.-]+")


class UploadRefused(ConfigError):
    """A picture was not accepted; the message says why."""


def safe_file_name(name: str) -> str:
    """Return the name of an uploaded file, without folders and unusual characters.

    Raises: UploadRefused: its suffix is not that of a picture.
    """
    path = Path(UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]))
    stem = path.stem.lstrip(".")[:MAX_NAME] or "picture"
    suffixes = list(itertools.chain(*READABLE_SUFFIXES.values()))
    if path.suffix.lower() not in suffixes:
        raise UploadRefused(
            f"{path.name} does not look like a picture: use one of "
            f"{', '.join(suffixes)}."
        )
    return stem + path.suffix.lower()


class Uploads:
    """The uploaded pictures in a folder of runs.

    max_bytes, max_pixels, max_folder_bytes: of a file, of a picture, of all together.
    """

    def __init__(
        self,
        logdir: Path,
        *,
        max_bytes: int = MAX_UPLOAD_BYTES,
        max_pixels: int = MAX_UPLOAD_PIXELS,
        max_folder_bytes: int = MAX_FOLDER_BYTES,
    ) -> None:
        self.folder = logdir / UPLOAD_FOLDER
        self.max_bytes, self.max_pixels = max_bytes, max_pixels
        self.max_folder_bytes = max_folder_bytes

    def add(self, name: str, data: bytes) -> Path:
        """Check and keep a picture. Returns its path; the same bytes have one path.

        Raises: UploadRefused: it is too large, or there is no room. ImageError: it
            cannot be read, as `load_picture` says.
        """
        name = safe_file_name(name)
        if len(data) > self.max_bytes:
            raise UploadRefused(
                f"{name} has {len(data) / 1e6:.0f} MB; a file may have at most "
                f"{self.max_bytes / 1e6:.0f}."
            )
        folder = self.folder / hashlib.sha256(data).hexdigest()[:16]
        known = folder / name
        if known.is_file():
            return known
        if self.used_bytes() + len(data) > self.max_folder_bytes:
            raise UploadRefused(
                f"The uploaded pictures in {self.folder} take "
                f"{self.max_folder_bytes / 1e9:.0f} GB. Remove some that no run needs."
            )
        with tempfile.TemporaryDirectory(prefix="kstyle-") as place:
            checked = Path(place) / name
            checked.write_bytes(data)
            try:
                self.check(checked)
            except ImageError as error:
                raise ImageError(str(error).replace(f"{place}/", "")) from None
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(known) as temporary:
                shutil.copyfile(checked, temporary)
        return known

    def check(self, path: Path) -> None:
        """Read a picture once, first its header. Raises: ImageError, UploadRefused."""
        height, width = picture_size(path)
        if height * width > self.max_pixels:
            raise UploadRefused(
                f"{path.name} has {width} x {height} pixels; a picture may have at "
                f"most {self.max_pixels / 1e6:.0f} million. Make it smaller."
            )
        load_picture(path)

    def used_bytes(self) -> int:
        """Return the size of all uploads."""
        return sum(file.stat().st_size for file in self.folder.glob("*/*"))

    def owns(self, path: str) -> bool:
        """Return whether a path is that of an upload."""
        place = Path(path)
        return place.is_file() and place.resolve().is_relative_to(self.folder.resolve())


class Thumbnails:
    """Small JPEGs of picture files, made when they are first asked for."""

    def __init__(self, count: int = 200) -> None:
        self.known: LRUCache[bytes] = LRUCache(count)

    def get(
        self, path: str | Path, edge: int = THUMBNAIL_PIXELS, part: str | None = None
    ) -> bytes:
        """Return a JPEG of at most `edge` pixels. part: the crop.

        Raises: ImageError: the picture cannot be read.
        """
        file = picture_file(path)
        try:
            key = str(file), file.stat().st_mtime_ns, edge, part
        except OSError as error:
            raise ImageError(f"{file} cannot be read ({error.strerror}).") from None
        return self.known.get(key, lambda: thumbnail_jpeg(file, edge, part))


def thumbnail_jpeg(path: Path, edge: int, part: str | None) -> bytes:
    """Return a JPEG of a picture file, long edge at most `edge`, over white."""
    picture = load_picture(path)
    if part is not None:
        picture = picture.cropped(part)
    pixels = resize(
        picture.over_white(), fit_long_edge(picture.size, min(edge, max(picture.size)))
    )
    file = io.BytesIO()
    Image.fromarray((pixels * 255 + 0.5).astype("uint8")).save(file, "JPEG", quality=85)
    return file.getvalue()
