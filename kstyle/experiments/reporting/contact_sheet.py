"""Small pictures of a report: thumbnails, the contact sheet, and the index's strip."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont, ImageOps

from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.writing import save_picture

THUMBNAIL_EDGE = 640  # long edge of a picture in the page, px
SHEET_COLUMNS = 5
SHEET_CELL = 320  # width of a cell, and the largest height of its picture, px
SHEET_GAP = 16  # between cells and at the borders, px
STRIP_RESULTS = 3  # pictures in the strip of an experiment in the index
STRIP_SIZE = (728, 240)  # its width and height, px
STRIP_GAP = 4  # between its pictures, px
LABEL_GAP = 6  # between a picture and its label, px
LABEL_LINE = 22  # height of a label's line, px

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def thumbnail(pixels: np.ndarray) -> Image.Image:
    """Return float `(H, W, 3)` in [0, 1] as an 8-bit image, long edge at most 640."""
    pixels = np.asarray(pixels, np.float32)
    if max(pixels.shape[:2]) > THUMBNAIL_EDGE:
        pixels = resize(pixels, fit_long_edge(pixels.shape[:2], THUMBNAIL_EDGE))
    return Image.fromarray(np.uint8(np.clip(pixels, 0, 1) * 255 + 0.5))


def data_uri(image: Image.Image) -> Markup:
    """Return an image as a `data:` URI with a JPEG; nothing in it needs escaping."""
    file = io.BytesIO()
    # No chroma subsampling: reports are used to compare colours too.
    image.save(file, "JPEG", quality=85, subsampling=0)
    code = base64.b64encode(file.getvalue()).decode("ascii")
    return Markup(f"data:image/jpeg;base64,{code}")


def write_contact_sheet(path: Path, entries: Sequence[tuple[str, Image.Image]]) -> None:
    """Write `[(label, image)]` side by side, at most five in a row.

    Each is scaled to a longer edge of 320 px, also the small results of `--quick`.
    Without entries an existing sheet is removed.
    """
    if not entries:
        path.unlink(missing_ok=True)
        return
    font = ImageFont.load_default(size=16)
    cells = [contact_cell(label, image, font) for label, image in entries]
    rows = [cells[i : i + SHEET_COLUMNS] for i in range(0, len(cells), SHEET_COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = SHEET_GAP + min(SHEET_COLUMNS, len(cells)) * (SHEET_CELL + SHEET_GAP)
    height = SHEET_GAP + sum(heights) + SHEET_GAP * len(rows)
    sheet = Image.new("RGB", (width, height), "white")
    top = SHEET_GAP
    for row, row_height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (SHEET_GAP + column * (SHEET_CELL + SHEET_GAP), top))
        top += row_height + SHEET_GAP
    save_picture(path, np.asarray(sheet, np.float32) / 255)


def write_result_strip(path: Path, images: Sequence[Image.Image]) -> None:
    """Write the first, the middle and the last of the images side by side.

    The strip is 728 x 240 px; each picture is scaled and cropped to its share of it.
    Without images an existing strip is removed.
    """
    if not images:
        path.unlink(missing_ok=True)
        return
    count = min(STRIP_RESULTS, len(images))
    places = np.linspace(0, len(images) - 1, count)
    width = (STRIP_SIZE[0] - (count - 1) * STRIP_GAP) // count
    strip = Image.new("RGB", STRIP_SIZE, "white")
    for column, place in enumerate(places):
        image = images[round(place)]
        cell = ImageOps.fit(image, (width, STRIP_SIZE[1]), Image.Resampling.LANCZOS)
        strip.paste(cell, (column * (width + STRIP_GAP), 0))
    save_picture(path, np.asarray(strip, np.float32) / 255)


def contact_cell(label: str, image: Image.Image, font: Font) -> Image.Image:
    """Return a picture with its label under it, 320 px wide."""
    image = ImageOps.contain(image, (SHEET_CELL, SHEET_CELL), Image.Resampling.LANCZOS)
    lines = wrap_text(label, font)
    label_top = image.height + LABEL_GAP
    size = (SHEET_CELL, label_top + LABEL_LINE * len(lines))
    cell = Image.new("RGB", size, "white")
    cell.paste(image, ((SHEET_CELL - image.width) // 2, 0))
    draw = ImageDraw.Draw(cell)
    for number, line in enumerate(lines):
        middle_top = (SHEET_CELL / 2, label_top + LABEL_LINE * number)
        draw.text(middle_top, line, fill="#1c1e21", font=font, anchor="ma")
    return cell


def wrap_text(label: str, font: Font) -> list[str]:
    """Return `label` in lines no wider than a cell, broken at spaces where possible."""
    lines = [""]
    for word in re.split(r"[^\S\xa0]+", label):
        line = f"{lines[-1]} {word}".strip()
        if font.getlength(line) > SHEET_CELL and lines[-1]:
            lines.append("")
            line = word
        while font.getlength(line) > SHEET_CELL:
            count = next(
                n
                for n in range(len(line), 0, -1)
                if font.getlength(line[:n]) <= SHEET_CELL
            )
            lines[-1], line = line[:count], line[count:]
            lines.append("")
        lines[-1] = line
    return [line.replace("\xa0", " ") for line in lines]
