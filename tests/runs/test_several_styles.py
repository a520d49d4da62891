"""Runs of several styles: mixtures from files and arrays, their records, batches."""

import json
import os

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kstyle
from kstyle.cli.main import cli
from kstyle.experiments.definition.experiment_file import read_experiment
from kstyle.runs.batch_plan import batch_configs, make_batch_plan
from kstyle.runs.initialization import solve_job_weights
from kstyle.runs.job import prepare, reopen_run
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import build_terms
from kstyle.runs.pipeline import run_job
from kstyle.runs.provenance import read_run, shareable_options


@pytest.fixture
def mixed(small_run, tmp_path, random_picture):
    """Options of a small run in a mixture, three parts of one style to one."""
    kstyle.save_picture(tmp_path / "second.png", random_picture(20, 16, seed=2))
    style = [small_run.pop("style"), str(tmp_path / "second.png")]
    return {**small_run, "style": style, "style_weights": "none", "blend": [3, 1]}


def targets(job):
    """The targets of the first scale, as arrays."""
    model = build_model(
        job,
        job.scales[0],
        ModelCache(),
        build_terms(job.config),
        job.content_at(job.scales[0].content_size),
    )
    return {tag: np.asarray(value) for tag, value in model.targets.items()}


def test_the_target_is_the_mean_of_the_styles_gram_matrices(mixed):
    config = kstyle.StyleConfig(**mixed)
    blended = targets(prepare(config))
    first, second = (targets(prepare(config.replace(style=s))) for s in mixed["style"])
    for tag in ("style/conv1_1", "style/conv2_1"):
        expected = 0.75 * first[tag] + 0.25 * second[tag]
        np.testing.assert_allclose(blended[tag], expected, rtol=1e-5)
    np.testing.assert_array_equal(blended["content/conv1_2"], first["content/conv1_2"])


def test_a_mixture_of_one_style_twice_is_that_style(mixed):
    options = {"tile": "whole", "color": "match", "blend": None}
    config = kstyle.StyleConfig(**{**mixed, **options})
    twice = config.replace(style=[mixed["style"][0]] * 2)
    once = config.replace(style=mixed["style"][0])
    found, expected = (kstyle.stylize(c).picture.pixels for c in (twice, once))
    np.testing.assert_allclose(found, expected, atol=2 / 255)


def test_normalized_weights_are_those_of_the_mixture(mixed):
    config = kstyle.StyleConfig(**{**mixed, "style_weights": "normalized"})
    job = prepare(config)
    solved = solve_job_weights(job).config.style_layers
    found = targets(job)
    for layer in ("conv1_1", "conv2_1"):
        target = found[f"style/{layer}"]
        empty = 1e-4 * np.sum(target**2) / 2 / target.shape[-1] ** 2
        content = np.sum(found["content/conv1_2"] ** 2) / 2
        content /= np.prod(found["content/conv1_2"].shape)
        expected = content / empty * 18 / 512
        assert solved[layer] == pytest.approx(expected, rel=1e-3)


class InterruptAtStep2(keras.callbacks.Callback):
    """Raises what Ctrl-C raises."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step == 2:
            raise KeyboardInterrupt


def test_a_mixture_of_arrays_is_recorded_and_resumed(mixed, random_picture):
    options = {k: v for k, v in mixed.items() if k not in ("style", "blend")}
    config = kstyle.StyleConfig(**options, checkpoint_every=1)
    style = [random_picture(14, 18, seed=1), mixed["style"][1]]
    whole = kstyle.stylize(config, style=style, blend=[1, 2])
    part = kstyle.stylize(config, [InterruptAtStep2()], style=style, blend=[1, 2])
    record = read_run(part.folder)
    assert set(record["pictures"]) == {"content", "style", "style 2"}
    assert "content-style+second-vgg19" in part.folder.name
    job, state = reopen_run(part.folder)
    again = run_job(job, state=state)
    np.testing.assert_array_equal(again.picture.pixels, whole.picture.pixels)
    (tmp,) = {os.path.dirname(path) for path in record["config"].picture_options()}
    names = [s["picture"] for s in shareable_options(record["config"])["styles"]]
    assert names == ["style.png", "second.png"], tmp
    metadata = json.loads(kstyle.read_metadata(again.path)["config"])
    assert metadata["blend"] == [1, 2]


def test_a_batch_mixes_the_styles_of_its_config(mixed, tmp_path):
    config = kstyle.StyleConfig(**mixed)
    (only,) = batch_configs(config, [config.content], output=tmp_path / "out")
    assert only.output == str(tmp_path / "out" / "content-style-second.png")
    (entry,) = make_batch_plan([only]).entries
    assert entry.scales[-1].more_style_sizes == ((18, 14),)
    alone = batch_configs(config, styles=["a.jpg"])[0]
    assert (alone.style, alone.styles, alone.blend) == ("a.jpg", (), None)


def test_an_experiment_varies_shares_and_styles(mixed, tmp_path):
    path = tmp_path / "mixture.yaml"
    options = {k: v for k, v in mixed.items() if k not in ("style", "blend")}
    styles = [{"picture": p} for p in mixed["style"]]
    axes = {
        "mixture": {
            "even": {"styles": styles},
            "mostly": {"styles": styles, "blend": [3, 1]},
            "alone": {"style": mixed["style"][1]},
        }
    }
    base = {**options, "styles": styles[::-1]}
    path.write_text(json.dumps({"base": base, "axes": axes}))
    even, mostly, alone = (t.config for t in read_experiment(path).trials)
    assert [s.picture for s in even.styles] == mixed["style"]
    assert mostly.blend == (3, 1)
    assert (alone.style, alone.styles) == (mixed["style"][1], ())


def test_the_command_mixes_its_style_arguments(mixed):
    words = ["stylize", mixed["content"], *mixed["style"], "absent.png"]
    words += ["--blend", "2,1,1", "--style-size", "14", "--style-size", "16"]
    found = CliRunner().invoke(cli, words)
    assert found.exit_code == 2
    assert "--style-size: 2 values for 3 style pictures" in found.stderr
    found = CliRunner().invoke(cli, [*words, "--style-size", "3"])
    assert "absent.png" in found.stderr
