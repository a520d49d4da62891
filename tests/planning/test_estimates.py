"""Time and memory of a run before it starts."""

import dataclasses

import keras
import numpy as np
import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.planning import calibration, estimates, footprint

# Operations of one pass over 4 x 4 pixels.
CONV1_1 = 2 * 9 * 3 * 64 * 16
CONV1_2 = 2 * 9 * 64 * 64 * 16
GRAM = 2 * 64 * 64 * 16


def shallow(**options):
    """A config of conv1_1 alone, at one scale of 4 pixels."""
    layers = {"content_layers": "conv1_1", "style_layers": "conv1_1"}
    sizes = {"size": 4, "scales": 1, "steps": 3, "padding": "same"}
    return StyleConfig(**{"net": "vgg16", **layers, **sizes, **options})


def at(seconds):
    """So many seconds per 1e9 operations, in any precision."""
    return lambda precision: seconds


def operations(config, size=(4, 4)):
    return round(1e9 * estimates.step_gflop(config, size))


def test_a_step_costs_its_convolutions_and_grams_twice():
    assert operations(shallow()) == 2 * (CONV1_1 + GRAM)
    assert operations(shallow(style_layers="")) == 2 * CONV1_1
    assert operations(shallow(style_layers="conv1_2")) == 2 * (CONV1_1 + CONV1_2 + GRAM)


def test_valid_padding_makes_a_step_cheaper():
    assert operations(shallow(padding="valid")) == 2 * (CONV1_1 + GRAM) / 4


def test_layers_without_a_weight_are_only_run_forward():
    measured = shallow(style_layers="conv1_2", style_weight=0)
    assert operations(measured) == CONV1_1 + CONV1_2 + GRAM + CONV1_1
    measured = shallow(style_layers="conv1_2:0")
    assert operations(measured) == CONV1_1 + CONV1_2 + GRAM + CONV1_1
    smooth = shallow(content_weight=0, style_weight=0)
    assert operations(smooth) == CONV1_1 + GRAM


def test_a_run_costs_a_look_before_and_after_its_steps_and_both_targets():
    config = shallow(style_layers="", style_size="original")
    found = estimates.estimate_run(
        config, (4, 4), (4, 8), at(1e9)
    )  # a second an operation
    without = estimates.estimate_run(config, (4, 4), (4, 8), at(0))
    targets = CONV1_1 + 2 * CONV1_1
    assert found.seconds - without.seconds == pytest.approx(
        (3 + 2) * 2 * CONV1_1 + targets
    )


def test_every_scale_adds_its_steps_and_the_tracing_of_its_layers():
    config = shallow(style_layers="conv1_2", size=16, scales="4,8,16", scale_steps=5)
    found = estimates.estimate_run(config, (4, 4), (4, 4), at(0))
    tracing = estimates.SCALE_SECONDS + 2 * estimates.LAYER_SECONDS
    assert found.seconds == pytest.approx(estimates.START_SECONDS + 3 * tracing)
    assert found.steps == 5 + 5 + 3


def test_the_scales_add_up_to_the_run_and_each_keeps_some_memory_of_the_coarser():
    config = shallow(size=16, scales="8,16", scale_steps=5)
    sizes = (4, 8), (4, 4)
    (half, coarse), (whole, fine) = estimates.estimate_scales(config, *sizes, at(1.0))
    assert (half, whole) == ((4, 8), (8, 16))
    assert (coarse.steps, fine.steps) == (5, 3)
    run = estimates.estimate_run(config, *sizes, at(1.0))
    look = estimates.step_gflop(config, (8, 16))
    seconds = estimates.START_SECONDS + coarse.seconds + fine.seconds + look
    assert run.seconds == pytest.approx(seconds)
    assert run.bytes == fine.bytes
    alone = estimates.peak_bytes(config.replace(scales=1), *sizes)
    kept = footprint.COARSER_SHARE * footprint.step_bytes(config, (4, 8))
    assert fine.bytes - alone == pytest.approx(kept, abs=1)


