"""`StyleConfig`: valid and refused values, YAML, and the flags of the options."""

import ast
import re
from pathlib import Path

import numpy as np
import pydantic
import pytest
from PIL import Image

import kstyle
from kstyle.config.strict_yaml import read_config_file, read_options
from kstyle.config.style_config import (
    BOOKKEEPING_OPTIONS,
    FITTED_OPTIONS,
    PATH_OPTIONS,
    StyleConfig,
)
from kstyle.errors import ConfigError
from kstyle.images.picture import Picture


def refusal(**options):
    """The message for options that are refused: one line, never more."""
    with pytest.raises(ConfigError) as caught:
        StyleConfig(**options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


def test_the_defaults_are_a_valid_config():
    config = StyleConfig()
    assert (config.net, config.size, config.init) == ("vgg19", 512, "content")
    assert set(config.layers()) == {*config.content_layers, *config.style_layers}


@pytest.mark.parametrize(
    "value",
    [
        "conv3_1:2,conv4_1:0.5",
        " conv3_1:2 , conv4_1:0.5,",
        ["conv3_1:2", "conv4_1:0.5"],
        {"conv3_1": 2, "conv4_1": "0.5"},
    ],
)
def test_layers_can_be_text_a_list_or_a_mapping(value):
    config = StyleConfig(style_layers=value)
    assert config.style_layers == {"conv3_1": 2.0, "conv4_1": 0.5}


def test_a_layer_without_a_number_weighs_one():
    assert StyleConfig(content_layers="conv2_2").content_layers == {"conv2_2": 1.0}


def test_layers_of_one_kind_suffice_and_none_are_refused():
    assert StyleConfig(content_layers="").layers()[0] == "conv1_1"
    assert "No layers" in refusal(content_layers="", style_layers={})


def test_a_layer_of_both_kinds_is_listed_once():
    config = StyleConfig(content_layers="conv1_1", style_layers="conv1_1,conv1_2")
    assert config.layers() == ("conv1_1", "conv1_2")


@pytest.mark.parametrize("value", ["conv3_1,conv3_1", ["conv3_1:2", "conv3_1:3"]])
def test_a_layer_named_twice_is_refused(value):
    assert "'conv3_1' is named twice" in refusal(style_layers=value)


@pytest.mark.parametrize("option", ["content_layers", "style_layers"])
def test_an_unknown_layer_is_refused_with_the_close_name(option):
    message = refusal(**{option: "conv11"})
    assert message == f"{option}: vgg19 has no layer 'conv11'. Did you mean 'conv1_1'?"


def test_a_layer_of_the_other_network_is_refused():
    assert StyleConfig(content_layers="conv3_4").net == "vgg19"
    message = refusal(net="vgg16", content_layers="conv3_4")
    assert "vgg16 has no layer 'conv3_4'" in message


def test_an_unknown_option_is_refused_with_the_close_name():
    assert refusal(stye_weight=3) == (
        "Unknown option 'stye_weight'. Did you mean 'style_weight'?"
    )
    assert refusal(xyzzy=3).endswith("`kstyle stylize --help-all` lists the options.")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("steps", "many", "valid integer"),
        ("steps", 1.5, "valid integer"),
        ("steps", True, "not yes or no"),
        ("steps", -1, "greater than or equal to 0"),
        ("size", 0, "greater than or equal to 1"),
        ("size", False, "not yes or no"),
        ("style_weight", "much", "valid number"),
        ("tv_weight", True, "not yes or no"),
        ("content", 3, "valid string"),
        ("content", None, "valid string"),
        ("net", "vgg17", "Did you mean 'vgg19'"),
        ("pool", 2, "'avg' or 'max'"),
        ("padding", "zero", "'same', 'valid', 'reflect' or 'replicate'"),
        ("log_gradients", "maybe", "valid boolean"),
        ("learning_rate", 0, "greater than 0"),
        ("style_scale", 0, "greater than 0"),
        ("seed", 2**32, "less than 4294967296"),
        ("bits", 12, "8 or 16"),
        ("quality", 101, "less than or equal to 100"),
        ("report_every", 0, "greater than or equal to 1"),
        ("content_layers", 3, "'conv3_1:2,conv4_1'"),
        ("content_layers", {"conv3_1": None}, "valid number"),
        ("content_layers", "conv3_1:x", "valid number"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(option, value, expected):
    message = refusal(**{option: value})
    assert message.startswith(option)
    assert expected in message
    assert "Received: " in message


@pytest.mark.parametrize(
    ("option", "typed"), [("blend", "2,-1"), ("scales", "1,x"), ("blend", [2, -1])]
)
def test_a_wrong_list_is_shown_as_it_was_typed(option, typed):
    assert refusal(**{option: typed}).endswith(f"Received: {typed!r}")


def config_errors():
    """Every `ConfigError(message, option=...)` where options are known, as syntax
    trees. Below, in `networks`, `named_option` adds the names."""
    package = Path(kstyle.__file__).parent
    rooms = [package / name for name in ("config", "runs", "app", "cli")]
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if getattr(getattr(node, "func", None), "id", "") == "ConfigError":
                options = [k.value for k in node.keywords if k.arg == "option"]
                if options and not isinstance(node.args[0], ast.Name):
                    yield f"{path.name}:{node.lineno}", node.args[0], options[0]


def test_a_message_about_an_option_begins_with_its_name():
    # The command line puts the flag in place of the name.
    found = list(config_errors())
    assert len(found) > 20
    for place, message, option in found:
        # Text, or the parts of an f-string, of which the first may be the option.
        start = message.values[0] if isinstance(message, ast.JoinedStr) else message
        if isinstance(start, ast.FormattedValue):
            assert ast.dump(start.value) == ast.dump(option), place
        else:
            assert re.match(rf"{option.value}\b", start.value), place


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("option", ["content_weight", "style_weight", "tv_weight"])
def test_a_weight_is_finite_and_not_negative(option, bad):
    assert refusal(**{option: bad}).startswith(option)


@pytest.mark.parametrize("bad", ["-1", "nan", "inf"])
@pytest.mark.parametrize("option", ["content_layers", "style_layers"])
def test_a_layers_weight_is_finite_and_not_negative(option, bad):
    message = refusal(**{option: f"conv1_1:1,conv2_1:{bad}"})
    assert message.startswith(f"{option}.conv2_1")


def test_weights_that_leave_nothing_to_optimise_are_refused():
    nothing = {"style_weight": 0, "tv_weight": 0}
    assert StyleConfig(**nothing).content_weight > 0
    assert "Every weight is 0" in refusal(content_weight=0, **nothing)
    assert "Every weight is 0" in refusal(content_layers="conv1_1:0", **nothing)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", "auto"),
        (3, 3),
        ("3", 3),
        ("128,256,512", (128, 256, 512)),
        ("128, 256", (128, 256)),
        ([128, 256], (128, 256)),
    ],
)
def test_scales_can_be_auto_a_count_or_edges(value, expected):
    assert StyleConfig(scales=value).scales == expected


