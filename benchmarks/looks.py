"""Paint pairs with the default, other weights and `pastiche`; put them on one sheet.

    python benchmarks/looks.py sheet.jpg [--size 256] [--pair PHOTO PAINTING ...]

A row is a pair: the photograph, the painting, kstyle's default, its earlier default
(`--style-weights none`), the layer weights of the code of Gatys and others, and
`pastiche` (its defaults but for the number of steps, `--pastiche-steps`) where it is
installed. Each picture is made by a command in a new process; the seconds and scores of
all are printed. `dots` is the fine detail in the flattest third of the photograph
(`fine_detail`), `painting_dots` that in the flattest third of the painting.

`--ways look-faithful look-balanced look-painterly look-pastiche` paints the looks.

The pictures lie in a folder beside the sheet. With `--reuse earlier gatys pastiche`
those of an earlier call are taken for these ways, and only the default is painted.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
from pathlib import Path

import common
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import kstyle
from kstyle.config import looks
from kstyle.experiments.scoring.scores import LUMA_WEIGHTS
from kstyle.images.picture import fit_long_edge, resize

GATYS = "conv1_1:195,conv2_1:48.8,conv3_1:12.2,conv4_1:3.05,conv5_1:3.05"
WAYS = {
    "default": [],
    "earlier": ["--style-weights", "none"],
    "gatys": ["--style-weights", "none", "--style-layers", GATYS],
}
LOOKS = {f"look-{name}": ["--look", name] for name in looks.LOOKS}
SCORES = ("lpips", "dists_content", "dists_style", "content_distance")
PAIRS = (
    ("sample:coffee", "sample:night"),
    ("sample:astronaut", "sample:window"),
    ("sample:chelsea", "sample:meadow"),
)
GAP = 8  # px of white between the pictures


def picture_path(pair, way, size, folder):
    """Return where the picture of a pair, painted in one way, lies in `folder`."""
    name = "-".join(Path(word).stem for word in (*pair, way))
    return folder / f"{name}-{size}.png"


def command_of(pair, way, size, out, pastiche_steps):
    """Return the command that paints a pair in one way."""
    if way == "pastiche":
        content, style = pair
        command = ["pastiche", "-c", content, "-s", style, "-o", out, "--no-verbose"]
        command += ["--device", "cpu", "--num-steps", pastiche_steps]
        return [*command, "--size", size, "--style-size", size]
    command = [sys.executable, "-m", "kstyle", "stylize", *pair, *(WAYS | LOOKS)[way]]
    command += ["--size", size, "-o", out, "--overwrite", "--quiet"]
    return [*command, "--logdir", out.parent / "logs", "--snapshot-every", 0]


def paint(pair, way, size, folder, *, reuse, pastiche_steps):
    """Paint a pair in one way, or with `reuse` take the picture of an earlier call.

    Returns: the path of the picture, and `{"seconds", "cpu_seconds"}` of the command:
    on the clock, and of the processor.
    """
    out = picture_path(pair, way, size, folder)
    kept = out.with_suffix(".json")
    if reuse and out.exists() and kept.exists():
        return out, json.loads(kept.read_text())
    before = os.times()
    seconds = common.process_seconds(*command_of(pair, way, size, out, pastiche_steps))
    after = os.times()
    processor = after.children_user - before.children_user
    processor += after.children_system - before.children_system
    measured = {"seconds": seconds, "cpu_seconds": processor}
    kept.write_text(json.dumps(measured))
    return out, measured


def as_files(pair, folder):
    """Write the samples of a pair as files, which other programs can read."""
    found = []
    for name in pair:
        path = Path(name)
        if name.startswith("sample:"):
            path = folder / f"{name.removeprefix('sample:')}.png"
            kstyle.save_picture(path, kstyle.load_picture(name).pixels)
        found.append(str(path))
    return tuple(found)


def lightness(picture):
    """Return `(H, W)` grey levels of a picture's pixels."""
    return 255 * picture[..., :3].astype(np.float64) @ LUMA_WEIGHTS


def windows(values, side):
    """Return the square neighbourhood of each of `(H, W)` values, with `side` rows."""
    padded = np.pad(values, side // 2, mode="reflect")
    return sliding_window_view(padded, (side, side))


def flattest_third(picture):
    """Return where a picture has its weakest edges: `(H, W)`, a third of it."""
    edges = windows(np.hypot(*np.gradient(lightness(picture))), 9).mean(axis=(2, 3))
    return edges <= np.quantile(edges, 1 / 3)


def fine_detail(picture, where):
    """Return the mean distance of the lightness from its median of 3 x 3 pixels.

    where: `(H, W)`, the pixels that count. In grey levels.
    """
    levels = lightness(picture)
    median = np.median(windows(levels, 3), axis=(2, 3))
    return float(np.abs(levels - median)[where].mean())


def dots_of(path, content, style):
    """Return `{"dots", "painting_dots"}` of a result, at its size."""
    result = kstyle.load_picture(path).pixels
    photograph = resize(kstyle.load_picture(content).pixels, result.shape[:2])
    painting = kstyle.load_picture(style).pixels
    edge = max(result.shape[:2])
    painting = resize(painting, fit_long_edge(painting.shape[:2], edge))
    return {
        "dots": fine_detail(result, flattest_third(photograph)),
        "painting_dots": fine_detail(painting, flattest_third(painting)),
    }


def sheet_row(paths, edge):
    """Put pictures side by side, each in a square of `edge` px."""
    row = np.ones((edge + GAP, (edge + GAP) * len(paths), 3), np.float32)
    for column, path in enumerate(paths):
        picture = kstyle.load_picture(path).pixels
        picture = resize(picture, fit_long_edge(picture.shape[:2], edge))
        left, (height, width) = column * (edge + GAP), picture.shape[:2]
        row[:height, left : left + width] = picture
    return row[: max(np.flatnonzero((row != 1).any(axis=(1, 2)))) + 1 + GAP]


def main():
    known = [*WAYS, "pastiche"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--size", type=int, default=256, help="long edge, px")
    parser.add_argument("--edge", type=int, default=256, help="on the sheet, px")
    parser.add_argument("--pair", nargs=2, action="append")
    parser.add_argument("--pastiche-steps", type=int, default=300)
    choices = {"nargs": "+", "choices": [*known, *LOOKS]}
    parser.add_argument("--ways", **choices, help="all but the looks by default")
    parser.add_argument("--reuse", **choices, default=[])
    options = parser.parse_args()
    folder = options.sheet.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    ways = options.ways or (known if shutil.which("pastiche") else [*WAYS])
    rows, figures = [], {}
    for names in options.pair or PAIRS:
        pair, paths = as_files(names, folder), []
        for way in ways:
            path, values = paint(
                pair,
                way,
                options.size,
                folder,
                reuse=way in options.reuse,
                pastiche_steps=options.pastiche_steps,
            )
            scores = kstyle.score(path, content=pair[0], style=pair[1])
            values |= {name: scores[name] for name in SCORES}
            values |= dots_of(path, *pair)
            print(path.name, *(f"{k} {v:.3g}" for k, v in values.items()), flush=True)
            for name, value in values.items():
                figures.setdefault(f"{way} {name}", []).append(value)
            paths.append(path)
        rows.append(sheet_row([*pair, *paths], options.edge))
        kstyle.save_picture(options.sheet, np.concatenate(rows), quality=85)
    common.report("looks", {k: statistics.median(v) for k, v in figures.items()})


if __name__ == "__main__":
    main()