VGG16 = {"net": "vgg16", "content_layers": "conv2_2", "style_layers": "conv3_1"}


# Bytes of runs of 3 to 13 steps of the samples, each in a process of its own.
@pytest.mark.parametrize(
    ("options", "measured"),
    [
        ({"size": 256, "scales": 1, **VGG16}, 880e6),
        ({"size": 320, "scales": 1, **VGG16}, 975e6),
        ({"size": 512, "scales": 1, **VGG16}, 1264e6),
        ({"size": 256, "scales": 1}, 1066e6),
        ({"size": 320, "scales": 1}, 1125e6),
        ({"size": 512, "scales": 1}, 1514e6),
        ({"size": 512, "scale_steps": 3}, 1757e6),
        ({"size": 1024, "scales": 1}, 3073e6),
        ({"size": 2048, "scales": 1}, 8693e6),
        ({"size": 1024, "scales": 1, "tile": "whole"}, 2512e6),
        ({"size": 256, "scales": 1, "style_size": "original"}, 1332e6),
    ],
)
def test_peak_memory_is_within_a_tenth_of_what_was_measured(options, measured):
    config = StyleConfig(precision="float32", **options)
    found = estimates.peak_bytes(config, (400, 600), (560, 720))
    assert found == pytest.approx(measured, rel=0.1)


# Measured in the same way.
@pytest.mark.parametrize(
    ("options", "measured"),
    [
        ({"size": 64, "scales": 1}, 985e6),
        ({"size": 256, "scales": 1}, 1048e6),
        ({"size": 512, "scales": 1}, 1320e6),
        ({"size": 512, "scale_steps": 3}, 1722e6),
        ({"size": 512, "scale_steps": 3, "precision": "mixed"}, 1957e6),
        ({"size": 1024, "scales": 1}, 2385e6),
        ({"size": 2048, "scales": 1}, 6353e6),
        ({"size": 1024, "scales": 1, "tile": "whole"}, 1921e6),
        ({"size": 1024, "scales": 1, "tile": 512}, 1404e6),
        ({"size": 1024, "scales": 1, "tile": 512, "precision": "float32"}, 1749e6),
        ({"size": 512, "scales": 1, "tile": 256}, 1003e6),
        ({"size": 2048, "scales": 1, "tile": "whole"}, 5307e6),
        ({"size": 2048, "scales": 1, "tile": 1024}, 3160e6),
        ({"size": 2048, "scales": 1, "tile": 1024, "optimizer": "adam"}, 2576e6),
    ],
)
def test_peak_memory_in_bfloat16_is_within_an_eighth_of_what_was_measured(
    options, measured
):
    config = StyleConfig(**{"precision": "bfloat16", **options})
    found = estimates.peak_bytes(config, (400, 600), (560, 720))
    assert found == pytest.approx(measured, rel=0.125)


def test_peak_memory_of_8k_in_tiles_is_within_an_eighth_of_what_was_measured():
    options = {"size": 7680, "scales": 1, "tile": 1024, "optimizer": "adam"}
    config = StyleConfig(precision="bfloat16", **options)
    found = estimates.peak_bytes(config, (338, 600), (560, 720))
    assert found == pytest.approx(7480e6, rel=0.125)


def test_peak_memory_of_a_large_style_picture_is_more():
    base = StyleConfig(size=256, scales=1, precision="float32")
    large = base.replace(style_size="original")
    small, most = (
        estimates.peak_bytes(config, (400, 600), (560, 720)) for config in (base, large)
    )
    assert most > 1.2 * small


def test_steps_and_targets_are_reckoned_in_the_run_s_precision_and_its_end_in_float32():
    speeds = {"float32": 1e9, "bfloat16": 1e8}
    config = shallow(style_layers="", style_size="original", precision="bfloat16")
    given = config, (4, 4), (4, 8)
    found = estimates.estimate_run(*given, speeds.__getitem__)
    without = estimates.estimate_run(*given, at(0))
    looks, targets, end = 4 * 2 * CONV1_1, 3 * CONV1_1, 2 * CONV1_1
    assert found.seconds - without.seconds == pytest.approx(
        (looks + targets) / 10 + end
    )


