"""The end of a run: the last losses, and the memory in which they are measured."""

import weakref

import pytest

from kstyle import StyleConfig, stylize
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache
from kstyle.runs.pipeline import run_job


class Witness(EverySteps):
    """Knows every model that it has seen, without holding it."""

    def __init__(self):
        super().__init__(every=1)
        self.models = []

    def report(self, step, logs):
        self.models.append(weakref.ref(self.model))


class WitnessedCache(ModelCache):
    """Notes for each network in float32 which models of `witness` are alive."""

    def __init__(self, witness):
        super().__init__()
        self.witness, self.alive = witness, []

    def get_extractor(self, network, layers):
        if network.precision == "float32":
            self.alive += [model() for model in self.witness.models]
        return super().get_extractor(network, layers)


def test_the_bfloat16_model_is_released_before_the_last_losses(small_run):
    witness = Witness()
    models = WitnessedCache(witness)
    config = StyleConfig(**small_run | {"precision": "bfloat16", "tile": "whole"})
    result = run_job(prepare(config), [witness], models)
    assert models.alive == 5 * [None]  # the start and four steps
    whole = StyleConfig(**small_run | {"steps": 0, "init": str(result.path)})
    # The file has 8 bits.
    assert stylize(whole).losses["loss"] == pytest.approx(
        result.losses["loss"], rel=0.02
    )


def test_in_float32_the_last_model_gives_the_last_losses(small_run):
    witness = Witness()
    result = stylize(StyleConfig(**small_run), [witness])
    assert witness.model.global_step == result.steps == 4
    assert float(witness.model.evaluate_losses()["loss"]) == result.losses["loss"]


@pytest.mark.parametrize(("precision", "edge"), [("float32", 18), ("bfloat16", 9)])
def test_measuring_after_bfloat16_takes_half_the_tiles(small_run, precision, edge):
    config = StyleConfig(**small_run | {"precision": precision, "tile": "whole"})
    scale = prepare(config).scales[-1]
    assert (scale.tile, scale.precision) == (18, precision)
    measuring = scale.for_measuring()
    assert (measuring.tile, measuring.precision) == (edge, "float32")
    assert measuring.content_size == scale.content_size
