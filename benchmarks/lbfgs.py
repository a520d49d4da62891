"""kstyle's L-BFGS against SciPy's L-BFGS-B on a real picture.

    python benchmarks/lbfgs.py [--size 256] [--evaluations 100] [--nets vgg16 vgg19]

Both have the same losses, start, pixel range and number of evaluations (content and
noise init); the best loss so far is compared. The ratio is kstyle's over SciPy's.

    python benchmarks/lbfgs.py --iterations 200 [--config configs/reference.yaml]
        [--content PICTURE] [--style PICTURE] [--style-layers conv3_1] [--size 256]

takes SciPy's L-BFGS-B for so many iterations, as the article did, by `--optimizer
scipy`, and prints the number of evaluations that they took; then kstyle's for as many
evaluations, and the number of them after which it is below SciPy's last loss.
"""

import argparse
import tempfile
from pathlib import Path

import common
import numpy as np
from scipy.optimize import minimize

import kstyle
from kstyle.optimizers.scipy_lbfgsb import SciPyLBFGSB
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import build_terms

REFERENCE = Path(__file__).parents[1] / "configs" / "reference.yaml"


class Losses(EverySteps):
    """Stores the loss at every step, with that at the start."""

    def __init__(self):
        super().__init__(1)
        self.values = []

    def report(self, step, logs):
        self.values.append(logs["loss"])


def kstyle_losses(model, evaluations):
    """Return the losses of `evaluations` evaluations by `kstyle.LBFGS`."""
    losses = Losses()
    model.compile(kstyle.LBFGS())
    model.fit(steps_per_epoch=evaluations - 1, callbacks=[losses], verbose=0)
    return losses.values


def scipy_losses(model, evaluations):
    """Return the losses of as many evaluations by SciPy, with the same bounds."""
    values = []

    def function(x):
        model.image.assign(x.reshape(model.image.shape))
        values.append(float(model.evaluate_losses()["loss"]))
        return values[-1], model.gradient.numpy().ravel().astype("float64")

    model.compile(kstyle.LBFGS())
    start = model.image.numpy().ravel().astype("float64")
    minimize(
        function,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * start.size,
        options={"maxcor": 10, "maxfun": evaluations, "maxiter": evaluations},
    )
    return values[:evaluations]


def as_the_article(config, iterations):
    """The figures of SciPy's `iterations` and of ours with as many evaluations."""
    job = prepare(config)
    scale = job.scales[-1]
    start = job.content_at(scale.content_size)
    model = build_model(job, scale, ModelCache(), build_terms(config), start)
    model.compile(SciPyLBFGSB(max_iterations=iterations))
    found, losses = model.optimizer, [float(model.evaluate_losses()["loss"])]
    accepted = {}  # evaluations and loss after every iteration
    while found.minimization is None or not found.minimization.finished:
        before = 0 if found.minimization is None else found.minimization.iterations
        losses.append(float(model.train_step(None)["loss"]))
        if found.minimization.iterations > before:
            count = found.minimization.evaluations
            accepted[found.minimization.iterations] = count, losses[count - 1]
            if found.minimization.iterations % 10 == 0:
                print(
                    found.minimization.iterations, *accepted[max(accepted)], flush=True
                )
    evaluations = found.minimization.evaluations
    last = accepted[max(accepted)][1]
    print(found.minimization.message)
    model.reset(start, targets=model.targets)
    curve = kstyle_losses(model, evaluations)
    best = np.minimum.accumulate(curve)
    return {
        "width": scale.content_size[1],
        "height": scale.content_size[0],
        "iterations": max(accepted),
        "evaluations": evaluations,
        "start": losses[0],
        "scipy": last,
        "ours": float(best[-1]),
        "ratio": float(best[-1] / last),
        "ours_below_scipy": common.reached(enumerate(best.tolist(), 1), last),
        **{
            f"ratio_at_{count}": float(best[count - 1] / loss)
            for count, loss in (accepted[k] for k in (10, 20, 50, 100) if k in accepted)
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--nets", nargs="+", default=["vgg16", "vgg19"])
    parser.add_argument("--iterations", type=int, help="of SciPy, as the article did")
    parser.add_argument("--config", type=Path, default=REFERENCE)
    parser.add_argument("--content", default="sample:coffee")
    parser.add_argument("--style", default="sample:night")
    parser.add_argument("--style-layers", default="conv3_1")
    options = parser.parse_args()
    if options.iterations:
        with tempfile.TemporaryDirectory() as folder:
            config = kstyle.StyleConfig.from_yaml(
                options.config.read_text(),
                content=options.content,
                style=options.style,
                style_layers=options.style_layers,
                size=options.size,
                logdir=folder,
            )
            common.report("lbfgs", as_the_article(config, options.iterations))
        return
    figures = {"size": options.size, "evaluations": options.evaluations}
    for net in options.nets:
        for init in ("content", "noise"):
            pair = [
                np.minimum.accumulate(
                    run(
                        common.problem(net, options.size, init=init),
                        options.evaluations,
                    )
                )
                for run in (kstyle_losses, scipy_losses)
            ]
            name = f"{net}_{init}"
            for label, values in zip(("ours", "scipy"), pair, strict=True):
                figures[f"{name}_{label}"] = float(values[-1])
            figures[f"{name}_ratio"] = float(pair[0][-1] / pair[1][-1])
            print(f"{name}: {figures[f'{name}_ratio']:.4f}", flush=True)
    common.report("lbfgs", figures)


if __name__ == "__main__":
    main()
