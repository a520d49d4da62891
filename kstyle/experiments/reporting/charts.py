"""Charts of losses over steps, as SVG in the colours of the page."""

import io
import re
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)

CHART_SIZE = (5.0, 3.2)  # inches of 72 SVG units; a unit is shown at about a pixel
LINE_WIDTH = 1.6
# Lengths on and off, in stroke widths; the page's legend draws the same.
DASHES = ((), (4, 1.6), (1, 1.2), (6, 1.6, 1, 1.6))
COLOUR_COUNT = 6
COLOURS = [f"var(--line-{n})" for n in range(COLOUR_COUNT)]  # see style.css
# matplotlib cannot use CSS variables: it draws in these colours, which are replaced.
PLACEHOLDER_COLOURS = [f"#fe010{n}" for n in range(COLOUR_COUNT)]
PLACEHOLDER_INK = "#fe0200"

CurvePoints = Sequence[tuple[Sequence[float], Sequence[float]]]  # (steps, values) pairs


def line_style(index: int) -> tuple[int, tuple[float, ...]]:
    """Return `(index of the colour, dashes)` of a chart's line; 24 are different."""
    # Colour and dashes change together, so that either is enough to tell lines apart.
    dashes = DASHES[(index + index // (2 * COLOUR_COUNT)) % len(DASHES)]
    return index % COLOUR_COUNT, dashes


def legend_swatch(index: int) -> tuple[str, str]:
    """Return the CSS colour and dash array of the same line in the page's legend."""
    colour, dashes = line_style(index)
    return COLOURS[colour], " ".join(f"{LINE_WIDTH * length:g}" for length in dashes)


def draw_chart(lines: Sequence[CurvePoints], salt: str) -> Markup | None:
    """Draw values over steps on a logarithmic axis.

    lines: for each label its curves, `[(steps, values), …]`, in one line style. Values
        that are not positive and finite are left out.
    salt: makes the ids in the SVG unique in the page.
    Returns: the content of an SVG with `viewBox` 0 0 360 230, equal for equal lines;
        `None` if no value is left. It contains no text from the user.
    """
    shown = [[(steps, positive(values)) for steps, values in line] for line in lines]
    known = [v for line in shown for _, values in line for v in values if v == v]
    if not known:
        return None
    with rc_context({"svg.hashsalt": salt, "svg.fonttype": "none", "font.size": 10.5}):
        figure = Figure(figsize=CHART_SIZE, layout="constrained")
        axes = figure.add_subplot()
        for index, line in enumerate(shown):
            for steps, values in line:
                draw_line(axes, index, steps, values)
        set_axes(axes, min(known), max(known))
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Markup(themed_svg(file.getvalue()))


def positive(values: Sequence[float]) -> np.ndarray:
    """Return `values` with NaN for those that a logarithmic axis cannot show."""
    array = np.asarray(values, float)
    return np.where(np.isfinite(array) & (array > 0), array, np.nan)


def draw_line(
    axes: Axes, index: int, steps: Sequence[float], values: np.ndarray
) -> None:
    """Draw one curve in its style; a single point as a dot, as no line would show."""
    colour, dashes = line_style(index)
    axes.plot(
        steps,
        values,
        color=PLACEHOLDER_COLOURS[colour],
        linewidth=LINE_WIDTH,
        linestyle=(0, dashes) if dashes else "solid",
        marker="o" if np.isfinite(values).sum() == 1 else None,
        markersize=3,
    )


def set_axes(axes: Axes, low: float, high: float) -> None:
    """Set a logarithmic axis with plain numbers. low, high: the range of the values."""
    axes.set_yscale("log")
    axes.set_xlabel("step", color=PLACEHOLDER_INK)
    axes.grid(axis="y", color=PLACEHOLDER_INK, alpha=0.15, linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PLACEHOLDER_INK)
    axes.tick_params(which="both", color=PLACEHOLDER_INK, labelcolor=PLACEHOLDER_INK)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if high < 4 * low:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    else:
        multiples = (1, 2, 5) if high < 100 * low else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=multiples))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def format_tick(value: float) -> str:
    """Format a tick's number: 0.005, 500, 20k, 1.5M."""
    return EngFormatter(sep="")(value) if value >= 1e4 else f"{value:g}"


def themed_svg(svg: str) -> str:
    """Return the content of matplotlib's SVG in the colours of the page."""
    start, end = svg.index('<g id="figure_1">'), svg.rindex("</svg>")
    # Ids such as axes_1 are not used, and would occur in every chart of the page.
    body = re.sub(r' id="[a-zA-Z][\w.]*_\d+"', "", svg[start:end])
    body = re.sub(r"font-family: [^;]*; ", "", body)
    for placeholder, colour in zip(PLACEHOLDER_COLOURS, COLOURS, strict=True):
        body = body.replace(placeholder, colour)
    return body.replace(PLACEHOLDER_INK, "currentColor")
