"""What a run writes for TensorBoard: scalars, pictures, the config, a chart layout."""

import contextlib
import time

import tensorflow as tf
import yaml
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar.summary import scalar_pb

from kstyle.files import atomic_path
from kstyle.runs.callbacks.periodic import EverySteps, SnapshotFiles
from kstyle.runs.provenance import shareable_options


class ScalarEvents(EverySteps):
    """Every logged value at the global step, weighted and `raw/…`; also the optimiser's
    `step/learning_rate`, the picture's `step/change` in grey levels, and `step/ms`.

    gradients: also the 2-norm of each weighted term's gradient, as `gradient/…`, which
        costs a backward pass a term.
    """

    def __init__(self, writer, every, *, gradients=False):
        super().__init__(every)
        self.writer, self.gradients = writer, gradients
        self.steps, self.seconds, self.begun = 0, 0.0, 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds += time.perf_counter() - self.begun
        self.steps += 1
        super().on_train_batch_end(batch, logs)

    def report(self, step, logs):
        if "change" in logs:
            logs["step/change"] = logs.pop("change")
        logs["step/learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.steps:
            logs["step/ms"] = 1e3 * self.seconds / self.steps
            self.steps, self.seconds = 0, 0.0
        if self.gradients:
            norms = self.model.gradient_norms()
            logs |= {f"gradient/{tag}": float(norm) for tag, norm in norms.items()}
        with self.writer.as_default(step=step):
            tf.summary.experimental.write_raw_pb(scalar_record(logs))
        self.writer.flush()


class SnapshotEvents(SnapshotFiles):
    """As `SnapshotFiles`, and the file as the image `snapshot` at the global step."""

    def __init__(self, writer, folder, every):
        super().__init__(folder, every)
        self.writer = writer

    def report(self, step, logs):
        super().report(step, logs)
        height, width = self.model.image.shape[1:3]
        shown = [str(width), str(height), self.path(step).read_bytes()]
        kind = image_metadata.create_summary_metadata(None, None)
        with self.writer.as_default(step=step):
            tf.summary.write("snapshot", tf.constant(shown), metadata=kind)
        self.writer.flush()


def scalar_record(values):
    """Scalars `{tag: float}` as one `Summary`, serialized: TensorFlow takes a
    millisecond for each record."""
    summary = summary_pb2.Summary()
    for tag, value in values.items():
        summary.MergeFrom(scalar_pb(tag, value))
    return summary.SerializeToString()


def write_header(writer, config, terms, content, style):
    """Once a run: both pictures, the config as text, and the custom-scalars layout."""
    with writer.as_default(step=0):
        tf.summary.image("source/content", content[None])
        tf.summary.image("source/style", style[None])
        tf.summary.text("config", config_markdown(config))
        layout = custom_scalar.pb(chart_layout(terms)).SerializeToString()
        tf.summary.experimental.write_raw_pb(layout, step=0)
    writer.flush()


def truncate_events(folder, step):
    """Drop what the event files of a run in `folder` say of steps after `step`.

    `None` drops the files. A run that goes on from `step` writes a file of its own, so
    that TensorBoard shows one curve without a step twice. The end of a file that a
    killed process left half-written goes too.
    """
    for path in sorted(folder.glob("events.out.tfevents.*")):
        if step is None:
            path.unlink()
            continue
        with atomic_path(path) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in whole_records(path):
                    if event_pb2.Event.FromString(record).step <= step:
                        writer.write(record)


def whole_records(path):
    """The records of an event file up to its end, or to the first damaged one."""
    with contextlib.suppress(tf.errors.DataLossError):
        for record in tf.data.TFRecordDataset(str(path)):
            yield record.numpy()


def config_markdown(config):
    """The config as Markdown; where its maker keeps files is not in it."""
    return code_block(yaml.safe_dump(shareable_options(config), sort_keys=False))


def code_block(text):
    """Text that Markdown leaves as it is: four spaces before each line."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def chart_layout(terms):
    """All style layers on one chart and all content layers on another, twice."""

    def category(title, prefix):
        kinds = {term.tag.split("/")[0] for term in terms}
        charts = [
            layout_pb2.Chart(
                title=f"{prefix}{kind}",
                multiline=layout_pb2.MultilineChartContent(
                    tag=[f"^{prefix}{kind}(/|$)"]
                ),
            )
            for kind in ("content", "style", "tv")
            if kind in kinds
        ]
        return layout_pb2.Category(title=title, chart=charts)

    return layout_pb2.Layout(
        category=[
            category("weighted losses", ""),
            category("unweighted losses", "raw/"),
        ]
    )
