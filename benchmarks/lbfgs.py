"""kstyle's L-BFGS against SciPy's L-BFGS-B on a real picture.

    python benchmarks/lbfgs.py [--size 256] [--evaluations 100] [--nets vgg16 vgg19]

Both see the same losses, start, pixel range and number of evaluations (content and
noise init); the best loss so far is compared. The ratio is ours over SciPy's.
"""

import argparse

import common
import numpy as np
from scipy.optimize import minimize

import kstyle
from kstyle.runs.callbacks.periodic import EverySteps


class Losses(EverySteps):
    """The loss at every step, the start included."""

    def __init__(self):
        super().__init__(1)
        self.values = []

    def report(self, step, logs):
        self.values.append(logs["loss"])


def ours(model, evaluations):
    """Losses of `evaluations` looks at the picture by `kstyle.LBFGS`."""
    losses = Losses()
    model.compile(kstyle.LBFGS())
    model.fit(steps_per_epoch=evaluations - 1, callbacks=[losses], verbose=0)
    return losses.values


def scipys(model, evaluations):
    """Losses of as many evaluations by SciPy, with as many pairs and bounds."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--nets", nargs="+", default=["vgg16", "vgg19"])
    options = parser.parse_args()
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
                for run in (ours, scipys)
            ]
            name = f"{net}_{init}"
            for label, values in zip(("ours", "scipy"), pair, strict=True):
                figures[f"{name}_{label}"] = float(values[-1])
            figures[f"{name}_ratio"] = float(pair[0][-1] / pair[1][-1])
            print(f"{name}: {figures[f'{name}_ratio']:.4f}", flush=True)
    common.report("lbfgs", figures)


if __name__ == "__main__":
    main()
