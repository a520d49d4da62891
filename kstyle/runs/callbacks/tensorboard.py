"""TensorBoard events of a run: scalars, pictures, the config, a chart layout."""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar.summary import scalar_pb

from kstyle.config.style_config import StyleConfig
from kstyle.files import NO_ROOM, atomic_path
from kstyle.losses.terms import LossTerm
from kstyle.optimizers.scipy_lbfgsb import SciPyLBFGSB
from kstyle.runs.callbacks.periodic import Clock, EverySteps, SnapshotFiles
from kstyle.runs.provenance import shareable_options
from kstyle.tensorboard_plugin.names import HYPERPARAMETER_FILE


class ScalarEvents(EverySteps):
    """Writes every logged value at the global step, weighted and as `raw/…`.

    Also the sums over the layers, `all/content` and `all/style`, and `all/total`, the
    loss once more: TensorBoard's table of hyperparameters shows the first five tags in
    their alphabetical order. Also the optimiser's `step/learning_rate`, the picture's
    `step/change` in grey levels, `step/ms`, the mean duration of the steps since the
    last report, and `scale/edge`, the long edge of the picture; at the step at which a
    scale begins also `scale/begins`, the same number.

    gradients: also write the 2-norm of each weighted term's gradient, as `gradient/…`,
        which costs a backward pass per term.
    """

    state_name = "scalar_events"
    writes_files = True

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        every: int,
        *,
        gradients: bool = False,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(every)
        self.writer, self.gradients, self.clock = writer, gradients, clock
        self.steps, self.seconds, self.begun = 0, 0.0, 0.0
        self.edge = 0  # of the scale
        self.begins: int | None = None  # its first step, until that is reported

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"edge": self.edge}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.edge = state.get("edge", 0)  # a checkpoint of an earlier version has none

    def on_train_begin(self, logs: Any = None) -> None:
        edge = max(self.model.image.shape[1:3])
        if edge != self.edge:
            self.edge, self.begins = edge, self.model.global_step
        super().on_train_begin(logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.begun = self.clock()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seconds += self.clock() - self.begun
        self.steps += 1
        super().on_train_batch_end(batch, logs)

    def report(self, step: int, logs: dict[str, float]) -> None:
        for kind in ("content", "style"):
            parts = [v for tag, v in logs.items() if tag.startswith(f"{kind}/")]
            if parts:
                logs[f"all/{kind}"] = sum(parts)
        logs["all/total"] = logs["loss"]
        if "change" in logs:
            logs["step/change"] = logs.pop("change")
        logs["step/learning_rate"] = float(self.model.optimizer.learning_rate)
        if isinstance(self.model.optimizer, SciPyLBFGSB):
            logs["step/iterations"] = float(self.model.optimizer.done)
        if self.steps:
            logs["step/ms"] = 1e3 * self.seconds / self.steps
            self.steps, self.seconds = 0, 0.0
        logs["scale/edge"] = float(self.edge)
        if self.gradients:
            for tag, norm in self.model.gradient_norms().items():
                logs[f"gradient/{tag}"] = float(norm)
        with event_errors(), self.writer.as_default():
            if self.begins is not None:
                begins = {"scale/begins": float(self.edge)}
                write_scalars(begins, self.begins)
                self.begins = None
            write_scalars(logs, step)
            self.writer.flush()


class SnapshotEvents(SnapshotFiles):
    """Writes the snapshot's file, and its bytes as the image `snapshot`."""

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        folder: Path,
        every: int,
        recolor: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        super().__init__(folder, every, recolor)
        self.writer = writer

    def report(self, step: int, logs: dict[str, float]) -> None:
        super().report(step, logs)
        height, width = self.model.image.shape[1:3]
        image = [str(width), str(height), self.path(step).read_bytes()]
        metadata = image_metadata.create_summary_metadata(
            None, "The **picture** at this step of the run."
        )
        with event_errors(), self.writer.as_default(step=step):
            tf.summary.write("snapshot", tf.constant(image), metadata=metadata)
            self.writer.flush()


@contextlib.contextmanager
def event_errors() -> Iterator[None]:
    """Raise an `OSError` where TensorFlow's event writer finds no room on the disk.

    TensorFlow has the same error for a full disk as for a full memory.
    """
    try:
        yield
    except tf.errors.OpError as error:
        for number in NO_ROOM:
            if os.strerror(number) in error.message:
                raise OSError(number, os.strerror(number)) from None
        raise


def close_writer(writer: tf.summary.SummaryWriter) -> None:
    """Close an event file; what does not fit on the disk any more is lost."""
    with contextlib.suppress(OSError), event_errors():
        writer.close()


def write_scalars(values: Mapping[str, float], step: int) -> None:
    """Write scalars `{tag: float}` with the default writer.

    TensorFlow takes a millisecond per record, so all of a step are written in one.
    """
    summary = summary_pb2.Summary()
    for tag, value in values.items():
        summary.MergeFrom(scalar_pb(tag, value, scalar_description(tag)))
    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=step)


