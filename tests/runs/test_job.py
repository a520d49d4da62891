"""What is read and refused before TensorFlow is loaded, and that it leaves no trace."""

import dataclasses
import os
import re

import numpy as np
import pytest

from kstyle import save_picture
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError, ImageError, KStyleError, WeightsError
from kstyle.hardware.machine import Machine
from kstyle.images.picture import resize
from kstyle.planning.scales import plan_scales_of_run, style_size_at
from kstyle.runs.inputs import InputCache
from kstyle.runs.job import prepare, safe_stem


@pytest.fixture
def options(tmp_path, random_picture):
    """Options of a small run in its own folder: content 24 x 48, style 40 x 30."""
    save_picture(tmp_path / "content.png", random_picture(24, 48))
    save_picture(tmp_path / "style.png", random_picture(40, 30, seed=1))
    return {
        "content": str(tmp_path / "content.png"),
        "style": str(tmp_path / "style.png"),
        "logdir": str(tmp_path / "logs"),
        "content_layers": "conv1_2",
        "style_layers": "conv1_1,conv2_1",
        "size": 32,
    }


def everything(folder):
    """List everything in `folder`, to check that nothing was added."""
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    ("options", "size", "edge", "expected"),
    [
        ({}, (1000, 500), 512, (512, 256)),  # as long as the result
        ({}, (1000, 500), 256, (256, 128)),  # shrinks with the scale
        ({}, (400, 300), 512, (512, 384)),  # a smaller one is enlarged
        ({}, (100, 50), 512, (300, 150)),  # 3 times at most
        ({}, (100, 50), 256, (150, 75)),
        ({"style_size": 100}, (400, 300), 512, (133, 100)),  # short edge, 133.3
        ({"style_size": 600}, (100, 50), 512, (1200, 600)),  # as often as asked
        ({"style_size": 100}, (400, 300), 256, (67, 50)),
        ({"style_size": "original"}, (4000, 300), 512, (4000, 300)),
        ({"style_size": "original"}, (4000, 300), 128, (1000, 75)),
        ({"style_scale": 0.5}, (1000, 500), 512, (256, 128)),
        ({"style_scale": 2}, (400, 300), 512, (1024, 768)),
        ({"style_scale": 0.001}, (400, 300), 512, (1, 1)),
    ],
)
def test_the_size_of_the_style_picture(options, size, edge, expected):
    assert style_size_at(size, edge, 512, **options) == expected


def test_the_plan_has_the_sizes_of_both_pictures_at_every_scale(options):
    job = prepare(StyleConfig(**options | {"scales": (16, 32)}))
    assert [scale.edge for scale in job.scales] == [16, 32]
    assert [scale.content_size for scale in job.scales] == [(8, 16), (16, 32)]
    assert [scale.style_size for scale in job.scales] == [(16, 12), (32, 24)]


def test_pictures_are_resampled_to_the_requested_size(options):
    job = prepare(StyleConfig(**options))
    np.testing.assert_array_equal(
        job.content_at((16, 32)), resize(job.content.pixels, (16, 32))
    )
    np.testing.assert_array_equal(
        job.style_at((20, 15)), resize(job.styles[0], (20, 15))
    )


def test_a_resized_picture_is_made_once_unless_it_is_large(options):
    job = prepare(StyleConfig(**options))
    job = dataclasses.replace(job, max_resized_bytes=4 * 3 * 16 * 32)
    assert job.content_at((16, 32)) is job.content_at((16, 32))
    large = job.content_at((17, 32))
    assert job.content_at((17, 32)) is not large
    np.testing.assert_array_equal(job.content_at((17, 32)), large)


def test_a_crop_comes_before_the_size(options):
    job = prepare(StyleConfig(style_crop="left", **options))
    assert job.styles[0].shape == (30, 30, 3)  # of a portrait, the top
    whole = prepare(StyleConfig(**options)).styles[0]
    np.testing.assert_array_equal(job.styles[0], whole[:30])
    assert job.scales[-1].style_size == (32, 32)


def test_the_init_is_read_when_it_is_a_file_only(options):
    assert prepare(StyleConfig(init="noise", **options)).init_picture is None
    job = prepare(StyleConfig(init=options["style"], **options))
    assert job.init_picture.size == (40, 30)


