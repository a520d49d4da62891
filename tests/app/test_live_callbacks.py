"""The callbacks of a run of the app, on a small model."""

import io
import multiprocessing

import pytest
from PIL import Image

from kstyle.app.live_callbacks import LiveReport, RemoteControl, live_jpeg
from kstyle.app.messages import Continue, LivePicture, Pause, Paused, Progress, Stop
from kstyle.planning.scales import ScalePlan


@pytest.fixture
def scales():
    """One scale of three steps, as `make_model` has it."""
    return [ScalePlan((9, 8), (7, 11), 3, "float32", None)]


def test_the_start_and_the_end_are_always_reported(make_model, scales):
    sent, model = [], make_model()
    report = LiveReport(sent.append, scales, lambda pixels: pixels)
    model.fit(epochs=1, steps_per_epoch=3, callbacks=[report], verbose=0)
    steps = [m.step for m in sent if isinstance(m, LivePicture)]
    assert (steps[0], steps[-1]) == (0, 3)
    first, *_, last = (m for m in sent if isinstance(m, Progress))
    assert (first.step, last.step) == (0, 3)
    assert last.content > 0 and last.style > 0
    assert last.content + last.style < last.loss  # and the total variation


def test_a_closed_connection_does_not_end_a_report(make_model, scales):
    def closed(message):
        raise BrokenPipeError

    report = LiveReport(closed, scales, lambda pixels: pixels)
    make_model().fit(epochs=1, steps_per_epoch=3, callbacks=[report], verbose=0)


def test_a_run_goes_on_after_a_pause_and_ends_after_a_stop(make_model):
    ours, theirs = multiprocessing.Pipe()
    model = make_model()
    for message in (Pause(), Continue(), Pause(), Stop()):
        ours.send(message)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            epochs=1, steps_per_epoch=3, callbacks=[RemoteControl(theirs)], verbose=0
        )
    assert [ours.recv(), ours.recv()] == [Paused(), Paused()]
    assert model.global_step == 0 and not ours.poll()


def test_a_run_stops_when_the_server_is_gone(make_model):
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    with pytest.raises(KeyboardInterrupt):
        make_model().fit(
            epochs=1, steps_per_epoch=3, callbacks=[RemoteControl(theirs)], verbose=0
        )


def test_a_live_picture_is_at_most_1024_pixels(random_picture):
    image = Image.open(io.BytesIO(live_jpeg(random_picture(1030, 2060))))
    assert image.size == (1024, 512)
