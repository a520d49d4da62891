"""The event file of a run, read back with TensorBoard's own reader."""

import errno
import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.custom_scalar import layout_pb2

from kstyle.config.style_config import StyleConfig
from kstyle.runs.callbacks.tensorboard import (
    ScalarEvents,
    SnapshotEvents,
    event_errors,
    read_intact_records,
    table_text,
    write_header,
)
from kstyle.runs.model_options import build_terms

CONFIG = StyleConfig(
    content_layers="conv1_2", style_layers="conv1_1,conv1_2:0.5", tv_weight=3
)
TAGS = ["content/conv1_2", "style/conv1_1", "style/conv1_2", "tv"]
LOSSES = {"loss", *TAGS, *(f"raw/{tag}" for tag in TAGS)}
STEP = {"step/learning_rate", "step/change", "step/ms", "scale/edge", "scale/begins"}
SUMS = {"all/content", "all/style", "all/total"}
GRADIENTS = {f"gradient/{tag}" for tag in TAGS}


@pytest.fixture
def make_model(small_model):
    """A function that makes a small compiled model of `CONFIG`."""
    return functools.partial(small_model, build_terms(CONFIG), learning_rate=2)


@pytest.fixture
def events(tmp_path):
    """A function that lets `write(writer)` write, and reads the event file."""

    def run(write):
        writer = tf.summary.create_file_writer(str(tmp_path))
        write(writer)
        writer.close()
        return EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()

    return run


def tags_of(accumulator, plugin):
    """The tags that belong to one of TensorBoard's plugins."""
    return set(accumulator.PluginTagToContent(plugin))


def series(accumulator, tag):
    """`{step: value}` of a scalar."""
    found = accumulator.Tensors(tag)
    assert len({event.step for event in found}) == len(found)
    return {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in found}


def picture(event):
    """The pixels of an image summary: its width, its height, then PNG files."""
    _, _, png = tf.make_ndarray(event.tensor_proto)
    return tf.io.decode_png(png).numpy()


@pytest.mark.parametrize("gradients", [False, True])
def test_the_exact_set_of_scalars(events, make_model, gradients):
    def write(writer):
        callback = ScalarEvents(writer, 2, gradients=gradients)
        make_model().fit(steps_per_epoch=3, callbacks=[callback])

    accumulator = events(write)
    expected = LOSSES | SUMS | STEP | (GRADIENTS if gradients else set())
    assert set(accumulator.Tags()["tensors"]) == expected
    assert tags_of(accumulator, "scalars") == expected


def test_scalars_are_those_of_the_model_at_the_global_step(events, make_model):
    model = make_model()

    def write(writer):
        model.fit(
            steps_per_epoch=5, callbacks=[ScalarEvents(writer, 2, gradients=True)]
        )

    accumulator = events(write)
    for tag in LOSSES:
        values = series(accumulator, tag)
        assert list(values) == [0, 2, 4, 5]
        assert values[5] == pytest.approx(float(model.evaluate_losses()[tag]), rel=1e-5)
    parts = [
        series(accumulator, f"style/{layer}")[5] for layer in ("conv1_1", "conv1_2")
    ]
    assert series(accumulator, "all/style")[5] == pytest.approx(sum(parts))
    assert series(accumulator, "all/total") == series(accumulator, "loss")
    assert set(series(accumulator, "step/learning_rate")) == {0, 2, 4, 5}
    assert set(series(accumulator, "step/change")) == {2, 4, 5}
    assert all(0 < v <= 2.01 for v in series(accumulator, "step/change").values())
    assert all(v > 0 for v in series(accumulator, "step/ms").values())
    norm = series(accumulator, "gradient/style/conv1_1")[5]
    assert norm == pytest.approx(
        float(model.gradient_norms()["style/conv1_1"]), rel=1e-5
    )


def test_a_report_of_scalars_is_one_record(events, make_model, tmp_path):
    events(
        lambda w: make_model().fit(steps_per_epoch=3, callbacks=[ScalarEvents(w, 2)])
    )
    (path,) = tmp_path.glob("events.out.tfevents.*")
    found = [event_pb2.Event.FromString(each) for each in read_intact_records(path)]
    steps = [event.step for event in found if event.summary.value]
    assert steps == [0, 0, 2, 3]  # the first is that of the scale


def test_scalars_go_on_over_two_scales(events, make_model):
    def write(writer):
        callback = ScalarEvents(writer, 2)
        for start, steps in ((0, 3), (3, 2)):
            make_model(start).fit(steps_per_epoch=steps, callbacks=[callback])

    accumulator = events(write)
    assert list(series(accumulator, "loss")) == [0, 2, 3, 4, 5]
    assert series(accumulator, "scale/edge") == dict.fromkeys([0, 2, 3, 4, 5], 9)
    assert series(accumulator, "scale/begins") == {0: 9}  # both scales are 9 x 8


def test_a_scale_begins_where_the_one_before_has_ended(events, make_model):
    def write(writer):
        first = ScalarEvents(writer, 2)
        make_model().fit(steps_per_epoch=3, callbacks=[first])
        larger = ScalarEvents(writer, 2)
        larger.set_state(first.get_state() | {"edge": 5})
        make_model(3).fit(steps_per_epoch=2, callbacks=[larger])
        resumed = ScalarEvents(writer, 2)
        resumed.set_state(larger.get_state())
        make_model(5).fit(steps_per_epoch=2, callbacks=[resumed])

    assert series(events(write), "scale/begins") == {0: 9, 3: 9}


