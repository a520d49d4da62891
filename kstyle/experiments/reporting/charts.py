"""What a report draws: small pictures, the contact sheet, charts of losses."""

import base64
import io
import re

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
from PIL import Image, ImageDraw, ImageFont

from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.writing import save_picture

THUMBNAIL_EDGE = 640  # long edge of a picture in the page, px
SHEET_COLUMNS, SHEET_CELL, SHEET_GAP = 5, 320, 16  # of the contact sheet; px
SHEET_LINE = 22  # height of a line of its labels, px
CHART_SIZE = (5.0, 3.2)  # inches of 72 units; shown at about a pixel a unit
CURVE_WIDTH = 1.6
# On and off, in stroke widths; the page's legend draws the same.
DASHES = ((), (4, 1.6), (1, 1.2), (6, 1.6, 1, 1.6))
HUES = 6
COLOURS = [f"var(--line-{n})" for n in range(HUES)]  # see style.css
# matplotlib can name no CSS variable, so it draws in colours that stand for them.
STAND_INS = [f"#fe010{n}" for n in range(HUES)]
INK = "#fe0200"


def thumbnail(pixels):
    """Float `(H, W, 3)` in [0, 1] as an 8-bit Pillow image, long edge at most 640."""
    pixels = np.asarray(pixels, np.float32)
    if max(pixels.shape[:2]) > THUMBNAIL_EDGE:
        pixels = resize(pixels, fit_long_edge(pixels.shape[:2], THUMBNAIL_EDGE))
    return Image.fromarray(np.uint8(np.clip(pixels, 0, 1) * 255 + 0.5))


def data_uri(image):
    """A Pillow image as a JPEG inside an address; nothing in it needs escaping."""
    file = io.BytesIO()
    # Full colour resolution: a report is for judging colours too.
    image.save(file, "JPEG", quality=85, subsampling=0)
    code = base64.b64encode(file.getvalue()).decode("ascii")
    return Markup(f"data:image/jpeg;base64,{code}")


def write_contact_sheet(path, entries):
    """Write `[(label, Pillow image)]` side by side, at most five in a row.

    Each is at most 320 px wide and high. Without entries there is no sheet: one that
    was left from before is removed.
    """
    if not entries:
        path.unlink(missing_ok=True)
        return
    font = ImageFont.load_default(size=16)
    cells = [contact_cell(*entry, font) for entry in entries]
    rows = [cells[i : i + SHEET_COLUMNS] for i in range(0, len(cells), SHEET_COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = SHEET_GAP + min(SHEET_COLUMNS, len(cells)) * (SHEET_CELL + SHEET_GAP)
    sheet = Image.new(
        "RGB", (width, SHEET_GAP + sum(heights) + SHEET_GAP * len(rows)), "white"
    )
    top = SHEET_GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (SHEET_GAP + column * (SHEET_CELL + SHEET_GAP), top))
        top += height + SHEET_GAP
    save_picture(path, np.asarray(sheet, np.float32) / 255)


def contact_cell(label, image, font):
    """One picture with its label under it, 320 px wide."""
    image = image.copy()
    image.thumbnail((SHEET_CELL, SHEET_CELL), Image.Resampling.LANCZOS)
    lines = wrap_text(label, font)
    cell = Image.new(
        "RGB", (SHEET_CELL, image.height + 6 + SHEET_LINE * len(lines)), "white"
    )
    cell.paste(image, ((SHEET_CELL - image.width) // 2, 0))
    draw = ImageDraw.Draw(cell)
    for number, line in enumerate(lines):
        middle = (SHEET_CELL / 2, image.height + 6 + SHEET_LINE * number)
        draw.text(middle, line, fill="#1c1e21", font=font, anchor="ma")
    return cell


def wrap_text(label, font):
    """`label` in lines no wider than a cell, broken at spaces if it can be."""
    lines = [""]
    for word in re.split(r"[^\S\xa0]+", label):
        line = f"{lines[-1]} {word}".strip()
        if font.getlength(line) > SHEET_CELL and lines[-1]:
            lines.append("")
            line = word
        while font.getlength(line) > SHEET_CELL:
            fits = next(
                n
                for n in range(len(line), 0, -1)
                if font.getlength(line[:n]) <= SHEET_CELL
            )
            lines[-1], line = line[:fits], line[fits:]
            lines.append("")
        lines[-1] = line
    return [line.replace("\xa0", " ") for line in lines]


def curve_style(number):
    """`(index of the colour, dashes in stroke widths)` of a chart's line; 24 differ."""
    # Colour and dashes change together, so that neither is needed to tell lines apart.
    return number % HUES, DASHES[(number + number // (2 * HUES)) % len(DASHES)]


def swatch(number):
    """CSS colour and dash array of the same line in the page's legend."""
    hue, dashes = curve_style(number)
    return COLOURS[hue], " ".join(f"{CURVE_WIDTH * length:g}" for length in dashes)


def draw_chart(lines, salt):
    """The inside of an SVG of `viewBox` 0 0 360 230: values over steps, log y axis.

    lines: `[[(steps, values), …], …]`, a list for each look; what is not positive and
        finite is left out. Returns: `Markup`, `None` if nothing is left. There is no
        text of ours or the user's in it, and the same lines give the same bytes.
    """
    lines = [[(steps, positive(v)) for steps, v in line] for line in lines]
    known = [v for line in lines for _, values in line for v in values if v == v]
    if not known:
        return None
    settings = {"svg.hashsalt": salt, "svg.fonttype": "none", "font.size": 10.5}
    with rc_context(settings):
        figure = Figure(figsize=CHART_SIZE, layout="constrained")
        axes = figure.add_subplot()
        for number, line in enumerate(lines):
            for steps, values in line:
                draw_line(axes, number, steps, values)
        set_axes(axes, min(known), max(known))
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Markup(themed_svg(file.getvalue()))


def positive(values):
    """`values` as floats, NaN for what a log axis cannot show."""
    values = np.asarray(values, float)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def draw_line(axes, number, steps, values):
    """One curve in its look; a single point as a dot, since it would not be seen."""
    hue, dashes = curve_style(number)
    axes.plot(
        steps,
        values,
        color=STAND_INS[hue],
        linewidth=CURVE_WIDTH,
        linestyle=(0, dashes) if dashes else "solid",
        marker="o" if np.isfinite(values).sum() == 1 else None,
        markersize=3,
    )


def set_axes(axes, low, high):
    """A log axis with plain numbers on it, whatever the range."""
    axes.set_yscale("log")
    axes.set_xlabel("step", color=INK)
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(which="both", color=INK, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if high < 4 * low:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    else:
        steps = (1, 2, 5) if high < 100 * low else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def format_tick(value):
    """A tick's number: 0.005, 500, 20k, 1.5M."""
    return EngFormatter(sep="")(value) if value >= 1e4 else f"{value:g}"


def themed_svg(svg):
    """matplotlib's SVG without its head, in the page's own colours."""
    start, end = svg.index('<g id="figure_1">'), svg.rindex("</svg>")
    # The ids in use are hashes. Names such as axes_1 would occur once a chart.
    body = re.sub(r' id="[a-zA-Z][\w.]*_\d+"', "", svg[start:end])
    body = re.sub(r"font-family: [^;]*; ", "", body)
    for stand_in, colour in zip(STAND_INS, COLOURS, strict=True):
        body = body.replace(stand_in, colour)
    return body.replace(INK, "currentColor")
