"""The pages of the documentation and README.md, and the code in them, for the tests."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page.read_text("utf-8") for page in ROOT.glob("docs/*.md")}
PAGES |= {
    f"notebooks/{page.name}": page.read_text("utf-8")
    for page in ROOT.glob("docs/notebooks/*.md")
}
PAGES["README.md"] = (ROOT / "README.md").read_text("utf-8")
OPEN_PART = re.compile(r"\$|\.\.\.|…|\[|<")  # of a command that is not to be run so


def shell_commands(text):
    """The words of each `kstyle ...` in the shell blocks of a page, and in indented
    lines."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    blocks += re.findall(r"^    (kstyle .*)$", text, flags=re.MULTILINE)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|[;|]", line.partition("#")[0]):
                words = shlex.split(part)
                # What a variable of a loop stands for is not known here.
                if words[:1] == ["kstyle"] and not OPEN_PART.search(part):
                    yield words[1:]


def commands_in_sentences(text):
    """The words of each `kstyle ...` in the sentences and tables of a page."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for code in re.findall(r"`kstyle ([^`]+)`", prose):
        if not OPEN_PART.search(code):
            yield shlex.split(code.partition("|")[0])


def python_blocks(page):
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL)
