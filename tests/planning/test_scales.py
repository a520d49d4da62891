"""The scales of a run: sizes, order and steps."""

import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.planning.scales import (
    MIXED_FINAL_STEPS,
    STEP_COSTS,
    Scale,
    plan_scales,
    plan_scales_of_run,
    result_edge,
)


def edges(size, steps, scales="auto"):
    return [scale.edge for scale in plan_scales(size, steps, scales, 5)]


def test_auto_scales_shrink_by_the_root_of_two_to_128():
    # 512 / sqrt 2 = 362.04, 256, 181.02, 128
    assert edges(512, 10) == [128, 181, 256, 362, 512]
    assert edges(500, 10) == [177, 250, 354, 500]  # 125 would be below 128


@pytest.mark.parametrize("size", [1, 100, 128, 181])
def test_auto_of_a_small_picture_is_one_scale(size):
    assert plan_scales(size, 10, "auto", 5) == (Scale(size, 10),)


@pytest.mark.parametrize("precision", ["float32", "auto", "bfloat16"])
def test_a_precision_is_that_of_every_scale(precision):
    scales = plan_scales(182, 9, "auto", 5, precision)
    kind = "bfloat16" if precision == "bfloat16" else "float32"
    assert scales == (Scale(129, 5, kind), Scale(182, 9, kind))


def test_mixed_takes_the_last_steps_in_float32():
    first, *last = plan_scales(182, MIXED_FINAL_STEPS + 4, "auto", 5, "mixed")
    assert first == Scale(129, 5, "bfloat16")
    assert last == [Scale(182, 4, "bfloat16"), Scale(182, MIXED_FINAL_STEPS, "float32")]
    assert plan_scales(64, 3, 1, 5, "mixed") == (Scale(64, 3, "float32"),)
    assert plan_scales(64, 0, 1, 5, "mixed") == (Scale(64, 0, "float32"),)


def test_a_step_costs_what_its_pixels_and_its_precision_do():
    assert Scale(10, 4).work() == 400
    assert Scale(10, 4).work(1) == 100
    assert Scale(10, 4, "bfloat16").work() == pytest.approx(
        400 * STEP_COSTS["bfloat16"]
    )


def test_auto_just_reaches_a_second_scale():
    assert edges(182, 10) == [129, 182]  # 128.69


def test_the_last_scale_gets_steps_and_the_others_scale_steps():
    assert plan_scales(256, 7, 3, 2) == (Scale(128, 2), Scale(181, 2), Scale(256, 7))


def test_a_count_of_one_is_the_full_size_alone():
    assert plan_scales(64, 0, 1, 5) == (Scale(64, 0),)


def test_a_list_is_taken_as_it_is_and_ended_by_the_size():
    assert edges(64, 1, (16, 64)) == [16, 64]
    assert edges(64, 1, (16, 32)) == [16, 32, 64]
    assert edges(64, 1, (64,)) == [64]


@pytest.mark.parametrize("scales", [(32, 16), (16, 16), (16, 128), (0, 64)])
def test_a_list_that_does_not_grow_up_to_the_size_is_refused(scales):
    with pytest.raises(ConfigError, match="must grow up to the size 64"):
        plan_scales(64, 1, scales, 5)


def test_more_scales_than_there_are_sizes_is_refused():
    assert edges(3, 1, 2) == [2, 3]
    for count in (9, 10**6):
        with pytest.raises(ConfigError, match=f"^{count} scales are too many") as error:
            plan_scales(3, 1, count, 5)
        assert len(str(error.value)) < 120


def test_a_content_size_replaces_the_size():
    assert result_edge(512, None, (300, 400)) == 512
    assert result_edge(512, "original", (300, 400)) == 400
    assert result_edge(512, 150, (300, 400)) == 200
    assert result_edge(512, 150, (400, 300)) == 200


@pytest.mark.parametrize("loaded", [(679, 1024), (5, 4), (333, 1000), (10, 999)])
def test_a_content_size_is_the_short_edge_of_the_result(loaded):
    for content_size in (1, 128, 257, 1000):
        config = StyleConfig(
            content_size=content_size, style_layers="conv1_1", scales=1
        )
        config = config.replace(content_layers="conv1_1")
        (scale,) = plan_scales_of_run(config, loaded, (64, 64))
        assert min(scale.content_size) == content_size


def test_the_style_follows_the_content_size():
    config = StyleConfig(content_size="original", scales="300,600", padding="same")
    coarse, last = plan_scales_of_run(config, (400, 600), (500, 1000))
    assert (coarse.content_size, last.content_size) == ((200, 300), (400, 600))
    assert (coarse.style_size, last.style_size) == ((150, 300), (300, 600))
