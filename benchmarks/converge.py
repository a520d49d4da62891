"""Seconds to the loss that many plain steps reach, for each way to reach it.

    python benchmarks/converge.py [--size 512] [--steps 200] [--content PICTURE]
        [--style PICTURE] [--ways pyramid coarse torch ...] [--sheet FOLDER]

The first way, `single`, takes `--steps` L-BFGS steps in float32 at one scale from the
content; the loss it ends with is the goal. Every other way has the same losses, and at
most as many steps at the last scale (PyTorch twice as many). Pictures are kept every
few steps, and one float32 model measures all of them afterwards, which is not timed.
The time begins with the pictures and weights in memory, so that graphs, targets and
coarser scales count. `torch` is a plain PyTorch
loop in float32 (`torch_loop.py`), if torch is installed.
"""

import argparse
import tempfile
import time
from pathlib import Path

import common

import kstyle
from kstyle.runs import pipeline
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import build_terms

ONE = {"scales": 1, "precision": "float32"}
LOW = {"scales": 1, "precision": "bfloat16"}


def way_options(size):
    """Return the options of every way to a picture of `size` pixels, PyTorch aside."""
    return {
        "single": ONE | {"parameterization": "pixels"},
        "pyramid": ONE | {"parameterization": "pyramid"},
        "fourier": ONE | {"parameterization": "fourier"},
        "bfloat16": LOW | {"parameterization": "pixels"},
        "pyramid_bfloat16": LOW | {"parameterization": "pyramid"},
        "half": {"scales": f"{size // 2},{size}"},
        "coarse": {},  # as `kstyle stylize`, except for the number of steps
        "coarse_short": {"scale_steps": 20},
    }


class KeptPictures(EverySteps):
    """`(seconds since the start, picture)` every few steps of the last scale."""

    def __init__(self, every, edge):
        super().__init__(every)
        self.edge, self.pictures, self.begun = edge, [], time.perf_counter()

    def report(self, step, logs):
        if max(self.model.image.shape[1:3]) == self.edge:
            seconds = time.perf_counter() - self.begun
            self.pictures.append((seconds, self.model.pixels()))


def kstyle_pictures(config, every):
    """Return the kept pictures of a run of `config` as by `kstyle stylize`."""
    job = prepare(config)
    kept = KeptPictures(every, job.scales[-1].edge)
    pipeline.run_job(job, [kept])
    return kept.pictures


def pytorch_pictures(config, every):
    """Return the kept pictures of a PyTorch loop with these losses at one scale."""
    # It needs more steps to reach the goal.
    with tempfile.TemporaryDirectory() as folder:
        steps = 2 * config.steps
        return common.torch_pictures(prepare(config), steps, every, folder)[0]


def judge(config):
    """Return a function from a picture to its loss in float32."""
    job, shared = prepare(config), ModelCache()
    scale = job.scales[-1].for_measuring()
    start = job.content_at(scale.content_size)
    model = build_model(job, scale, shared, build_terms(config), start)

    def loss(picture):
        model.image.assign(picture[None])
        return float(model.measure_losses()["loss"])

    return loss


def picture_at(pictures, seconds):
    """Return the last picture after at most so many seconds, or the first."""
    return [p for s, p in pictures if s <= seconds or s == pictures[0][0]][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--content", default="sample:coffee")
    parser.add_argument("--style", default="sample:night")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=200, help="of `single`")
    parser.add_argument("--every", type=int, default=5, help="steps between pictures")
    parser.add_argument("--ways", nargs="*", choices=[*way_options(512), "torch"])
    parser.add_argument("--sheet", help="folder for the pictures at equal seconds")
    options = parser.parse_args()
    names = options.ways or [*way_options(options.size), "torch"]
    if "torch" in names and not common.has_torch():
        names.remove("torch")
    with tempfile.TemporaryDirectory() as folder:
        base = kstyle.StyleConfig(
            **{k: getattr(options, k) for k in ("content", "style", "size", "steps")},
            style_weights=None,  # plain: the models are built without solving
            logdir=folder,
        )
        figures = compare(base, dict.fromkeys(["single", *names]), options)
    common.report("converge", figures)


def compare(base, names, options):
    """Return the figures of every way, and save its pictures."""
    loss_of, figures, kept = judge(base.replace(**ONE)), {}, {}
    by_way = way_options(base.size)
    for way in names:
        run = pytorch_pictures if way == "torch" else kstyle_pictures
        kept[way] = run(base.replace(**by_way.get(way, ONE)), options.every)
        curve = [(seconds, loss_of(picture)) for seconds, picture in kept[way]]
        if way == "single":
            goal, limit = min(loss for _, loss in curve), curve[-1][0]
        seconds = common.reached(curve, goal)
        figures |= {
            f"{way}_seconds_to_goal": seconds,
            f"{way}_over_single": seconds and seconds / limit,
            f"{way}_last_seconds": curve[-1][0],
            f"{way}_best_over_goal": min(loss for _, loss in curve) / goal,
        }
        print({k: v for k, v in figures.items() if k.startswith(way)}, flush=True)
        if options.sheet:
            save(options.sheet, way, kept[way], limit)
    return {"size": base.size, "steps": base.steps, "goal": goal, **figures}


def save(folder, way, pictures, limit):
    """Save the pictures after a quarter, a half and all of `single`'s seconds."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for share in (0.25, 0.5, 1):
        path = Path(folder) / f"{way}_{int(100 * share)}.png"
        kstyle.save_picture(path, picture_at(pictures, share * limit))


if __name__ == "__main__":
    main()
