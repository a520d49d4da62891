"""The options of a run, for TensorBoard's table of hyperparameters and kstyle's tab.

They are in a small separate event file, which a report can write again.
"""

import time
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import tensorflow as tf
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from kstyle.config.option_types import option_text
from kstyle.config.style_config import BOOKKEEPING_OPTIONS, StyleConfig
from kstyle.files import atomic_path, json_text
from kstyle.runs.callbacks.tensorboard import event_errors
from kstyle.runs.provenance import shareable_options
from kstyle.tensorboard_plugin.names import (
    DESCRIPTION_TAG,
    HYPERPARAMETER_FILE,
    PLUGIN_NAME,
)

Hyperparameter = bool | float | str


class RunDescription(TypedDict):
    """What kstyle's tab in TensorBoard is told of a run.

    options: all that decide the result, as JSON has them. Of a trial also its
        `experiment`, `labels`, `{axis, repeat or "part": label}`, and, when the
        experiment has been summarised, its `position` there.
    """

    options: dict[str, Any]
    experiment: NotRequired[str]
    labels: NotRequired[dict[str, str]]
    position: NotRequired[int]


def describe_run(config: StyleConfig) -> RunDescription:
    """Return the description of a run: every option that affects its result."""
    options = shareable_options(config)
    kept = {k: v for k, v in options.items() if k not in BOOKKEEPING_OPTIONS}
    return {"options": kept}


def run_hyperparameters(config: StyleConfig) -> dict[str, Hyperparameter]:
    """Return every option that affects the result as a hyperparameter.

    An option has the same type in every run. A number that is not set is left out: text
    beside numbers would make TensorBoard sort the column as text.
    """
    found = {
        name: typed_option(name, value)
        for name, value in describe_run(config)["options"].items()
    }
    return {name: value for name, value in found.items() if value is not None}


def typed_option(name: str, value: Any) -> Hyperparameter | None:
    """Return an option's value as a number, a bool or text, by the option's type.

    `None`: it is a number, and not set.
    """
    if is_number_option(name):
        return value
    return value if isinstance(value, bool) else option_text(value)


def is_number_option(name: str) -> bool:
    """Return whether the values of an option are numbers, or numbers and `None`."""
    kind = StyleConfig.model_fields[name].annotation
    kinds = {
        typing.get_args(each)[0] if typing.get_origin(each) is Annotated else each
        for each in typing.get_args(kind) or (kind,)
    }
    return kinds <= {int, float, type(None)}


def has_hyperparameters(folder: Path) -> bool:
    """Return whether the run's folder has a file of hyperparameters."""
    return (folder / HYPERPARAMETER_FILE).exists()


def write_hyperparameters(
    folder: Path,
    values: Mapping[str, Hyperparameter],
    description: RunDescription,
) -> None:
    """Write the event file of a run's hyperparameters and description, or replace it.

    Every session of TensorBoard's table is a group by itself, named by its run: trials
    of two experiments may have the same name.
    """
    summaries = [
        hparams_summary.session_start_pb(dict(values)).SerializeToString(),
        description_summary(description).SerializeToString(),
    ]
    events = [event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")]
    for each in summaries:
        summary = summary_pb2.Summary.FromString(each)
        events.append(event_pb2.Event(wall_time=time.time(), summary=summary))
    path = folder / HYPERPARAMETER_FILE
    with event_errors(), atomic_path(path) as temporary:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for event in events:
                writer.write(event.SerializeToString())


def description_summary(description: RunDescription) -> summary_pb2.Summary:
    """Return the summary that kstyle's tab reads; its metadata has the JSON text.

    Metadata of all runs come in one answer of TensorBoard's data server.
    """
    content = json_text(description).encode("utf-8")
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(
            plugin_name=PLUGIN_NAME, content=content
        ),
        data_class=summary_pb2.DATA_CLASS_TENSOR,
    )
    tensor = tf.make_tensor_proto(0).SerializeToString()
    value = summary_pb2.Summary.Value(tag=DESCRIPTION_TAG, metadata=metadata)
    value.tensor.ParseFromString(tensor)
    return summary_pb2.Summary(value=[value])
