"""Time and memory of a run before it starts."""

import keras
import numpy as np
import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.losses.nearest import CHUNK, NearestLoss
from kstyle.losses.optimal_transport import RelaxedEMDLoss, SlicedWassersteinLoss
from kstyle.losses.palette import PaletteLoss
from kstyle.losses.self_similarity import SelfSimilarityLoss
from kstyle.losses.wasserstein import POLYNOMIALS
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.planning import calibration, loss_costs
from kstyle.planning.estimates import (
    NETWORK_COPIES,
    SCALE_SECONDS,
    TILED_FACTOR,
    CostModel,
    cost_model,
    estimate_run,
    estimate_scales,
)
from kstyle.planning.scales import ScalePlan, plan_scales_of_run

# Operations of one pass over 4 x 4 pixels.
CONV1_1 = 2 * 9 * 3 * 64 * 16
CONV1_2 = 2 * 9 * 64 * 64 * 16
GRAM = 2 * 64 * 64 * 16


def shallow(**options):
    """The costs of a run with conv1_1 alone."""
    layers = {"content_layers": "conv1_1", "style_layers": "conv1_1"}
    options = {"net": "vgg16", "padding": "same", **layers, **options}
    return cost_model(StyleConfig(**options))


def at(seconds):
    """So many seconds per 1e9 operations, in any precision."""
    return lambda precision: seconds


def operations(costs):
    """Operations of one step on 4 x 4 pixels."""
    return round(2e9 * costs.pass_gflop((4, 4)))


# ------------------------------------------------------------------------------- time


def test_a_step_costs_its_convolutions_and_grams_twice():
    assert operations(shallow()) == 2 * (CONV1_1 + GRAM)
    assert operations(shallow(style_layers="")) == 2 * CONV1_1
    assert operations(shallow(style_layers="conv1_2")) == 2 * (CONV1_1 + CONV1_2 + GRAM)


def test_valid_padding_makes_a_step_cheaper():
    assert operations(shallow(padding="valid")) == 2 * (CONV1_1 + GRAM) / 4


def test_a_run_costs_its_steps_targets_and_two_evaluations():
    costs, scales = shallow(style_layers=""), [ScalePlan((4, 4), (4, 8), steps=3)]
    found = estimate_run(costs, scales, at(1e9))  # a second an operation
    targets, evaluation = CONV1_1 + 2 * CONV1_1, 2 * CONV1_1
    expected = (3 + 2) * evaluation + targets
    assert found.seconds - SCALE_SECONDS == pytest.approx(expected)


def test_every_scale_adds_its_steps_and_its_tracing():
    costs = shallow()
    scales = [ScalePlan((n, n), (n, n), steps) for n, steps in ((4, 5), (8, 3))]
    found = estimate_run(costs, scales, at(0))
    assert (found.seconds, found.steps) == (2 * SCALE_SECONDS, 8)
    assert estimate_run(costs, scales, at(0), traced=True).seconds == 0


def test_steps_with_tiles_take_longer():
    whole = ScalePlan((256, 256), (256, 256), steps=1000)
    tiled = ScalePlan((256, 256), (256, 256), steps=1000, tile=128)
    slow, fast = (
        estimate_scales(shallow(), [plan], at(1.0), traced=True)[0].seconds
        for plan in (tiled, whole)
    )
    assert slow / fast == pytest.approx(TILED_FACTOR, rel=1e-3)


def test_bfloat16_counts_for_steps_but_not_for_final_losses():
    speeds = {"float32": 1e9, "bfloat16": 1e8}
    scales = [ScalePlan((4, 4), (4, 8), steps=3, precision="bfloat16")]
    costs = shallow(style_layers="")
    found = estimate_run(costs, scales, speeds.__getitem__, traced=True)
    steps, targets, final = 4 * 2 * CONV1_1, 3 * CONV1_1, 2 * CONV1_1
    assert found.seconds == pytest.approx((steps + targets) / 10 + final)


def test_a_float32_run_needs_no_other_speed():
    speeds, scales = {"float32": 1.0}, [ScalePlan((4, 4), (4, 4), steps=3)]
    assert estimate_run(shallow(), scales, speeds.__getitem__).seconds > 0


# ----------------------------------------------------------------------------- memory

