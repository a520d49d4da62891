"""Many runs in one process: does it leak, slow down, or fall over?

    python benchmarks/soak.py --trials 500 [--size 64] [--steps 5]
    python benchmarks/soak.py --minutes 30 [--seed 0]

`--trials`: an experiment of so many trials (poolings, optimisers, noise seeds), run as
`kstyle experiment run` does; memory, open files, threads and time by trial.
`--minutes`: runs of random configs for so long. Each must finish with a picture of the
right size, or fail in a sentence of kstyle's own; anything else is printed with its
config and counted as unexplained. Exit code 1 where there is any.
"""

import argparse
import collections
import random
import statistics
import sys
import tempfile
import time
import traceback
from pathlib import Path

import common
import yaml

import kstyle
from kstyle import experiments
from kstyle.errors import KStyleError
from kstyle.experiments.progress import Silent
from kstyle.hardware.host import resident_memory
from kstyle.images.samples import sample_names
from kstyle.networks.architecture import PADDINGS
from kstyle.networks.registry import get_architecture

SETTLED = 50  # trials, or a tenth, after which memory should not grow any more
SAMPLES = [f"sample:{name}" for name in sample_names()]


def usage():
    """Return resident memory in MB, open files and threads of this process (Linux)."""
    threads = Path("/proc/self/status").read_text().split("Threads:")[1].split()[0]
    handles = len(list(Path("/proc/self/fd").iterdir()))
    return {
        "rss_mb": resident_memory() / 1e6,
        "handles": handles,
        "threads": int(threads),
    }


class Meter(Silent):
    """Records what is used after each trial, and its seconds."""

    def __init__(self):
        self.used, self.seconds, self.failed = [], [], []
        self.since = time.perf_counter()

    def end(self, record):
        now = time.perf_counter()
        self.seconds.append(now - self.since)
        self.used.append(usage())
        self.since = now
        if record["status"] != "finished":
            self.failed.append(record["error"])
        if len(self.used) % 25 == 0:
            recent = statistics.median(self.seconds[-25:])
            print(len(self.used), f"{recent:.2f} s", self.used[-1], flush=True)


def trials(count, size, steps):
    """Return the figures of an experiment of `count` trials."""
    kinds = {"pool": ["avg", "max"], "optimizer": ["lbfgs", "adam"]}
    base = {"size": size, "steps": steps, "scales": 1, "init": "noise"}
    seeds = list(range(max(1, count // 4)))
    file = {"title": "soak", "base": base, "axes": kinds, "mode": "grid"}
    meter = Meter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "soak.yaml"
        path.write_text(yaml.safe_dump(file | {"repeats": {"seed": seeds}}))
        experiments.run(path, watch=meter, logdir=folder)
    done = len(meter.used)
    settled = min(SETTLED, -(-done // 10))
    first, last = meter.used[settled - 1], meter.used[-1]
    part = max(1, min(100, done // 4))
    early = meter.seconds[settled:][:part] or meter.seconds
    late = meter.seconds[-part:]
    return {
        **{"trials": done, "size": size, "steps": steps, "failed": len(meter.failed)},
        **{f"settled_{key}": value for key, value in first.items()},
        **{f"last_{key}": value for key, value in last.items()},
        "growth": last["rss_mb"] / first["rss_mb"] - 1,
        "early_s": statistics.median(early),
        "late_s": statistics.median(late),
        "slower": statistics.median(late) / statistics.median(early),
        "unexplained": len(meter.failed),
    }


def random_options(dice):
    """Draw the options of a run of a few seconds, in nearly any combination."""

    def some(part, *values):
        return dice.choice(values) if dice.random() < part else None

    net = dice.choice(["vgg16", "vgg19"])
    names = get_architecture(net).layer_names[: dice.randint(1, 18)]
    layers = [
        {
            n: dice.choice([0, 0.3, 1, 20])
            for n in dice.sample(names, min(k, len(names)))
        }
        for k in (dice.randint(0, 2), dice.randint(1, 4))
    ]
    optimizer = dice.choice(["lbfgs", "adam"])
    return {
        **{"net": net, "pool": dice.choice(["avg", "max"])},
        **{"padding": dice.choice(PADDINGS), "init": dice.choice(["content", "noise"])},
        **{"content": dice.choice(SAMPLES), "style": dice.choice(SAMPLES)},
        **{"content_layers": layers[0], "style_layers": layers[1]},
        "content_weight": dice.choice([0, 8, 1e6]),
        "style_weight": dice.choice([0, 1e-3, 100, 100, 100, 1e30]),
        "tv_weight": dice.choice([0, 1, 120]),
        "style_weights": some(0.2, "auto", "equal-loss", "init-loss:100"),
        "optimizer": optimizer,
        "learning_rate": some(0.3, 1e-3, 1, 30, 1e4),
        "average": 0.9 if optimizer == "adam" and dice.random() < 0.3 else 0,
        **{"size": dice.randint(32, 160), "steps": dice.randint(0, 8)},
        "scales": dice.choice(["auto", 1, 2, 3, 4]),
        "scale_steps": dice.randint(1, 4),
        "tile": dice.choice(["off", "off", 128]),
        "time_limit": some(0.2, 0.01, 0.5, 5),
        "stop_when_still": some(0.2, 0.01, 1, 100),
        "style_size": some(0.3, "original", dice.randint(20, 200)),
        "style_crop": some(
            0.4, "left", "center", "right", "10%,20%,50%,30%", "0,0,9,9"
        ),
        "style_scale": dice.choice([1, 1, 0.5, 2]),
        "seed": dice.randint(0, 99),
        "report_every": dice.randint(1, 5),
        "snapshot_every": dice.choice([0, 3]),
        "checkpoint_every": dice.choice(["0", "2", "1s", "60s"]),
        "log_gradients": dice.random() < 0.1,
        "bits": dice.choice([8, 16]),
    }


def outcome(options, folder):
    """Return how a run of `options` ended: "finished", or the class of the error."""
    try:
        config = kstyle.StyleConfig(**options, logdir=str(folder))
        result = kstyle.stylize(config)
        picture = kstyle.load_picture(result.path)
        if max(picture.size) != config.size:
            raise ValueError(f"the picture is {picture.size}")
    except KStyleError as error:
        return type(error).__name__, str(error)
    except Exception:
        print(yaml.safe_dump(options), traceback.format_exc(), flush=True)
        return "unexplained", traceback.format_exc().splitlines()[-1]
    return "finished", ""


def soak(minutes, seed):
    """Return the figures of random runs for `minutes`."""
    dice, until = random.Random(seed), time.monotonic() + 60 * minutes
    ends, reasons, first = collections.Counter(), collections.Counter(), None
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            end, reason = outcome(random_options(dice), folder)
        ends[end] += 1
        reasons[reason.split(" ")[0]] += bool(reason)
        total = sum(ends.values())
        if total % 25 == 0:
            first = first or usage()
            print(total, dict(ends), usage(), flush=True)
    print("first words of the errors:", dict(reasons))
    figures = {f"last_{key}": value for key, value in usage().items()}
    figures |= {f"settled_{key}": value for key, value in (first or usage()).items()}
    return {
        **{"minutes": minutes, "seed": seed, "runs": sum(ends.values())},
        **{"unexplained": 0, **ends, **figures},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, help="trials of one experiment")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--minutes", type=float, help="minutes of random runs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if (options.trials is None) == (options.minutes is None):
        parser.error("give --trials or --minutes")
    if options.trials is not None:
        figures = trials(options.trials, options.size, options.steps)
    else:
        figures = soak(options.minutes, options.seed)
    common.report("soak", figures)
    if figures["unexplained"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
