"""What a run leaves: its last losses, and the memory in which they are measured."""

import weakref

import pytest

from kstyle import StyleConfig, stylize
from kstyle.losses.terms import build_terms
from kstyle.runs import results
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.job import prepare
from kstyle.runs.models import ModelCache, build_model


class Witness(EverySteps):
    """Knows every model that it has seen, without holding it."""

    def __init__(self):
        super().__init__(every=1)
        self.models = []

    def report(self, step, logs):
        self.models.append(weakref.ref(self.model))


def test_the_bfloat16_model_is_gone_when_its_result_is_measured_in_float32(
    small_run, monkeypatch
):
    witness, left, tiles = Witness(), [], []

    def transfer(*args, **options):
        left.extend(reference() for reference in witness.models)
        model = real(*args, **options)
        tiles.append((model.tile, model.precision))
        return model

    real = results.transfer
    monkeypatch.setattr(results, "transfer", transfer)
    config = StyleConfig(**small_run | {"precision": "bfloat16", "tile": "whole"})
    result = stylize(config, [witness])
    assert len(left) == 5 and not any(left)  # the start and four steps
    assert tiles == [(9, "float32")]  # half of the picture's 18 pixels
    monkeypatch.undo()
    whole = StyleConfig(**small_run | {"steps": 0, "init": str(result.path)})
    assert stylize(whole).losses["loss"] == pytest.approx(
        result.losses["loss"],
        rel=0.02,  # the file has 8 bits
    )


def test_in_float32_the_last_model_is_looked_at_and_stays(small_run, monkeypatch):
    monkeypatch.delattr(results, "transfer")
    witness = Witness()
    result = stylize(StyleConfig(**small_run), [witness])
    assert witness.model.global_step == result.steps == 4
    assert float(witness.model.evaluate_losses()["loss"]) == result.losses["loss"]


@pytest.mark.parametrize(("precision", "edge"), [("float32", 18), ("bfloat16", 9)])
def test_tiles_are_halved_after_steps_in_bfloat16_alone(small_run, precision, edge):
    config = StyleConfig(**small_run | {"precision": precision, "tile": "whole"})
    terms = build_terms(config)
    job, size = prepare(config), config.size
    model = build_model(job, size, ModelCache(), terms, job.content_at(size))
    assert (model.net.edge, model.precision) == (edge, "float32")