def test_only_the_weights_that_are_needed_are_read(options):
    job = prepare(StyleConfig(**options))
    assert list(job.weights.layers) == ["conv1_1", "conv1_2", "conv2_1"]
    job = prepare(StyleConfig(net="vgg16", all_losses=True, **options))
    assert len(job.weights.layers) == 13


def test_each_run_gets_a_new_folder_with_its_config(options):
    config = StyleConfig(**options)
    first, second = prepare(config), prepare(config)
    assert first.folder != second.folder
    assert first.output == first.folder / "result.png"
    assert re.fullmatch(r"\d{8}-\d{6}-content-style-vgg19(-2)?", second.folder.name)
    written = StyleConfig.from_yaml((first.folder / "config.yaml").read_text())
    assert written == first.config


def test_a_folder_that_is_named_is_made_and_used_again(options, tmp_path):
    config, folder = StyleConfig(**options), tmp_path / "a" / "trial"
    prepare(config.replace(seed=1), folder=folder)
    job = prepare(config, folder=folder)
    assert (job.folder, job.output) == (folder, folder / "result.png")
    written = StyleConfig.from_yaml((folder / "config.yaml").read_text())
    assert written == job.config
    assert not (tmp_path / "logs").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="folder in '.*file/trial': Not a directory"):
        prepare(config, folder=tmp_path / "file" / "trial")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sample:coffee", "coffee"),
        ("/a/b c/Crème brûlée.jpg", "Crème_brûlée"),
        ("../../etc/passwd", "passwd"),
        ("..", "__"),
        ("", ""),
        ("a\nb;$(rm -rf)`'\"*?.png", "a_b___rm__rf______"),
        ("x" * 300 + ".png", "x" * 24),
        ("a\udcff.png", "a_"),  # a byte that is not UTF-8
    ],
)
def test_a_run_is_named_by_letters_digits_dots_and_underscores(path, expected):
    assert safe_stem(path).replace(".", "_") == expected


@pytest.mark.parametrize(
    "letters", ["\U00020000" * 80, "猫" * 60, "$(x) & 'y'\n", ".."]
)
def test_hostile_picture_names_make_one_folder_in_the_logdir(
    options, tmp_path, random_picture, letters
):
    # Longer names are possible in Windows than here, so this one may be cut.
    name = letters.encode()[:200].decode(errors="ignore") + ".png"
    save_picture(tmp_path / name, random_picture(20, 20))
    paths = {"content": str(tmp_path / name), "style": str(tmp_path / name)}
    job = prepare(StyleConfig(**options | paths))
    assert job.folder.parent == tmp_path / "logs"
    assert job.folder.is_dir()
    assert not set(" \n$'/&") & set(job.folder.name)


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"content": "missing.png"}, ImageError, "missing.png"),
        ({"style": "missing.png"}, ImageError, "missing.png"),
        ({"init": "nois"}, ConfigError, "content, noise"),
        ({"style": "sample:nigth"}, ImageError, "night"),
        ({"content": "text.png"}, ImageError, "not a picture"),
        ({"content": "."}, ImageError, "folder"),
        ({"output": "there.png"}, ConfigError, "--overwrite"),
        ({"output": "out.psd"}, ConfigError, ".psd"),
        ({"output": "out.jpg", "bits": 16}, ConfigError, "16"),
        ({"output": "text.png/out.png"}, ImageError, "not a folder"),
        ({"output": "."}, KStyleError, "suffix"),
        (
            {"logdir": "text.png"},
            ConfigError,
            "'text.png': Not a directory. .*--logdir",
        ),
        ({"logdir": "text.png/logs"}, ConfigError, "Not a directory. .*--logdir"),
        ({"logdir": "dangling"}, ConfigError, "'dangling': .*dangling.*--logdir"),
        ({"weights": "missing.npz"}, WeightsError, "missing.npz"),
        ({"weights": "text.png"}, WeightsError, "text.png"),
        ({"style_crop": "0,0,31,10"}, ConfigError, "outside"),
        ({"scales": (16, 64)}, ConfigError, "must grow"),
        ({"size": 3, "padding": "valid"}, ConfigError, "2 x 3|3 x 2"),
    ],
)
def test_what_cannot_work_is_refused_and_leaves_nothing_behind(
    options, tmp_path, monkeypatch, changes, error, expected
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    save_picture("there.png", np.zeros((2, 2, 3)))
    (tmp_path / "dangling").symlink_to("nowhere")
    before = everything(tmp_path)
    with pytest.raises(error, match=expected) as caught:
        prepare(StyleConfig(**options | changes))
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == before


def test_an_existing_output_is_replaced_on_request(options, tmp_path):
    output = tmp_path / "there.png"
    save_picture(output, np.zeros((2, 2, 3)))
    blob = output.read_bytes()
    job = prepare(StyleConfig(output=str(output), **options), overwrite=True)
    assert job.output == output
    assert output.read_bytes() == blob  # not before there is a new one


def test_an_output_that_the_run_reads_is_refused(options, tmp_path):
    save_picture(tmp_path / "mask.png", np.ones((24, 48, 3)))
    options |= {"region": str(tmp_path / "mask.png")}
    for path, name in (
        (tmp_path / "content.png", "content"),
        (tmp_path / "logs" / ".." / "style.png", "style"),
        (tmp_path / "mask.png", "region"),
    ):
        (tmp_path / "logs").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match=f"is the {name} picture of this run"):
            prepare(StyleConfig(**options, output=str(path)), overwrite=True)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="may write everywhere"
)
@pytest.mark.parametrize("option", ["output", "logdir"])
def test_a_folder_that_may_not_be_written_to_is_refused(options, tmp_path, option):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(KStyleError, match="locked"):
        prepare(StyleConfig(**options | {option: str(locked / "out.png")}))
    assert everything(locked) == []


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_picture_one_pixel_too_small_is_refused(
    options, tmp_path, random_picture, padding
):
    # conv2_1 with valid padding: 1 + 2 = 3, times 2 of the pooling = 6, + 2 + 2 = 10
    least = {"valid": 10, "same": 2}[padding]
    for edge in (least, least - 1):
        save_picture(tmp_path / f"{edge}.png", random_picture(edge, 30))
    fits, small = (str(tmp_path / f"{edge}.png") for edge in (least, least - 1))
    options |= {"padding": padding, "size": 30, "scales": 1}
    prepare(StyleConfig(**options | {"content": fits, "style": fits}))
    for name in ("content", "style"):
        pictures = {"content": fits, "style": fits, name: small}
        with pytest.raises(ConfigError) as caught:
            prepare(StyleConfig(**options | pictures))
        message = str(caught.value)
        assert f"The {name} picture is 30 x {least - 1} pixels" in message
        assert f"need {least} each way" in message


