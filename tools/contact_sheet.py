"""Put pictures side by side on one sheet, as for the README.

    kstyle stylize sample:coffee sample:night -o coffee.png
    python tools/contact_sheet.py docs/samples.jpg --columns 3 \\
        sample:coffee sample:night coffee.png

Rows of `columns` pictures: a photograph, a painting, the result, and so on.
"""

import argparse

import numpy as np

import kstyle
from kstyle.images.picture import fit_long_edge, resize

GAP = 8  # px of white around each picture


def framed(picture, height, width):
    """Center `picture` on a white field of that size, with a gap around it."""
    field = np.ones((height + GAP, width + GAP, 3), "float32")
    top = (field.shape[0] - picture.shape[0]) // 2
    left = (field.shape[1] - picture.shape[1]) // 2
    field[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return field


def row(names, edge):
    """Put the named pictures side by side, each with a long edge of `edge` px."""
    pictures = [kstyle.load_picture(name).pixels for name in names]
    small = [resize(p, fit_long_edge(p.shape[:2], edge)) for p in pictures]
    height = max(picture.shape[0] for picture in small)
    return np.concatenate([framed(p, height, edge) for p in small], axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("pictures", nargs="+", help="files or sample:NAME, row by row")
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--edge", type=int, default=300, help="long edge of each, px")
    options = parser.parse_args()
    names, columns = options.pictures, options.columns
    if len(names) % columns:
        parser.error(f"{len(names)} pictures do not fill rows of {columns}")
    rows = [names[i : i + columns] for i in range(0, len(names), columns)]
    sheet = np.concatenate([row(names, options.edge) for names in rows])
    kstyle.save_picture(options.output, sheet, quality=88)


if __name__ == "__main__":
    main()
