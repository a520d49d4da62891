"""Batches: which pictures, their names, refusals, runs, and the summary."""

import contextlib
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kstyle
from kstyle import StyleConfig, save_picture, stylize
from kstyle.cli.batch import (
    BatchLines,
    batch_exit_code,
    print_batch_estimate,
    print_outcomes,
)
from kstyle.cli.main import cli
from kstyle.errors import ConfigError, DivergedError, ImageError
from kstyle.images.reading import picture_size
from kstyle.images.writing import read_metadata
from kstyle.runs.batch import SilentBatchWatch, run_batch
from kstyle.runs.batch_plan import (
    batch_configs,
    make_batch_plan,
    pictures_in,
    result_names,
)
from kstyle.runs.provenance import read_run


@pytest.fixture
def folder(tmp_path, random_picture):
    """A folder of three contents, two of them of one shape, and of other things."""
    place = tmp_path / "in"
    (place / "more").mkdir(parents=True)
    for seed, (name, shape) in enumerate(
        {"a.png": (16, 24), "b.png": (20, 24), "c.jpg": (16, 24)}.items()
    ):
        save_picture(place / name, random_picture(*shape, seed=seed))
    (place / "notes.txt").write_text("no picture")
    (place / ".hidden.png").write_bytes((place / "a.png").read_bytes())
    return place


@pytest.fixture
def config(small_run):
    """A quick run: one scale, two steps."""
    quick = {"steps": 2, "report_every": 1, "snapshot_every": 0}
    return StyleConfig(**small_run | quick)


class Seen(SilentBatchWatch):
    """Keeps what it gets; presses Ctrl-C in the run of a content named `stop`."""

    def __init__(self, stop=None):
        self.stop, self.order, self.ends = stop, [], []

    def begin(self, plan, todo):
        self.order = [Path(entry.config.content).name for entry in todo]

    def running(self, job):
        callbacks = []
        if self.stop and job.config.content.endswith(self.stop):
            callbacks = [CtrlC()]
        return contextlib.nullcontext(callbacks)

    def end(self, entry, outcome):
        self.ends.append(outcome.status)