@pytest.mark.parametrize("bad", ["many", "", "1,x", "1,,2", 0, "0", -1, 2.5, [], None])
def test_other_scales_are_refused_in_words(bad):
    assert "auto, how many, or long edges" in refusal(scales=bad)


@pytest.mark.parametrize("good", ["left", "center", "right", "1,2,3,4", "25%,0,50%,9"])
def test_a_crop_can_be_a_name_or_a_box(good):
    assert StyleConfig(style_crop=good).style_crop == good


@pytest.mark.parametrize("bad", ["middle", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,2,2"])
def test_other_crops_are_refused_with_an_example(bad):
    message = refusal(style_crop=bad)
    assert repr(bad) in message
    assert "X,Y,W,H such as" in message


@pytest.mark.parametrize("bad", ["equal", "init-loss", "equal-loss:1"])
def test_an_unknown_style_weights_method_is_refused(bad):
    message = refusal(style_weights=bad)
    assert repr(bad) in message
    assert "Expected normalized (also auto), init-loss:LOSS" in message


def test_optional_options_accept_the_word_none():
    config = StyleConfig(style_crop="none", style_size="", style_weights="none")
    assert config.style_crop is None
    assert config.style_size is None
    assert config.style_weights is None


def test_a_style_size_is_an_edge_or_original():
    assert StyleConfig(style_size="300").style_size == 300
    assert StyleConfig(style_size="original").style_size == "original"
    assert "or original" in refusal(style_size="big")


def test_numbers_may_be_text():
    config = StyleConfig(steps="7", style_weight="1e3", bits="16", log_gradients="yes")
    assert (config.steps, config.style_weight, config.bits) == (7, 1000.0, 16)
    assert config.log_gradients is True


def test_a_device_is_a_processor_or_a_numbered_gpu():
    for good in ("auto", "cpu", "gpu", "gpu:0", "gpu:15"):
        assert StyleConfig(device=good).device == good
    for bad in ("gpu:", "gpu:-1", "cuda", "GPU:1x", ""):
        assert "device: give auto, cpu, gpu or gpu:N" in refusal(device=bad)


def test_a_config_is_frozen():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        StyleConfig().steps = 3


def test_a_copy_with_changes_is_checked_and_leaves_the_original():
    config = StyleConfig(size=64)
    assert config.replace(steps=3) == StyleConfig(size=64, steps=3)
    assert config == StyleConfig(size=64)
    with pytest.raises(ConfigError, match="steps"):
        config.replace(steps=-3)


# The default of every field, changed: a field that YAML loses would be seen.
CHANGED = {
    "content": "yes",
    "style": "a: b\n'c' #é\U0001f3a8",
    "output": "null",
    "net": "vgg16",
    "pool": "max",
    "padding": "reflect",
    "weights": "12",
    "content_layers": {"conv1_2": 0.1 + 0.2},
    "look": "painterly",
    "strength": 0.7,
    "style_layers": {"pool2": 1e-300, "conv1_1": 3.0},
    "style_loss": "wasserstein,conv1_1=gram",
    "content_loss": "conv1_2=self-similarity",
    "style_weights": "equal-loss:0.5",
    "content_weights": "equal-loss",
    "content_weight": 1e22,
    "style_weight": 0.25,
    "style_growth": 2.0,
    "tv_weight": 0.1,
    "palette_weight": 0.2,
    "tv_loss": "squared",
    "init": "noise",
    "color": "match",
    "optimizer": "adam",
    "precision": "mixed",
    "learning_rate": 1e-7,
    "parameterization": "fourier",
    "average": 0.99,
    "stop_when_still": 0.01,
    "time_limit": 1e-3,
    "steps": 0,
    "size": 65_535,
    "tile": 256,
    "fit": "off",
    "history": 4,
    "scales": (3, 65_535),
    "finish": "nearest:9",
    "scale_steps": 1,
    "content_size": 4,
    "content_crop": "left",
    "style_size": "original",
    "style_crop": "1,2,3,4",
    "style_scale": 1 / 3,
    "seed": 2**32 - 1,
    "device": "gpu:12",
    "logdir": "2020-01-01",
    "report_every": 3,
    "snapshot_every": 0,
    "checkpoint_every": "7",
    "log_gradients": True,
    "all_losses": True,
    "bits": 16,
    "quality": 1,
}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "scipy"}, "use parameterization pixels with it, not pyramid"),
        (
            {"optimizer": "scipy", "parameterization": "pixels", "learning_rate": 1},
            "no learning_rate",
        ),
        ({"iterations": 5}, "iterations are SciPy's"),
        ({"content_crop": "middle"}, "content_crop: 'middle' is not a crop"),
        ({"content_weights": "init-loss:5"}, "at init content the content loss is 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, words):
    assert words in refusal(**options)


def test_every_option_survives_yaml():
    # What does not go together with others; tests/config/test_style_source.py.
    others = {"iterations", "convention", "preprocess", "styles", "blend"}
    others |= {"region", "content_map", "style_map", "region_layers"}
    assert {*CHANGED, *others} == set(StyleConfig.model_fields)
    config = StyleConfig(**CHANGED)
    assert all(v != getattr(StyleConfig(), k) for k, v in CHANGED.items())
    assert StyleConfig.from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize("options", [{}, {"scales": 4}, {"style_size": 20}])
def test_a_config_read_from_its_own_yaml_is_equal(options):
    config = StyleConfig(**options)
    assert StyleConfig.from_yaml(config.to_yaml()) == config
    assert StyleConfig.from_yaml(config.to_yaml(), seed=5) == config.replace(seed=5)


def test_yaml_takes_layers_as_text_list_and_mapping():
    wanted = {"conv3_1": 2.0, "conv4_1": 1.0}
    for text in (
        "conv3_1:2,conv4_1",
        "[conv3_1:2, conv4_1]",
        "{conv3_1: 2, conv4_1: 1}",
    ):
        assert StyleConfig.from_yaml(f"style_layers: {text}").style_layers == wanted


def test_an_empty_yaml_is_the_defaults():
    assert StyleConfig.from_yaml("# nothing\n") == StyleConfig()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps: 1\nsteps: 2", "key 'steps' is given twice"),
        ("style_layers: {conv1_1: 1, conv1_1: 2}", "key 'conv1_1' is given twice"),
        ("- steps", "This is a list"),
        ("5", "This is a int"),
        ("steps: [", "not YAML"),
        ("steps: 1\n\tsize: 2", "not YAML"),
        ("content: 2020-13-45", "not YAML"),
        ("? [1, 2]\n: 3", "not YAML"),
        ("a: " + "[" * 5000, "not YAML"),
        ("steps: &a 5\nsize: *a", "no aliases"),
        ("content_layers: &a [*a]", "no aliases"),
        ("stepz: 3", "Did you mean 'steps'?"),
    ],
)
def test_bad_yaml_is_refused_in_one_sentence(text, expected):
    with pytest.raises(ConfigError) as caught:
        StyleConfig.from_yaml(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir [made]", "!!python/name:os.mkdir", "!x 1"]
)
def test_yaml_tags_are_refused_and_nothing_is_run(tag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="not YAML"):
        read_options(f"content: {tag}")
    assert not list(tmp_path.iterdir())


