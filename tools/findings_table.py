"""Write the contact sheets of docs/findings/, print the tables of docs/findings.md.

    kstyle experiment run all --pair sample:coffee sample:night
    python tools/findings_table.py logs --sheets docs/findings
    kstyle experiment run all --pair sample:coffee sample:night --pair OTHER PAIR
    python tools/findings_table.py logs

The contact sheets come from the first run, so that they show only the samples.
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
    options = parser.parse_args()
    for path in sorted(options.logdir.glob("*/verdicts.json")):
        about = read_verdicts(path)
        if options.sheets:
            write_sheet(path.parent / "contact_sheet.png", options.sheets, about)
        print_section(about)


def print_section(about):
    """Print an experiment's question, the article's finding, sheet and verdicts."""
    print(f"## {about['name'].split('_')[0]} {about['title']}\n")
    print(f"{about['question']} *{about['finding'].strip()}*\n")
    print(f"![Every result of {about['name']}](findings/{about['name']}.jpg)\n")
    print("| claim | rule | in each pair | verdict |\n|---|---|---|---|")
    for verdict in about["verdicts"]:
        spread = ", ".join(f"{number:.3g}" for number in verdict["spread"])
        rule = verdict["rule"].rsplit("confirmed if ", 1)[-1]
        print(f"| {verdict['claim']} | {rule} | {spread} | {verdict['verdict']} |")
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
