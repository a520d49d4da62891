"""Time per megapixel and peak memory of a step by size, whole and in tiles.

    python benchmarks/scale.py [--sizes 256 512 1024] [--tile 1024] [--steps 2] [--full]
        [--precision float32]

Each size is measured in a new process, for its peak. Adam, the default
layers, 16 : 9 pictures by their long edge. The whole picture is measured where the
estimate says that it fits into the free memory. `--full` continues to 7680.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time

import common
import keras

import kstyle
from kstyle.hardware.host import free_memory
from kstyle.images.picture import resize
from kstyle.planning import estimates
from kstyle.planning.scales import plan_scales_of_run

SIZES, FULL = (256, 512, 1024), (2048, 3840, 7680)


def measured(size, tile, steps, precision):
    """Measure the seconds of a step per megapixel (median) and the peak in GB."""
    shape = (size * 9 // 16, size)
    content = resize(kstyle.load_picture("sample:coffee").pixels, shape)
    style = common.pictures(min(size, 512))[1]
    layers = (common.CONTENT_LAYER, *common.STYLE_LAYERS)
    given = (
        kstyle.build_extractor(
            "vgg19", layers, padding="replicate", precision=precision
        ),
        kstyle.loss_terms(
            {common.CONTENT_LAYER: 8}, dict.fromkeys(common.STYLE_LAYERS, 200), tv=200
        ),
        content,
        style,
    )
    model = kstyle.StyleTransfer(*given, tile=tile or None)
    model.compile(kstyle.make_optimizer("adam"))
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    # One more, since the first one traces.
    model.fit(steps_per_epoch=steps + 1, callbacks=[clock], verbose=0)
    times = [after - before for before, after in itertools.pairwise(ends)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    megapixels = shape[0] * shape[1] / 1e6
    return {"s_per_mp": statistics.median(times) / megapixels, "peak_gb": peak / 1e9}


def in_a_process(size, tile, steps, precision):
    """Call `measured` in a new process."""
    numbers = [str(number) for number in (size, tile, steps)]
    command = [sys.executable, __file__, "--precision", precision, "--one", *numbers]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def fits(size):
    """Return whether the whole picture should fit into the free memory."""
    config = kstyle.StyleConfig(size=size, optimizer="adam", scales=1)
    scales = plan_scales_of_run(config, (size * 9 // 16, size), (size, size))
    need, free = estimates.cost_model(config).peak_bytes(scales), free_memory()
    return free is None or need <= free


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--one", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(*options.one, options.precision)))
        return
    figures = {name: getattr(options, name) for name in ("tile", "steps", "precision")}
    for size in (*options.sizes, *(FULL if options.full else ())):
        kinds = {"tiled": options.tile} | ({"whole": 0} if fits(size) else {})
        for kind, tile in kinds.items():
            found = in_a_process(size, tile, options.steps, options.precision)
            figures |= {f"{kind}_{size}_{key}": x for key, x in found.items()}
            print(size, kind, found, flush=True)
    common.report("scale", figures)


if __name__ == "__main__":
    main()
