"""Measure how fast this machine takes steps."""

import functools
import itertools
import statistics
import time

import tensorflow as tf

from kstyle.planning.estimates import CostModel


def matmul_peak(dtype: str = "float32", size: int = 2048, rounds: int = 5) -> float:
    """Measure the GFLOP/s of the fastest of `rounds` products of two `size` x `size`
    matrices."""
    a = tf.cast(tf.random.stateless_normal((size, size), seed=(0, 0)), dtype)
    product = tf.function(lambda: tf.reduce_sum(a @ a))
    product().numpy()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - begun)
    return 2 * size**3 / min(times) / 1e9


CALIBRATION_EDGE = 256  # px; larger pictures take about as long for each GFLOP
GPU_CALIBRATION_EDGE = 1024  # px; at smaller sizes a GPU mostly waits
CALIBRATION_STEPS = 5


@functools.cache
def seconds_per_gflop(precision: str) -> float:
    """Measure the seconds of 1e9 operations of a step in `precision`.

    The median of some steps of a small VGG16, after one that traces the graph, on the
    device that TensorFlow uses now. It is measured once in a process.
    """
    import keras
    import numpy as np

    from kstyle.losses.terms import loss_terms
    from kstyle.networks.extractor import build_extractor
    from kstyle.optimizers.factory import make_optimizer
    from kstyle.transfer.style_transfer import StyleTransfer

    net, layers, style_layers = "vgg16", ("conv2_2", "conv3_1"), ("conv3_1",)
    on_gpu = "GPU" in keras.ops.zeros(()).device
    size = (GPU_CALIBRATION_EDGE if on_gpu else CALIBRATION_EDGE,) * 2
    picture = np.random.default_rng(0).uniform(size=(*size, 3))
    terms = loss_terms({"conv2_2": 8}, {"conv3_1": 200}, tv=200)
    costs = CostModel(net, "same", layers, style_layers)
    extractor = build_extractor(net, layers, precision=precision)
    model = StyleTransfer(extractor, terms, picture, picture)
    model.compile(make_optimizer("lbfgs"))
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    model.fit(steps_per_epoch=CALIBRATION_STEPS + 1, callbacks=[clock], verbose=0)
    steps = [after - before for before, after in itertools.pairwise(ends)]
    return statistics.median(steps) / (2 * costs.pass_gflop(size))