def test_a_config_file_that_cannot_be_used_is_named(tmp_path):
    for name, blob in (("a.yaml", b"\xff\xfe\xff"), ("b.yaml", b"- 1")):
        (tmp_path / name).write_bytes(blob)
    for name in ("a.yaml", "b.yaml", "missing.yaml", "."):
        with pytest.raises(ConfigError) as caught:
            read_config_file(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------ flags


def test_options_say_whether_they_affect_the_result():
    assert {"output", "logdir", "device", "tile", "bits"} <= BOOKKEEPING_OPTIONS
    assert not {"content", "seed", "precision", "fit"} & BOOKKEEPING_OPTIONS


def test_options_say_whether_they_are_paths_or_fitted():
    assert sorted(PATH_OPTIONS) == [
        *("content", "content_map", "init", "logdir", "net", "output", "region"),
        *("style", "style_map", "weights"),
    ]
    assert FITTED_OPTIONS == ("history", "tile")


def test_input_files_leave_out_samples_and_keywords():
    assert StyleConfig(init="noise", weights="keras").input_files() == []
    named = StyleConfig(content="a.png", style="b.png", init="c.png", weights="d.npz")
    assert named.input_files() == ["a.png", "b.png", "c.png", "d.npz"]


def test_picture_options_have_the_init_where_it_is_a_file():
    config = StyleConfig(content="a.png", style="sample:night")
    assert config.picture_options() == {"content": "a.png", "style": "sample:night"}
    assert config.replace(init="c.png").picture_options()["init"] == "c.png"


# ------------------------------------------------------------------------------ paths


def test_a_path_object_is_kept_as_its_text():
    for option in set(PATH_OPTIONS) - {"net"}:
        other = {"content_map": "style_map", "style_map": "content_map"}.get(option)
        options = {
            option: Path("folder") / "file.png",
            **({other: "b"} if other else {}),
        }
        config = StyleConfig(**options)
        assert getattr(config, option) == "folder/file.png"
        assert StyleConfig.from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize("wrap", [np.asarray, Image.fromarray, Picture])
def test_a_picture_in_memory_is_referred_to_stylize(wrap):
    picture = wrap(np.zeros((2, 2, 3), "uint8"))
    with pytest.raises(ConfigError, match=r"stylize\(config, content=picture\)"):
        StyleConfig(content=picture)
