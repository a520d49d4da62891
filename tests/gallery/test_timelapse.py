"""Films of runs."""

import numpy as np
import pytest
from PIL import Image

import kstyle
from kstyle.errors import ConfigError
from kstyle.gallery.timelapse import FilmPlan, write_timelapse

RED = (255, 0, 0)


def levels(frames):
    """Return the first sample of the last pixel of every frame."""
    return [int(frame[-1, -1, 0]) for frame in frames]


def plan(seconds, before_after="none"):
    """A film from black over grey to white, 4 x 8 pixels, with a red photograph."""
    pictures = [np.full((4, 8, 3), level, np.uint8) for level in (0, 100, 200)]
    content = np.broadcast_to(np.uint8(RED), (4, 8, 3))
    return FilmPlan(pictures, content, seconds, before_after)


def test_a_film_stands_still_then_blends_then_stands_still():
    found = levels(plan(8).frames())  # 0.7 s black, 5.8 s, 1.5 s white
    assert len(found) == 100
    assert found[:9] == [0] * 9 and found[9] > 0
    assert found == sorted(found)
    assert found[45] == 100  # after 3.6 s, in the middle of the snapshots
    assert found[-18:] == [200] * 18 and found[-20] < 200


def test_a_short_film_keeps_half_of_its_time_for_the_change():
    found = levels(plan(0.8).frames())  # 0.13 s, 0.4 s, 0.27 s
    assert len(found) == 10
    assert found[0] == 0 and found[-3:] == [200] * 3


def test_beside_shows_the_photograph_at_the_left():
    frame = next(plan(8, "beside").frames())
    assert frame.shape == (4, 18, 3)  # a gap of two pixels
    assert tuple(frame[0, 0]) == RED and tuple(frame[0, -1]) == (0, 0, 0)


def test_wipe_ends_with_the_result_after_the_photograph():
    frames = list(plan(10, "wipe").frames())
    assert levels(frames[-26:-24]) == [200, 200]
    middle = frames[-13]  # the divider is at the right border
    assert tuple(middle[0, 0]) == RED and middle[0, 5].tolist() == list(RED)
    assert frames[-1][0, 7].tolist() == [200] * 3


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_film_has_the_size_and_length_asked_for(finished_run, tmp_path, suffix):
    output = tmp_path / f"film{suffix}"
    with Image.open(
        write_timelapse(finished_run(), output, seconds=2, size=16)
    ) as film:
        assert film.size == (16, 8) and film.info["loop"] == 0
        milliseconds = 0
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            milliseconds += film.info["duration"]
    assert milliseconds == 2000


def test_an_mp4_film_has_the_size_and_length_asked_for(finished_run, tmp_path):
    av = pytest.importorskip("av")
    run, output = finished_run(), tmp_path / "film.mp4"
    write_timelapse(run, output, seconds=2, size=16, before_after="beside")
    with av.open(str(output)) as film:
        (stream,) = film.streams.video
        assert (stream.width, stream.height) == (34, 8)  # 16 + a gap of 2 + 16
        assert sum(1 for _ in film.decode(stream)) == 25  # 12.5 a second


def test_the_first_frame_is_the_start_and_the_last_the_result(finished_run, tmp_path):
    path = write_timelapse(finished_run(), tmp_path / "film.gif", seconds=1)
    with Image.open(path) as film:
        assert film.convert("RGB").getpixel((0, 0)) == (0, 0, 0)
        film.seek(film.n_frames - 1)
        assert film.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_film_is_not_replaced_unasked(finished_run, tmp_path):
    path = tmp_path / "film.gif"
    path.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists"):
        write_timelapse(finished_run(), path)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0}, "seconds must be above 0"),
        ({"seconds": float("nan")}, "seconds must be above 0"),
        ({"size": 8}, "size must be from 16"),
        ({"size": 4096, "seconds": 120}, "too much"),
    ],
)
def test_impossible_films_are_refused(finished_run, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_timelapse(finished_run(), tmp_path / "film.gif", **options)
    assert not (tmp_path / "film.gif").exists()


def test_an_unknown_type_or_no_snapshots_are_refused(finished_run, tmp_path):
    run = finished_run()
    with pytest.raises(ConfigError, match=r"\.avi is not a type of films"):
        write_timelapse(run, tmp_path / "film.avi")
    for file in (run / "snapshots").iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match="--snapshot-every"):
        write_timelapse(run, tmp_path / "film.gif")


def test_transparency_is_put_over_white(finished_run, tmp_path):
    run = finished_run()
    alpha = np.zeros((4, 8), "float32")
    picture = kstyle.Picture(np.zeros((4, 8, 3), "float32"), alpha)
    kstyle.save_picture(run / "result.png", picture)
    path = write_timelapse(run, tmp_path / "film.gif", seconds=1)
    with Image.open(path) as film:
        film.seek(film.n_frames - 1)
        assert film.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