SCALAR_DESCRIPTIONS = {
    "loss": "**Total loss**: the sum of the weighted losses. Each scale of a run has "
    "its own targets, so the loss jumps where a scale begins: see `scale/begins`.",
    "all/content": "**Content loss**: the sum over the layers, times the weights.",
    "all/style": "**Style loss**: the sum over the layers, times the weights.",
    "all/total": "**Total loss**, the same as `loss`.",
    "content": "**Content loss** of a layer, times its weight and `content_weight`.",
    "style": "**Style loss** of a layer, times its weight and `style_weight`.",
    "tv": "**Total variation**, times `tv_weight`.",
    "raw": "The same loss **without weights**.",
    "gradient": "The **2-norm of the gradient** of the weighted loss at the picture.",
    "step/learning_rate": "The learning rate of the optimizer.",
    "step/change": "The mean **change of a pixel** in the step, in levels of 0..255.",
    "step/ms": "The mean **duration of a step**, in milliseconds.",
    "step/iterations": "SciPy's iterations so far, each of one step or more.",
    "scale/edge": "The **long edge** of the picture at the current scale, in pixels.",
    "scale/begins": "A point **where a scale begins**, at its long edge in pixels.",
}


def scalar_description(tag: str) -> str:
    """Return the Markdown that TensorBoard shows for a scalar."""
    return SCALAR_DESCRIPTIONS.get(tag) or SCALAR_DESCRIPTIONS.get(
        tag.split("/")[0], ""
    )


def write_header(
    writer: tf.summary.SummaryWriter,
    config: StyleConfig,
    terms: Sequence[LossTerm],
    content: np.ndarray,
    *styles: np.ndarray,
) -> None:
    """Write the pictures, the config as text, and the custom-scalars layout."""
    with event_errors(), writer.as_default(step=0):
        tf.summary.image(
            "source/content", content[None], description="The **photograph**."
        )
        for number, style in enumerate(styles, start=1):
            tag = "source/style" if number == 1 else f"source/style {number}"
            tf.summary.image(tag, style[None], description="The **painting**.")
        tf.summary.text(
            "config", config_markdown(config), description="The **options** of the run."
        )
        layout = custom_scalar.pb(chart_layout(terms)).SerializeToString()
        tf.summary.experimental.write_raw_pb(layout, step=0)
        writer.flush()


def write_overlay(writer: tf.summary.SummaryWriter, overlay: np.ndarray) -> None:
    """Write the content, tinted by its regions, as the image `source/regions`."""
    with event_errors(), writer.as_default(step=0):
        tf.summary.image(
            "source/regions",
            overlay[None],
            description="The photograph, **tinted by its regions**.",
        )
        writer.flush()


def truncate_events(folder: Path, step: int | None) -> None:
    """Remove the events after `step` from a run's event files; `None`: the files.

    A resumed run writes a new file, and TensorBoard shall show one curve without a step
    twice. A record that a killed process left incomplete is removed too. The file of
    the hyperparameters stays.
    """
    for path in sorted(folder.glob("events.out.tfevents.*")):
        if path.name == HYPERPARAMETER_FILE:
            continue
        if step is None:
            path.unlink()
            continue
        with event_errors(), atomic_path(path) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in read_intact_records(path):
                    if event_pb2.Event.FromString(record).step <= step:
                        writer.write(record)


def read_intact_records(path: Path) -> Iterator[bytes]:
    """Yield the records of an event file up to the first damaged one."""
    with contextlib.suppress(tf.errors.DataLossError):
        for record in tf.data.TFRecordDataset(str(path)):
            yield record.numpy()


def config_markdown(config: StyleConfig) -> str:
    """Return the config as Markdown: a table of what differs from the defaults, then
    all as YAML; without the private folders of its author."""
    options, defaults = shareable_options(config), shareable_options(StyleConfig())
    rows = [
        f"| {name} | {table_text(value)} | {table_text(defaults[name])} |\n"
        for name, value in options.items()
        if value != defaults[name]
    ]
    table = "Every option has its default.\n"
    if rows:
        heading = "| option | value | default |\n|---|---|---|\n"
        table = heading + "".join(rows)
    everything = code_block(yaml.safe_dump(options, sort_keys=False))
    return f"{table}\nAll options:\n\n{everything}"


def table_text(value: Any) -> str:
    """Return an option's value as the text of a cell of a Markdown table."""
    if value is None:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    text = text.removesuffix("...\n").strip()
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def code_block(text: str) -> str:
    """Return text that Markdown shows unchanged: four spaces before each line."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def chart_layout(terms: Sequence[LossTerm]) -> layout_pb2.Layout:
    """Put the total loss, those of content and style, and the scales on charts, and the
    layers of each kind of loss on others, weighted and unweighted."""

    def chart(title: str, tags: str) -> layout_pb2.Chart:
        lines = layout_pb2.MultilineChartContent(tag=[tags])
        return layout_pb2.Chart(title=title, multiline=lines)

    def category(title: str, prefix: str) -> layout_pb2.Category:
        kinds = {term.tag.split("/")[0] for term in terms}
        charts = [
            chart(f"{prefix}{kind}", f"^{prefix}{kind}(/|$)")
            for kind in ("content", "style", "tv")
            if kind in kinds
        ]
        return layout_pb2.Category(title=title, chart=charts)

    return layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title="total loss and scales",
                chart=[
                    chart("total loss", "^loss$"),
                    chart("content and style", "^all/(content|style)$"),
                    chart("scales", "^scale/"),
                ],
            ),
            category("weighted losses", ""),
            category("unweighted losses", "raw/"),
        ]
    )