def test_a_picture_too_small_at_a_coarse_scale_is_refused(options):
    options |= {"padding": "valid", "size": 48}
    prepare(StyleConfig(scales=1, **options))
    with pytest.raises(ConfigError, match="12 x 6 pixels at scale 12"):
        prepare(StyleConfig(scales="12,48", **options))


def test_auto_scales_start_where_the_pictures_are_large_enough():
    sizes = (400, 600), (560, 720)
    edges = [s.edge for s in plan_scales_of_run(StyleConfig(), *sizes)]
    assert edges == [128, 181, 256, 362, 512]
    # Unpadded, conv5_1 needs 156 pixels: two thirds of 256 are enough, of 181 not.
    config = StyleConfig(padding="valid")
    assert [s.edge for s in plan_scales_of_run(config, *sizes)] == [256, 362, 512]
    with pytest.raises(ConfigError, match="121 x 181|181 x 121"):
        plan_scales_of_run(config.replace(scales=4), *sizes)


def test_jobs_with_one_cache_share_each_size_of_the_style(options):
    inputs = InputCache()
    first, second = (prepare(StyleConfig(**options), inputs=inputs) for _ in range(2))
    assert first.style_at((9, 7)) is second.style_at((9, 7))
    alone = prepare(StyleConfig(**options))
    np.testing.assert_array_equal(first.style_at((9, 7)), alone.style_at((9, 7)))
    assert first.style_at((8, 6)).shape == (8, 6, 3)


def test_precision_auto_is_that_of_the_machine(options):
    slow, fast = (
        Machine(why_bfloat16_is_slow=lambda device, reason=reason: reason)
        for reason in ("it is old", None)
    )
    config = StyleConfig(**options)
    assert prepare(config, machine=slow).config.precision == "float32"
    assert prepare(config, machine=fast).config.precision == "bfloat16"
    assert prepare(config, machine=fast).scales[-1].precision == "bfloat16"