VGG16 = {"net": "vgg16", "content_layers": "conv2_2", "style_layers": "conv3_1"}
BFLOAT16 = {"precision": "bfloat16"}
# What the default had when the largest picture was measured.
BEFORE = {**BFLOAT16, "content_layers": "conv4_2", "tv_loss": "squared"}
HALVES = [
    {"picture": "sample:night", "region": "left.png"},
    {"picture": "sample:meadow", "region": "rest"},
]


# Bytes of runs of 2 to 13 steps of the samples, each in a new process.
@pytest.mark.parametrize(
    ("options", "measured"),
    [
        ({"size": 256, **VGG16}, 880e6),
        ({"size": 512, **VGG16}, 1264e6),
        ({"size": 256}, 1066e6),
        ({"size": 512}, 1514e6),
        ({"size": 512, "scales": "auto"}, 1757e6),
        ({"size": 1024}, 3073e6),
        ({"size": 2048}, 8250e6),
        ({"size": 1024, "tile": "whole"}, 2640e6),
        ({"size": 1024, "tile": 512}, 1910e6),
        ({"size": 256, "style_size": "original"}, 1332e6),
        ({"size": 64, **BFLOAT16}, 985e6),
        ({"size": 512, **BFLOAT16}, 1320e6),
        ({"size": 512, "scales": "auto", **BFLOAT16}, 1722e6),
        ({"size": 512, "scales": "auto", "precision": "mixed"}, 1957e6),
        ({"size": 1024, **BFLOAT16}, 2385e6),
        ({"size": 2048, **BFLOAT16}, 6800e6),
        ({"size": 1024, "tile": "whole", **BFLOAT16}, 2070e6),
        ({"size": 1024, "tile": 512, **BFLOAT16}, 1660e6),
        ({"size": 512, "tile": 256, **BFLOAT16}, 1080e6),
        ({"size": 1024, "styles": HALVES, **BFLOAT16}, 2544e6),
        ({"size": 1024, "tile": 512, "styles": HALVES, **BFLOAT16}, 1771e6),
        ({"size": 2048, "tile": "whole", **BFLOAT16}, 5190e6),
        ({"size": 2048, "tile": 1024, **BFLOAT16}, 3721e6),
        ({"size": 2048, "tile": 1024, "optimizer": "adam", **BFLOAT16}, 2985e6),
        ({"size": 7680, "tile": 1024, "optimizer": "adam", **BEFORE}, 7480e6),
    ],
)
def test_peak_memory_is_within_15_percent_of_the_measured(options, measured):
    config = StyleConfig(**{"precision": "float32", "scales": 1} | options)
    content = (338, 600) if config.size == 7680 else (400, 600)
    styles = [(560, 720)] * len(config.style_sources())
    found = cost_model(config).peak_bytes(plan_scales_of_run(config, content, *styles))
    assert found == pytest.approx(measured, rel=0.15)


def test_coarser_scales_leave_their_features_in_memory():
    costs = cost_model(StyleConfig())
    coarse, fine = (ScalePlan((n, n), (n, n), 1) for n in (64, 128))
    first, second = costs.scale_bytes([coarse, fine])
    kept = second - costs.peak_bytes([fine])
    assert kept == pytest.approx(costs.feature_bytes(coarse), abs=1)
    assert first == costs.peak_bytes([coarse])


def vgg16_costs(*layers):
    return CostModel("vgg16", "same", layers, style_layers=())


def test_a_step_keeps_copies_of_the_convolutions_outputs():
    plan = ScalePlan((4, 4), (2, 2), 1)
    outputs = 4 * 4 * (64 + 64)  # the pooling's output is not kept
    found = vgg16_costs("pool1").feature_bytes(plan)
    assert found == pytest.approx(4 * NETWORK_COPIES * outputs)


def test_a_large_style_picture_can_need_the_most():
    plan = ScalePlan((4, 4), (40, 40), 1)
    assert vgg16_costs("conv1_2").feature_bytes(plan) == 4 * 40 * 40 * (64 + 64)


def test_tiles_hold_one_tile_and_the_outputs_of_the_stages():
    plan = ScalePlan((256, 256), (16, 16), 1, tile=128)
    tile = 128 * 128 * (64 + 64 + 128 / 4 + 128 / 4)  # of the first stage
    pool2 = 64 * 64 * 128  # and its gradient
    found = vgg16_costs("conv1_1", "conv3_1").feature_bytes(plan)
    expected = 2 * pool2 + NETWORK_COPIES * tile
    assert found == pytest.approx(4 * expected)


