"""The precision of the network: its choice, and its effect on losses and runs."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from shared_models import run_job, stylize

from kstyle import StyleConfig
from kstyle.cli.main import cli
from kstyle.errors import ConfigError
from kstyle.hardware import host
from kstyle.hardware.machine import Machine, why_bfloat16_is_slow
from kstyle.hardware.precision import (
    explain_precision,
    log_once,
    resolve_precision,
)
from kstyle.losses.terms import loss_terms
from kstyle.networks.extractor import build_extractor
from kstyle.optimizers.factory import make_optimizer
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.state import warm_start
from kstyle.planning.scales import MIXED_FINAL_STEPS
from kstyle.runs.job import prepare, reopen_run
from kstyle.transfer.style_transfer import StyleTransfer

CPU = "flags : fpu avx2 avx512f {}\n"


def machine(reason):
    """A machine on which bfloat16 is slow for a reason, or fast (`None`)."""
    return Machine(why_bfloat16_is_slow=lambda device: reason)


@pytest.mark.parametrize("reason, chosen", [(None, "bfloat16"), ("old", "float32")])
def test_auto_is_bfloat16_where_that_is_fast(reason, chosen):
    assert resolve_precision("auto", "cpu", machine(reason)) == chosen


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "mixed"])
def test_a_named_precision_stays(wanted):
    assert resolve_precision(wanted, "cpu", machine(None)) == wanted
    assert resolve_precision(wanted, "cpu", machine("old")) == wanted


@pytest.mark.parametrize("wanted", ["bfloat16", "mixed"])
def test_slow_bfloat16_is_warned_of_once(wanted, caplog):
    explain_precision(wanted, "cpu", machine(None))
    assert not caplog.records
    for _ in range(2):
        explain_precision(wanted, "cpu", machine(f"slow {wanted}"))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"--precision {wanted} is slower than float32 here: slow {wanted}."
    )


def test_why_auto_is_float32_is_logged_once(caplog):
    caplog.set_level("INFO", logger="kstyle")
    explain_precision("float32", "cpu", machine("a choice"))
    assert not caplog.records
    for _ in range(2):
        explain_precision("auto", "cpu", machine("it has one bit"))
    (record,) = caplog.records
    assert record.getMessage() == f"{SLOW}it has one bit."


SLOW = "--precision auto is float32 here, as bfloat16 is slow: "


def test_without_onednn_bfloat16_is_slow(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert why_bfloat16_is_slow("cpu") == "oneDNN is off (TF_ENABLE_ONEDNN_OPTS=0)"


@pytest.mark.parametrize(
    ("capability", "reason"),
    [((8, 0), None), ((7, 5), "the GPU is older than NVIDIA's Ampere")],
)
def test_bfloat16_is_fast_on_gpus_from_ampere_up(capability, reason, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    about = {"a GPU": {"compute_capability": capability}}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", about.get)
    assert why_bfloat16_is_slow("gpu") == reason


def test_a_run_that_cannot_start_gives_one_reason():
    result = CliRunner().invoke(cli, ["stylize", "nothing.png"])
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and "nothing.png" in line


def test_the_terminal_shows_why_unless_it_is_quiet(small_run, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    config = StyleConfig(**small_run | {"precision": "auto", "steps": 0})
    (tmp_path / "c.yaml").write_text(config.replace(device="cpu").to_yaml())
    words = ["stylize", "--config", str(tmp_path / "c.yaml")]
    counts = []
    for more in ([], ["--quiet"]):
        log_once.cache_clear()
        result = CliRunner().invoke(cli, [*words, *more])
        counts.append(result.stderr.count(SLOW))
    assert counts == [1, 0]
    assert not logging.getLogger("kstyle").handlers


@pytest.mark.parametrize(
    ("flag", "has"), [("avx512_bf16", 1), ("amx_tile", 1), ("", 0)]
)
def test_a_processor_has_bfloat16_by_its_flags(flag, has, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    assert host.has_bfloat16(CPU.format(flag)) == bool(has)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # nothing then uses them
    assert not host.has_bfloat16(CPU.format(flag))


# ------------------------------------------------------------------------- the network


@pytest.fixture
def make_model(random_picture):
    """A function that makes a model of conv1_1 to conv2_1 in a precision."""

    def make(kind, **options):
        keras.utils.set_random_seed(1)
        layers = ["conv1_1", "conv1_2", "conv2_1"]
        net = {"padding": "replicate", "weights": None, "precision": kind}
        extractor = build_extractor("vgg16", layers, **net)
        terms = loss_terms({"conv1_2": 8}, {"conv1_1": 90, "conv2_1": 70}, tv=3)
        pictures = random_picture(24, 30), random_picture(21, 35, seed=1) ** 2
        model = StyleTransfer(extractor, terms, *pictures, **options)
        model.compile(make_optimizer("lbfgs"))
        return model

    return make


def numbers(losses):
    return {name: float(value) for name, value in losses.items()}


def test_losses_in_bfloat16_are_within_3_percent_of_float32(make_model):
    exact, rough = make_model("float32"), make_model("bfloat16")
    assert (exact.precision, rough.precision) == ("float32", "bfloat16")
    losses, found = numbers(exact.evaluate_losses()), numbers(rough.evaluate_losses())
    assert found == pytest.approx(losses, rel=0.03)
    assert found != losses
    assert found["tv"] == losses["tv"]  # of the picture itself


def test_targets_are_rounded_as_the_steps_round(make_model):
    # A kernel that rounds once in the graph would round twice outside of it.
    assert float(make_model("bfloat16").evaluate_losses()["content/conv1_2"]) == 0


def test_all_but_the_network_stays_in_float32(make_model):
    model = make_model("bfloat16")
    kept = {v.dtype for v in (model.image, model.gradient)}
    kept |= {value.dtype.name for value in model.evaluate_losses().values()}
    kept |= {v.dtype for v in model.optimizer.variables if v.dtype[:3] != "int"}
    assert kept == {"float32"}
    assert {w.dtype for w in model.extractor.weights} == {"bfloat16"}
    assert model.targets["style/conv2_1"].dtype == "float32"


def test_in_tiles_it_is_the_same_to_the_rounding_of_bfloat16(make_model):
    whole = make_model("bfloat16")
    tiled = make_model("bfloat16", tile=16)
    start = whole.image.numpy() ** 1.5
    for model in (whole, tiled):
        model.image.assign(start)
    assert numbers(tiled.evaluate_losses()) == pytest.approx(
        numbers(whole.evaluate_losses()), rel=0.01
    )
    gradient, other = (m.gradient.numpy() for m in (whole, tiled))
    assert np.linalg.norm(other - gradient) < 0.03 * np.linalg.norm(gradient)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="Unknown precision 'float16'"):
        build_extractor("vgg16", ["conv1_1"], weights=None, precision="float16")


# -------------------------------------------------------------------- two in one scale


def test_l_bfgs_takes_the_pairs_and_forgets_the_point(make_model):
    before, after = make_model("bfloat16"), make_model("float32")
    before.fit(steps_per_epoch=12)
    warm_start(after.optimizer, before.optimizer, after.image)
    assert int(after.optimizer.pairs) == int(before.optimizer.pairs) > 0
    for name in ("steps", "changes"):
        kept = (getattr(model.optimizer, name) for model in (after, before))
        np.testing.assert_array_equal(*kept)
    for name in ("step_products", "change_products"):
        kept = (getattr(model.optimizer, name) for model in (after, before))
        np.testing.assert_allclose(*kept, rtol=1e-4, atol=1e-6)
    assert int(after.optimizer.iterations) == 0
    assert not np.any(after.optimizer.point.numpy())


def test_lbfgs_scales_its_pairs_to_a_finer_scale():
    before, after = LBFGS(history=2), LBFGS(history=2)
    before.build([keras.Variable(np.zeros((1, 2, 2, 1), "float32"))])
    before.steps.assign([[0.0] * 4, [1.0] * 4])
    before.changes.assign([[0.0] * 4, [3.0] * 4])
    before.pairs.assign(1)
    picture = keras.Variable(np.zeros((1, 4, 4, 1), "float32"))
    warm_start(after, before, picture)
    # A flat pair stays flat. The gradient's change is spread over 4 times the pixels,
    # and doubled: 3 / 4 * 2. Products: 16 pixels of 1 * 1.5, and of 1.5^2.
    np.testing.assert_allclose(after.steps[1], 1.0, rtol=1e-6)
    np.testing.assert_allclose(after.changes[1], 1.5, rtol=1e-6)
    np.testing.assert_allclose(after.step_products, [[0, 0], [0, 24]], rtol=1e-6)
    np.testing.assert_allclose(after.change_products, [[0, 0], [0, 36]], rtol=1e-6)
    assert int(after.pairs) == 1
    assert int(after.iterations) == 0


def test_pairs_without_curvature_end_the_history():
    optimizer = LBFGS(history=3)
    optimizer.build([keras.Variable(np.zeros((1, 1, 2, 1), "float32"))])
    steps = np.ones((3, 1, 2, 1), "float32")
    signs = np.reshape([1.0, -1.0, 1.0], (3, 1, 1, 1)).astype("float32")
    optimizer.load_pairs(steps, steps * signs, 3)
    assert int(optimizer.pairs) == 1
    optimizer.load_pairs(steps, steps, 2)
    assert int(optimizer.pairs) == 2


def test_adam_begins_anew_at_a_finer_scale():
    before, after = (make_optimizer("adam") for _ in range(2))
    small, large = (keras.Variable(np.ones((1, n, n, 3), "float32")) for n in (2, 4))
    before.build([small])
    before.apply([np.ones((1, 2, 2, 3), "float32")])
    warm_start(after, before, large)
    assert int(after.iterations) == 0


def test_adam_keeps_its_moments_in_another_precision():
    picture = keras.Variable(np.ones(3, "float32"))
    before, after = (make_optimizer("adam") for _ in range(2))
    before.build([picture])
    before.apply([np.ones(3, "float32")])
    warm_start(after, before, picture)
    for value, other in zip(after.variables, before.variables, strict=True):
        np.testing.assert_array_equal(value, other)


def test_a_longer_history_keeps_more_pairs(small_run):
    assert make_optimizer("lbfgs", history=3).history == 3
    assert LBFGS().history == StyleConfig().history


# -------------------------------------------------------------------------------- runs


@pytest.fixture
def mixed(small_run):
    """Options of a run of 18 steps, the last 15 in float32."""
    return (
        small_run
        | {"precision": "mixed", "steps": 3 + MIXED_FINAL_STEPS}
        | {
            "scales": 1,
            "report_every": 6,
        }
    )


class Seen(keras.callbacks.Callback):
    """The precision of the model at each step; the end of the process at one."""

    def __init__(self, end=None):
        super().__init__()
        self.kinds, self.end = [], end

    def on_train_batch_end(self, batch, logs=None):
        self.kinds.append(self.model.precision)
        if len(self.kinds) == self.end:
            raise EOFError


def test_a_mixed_run_ends_in_float32_with_one_count_of_steps(mixed):
    seen = Seen()
    result = stylize(StyleConfig(**mixed), [seen])
    assert seen.kinds == 3 * ["bfloat16"] + MIXED_FINAL_STEPS * ["float32"]
    rows = (result.folder / "losses.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "0", "3", "6", "12", "18"]
    assert float(rows[-1].split(",")[1]) == pytest.approx(result.losses["loss"])


def test_final_losses_of_a_bfloat16_run_are_in_float32(mixed):
    result = stylize(StyleConfig(**mixed | {"precision": "bfloat16"}))
    steps = {"steps": 0, "precision": "float32", "init": str(result.path), "bits": 16}
    again = stylize(StyleConfig(**mixed | steps))
    # The start is the picture of 8 bits.
    assert again.losses["loss"] == pytest.approx(result.losses["loss"], rel=0.02)


@pytest.mark.parametrize("end", [2, 3, 4])
def test_a_mixed_run_that_was_killed_ends_with_the_same_pixels(mixed, end, tmp_path):
    options = mixed | {"checkpoint_every": "1"}
    whole = stylize(StyleConfig(**options | {"logdir": str(tmp_path / "whole")}))
    with pytest.raises(EOFError):
        stylize(StyleConfig(**options), [Seen(end)])
    (folder,) = (tmp_path / "logs").iterdir()
    job, state = reopen_run(folder)
    assert state.step == end - 1
    result = run_job(job, state=state)
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
    assert result.losses == whole.losses


def test_what_auto_meant_is_on_record(small_run):
    job = prepare(
        StyleConfig(**small_run | {"precision": "auto"}), machine=machine(None)
    )
    assert "precision: bfloat16" in (job.folder / "config.yaml").read_text()
