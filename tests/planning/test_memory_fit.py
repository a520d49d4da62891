"""A run that needs more memory than is free is changed to fit, or refused."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kstyle import StyleConfig
from kstyle.cli.main import cli
from kstyle.errors import ConfigError
from kstyle.hardware.machine import Machine
from kstyle.planning import memory_fit
from kstyle.planning.estimates import cost_model
from kstyle.planning.memory_fit import (
    fit_memory,
    memory_fallbacks,
    tile_after_memory_error,
)
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.job import prepare

SIZES = (400, 600), (560, 720)


def peak(config):
    return cost_model(config).peak_bytes(plan_scales_of_run(config, *SIZES))


def refusal(config, available):
    with pytest.raises(ConfigError) as refused:
        fit_memory(config, *SIZES, available=available)
    return str(refused.value)


def test_a_run_is_refused_for_one_missing_byte():
    config = StyleConfig(size=512, fit="off", precision="float32")
    need = peak(config)
    assert fit_memory(config, *SIZES, available=need) is config
    with pytest.raises(ConfigError, match=r"512 px needs about [\d.]+ GB.* leave out"):
        fit_memory(config, *SIZES, available=need - 1)


def test_fewer_pairs_are_tried_before_tiles(caplog):
    config = StyleConfig(size=4096)
    changes = [{"history": 5}, {"history": 3}]
    for tile in ("whole", 1024, 512, 256):
        changes += [{"tile": tile, **few} for few in ({}, *changes[:2])]
    assert memory_fallbacks(config.history, "off") == changes
    few = config.replace(history=3)
    assert fit_memory(config, *SIZES, available=peak(few)) == few
    assert "continuing with --history 3" in caplog.text
    assert fit_memory(config, *SIZES, available=peak(few) - 1) == config.replace(
        tile="whole"
    )
    assert "continuing with --tile whole" in caplog.text


def test_a_resumed_run_keeps_its_pairs_and_may_take_tiles():
    config = StyleConfig(size=4096)
    tiled = config.replace(tile=1024)
    assert fit_memory(config, *SIZES, available=peak(tiled), resumed=True) == tiled
    too_little = peak(config.replace(tile=256)) - 1
    with pytest.raises(ConfigError, match="end other programs, or remove state.npz"):
        fit_memory(config, *SIZES, available=too_little, resumed=True)


def test_what_is_small_already_is_not_made_larger():
    assert memory_fallbacks(history=4, tile=256) == [{"history": 3}]
    assert memory_fallbacks(history=0, tile=512) == []


def test_the_largest_tiles_that_fit_are_taken(caplog):
    config = StyleConfig(size=4096, optimizer="adam")
    needs = {
        edge: peak(config.replace(tile=edge))
        for edge in (*memory_fit.TILE_FALLBACKS, "off")
    }
    assert needs[256] < needs[512] < needs[1024] < needs["whole"] < needs["off"]
    assert fit_memory(config, *SIZES, available=needs["off"]) is config
    assert not caplog.records
    assert fit_memory(config, *SIZES, available=needs[512]) == config.replace(tile=512)
    assert "continuing with --tile 512." in caplog.text
    with pytest.raises(ConfigError, match="with --tile 256, but"):
        fit_memory(config, *SIZES, available=needs[256] - 1)


@pytest.mark.parametrize("scales", ["auto", 2, (300, 4096)])
def test_the_size_that_is_named_fits_and_the_next_does_not(scales):
    config, available = StyleConfig(size=4096, scales=scales), 3 * 10**9
    message = refusal(config.replace(fit="off"), available)
    size = int(re.search(r"The largest --size that fits is (\d+)\.", message)[1])
    plain = config.replace(scales="auto" if isinstance(scales, tuple) else scales)
    assert peak(plain.replace(size=size)) <= available
    assert peak(plain.replace(size=size + 1)) > available


def test_where_no_size_fits_another_advice_is_given():
    available = 10**8  # less than a process with TensorFlow needs
    advice = "No --size fits: use a smaller --style-size"
    assert advice in refusal(StyleConfig(), available)


def test_every_run_fits_where_the_free_memory_is_unknown():
    config = StyleConfig(size=16384)
    assert fit_memory(config, *SIZES, available=None) is config


def test_tiles_after_a_memory_error_divide_the_picture():
    assert tile_after_memory_error("auto", "off", 4096) == 512
    assert tile_after_memory_error("auto", "off", 600) == 300
    assert tile_after_memory_error("auto", "off", 255) is None  # 128 px or more


def test_no_tiles_follow_a_memory_error_that_could_not_help():
    assert tile_after_memory_error("off", "off", 4096) is None
    assert tile_after_memory_error("auto", 1024, 4096) is None


def test_a_run_that_does_not_fit_writes_nothing(small_run):
    machine = Machine(available_bytes=lambda device: 10**8)
    with pytest.raises(ConfigError, match="are free"):
        prepare(StyleConfig(**small_run), machine=machine)
    assert not Path(small_run["logdir"]).exists()


def test_a_job_is_fitted_to_the_memory_of_its_machine(small_run):
    config = StyleConfig(**small_run)
    machine = Machine(available_bytes=lambda device: need)
    need = 10**12
    assert prepare(config, machine=machine).fitted_options() == {}
    sizes = (16, 24), (14, 18)
    few = config.replace(history=5)
    need = cost_model(few).peak_bytes(plan_scales_of_run(few, *sizes))
    job = prepare(config, machine=machine)
    assert job.fitted_options() == {"history": 5}
    assert (job.config.history, job.requested_config.history) == (5, 10)


# ---------------------------------------------------------------------------- dry run


def dry_run(options, *more):
    words = [options["content"], options["style"]]
    for name, value in options.items():
        if name not in ("content", "style"):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return CliRunner().invoke(cli, ["stylize", *words, "--dry-run", *more])


@pytest.mark.end_to_end
def test_a_dry_run_prints_every_scale_and_writes_nothing(small_run):
    before = sorted(Path(small_run["logdir"]).parent.iterdir())
    result = dry_run(small_run | {"scales": "9,18", "scale_steps": 3})
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for size, steps in (("9 x 6", 3), ("18 x 12", 4)):
        (line,) = (x for x in lines if f" {size} " in x)
        assert line.split("│")[2].strip() == str(steps)
    assert lines[-1] == "in all: 7 steps, 0:05, 0.9 GB, estimated"
    assert sorted(Path(small_run["logdir"]).parent.iterdir()) == before


@pytest.mark.end_to_end
def test_a_dry_run_tells_what_is_short_and_still_exits_with_0(small_run):
    # 180 megapixels of the style alone take 550 GB without tiles.
    large = {"style_size": 11_000, "fit": "off", "content_layers": "conv5_1"}
    large |= {"net": "vgg19", "weights": "builtin", "size": 64}
    result = dry_run(small_run | large)
    assert result.exit_code == 0, result.output
    assert "This would be refused. A result of 64 px needs" in result.stdout


def test_a_dry_run_refuses_what_a_run_would(small_run, tmp_path):
    (tmp_path / "taken.png").write_bytes(b"")
    taken = {"output": str(tmp_path / "taken.png")}
    assert "--overwrite" in dry_run(small_run | taken).stderr
    result = dry_run(small_run | {"logdir": taken["output"]})
    assert result.exit_code == 2 and "taken.png is not a folder" in result.stderr
    result = dry_run(small_run | {"device": "gpu"})
    assert result.exit_code == 2