def test_losses_of_one_of_several_tiles_need_memory_too():
    costs = shallow(style_layers="", tv_loss="charbonnier")
    found = costs.tile_loss_values((4, 4), 2)
    assert found == 4 * 2 * 2 * 64 + 10 * 3 * 2 * 2
    assert costs.tile_loss_values((4, 4), 4) == 0
    squared = shallow(style_layers="", tv_loss="squared")
    assert squared.tile_loss_values((4, 4), 2) == 4 * 2 * 2 * 64
    similar = shallow(
        style_layers="", tv_loss="squared", content_loss="self-similarity"
    )
    assert similar.tile_loss_values((4, 4), 2) == 0


def test_lbfgs_keeps_the_vectors_of_the_estimate():
    optimizer, picture = LBFGS(), keras.Variable(np.zeros(7, "float32"))
    optimizer.build([picture])
    kept = [v for v in optimizer.variables if 7 in tuple(v.shape)]
    rows = sum(int(np.prod(variable.shape)) for variable in kept) / 7
    assert rows == cost_model(StyleConfig()).optimizer_pictures


@pytest.mark.end_to_end
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_machines_speed_is_measured_by_real_steps(precision):
    speed = calibration.seconds_per_gflop(precision)
    assert 1e-6 < speed < 10  # from a petaflop a second to less than any processor


def test_statistics_have_their_operations_and_memory():
    def costs(name):
        return shallow(style_loss=name)

    # 16 positions of 64 channels: the map of Wasserstein is 24 products of 64 x 64.
    network = CONV1_1 / 1e9
    passes = {
        "gram": GRAM,
        "wasserstein": GRAM + 24 * 64**3,
        "nearest": 16 * 16 * 64,
        "mean-std": 0,
    }
    for name, operations in passes.items():
        found = costs(name).pass_gflop((4, 4))
        assert found == pytest.approx(network + operations / 1e9)
    plan = (ScalePlan((64, 64), (64, 64), 1),)
    peaks = [costs(name).peak_bytes(plan) for name in ("gram", "emd")]
    assert peaks[1] - peaks[0] == 4 * 6 * 1024**2


def test_a_finish_pulls_all_layers_but_the_first():
    layers = "conv1_1,conv2_1"
    options = {"net": "vgg16", "padding": "same", "content_layers": layers}
    found = cost_model(StyleConfig(style_layers=layers, **options))
    more = found.pass_gflop((4, 4), finish=True) - found.pass_gflop((4, 4))
    # conv2_1: four positions of 128 channels, compared with each other.
    gram, nearest = 2 * 4 * 128**2, 4 * 4 * 128
    assert 1e9 * more == pytest.approx(nearest - gram)


def test_content_losses_and_the_palette_have_their_costs():
    def costs(**options):
        return shallow(content_layers="conv1_1", style_layers="", **options)

    plan = (ScalePlan((64, 64), (64, 64), 1),)
    plain, similar = costs(), costs(content_loss="self-similarity")
    operations = 1e9 * (similar.pass_gflop((4, 4)) - plain.pass_gflop((4, 4)))
    assert operations == pytest.approx(4 * 16**2 * 64)
    for found in (similar, costs(palette_weight=1)):
        assert found.peak_bytes(plan) - plain.peak_bytes(plan) == 4 * 6 * 1024**2


def test_the_costs_of_statistics_are_those_of_their_classes():
    samples = RelaxedEMDLoss().samples, NearestLoss().samples
    assert samples == (loss_costs.EMD_SAMPLES, loss_costs.NEAREST_SAMPLES)
    sliced = SlicedWassersteinLoss()
    assert (sliced.samples, sliced.directions) == (
        loss_costs.SLICED_SAMPLES,
        loss_costs.SLICED_DIRECTIONS,
    )
    assert CHUNK == loss_costs.NEAREST_CHUNK
    assert SelfSimilarityLoss().samples == loss_costs.SELF_SIMILARITY_SAMPLES
    assert PaletteLoss().samples == loss_costs.PALETTE_SAMPLES
    # Five products for each polynomial; the last one has one less.
    assert 5 * len(POLYNOMIALS) - 1 == loss_costs.TRANSPORT_PRODUCTS