class CtrlC(keras.callbacks.Callback):
    """Pressed at the second step."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.global_step) == 2:
            raise KeyboardInterrupt


def invoke(config, *words):
    """The outcome of `kstyle stylize` with the options of `config` and `words`."""
    saved = Path(config.logdir).parent / "config.yaml"
    saved.write_text(config.to_yaml())
    words = ["stylize", "--config", saved, *words]
    return CliRunner().invoke(cli, list(map(str, words)))


# --------------------------------------------------------------------------- finding


def test_pictures_are_found_and_other_files_counted(folder):
    found, others = pictures_in(folder)
    assert [Path(path).name for path in found] == ["a.png", "b.png", "c.jpg"]
    assert others == 2  # the text and the hidden one; the folder is none


def test_a_folder_without_pictures_is_refused(folder):
    with pytest.raises(ConfigError, match="no picture in .*more, which has 0 files"):
        pictures_in(folder / "more")
    for name in ("nothing", "a.png", "a\0b"):
        with pytest.raises(ConfigError, match="Name a folder of pictures"):
            pictures_in(folder / name)


def test_every_content_is_crossed_with_every_style(folder, config, tmp_path):
    found = batch_configs(config, folder, ["sample:night", "x/wave.jpg"], tmp_path)
    names = [Path(c.output).name for c in found]
    assert names == [f"{c}-{s}.png" for c in "abc" for s in ("night", "wave")]
    assert {Path(c.output).parent for c in found} == {tmp_path}
    assert batch_configs(config) == [config]


def test_no_two_results_have_the_same_name():
    styles = ["s/wave.png"]
    contents = ["a.jpg", "a.png", "A.PNG", "b.jpg", "other/b.jpg", "c.tif"]
    names = result_names([(c, s) for c in contents for s in styles])
    assert names == [
        *("a_jpg-wave_png.png", "a_png-wave_png.png", "A_PNG-wave_png-2.png"),
        *("b_jpg-wave_png.png", "b_jpg-wave_png-2.png", "c-wave.png"),
    ]
    crossing = result_names([("a-b.png", "c.png"), ("a.png", "b-c.png")])
    assert len(set(crossing)) == 2


def test_the_size_of_a_picture_is_read_from_its_header(tmp_path, random_picture):
    names = ("x.png", "x.jpg", "x.webp", "x.bmp", "x.tif", "deep.tif", "deep.png")
    for name in names:
        bits = 16 if name.startswith("deep") else 8
        save_picture(tmp_path / name, random_picture(5, 9), bits=bits)
        assert picture_size(tmp_path / name) == (5, 9)
    assert picture_size("sample:coffee") == kstyle.load_picture("sample:coffee").size


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_the_size_is_that_of_the_upright_picture(tmp_path, suffix):
    image = batch_image(5, 9)
    exif = image.getexif()
    exif[274] = 6  # turn by 90 degrees
    image.save(tmp_path / f"turned{suffix}", exif=exif)
    path = tmp_path / f"turned{suffix}"
    assert picture_size(path) == kstyle.load_picture(path).size == (9, 5)


def batch_image(height, width):
    """A grey Pillow image."""
    from PIL import Image

    return Image.fromarray(np.full((height, width, 3), 99, "uint8"))


def test_a_header_that_is_none_is_refused(tmp_path):
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(ImageError, match="not a picture"):
        picture_size(tmp_path / "x.png")


# -------------------------------------------------------------------------- planning


def test_a_plan_reads_headers_only_and_writes_nothing(folder, config):
    damaged = folder / "a.png"
    damaged.write_bytes(damaged.read_bytes()[:-500])  # which decoding would find
    out = folder.parent / "out"
    plan = make_batch_plan(batch_configs(config, folder, output=out))
    assert [entry.state for entry in plan.entries] == ["todo"] * 3
    sizes = [entry.result_size() for entry in plan.entries]
    assert sizes == [(12, 18), (15, 18), (12, 18)]
    assert not out.exists()
    assert not Path(config.logdir).exists()


def test_equal_sizes_come_one_after_the_other(folder, config):
    order = [Path(e.config.content).name for e in planned(config, folder).todo()]
    assert order == ["a.png", "c.jpg", "b.png"]


def planned(config, folder, **options):
    return make_batch_plan(batch_configs(config, folder, **options))


def test_what_all_need_is_refused_before_anything_runs(folder, config, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    for changes in ({"style": "bad.png"}, {"init": "bad.png"}, {"weights": "bad.png"}):
        changed = {key: str(tmp_path / name) for key, name in changes.items()}
        with pytest.raises(kstyle.errors.KStyleError, match=r"bad\.png"):
            planned(config.replace(**changed), folder)
    with pytest.raises(ImageError, match="not a folder"):
        planned(config.replace(logdir=str(tmp_path / "bad.png" / "logs")), folder)
    with pytest.raises(ConfigError, match="no pictures"):
        make_batch_plan([])
    same = config.replace(output=str(tmp_path / "same.png"))
    with pytest.raises(ConfigError, match="the same output"):
        make_batch_plan([same, same])


def save_mask(folder, name, *halves, size=(16, 24), alpha=None):
    """Write a picture of two halves of one colour each; return its path."""
    pixels = np.zeros((*size, 3), "float32")
    pixels[:, : size[1] // 2], pixels[:, size[1] // 2 :] = halves
    kstyle.save_picture(folder / name, kstyle.Picture(pixels, alpha))
    return str(folder / name)


def test_masks_are_refused_before_anything_runs(folder, config, tmp_path):
    clear = np.full((16, 24), 0.5, "float32")
    for path, words in (
        (str(tmp_path / "nowhere.png"), "nowhere"),
        (save_mask(tmp_path, "black.png", 0, 0), "black all over"),
        (save_mask(tmp_path, "red.png", (1, 0, 0), 0), "has colours"),
        (save_mask(tmp_path, "clear.png", 0, 1, alpha=clear), "transparent in places"),
    ):
        with pytest.raises(kstyle.errors.KStyleError, match=words):
            planned(config.replace(region=path), folder)
    mask = save_mask(tmp_path, "mask.png", 0, 1)
    layers = {"other": {"conv1_1": 1}}
    with pytest.raises(ConfigError, match="no region 'other'"):
        planned(config.replace(region=mask, region_layers=layers), folder)


def test_maps_are_refused_before_anything_runs(folder, config, tmp_path):
    red = save_mask(tmp_path, "red.png", (1, 0, 0), (1, 0, 0))
    style = {"size": (14, 18)}
    green = save_mask(tmp_path, "green.png", (0, 1, 0), (0, 1, 0), **style)
    square = save_mask(tmp_path, "square.png", 0, 0, size=(9, 9))
    for style_map, words in (
        (str(tmp_path / "nowhere.png"), "nowhere"),
        (green, r"none of its colours \(ff0000\)"),
        (square, "and the style picture is 18 x 14"),
    ):
        with pytest.raises(kstyle.errors.KStyleError, match=words):
            planned(config.replace(content_map=red, style_map=style_map), folder)


@pytest.mark.parametrize("is_map", [False, True], ids=["mask", "map"])
def test_a_mask_fails_only_with_contents_it_does_not_fit(
    folder, config, tmp_path, is_map, capsys
):
    mask = save_mask(tmp_path, "mask.png", 1, 0)
    of_style = save_mask(tmp_path, "style-map.png", 1, 0, size=(14, 18))
    maps = {"content_map": mask, "style_map": of_style}
    plan = planned(config.replace(**(maps if is_map else {"region": mask})), folder)
    assert [entry.state for entry in plan.entries] == ["todo", "failed", "todo"]
    assert "and the content picture is 24 x 20: their" in plan.entries[1].error
    print_batch_estimate(plan, 0, lambda precision: 1.0)
    shown = capsys.readouterr()
    assert "3 pictures: 2 to stylize, 1 that cannot be used" in shown.out
    assert re.match("failed: .*b.png in the style of .*proportions differ", shown.err)


def test_a_mask_outside_a_crop_is_its_pictures_failure(folder, config, tmp_path):
    region = save_mask(tmp_path, "mask.png", 1, 0)
    plan = planned(config.replace(region=region, content_crop="50%,0,50%,100%"), folder)
    assert {entry.state for entry in plan.entries} == {"failed"}
    assert "nothing of it is in the content picture" in plan.entries[0].error


def test_the_alpha_of_contents_is_left_to_their_runs(folder, config):
    plan = planned(config.replace(region="alpha"), folder)
    assert [entry.state for entry in plan.entries] == ["todo"] * 3
    outcomes = run_batch(plan, Seen())
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert "has no transparency" in outcomes[0].error


def test_all_pictures_of_a_batch_share_one_mask(folder, config, tmp_path):
    region = save_mask(tmp_path, "mask.png", 1, 0)
    plan = planned(config.replace(region=region), folder)
    first, _, last = (plan.inputs.load_masks(e.config) for e in plan.entries)
    assert first is last
    save_mask(tmp_path, "mask.png", 0, 1)
    changed = plan.inputs.load_masks(plan.entries[0].config).of_content[region]
    assert changed[:, 12:].min() == 1


def test_one_picture_is_not_called_pictures(folder, config, capsys):
    alone = config.replace(content=str(folder / "a.png"), steps=1)
    print_batch_estimate(make_batch_plan([alone]), 1, lambda precision: 1.0)
    head, total = capsys.readouterr().out.splitlines()
    assert head == "1 picture: 1 to stylize, 1 other file skipped"
    assert total.startswith("in all: 1 size, 1 step, ")


def test_an_output_that_cannot_be_a_folder_is_refused(folder, config, tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "out.png"):
        with pytest.raises(ConfigError, match=f"{name} names a file"):
            planned(config, folder, output=tmp_path / name)
    with pytest.raises(ConfigError, match="among the contents"):
        planned(config, folder, output=folder / "more" / "..")


def test_an_unusable_content_is_only_its_own_failure(folder, config, random_picture):
    (folder / "a.png").write_text("no picture")
    save_picture(folder / "flat.png", random_picture(1, 90))
    plan = planned(config.replace(padding="valid", size=24), folder)
    states = [(Path(e.config.content).name, e.state) for e in plan.entries]
    assert dict(states) == {
        **{"a.png": "failed", "b.png": "todo", "c.jpg": "todo", "flat.png": "failed"}
    }
    assert "not a picture" in plan.entries[0].error
    assert "need 10 each way" in plan.entries[-1].error


# -------------------------------------------------------------------------- painting


def test_a_picture_of_a_batch_equals_that_of_a_single_run(folder, config, tmp_path):
    seen, out = Seen(), tmp_path / "out"
    found = kstyle.stylize_batch(config, folder, output=out, watch=seen)
    assert seen.order == ["a.png", "c.jpg", "b.png"]
    assert [x.path.name for x in found] == [f"{name}-style.png" for name in "abc"]
    assert {x.status for x in found} == {"finished"}
    for outcome in found[1:]:  # c with the model of a, b with a new one
        alone = stylize(outcome.config.replace(output=None))
        pixels = kstyle.load_picture(outcome.path).pixels
        np.testing.assert_array_equal(kstyle.load_picture(alone.path).pixels, pixels)
        assert outcome.losses == alone.losses
        names = {path.name for path in outcome.folder.iterdir()}
        assert {"config.yaml", "losses.csv", "run.json"} <= names
        assert outcome.steps == alone.steps == 2


@pytest.mark.parametrize(
    "changes", [{}, {"precision": "auto"}, {"style_weights": "equal-loss"}], ids=str
)
def test_an_interrupted_batch_is_resumed(folder, config, tmp_path, changes):
    changes = changes | {"checkpoint_every": "1", "steps": 3}
    out, config = tmp_path / "out", config.replace(**changes)
    first = kstyle.stylize_batch(config, folder, output=out, watch=Seen("c.jpg"))
    assert [x.status for x in first] == ["finished", "left", "interrupted"]
    kept = first[2]
    assert kept.steps == 2
    assert read_metadata(kept.path)["exit"] == "interrupted"

    seen = Seen()
    again = kstyle.stylize_batch(config, folder, output=out, watch=seen)
    assert seen.order == ["b.png", "c.jpg"]
    assert [x.status for x in again] == ["there", "finished", "finished"]
    assert (again[2].folder, again[2].steps) == (kept.folder, 3)
    assert "exit" not in read_metadata(again[2].path)
    alone = stylize(again[2].config.replace(output=None))
    assert again[2].losses == alone.losses
    third = kstyle.stylize_batch(config, folder, output=out)
    assert [x.status for x in third] == ["there"] * 3


def test_a_resumed_picture_keeps_its_number_of_pairs(
    folder, config, tmp_path, machine_for
):
    config = config.replace(checkpoint_every="1", steps=3)
    configs = batch_configs(config, [folder / "c.jpg"], output=tmp_path / "out")
    tight = machine_for(configs[0].replace(history=5))
    (first,) = run_batch(make_batch_plan(configs, machine=tight), Seen("c.jpg"))
    assert (first.status, first.config.history) == ("interrupted", 5)
    (again,) = kstyle.stylize_batch(configs)
    assert (again.status, again.steps) == ("finished", 3)
    assert again.folder == first.folder
    assert read_run(again.folder)["config"].history == 5


def test_overwrite_paints_what_is_there(folder, config, tmp_path):
    out = tmp_path / "out"
    configs = batch_configs(config.replace(steps=0), [folder / "a.png"], output=out)
    (first,) = kstyle.stylize_batch(configs)
    (again,) = kstyle.stylize_batch(configs, overwrite=True)
    assert (first.status, again.status) == ("finished", "finished")
    assert first.folder != again.folder


class Failing(SilentBatchWatch):
    """Raises the error of a run, by the name of its content, when it begins."""

    def __init__(self, **errors):
        self.errors = errors

    def running(self, job):
        error = self.errors.get(Path(job.config.content).stem)
        if error is not None:
            raise error
        return super().running(job)


def test_a_failure_does_not_stop_the_rest(folder, config):
    watch = Failing(a=DivergedError("Too far."), c=ValueError("a bug"))
    found = kstyle.stylize_batch(config.replace(steps=0), folder, watch=watch)
    assert [x.status for x in found] == ["failed", "finished", "failed"]
    assert [x.error for x in found] == ["Too far.", "", "ValueError: a bug"]
    assert found[1].path == found[1].folder / "result.png"


def test_a_diverged_picture_is_tried_again(folder, config, tmp_path):
    still = config.replace(learning_rate=1e-9, steps=10)  # no pixel moves
    options = {"contents": [folder / "a.png"], "output": tmp_path / "out"}
    for _ in range(2):
        (lost,) = kstyle.stylize_batch(still, **options)
        assert lost.status == "failed" and "no pixel has changed" in lost.error
    (kept,) = (tmp_path / "out").iterdir()
    assert read_metadata(kept)["exit"] == "diverged"
    (found,) = kstyle.stylize_batch(config, **options)
    assert (found.status, found.path) == ("finished", kept)
    assert "exit" not in read_metadata(kept)
    assert kstyle.stylize_batch(config, **options)[0].status == "there"


def test_ctrl_c_between_two_runs_ends_the_batch(folder, config):
    watch = Failing(a=KeyboardInterrupt())
    found = kstyle.stylize_batch(config, folder, watch=watch)
    assert [x.status for x in found] == ["left"] * 3


# ------------------------------------------------------------------ the command line


def test_the_command_prints_a_line_per_picture_and_failures(folder, config, tmp_path):
    (folder / "b.png").write_text("no picture")
    out = tmp_path / "out"
    result = invoke(config, "--content-dir", folder, "-o", out)
    assert result.exit_code == 1, result.output
    first, second, last = result.stdout.splitlines()
    for number, (line, name) in enumerate(zip((first, second), "ac", strict=True)):
        path = re.escape(str(out / f"{name}-style.png"))
        assert re.fullmatch(rf"\[{number + 1}/2\] {path}, [\d.]+ s, ETA \d:\d\d", line)
    assert last == "2 stylized, 1 failed"
    head, *rest = result.stderr.splitlines()
    assert head == (
        "3 pictures: 2 to stylize, 1 that cannot be used, 2 other files skipped"
    )
    (failure,) = rest
    assert failure.startswith(f"failed: {folder / 'b.png'} in the style of style.png: ")
    assert "not a picture" in failure

    (folder / "b.png").unlink()
    again = invoke(config, "--content-dir", folder, "-o", out, "-q")
    assert (again.exit_code, again.output) == (0, "")


def test_several_styles_for_one_content_quietly(folder, config, tmp_path):
    styles = ["--style", folder / "a.png", "--style", folder / "c.jpg"]
    result = invoke(config, *styles, "-o", tmp_path / "out", "--steps", 0, "--quiet")
    paths = [tmp_path / "out" / f"content-{name}.png" for name in "ac"]
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == list(map(str, paths))
    assert all(kstyle.load_picture(path).size == (12, 18) for path in paths)


def test_one_style_by_its_flag_is_a_single_run(folder, config):
    result = invoke(config, "--style", folder / "a.png", "--steps", 0)
    assert result.stdout.startswith("wrote ")
    (run,) = Path(config.logdir).iterdir()
    assert "style: " + str(folder / "a.png") in (run / "config.yaml").read_text()


def test_a_dry_run_prints_the_total_and_writes_nothing(folder, config, capsys):
    print_batch_estimate(planned(config, folder), 0, lambda precision: 1.0)
    head, total = capsys.readouterr().out.splitlines()
    assert head.startswith("3 pictures: 3 to stylize")
    assert re.fullmatch(
        r"in all: 2 sizes, 6 steps, \d+:\d\d, [\d.]+ GB, estimated", total
    )
    assert not Path(config.logdir).exists()


def test_a_dry_run_with_an_unusable_picture_exits_1(config, tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    (place / "a.png").write_text("no picture")
    result = invoke(config, "--content-dir", place, "--dry-run")
    assert result.exit_code == 1
    assert "a.png" in result.stderr and "not a picture" in result.stderr
    assert "1 that cannot be used" in result.stdout


REFUSED = {
    "a content and a folder of them": (
        ["x.png", "--content-dir", "in"],
        "replaces CONTENT",
    ),
    "a style twice": (["x.png", "y.png", "--style", "z.png"], "replaces STYLE"),
    "no such folder": (["--content-dir", "nothing"], "Name a folder of pictures"),
    "a table of losses": (["--content-dir", "in", "--all-losses"], "one picture"),
    "a file as output": (["--content-dir", "in", "-o", "x.png"], "names a file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_contradicting_options_are_refused(case, folder, config, monkeypatch):
    monkeypatch.chdir(folder.parent)
    words, expected = REFUSED[case]
    result = invoke(config, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert expected in line


class InterruptedLines(BatchLines):
    """Presses Ctrl-C in the first run."""

    def running(self, job):
        return contextlib.nullcontext([CtrlC()])


def test_ctrl_c_lists_what_was_not_done_and_exits_130(folder, config, capsys):
    outcomes = run_batch(planned(config, folder), InterruptedLines(quiet=False))
    print_outcomes(outcomes, quiet=False)
    assert batch_exit_code(outcomes) == 130
    output = capsys.readouterr()
    line, counts = output.out.splitlines()
    assert "result.png (interrupted)," in line
    assert counts == "3 not done"
    left = [line for line in output.err.splitlines() if line.startswith("not done")]
    names = [re.search(r"in.(\w\.\w+) in", line)[1] for line in left]
    assert names == ["a.png", "b.png", "c.jpg"]
