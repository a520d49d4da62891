"""One static page of all runs in a folder, with their pictures in it."""

import os
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from kstyle.errors import ConfigError, ImageError
from kstyle.experiments.reporting.contact_sheet import data_uri
from kstyle.files import write_text
from kstyle.gallery.run_list import RunEntry, find_runs, picture_name, style_names
from kstyle.gallery.timelapse import levels_over_white
from kstyle.images.picture import fit_long_edge
from kstyle.images.reading import load_picture
from kstyle.images.writing import check_target
from kstyle.runs.progress import format_time

GALLERY_FILE = "gallery.html"
RESULT_EDGE = 560  # long edge of a result in the page, px
INPUT_EDGE = 320  # of a photograph or a painting
GENERATOR = '<meta name="generator" content="kstyle">'  # in the head of our pages
HEAD_LENGTH = 1000  # characters in which it is


def write_gallery(folder: str | Path, output: str | Path | None = None) -> Path:
    """Write a page of all runs in `folder`; return its path.

    output: of the page; by default `gallery.html` in the folder. An existing page of
        kstyle is replaced, another file is not.
    Raises: ConfigError: there are no runs, or `output` is another file. ImageError: the
        page cannot be written there.
    """
    folder = Path(folder)
    path = folder / GALLERY_FILE if output is None else Path(output)
    entries = find_runs(folder)
    if not entries:
        raise ConfigError(
            f"{folder} has no runs. Name a folder of runs, such as logs/, or paint a "
            "picture first: kstyle stylize."
        )
    check_target(path, overwrite=is_own_page(path))
    inputs = InputTable()
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        shown = gallery_entry(entry, path.absolute().parent, inputs)
        groups.setdefault(entry.group, []).append(shown)
    text = GALLERY_TEMPLATES.get_template("gallery.html").render(
        title=folder.resolve().name,
        groups=sorted(groups.items()),  # single runs first
        runs=len(entries),
        inputs=inputs.pictures,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise ImageError(f"{path} cannot be written ({error.strerror}).") from None
    return path


def is_own_page(path: Path) -> bool:
    """Return whether a file is a page that kstyle has written."""
    try:
        with open(path, encoding="utf-8") as file:
            return GENERATOR in file.read(HEAD_LENGTH)
    except (OSError, UnicodeDecodeError):
        return False


class InputTable:
    """The photographs and paintings of a page, each of them once.

    pictures: `{key: data: URI}`; the keys say nothing about the files.
    """

    def __init__(self) -> None:
        self.pictures: dict[str, str] = {}
        self.keys: dict[tuple[str, str | None], str | None] = {}

    def add(self, path: str, part: str | None) -> str | None:
        """Return the key of a picture of which `part` (the crop) is used; `None` if it
        cannot be read any more."""
        if (path, part) not in self.keys:
            uri, _ = embedded_picture(path, part, INPUT_EDGE)
            key = None if uri is None else f"input{len(self.pictures)}"
            if key is not None and uri is not None:
                self.pictures[key] = uri
            self.keys[path, part] = key
        return self.keys[path, part]


def gallery_entry(
    entry: RunEntry, page_folder: Path, inputs: InputTable
) -> dict[str, Any]:
    """Return what the page shows of a run; its inputs are added to `inputs`."""
    record, config = entry.record, entry.config
    result, begun = entry.result(), entry.begun
    picture = size = None
    if result is not None:
        picture, size = embedded_picture(str(result), None, RESULT_EDGE)
    return {
        "title": entry.title,
        "content": picture_name(config.content),
        "style": style_names(config),
        "name": entry.folder.name,
        "exit": record["exit"],
        "error": record["error"],
        "begun": f"{begun.day} {begun:%B %Y, %H:%M}" if begun else "",
        "sort": begun.timestamp() if begun else 0,
        "size": f"{size[1]} × {size[0]}" if size else None,
        "steps": record["steps"],
        "time": format_time(record["seconds"]),
        "loss": record["losses"].get("loss"),
        "options": entry.described_options(),
        "picture": picture,
        "file": relative_link(result, page_folder) if result is not None else None,
        "folder": relative_link(entry.folder, page_folder),
        "content_key": inputs.add(config.content, config.content_crop),
        "style_key": inputs.add(config.style, config.style_crop),
    }


def embedded_picture(
    path: str, part: str | None, edge: int
) -> tuple[str | None, tuple[int, int] | None]:
    """Return a picture as a `data:` URI, and its `(height, width)` in the file.

    part: the crop. edge: long edge in the page. `(None, None)`: it cannot be read.
    """
    try:
        picture = load_picture(path)
        if part is not None:
            picture = picture.cropped(part)
    except (ImageError, ConfigError):
        return None, None
    size = picture.size
    shown = fit_long_edge(size, min(edge, max(size)))
    return data_uri(Image.fromarray(levels_over_white(picture, shown))), size


def relative_link(path: Path, folder: Path) -> str:
    """Return the path of a file from a page in `folder`; the template quotes it."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        return path.resolve().as_posix()


GALLERY_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
