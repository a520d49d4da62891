"""A run that does not fit into the memory is refused with what would."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kstyle import StyleConfig
from kstyle.cli.main import cli
from kstyle.errors import ConfigError
from kstyle.planning import memory_fit
from kstyle.planning.estimates import peak_bytes
from kstyle.runs.job import prepare

SIZES = (400, 600), (560, 720)


@pytest.fixture
def free(monkeypatch):
    """A function that sets how many bytes are free, on a machine without a GPU."""

    def set_free(count):
        monkeypatch.setattr(memory_fit, "free_memory", lambda: count)
        monkeypatch.setattr(memory_fit, "resident_memory", lambda: 0)
        monkeypatch.setattr("kstyle.hardware.host.has_nvidia", lambda: False)

    return set_free


def test_a_run_that_just_fits_is_not_refused_and_one_byte_less_is(free):
    config = StyleConfig(size=512, fit="off")
    need = peak_bytes(config, *SIZES)
    free(need)
    assert memory_fit.fit_memory(config, *SIZES) is config
    free(need - 1)
    with pytest.raises(ConfigError, match="512 px needs about 1.8 GB.* leave out"):
        memory_fit.fit_memory(config, *SIZES)


def test_fewer_pairs_come_before_recomputation_and_that_before_tiles(free, caplog):
    config = StyleConfig(size=4096)
    changes = [{"history": 5}, {"history": 3}]
    for tile in ("whole", 1024, 512, 256):
        changes += [{"tile": tile, **few} for few in ({}, *changes[:2])]
    assert memory_fit.memory_fallbacks(config) == changes
    few = config.replace(history=3)
    free(peak_bytes(few, *SIZES))
    assert memory_fit.fit_memory(config, *SIZES) == few
    assert "going on with --history 3" in caplog.text
    free(peak_bytes(few, *SIZES) - 1)
    assert memory_fit.fit_memory(config, *SIZES) == config.replace(tile="whole")
    assert "going on with --tile whole" in caplog.text


def test_a_run_that_goes_on_keeps_its_pairs_and_may_take_tiles(free):
    config = StyleConfig(size=4096)
    tiled = config.replace(tile=1024)
    free(peak_bytes(tiled, *SIZES))
    assert memory_fit.fit_memory(config, *SIZES, begun=True) == tiled
    free(peak_bytes(config.replace(tile=256), *SIZES) - 1)
    with pytest.raises(ConfigError, match="end other programs, or remove state.npz"):
        memory_fit.fit_memory(config, *SIZES, begun=True)


def test_what_is_small_already_is_not_made_larger():
    frugal = StyleConfig(history=4, tile=256)
    assert memory_fit.memory_fallbacks(frugal) == [{"history": 3}]
    assert memory_fit.memory_fallbacks(StyleConfig(optimizer="adam", tile=512)) == []


def test_auto_takes_the_largest_tiles_that_fit_where_memory_would_not_do(free, caplog):
    config = StyleConfig(size=4096, optimizer="adam")
    needs = {
        edge: peak_bytes(config.replace(tile=edge), *SIZES)
        for edge in (*memory_fit.TILE_FALLBACKS, "off")
    }
    assert needs[256] < needs[512] < needs[1024] < needs["whole"] < needs["off"]
    free(needs["off"])
    assert memory_fit.fit_memory(config, *SIZES) is config
    assert not caplog.records
    free(needs[512])
    assert memory_fit.fit_memory(config, *SIZES) == config.replace(tile=512)
    assert "going on with --tile 512." in caplog.text
    free(needs[256] - 1)
    with pytest.raises(ConfigError, match="with --tile 256, but"):
        memory_fit.fit_memory(config, *SIZES)


@pytest.mark.parametrize("scales", ["auto", 2, (300, 4096)])
def test_the_size_that_is_named_fits_and_the_next_does_not(scales, free):
    config = StyleConfig(size=4096, scales=scales)
    size = memory_fit.largest_fitting_size(config, *SIZES, 3e9)
    plain = config.replace(scales="auto" if isinstance(scales, tuple) else scales)
    assert peak_bytes(plain.replace(size=size), *SIZES) <= 3e9
    assert peak_bytes(plain.replace(size=size + 1), *SIZES) > 3e9
    free(3e9)
    assert f"The largest --size that fits is {size}." in memory_fit.memory_shortage(
        config, *SIZES
    )


def test_after_memory_has_ended_a_smaller_size_than_the_estimate_s_is_named(free):
    config = StyleConfig(size=2048)
    free(1e12)  # as the machine says, wrongly
    sentence = memory_fit.out_of_memory_advice(config, *SIZES)
    size = memory_fit.largest_fitting_size(
        config, *SIZES, 0.8 * peak_bytes(config, *SIZES)
    )
    assert 1024 < size < 2048
    assert f"The largest --size that fits is {size}. Or work in tiles" in sentence


def test_where_no_size_fits_something_else_is_said(free):
    free(1e8)  # less than a process with TensorFlow needs
    sentence = memory_fit.memory_shortage(StyleConfig(), *SIZES)
    assert "No --size fits: use a smaller --style-size" in sentence


def test_what_the_process_has_already_counts_as_room(free, monkeypatch):
    free(peak_bytes(StyleConfig(), *SIZES) - 1000)
    monkeypatch.setattr(memory_fit, "resident_memory", lambda: 1000)
    assert memory_fit.memory_shortage(StyleConfig(), *SIZES) is None


def test_nothing_is_said_where_it_is_not_known_what_is_free(free):
    free(None)
    assert memory_fit.memory_shortage(StyleConfig(), *SIZES) is None


def test_on_a_gpu_its_own_memory_counts_and_on_the_processor_the_machine_s(
    free, monkeypatch
):
    free(1)
    monkeypatch.setattr("kstyle.hardware.host.has_nvidia", lambda: True)
    monkeypatch.setattr("kstyle.hardware.devices.visible_gpus", lambda: ["a GPU"])
    monkeypatch.setattr("kstyle.planning.memory_fit.gpu_memory", {0: 80 * 10**9}.get)
    assert memory_fit.memory_shortage(StyleConfig(), *SIZES) is None
    assert "80.0 GB are free" in memory_fit.memory_shortage(
        StyleConfig(size=16384), *SIZES
    )
    assert memory_fit.memory_shortage(StyleConfig(device="cpu"), *SIZES) is not None
    monkeypatch.setattr("kstyle.planning.memory_fit.gpu_memory", {}.get)
    assert memory_fit.memory_shortage(StyleConfig(size=16384), *SIZES) is None
    monkeypatch.setattr(
        "kstyle.hardware.devices.visible_gpus", list
    )  # a driver, but not for TensorFlow
    assert "0.0 GB are free" in memory_fit.memory_shortage(StyleConfig(), *SIZES)


def test_a_run_that_does_not_fit_writes_nothing(small_run, free):
    free(1e8)
    with pytest.raises(ConfigError, match="are free"):
        prepare(StyleConfig(**small_run))
    assert not Path(small_run["logdir"]).exists()


def dry_run(options, *more):
    words = [options["content"], options["style"]]
    for name, value in options.items():
        if name not in ("content", "style"):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return CliRunner().invoke(cli, ["stylize", *words, "--dry-run", *more])


@pytest.fixture
def known_speed(monkeypatch):
    monkeypatch.setattr(
        "kstyle.planning.calibration.seconds_per_gflop", lambda precision: 0.0
    )


def test_a_dry_run_prints_every_scale_and_the_whole_and_writes_nothing(
    small_run, known_speed
):
    before = sorted(Path(small_run["logdir"]).parent.iterdir())
    options = small_run | {"scales": "9,18", "scale_steps": 3}
    result = dry_run(options)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for size, steps in (("9 x 6", 3), ("18 x 12", 4)):
        (line,) = (x for x in lines if f" {size} " in x)
        assert line.split("│")[2].strip() == str(steps)
    assert lines[-1] == "in all: 7 steps, 0:03, 0.8 GB, estimated"
    assert sorted(Path(small_run["logdir"]).parent.iterdir()) == before


def test_a_dry_run_tells_what_is_short_and_still_ends_well(
    small_run, known_speed, free
):
    free(1e8)
    result = dry_run(small_run)
    assert result.exit_code == 0
    assert "This would be refused. A result of 18 px needs" in result.stdout


def test_a_dry_run_refuses_what_a_run_would(small_run, known_speed, tmp_path):
    taken = {"output": small_run["content"]}
    assert "--overwrite" in dry_run(small_run | taken).stderr
    result = dry_run(small_run | {"device": "gpu"})
    assert result.exit_code == 2
    assert "sees no GPU" in result.stderr