def test_a_run_in_float32_alone_asks_for_no_other_speed():
    speeds = {"float32": 1.0}
    config = shallow(precision="float32")
    assert (
        estimates.estimate_run(config, (4, 4), (4, 4), speeds.__getitem__).seconds > 0
    )


def test_a_picture_too_small_for_the_layers_is_refused():
    with pytest.raises(ConfigError, match="The style picture is 2 x 2"):
        estimates.estimate_run(shallow(padding="valid"), (4, 4), (2, 2), at(1))


def test_an_estimate_cannot_be_changed():
    found = estimates.estimate_run(shallow(), (4, 4), (4, 4), at(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.steps = 0


def test_peak_memory_is_the_process_three_copies_of_the_weights_and_the_largest_need():
    found = estimates.peak_bytes(shallow(style_layers=""), (4, 4))
    weights = 4 * footprint.WEIGHT_COPIES * (9 * 3 * 64 + 64)
    need = (
        footprint.step_bytes(shallow(style_layers=""), (4, 4)),
        footprint.forward_bytes(shallow(style_layers=""), (4, 4)),
    )
    assert found == round(footprint.PROCESS_BYTES + weights + max(need))


def test_peak_memory_takes_the_style_to_be_as_large_as_the_content():
    config = shallow(style_size="original")
    assert estimates.peak_bytes(config, (4, 4)) == estimates.peak_bytes(
        config, (4, 4), (4, 4)
    )


def test_a_step_holds_activations_targets_and_pairs():
    config, features = shallow(), 4 * 4 * 64
    kept = (footprint.FEATURE_COPIES + 1) * features
    best = 3 * 16  # the guard's
    vectors = (2 * config.history + footprint.LBFGS_VECTORS) * 3 * 16 + best
    numbers = kept + 64 * 64 + vectors
    assert footprint.step_bytes(config, (4, 4)) == pytest.approx(4 * numbers)
    adam = footprint.step_bytes(config.replace(optimizer="adam"), (4, 4))
    assert adam == pytest.approx(4 * (numbers - vectors + 2 * 3 * 16 + best))


def test_a_pooling_s_output_is_not_kept_for_the_backward_pass():
    config = shallow(content_layers="conv1_2", style_layers="")
    pooled = config.replace(content_layers={"pool1": 1.0})
    deeper, shallower = (footprint.step_bytes(c, (4, 4)) for c in (pooled, config))
    # Only the target differs: 2 x 2 positions of it in place of 4 x 4.
    assert deeper - shallower == pytest.approx(4 * 64 * (4 - 16))


def test_a_look_holds_the_layers_that_have_a_loss_and_room_for_the_largest():
    config = shallow(content_layers="conv1_2", style_layers="pool1")
    numbers = 4 * 4 * 64 + 2 * 2 * 64 + footprint.FORWARD_WORKSPACE * 4 * 4 * 64
    assert footprint.forward_bytes(config, (4, 4)) == pytest.approx(4 * numbers)


def test_l_bfgs_keeps_the_vectors_that_are_reckoned_with():
    optimizer, picture = LBFGS(), keras.Variable(np.zeros(7, "float32"))
    optimizer.build([picture])
    kept = [v for v in optimizer.variables if 7 in tuple(v.shape)]
    rows = sum(int(np.prod(variable.shape)) for variable in kept) / 7
    assert (
        rows == footprint.optimizer_pictures(StyleConfig()) - 1
    )  # which is the guard's


@pytest.mark.end_to_end
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_machine_s_speed_is_measured_by_real_steps(precision):
    speed = calibration.seconds_per_gflop(precision)
    assert 1e-6 < speed < 10  # from a petaflop a second to less than any processor