def test_milliseconds_are_those_of_one_step(events, make_model):
    times = iter(range(100))

    def write(writer):
        callback = ScalarEvents(writer, 2, clock=lambda: next(times))
        make_model().fit(steps_per_epoch=4, callbacks=[callback])

    # Each reading of the clock is a second after the last; a step reads it twice.
    assert series(events(write), "step/ms") == {2: 1000, 4: 1000}


def test_snapshots_are_the_picture_at_its_step(events, make_model, tmp_path):
    model = make_model()

    def write(writer):
        model.fit(
            steps_per_epoch=3, callbacks=[SnapshotEvents(writer, tmp_path / "s", 2)]
        )

    accumulator = events(write)
    assert tags_of(accumulator, "images") == {"snapshot"}
    shots = accumulator.Tensors("snapshot")
    assert [event.step for event in shots] == [0, 2, 3]
    np.testing.assert_allclose(picture(shots[-1]), 255 * model.pixels(), atol=0.51)
    width, height, png = tf.make_ndarray(shots[-1].tensor_proto)
    assert (int(height), int(width)) == model.pixels().shape[:2]
    assert png == (tmp_path / "s" / "step_000003.png").read_bytes()
    assert np.abs(picture(shots[0]) - 255 * model.pixels()).max() > 2


@pytest.fixture
def header(events, random_picture):
    """The header's events, and the two pictures in it."""
    content, style = random_picture(9, 8), random_picture(7, 11, seed=1)
    terms = build_terms(CONFIG)
    return (
        events(lambda w: write_header(w, CONFIG, terms, content, style)),
        content,
        style,
    )


def test_both_pictures_are_shown_once(header):
    accumulator, *pictures = header
    assert tags_of(accumulator, "images") == {"source/content", "source/style"}
    for tag, expected in zip(("source/content", "source/style"), pictures, strict=True):
        (event,) = accumulator.Tensors(tag)
        np.testing.assert_allclose(picture(event), 255 * expected, atol=1)


def test_the_config_is_written_as_a_table_and_as_yaml(header):
    assert tags_of(header[0], "text") == {"config"}
    (event,) = header[0].Tensors("config")
    text = tf.make_ndarray(event.tensor_proto).item().decode()
    assert "| tv_weight | 3.0 |" in text
    assert "| size |" not in text  # it has its default
    code = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    assert StyleConfig.from_yaml("\n".join(code)) == CONFIG


def test_a_cell_of_the_table_escapes_markdown():
    assert table_text("a|b_c*") == "a\\|b\\_c\\*"
    assert table_text({"conv1_1": 2.0}) == "{conv1\\_1: 2.0}"
    assert table_text(None) == ""


def test_every_scalar_has_a_description(events, make_model):
    def write(writer):
        callback = ScalarEvents(writer, 2, gradients=True)
        make_model().fit(steps_per_epoch=3, callbacks=[callback])

    accumulator = events(write)
    for tag in LOSSES | SUMS | STEP | GRADIENTS:
        assert accumulator.SummaryMetadata(tag).summary_description, tag


def charts(accumulator):
    """`{category: {chart: [regex]}}` of the custom-scalars layout."""
    (event,) = accumulator.Tensors("custom_scalars__config__")
    blob = tf.make_ndarray(event.tensor_proto).item()
    layout = layout_pb2.Layout.FromString(blob)
    return {
        category.title: {
            chart.title: list(chart.multiline.tag) for chart in category.chart
        }
        for category in layout.category
    }


def test_the_layout_has_a_chart_for_each_kind_of_loss(header):
    accumulator, *_ = header
    assert tags_of(accumulator, "custom_scalars") == {"custom_scalars__config__"}
    layout = charts(accumulator)
    total, *kinds = layout
    assert kinds == ["weighted losses", "unweighted losses"]
    every = sorted(LOSSES | SUMS | STEP | GRADIENTS)

    def shown(category, chart):
        regexes = layout[category][chart]
        # TensorBoard matches from the start of a tag, as `re.match` does.
        return [tag for tag in every if any(re.match(r, tag) for r in regexes)]

    assert shown(total, "total loss") == ["loss"]
    assert shown(total, "content and style") == ["all/content", "all/style"]
    assert shown(total, "scales") == ["scale/begins", "scale/edge"]
    style = ["style/conv1_1", "style/conv1_2"]
    assert shown("weighted losses", "style") == style
    assert shown("weighted losses", "content") == ["content/conv1_2"]
    assert shown("weighted losses", "tv") == ["tv"]
    assert shown("unweighted losses", "raw/style") == [f"raw/{tag}" for tag in style]
    assert shown("unweighted losses", "raw/content") == ["raw/content/conv1_2"]
    assert shown("unweighted losses", "raw/tv") == ["raw/tv"]
    assert all(len(layout[kind]) == 3 for kind in kinds)


def test_a_style_alone_has_no_chart_of_the_content(events, random_picture):
    terms = build_terms(CONFIG.replace(content_layers={}))
    pictures = random_picture(4, 4), random_picture(4, 4)
    layout = charts(events(lambda w: write_header(w, CONFIG, terms, *pictures)))
    assert list(layout["weighted losses"]) == ["style", "tv"]


def test_kerass_own_tensorboard_callback_works_beside_ours(make_model, tmp_path):
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    make_model().fit(epochs=2, steps_per_epoch=1, callbacks=[board])
    accumulator = EventAccumulator(str(tmp_path / "train")).Reload()
    assert {f"epoch_{tag}" for tag in LOSSES} <= set(accumulator.Tags()["tensors"])


def test_a_full_disk_is_distinguished_from_full_memory():
    full = "logs/events.out; No space left on device"
    with pytest.raises(OSError) as caught, event_errors():
        raise tf.errors.ResourceExhaustedError(None, None, full)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(tf.errors.ResourceExhaustedError), event_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
