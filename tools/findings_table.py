"""Print the verdicts of finished experiments as Markdown, for docs/findings.md.

kstyle experiment run all --pair sample:coffee sample:night
python tools/findings_table.py logs
"""

import argparse
import json
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", type=Path)
    for path in sorted(parser.parse_args().logdir.glob("*/verdicts.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        print(f"## {about['name'].split('_')[0]} {about['title']}\n")
        print(f"{about['question']} *{about['finding'].strip()}*\n")
        print("| claim | rule | in each pair | verdict |\n|---|---|---|---|")
        for verdict in about["verdicts"]:
            spread = ", ".join(f"{number:.3g}" for number in verdict["spread"])
            cells = (verdict["claim"], rule(verdict), spread, verdict["verdict"])
            print(f"| {' | '.join(cells)} |")
        print()


def rule(verdict):
    """The last part of the rule, which holds the threshold."""
    return verdict["rule"].rsplit("confirmed if ", 1)[-1]


if __name__ == "__main__":
    main()
