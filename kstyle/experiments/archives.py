"""A trial's folder as bytes, for machines that share no disk, and back."""

import io
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kstyle.errors import ExperimentError


def pack(folder):
    """Every regular file in `folder` as the bytes of one archive; no links."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(Path(folder).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and name != ".lock":
                archive.write(path, name)
    return data.getvalue()


def unpack(data, folder):
    """Make `folder` what `pack` has packed, in place of what is there.

    Raises: ExperimentError: a name in the archive leads out of the folder, or the
        archive is damaged. Nothing is written then.
    """
    folder = Path(folder)
    whole = folder.with_name(f".{folder.name}.part")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {check(name): archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ExperimentError(
            f"The files of {folder.name} came damaged: {error}."
        ) from None
    shutil.rmtree(whole, ignore_errors=True)
    try:
        # Each becomes a plain file, whatever the archive says that it is.
        for name, content in files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)
    finally:
        shutil.rmtree(whole, ignore_errors=True)


def check(name):
    """The name of a file; refused unless it lies below the folder."""
    path = PurePosixPath(name)
    strange = set(name) & set("\\:\0") or name.endswith("/") or not name
    if strange or path.is_absolute() or ".." in path.parts:
        raise ExperimentError(
            f"A worker has sent a file called {name!r}, which would lie outside its "
            "trial's folder. Nothing of it was written."
        )
    return name
