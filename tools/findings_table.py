"""Write the contact sheets of docs/findings/, print the tables of docs/findings.md.

    kstyle experiment run all --pair sample:coffee sample:night
    python tools/findings_table.py logs --sheets docs/findings
    kstyle experiment run all --pair sample:coffee sample:night --pair OTHER PAIR
    python tools/findings_table.py logs

The contact sheets come from the first run, so that they show only the samples. With
`--article FOLDER` a column has the numbers and verdicts of another run, that of the
article's pair at its own size (docs/experiments.md).
"""

import argparse
from pathlib import Path

import kstyle
from kstyle.experiments.reporting.summary import read_verdicts
from kstyle.images.picture import fit_long_edge, resize

EDGE = 1400  # px, long edge of a sheet


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--sheets", type=Path, metavar="FOLDER")
    parser.add_argument("--article", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    for path in sorted(options.logdir.glob("*/verdicts.json")):
        about = read_verdicts(path)
        if options.sheets:
            write_sheet(path.parent / "contact_sheet.png", options.sheets, about)
        own_size = None
        if options.article and (options.article / about["name"] / path.name).is_file():
            own_size = read_verdicts(options.article / about["name"] / path.name)
        print_section(about, own_size)


def print_section(about, own_size=None):
    """Print an experiment's question, the article's finding, sheet and verdicts.

    own_size: the same experiment on the article's pair at its own size, or `None`.
    """
    print(f"## {about['name'].split('_')[0]} {about['title']}\n")
    print(f"{about['question']} *{about['finding'].strip()}*\n")
    print(f"![Every result of {about['name']}](findings/{about['name']}.jpg)\n")
    headings = ["claim", "rule", "in each pair", "verdict"]
    headings += ["at the article's size"] if own_size else []
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    others = {each["claim"]: each for each in own_size["verdicts"]} if own_size else {}
    for verdict in about["verdicts"]:
        spread = ", ".join(f"{number:.3g}" for number in verdict["spread"])
        cells = [verdict["claim"], verdict["confirmed"], spread, verdict["verdict"]]
        if own_size:
            other = others[verdict["claim"]]
            number = "-" if other["number"] is None else f"{other['number']:.3g}"
            cells.append(f"{number}, {other['verdict']}")
        print(f"| {' | '.join(cells)} |")
    print()


def write_sheet(source, folder, about):
    """Write the contact sheet as a JPEG small enough for a page."""
    folder.mkdir(exist_ok=True)
    sheet = kstyle.load_picture(source).pixels
    if max(sheet.shape) > EDGE:
        sheet = resize(sheet, fit_long_edge(sheet.shape[:2], EDGE))
    kstyle.save_picture(folder / f"{about['name']}.jpg", sheet, quality=82)


if __name__ == "__main__":
    main()
