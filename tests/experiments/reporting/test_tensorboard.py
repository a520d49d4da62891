"""The events of an experiment, read back with TensorBoard's own reader."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from kstyle import experiments
from kstyle.config.style_config import StyleConfig
from kstyle.experiments.definition.experiment_file import Trial
from kstyle.experiments.reporting.tensorboard import axis_value, trial_labels


def hparams(folder):
    """The hyperparameters in a run's folder, in Python's types."""
    accumulator = EventAccumulator(str(folder)).Reload()
    content = accumulator.SummaryMetadata(metadata.SESSION_START_INFO_TAG)
    info = metadata.parse_session_start_info_plugin_data(content.plugin_data.content)
    kinds = {"number_value", "string_value", "bool_value"}
    assert {value.WhichOneof("kind") for value in info.hparams.values()} <= kinds
    return {
        name: getattr(value, value.WhichOneof("kind"))
        for name, value in info.hparams.items()
    }


def make_trial(axes, **options):
    return Trial("name", "", "", "picture", axes, {}, options, StyleConfig(**options))


def test_a_trial_has_its_own_axes_and_five_metrics_first(pools, tmp_path):
    path = pools(axes={"pool": ["max"], "size": [24]})
    experiments.run(path, logdir=tmp_path / "logs")
    folder = tmp_path / "logs" / "pools"
    trial = folder / "pool=max,size=24"
    assert hparams(trial) == {"pool": "max", "size": 24.0}
    tags = sorted(EventAccumulator(str(trial)).Reload().PluginTagToContent("scalars"))
    distances = ["all/content_distance", "all/style_distance"]
    assert tags[:5] == sorted(["all/content", "all/style", "all/total", *distances])
    names = EventAccumulator(str(folder)).Reload().PluginTagToContent
    with pytest.raises(KeyError):  # no list of columns, which would hide all others
        names(metadata.PLUGIN_NAME)


def test_a_copied_trial_has_the_axes_of_its_own_experiment(pools, tmp_path):
    experiments.run(pools(axes={"pool": ["avg"]}), logdir=tmp_path / "logs")
    text = pools(axes={"pooling": {"soft": {"pool": "avg"}}})
    other = text.rename(tmp_path / "other.yaml")
    experiments.run(other, logdir=tmp_path / "logs")
    assert hparams(tmp_path / "logs" / "other" / "pooling=soft") == {"pooling": "soft"}


def test_one_axis_at_a_time_fills_the_others_in():
    trial = make_trial({"style_weight": "30"}, style_weight=30, learning_rate=2)
    labels = trial_labels(trial, ["style_weight", "learning_rate", "surface"])
    assert labels == {"style_weight": "30", "learning_rate": "2", "surface": "base"}


def test_numbers_are_numbers_under_any_label():
    config = StyleConfig(size=256)
    assert axis_value("size", "256", config) == 256
    assert axis_value("size", "small", config) == 256
    assert axis_value("learning_rate", "none", config) is None
    assert axis_value("pool", "avg", config) == "avg"
