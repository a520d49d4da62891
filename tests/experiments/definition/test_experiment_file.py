"""Experiment files: their trials, and the sentence for every mistake."""

from pathlib import Path

import pytest

import kstyle
from kstyle.errors import ConfigError
from kstyle.experiments.definition.experiment_file import (
    QUICK_OPTIONS,
    ExperimentFile,
    read_experiment,
)
from kstyle.experiments.findings.rules import check_findings
from kstyle.experiments.plans import builtin_experiments
from kstyle.experiments.scoring.names import SCORES

BUILTIN = [*builtin_experiments().values()]
TEMPLATE = Path(kstyle.__file__).parent / "cli" / "templates" / "experiment.yaml"


@pytest.fixture
def read(tmp_path):
    """Return a function from the text of a file to its experiment."""

    def call(text, changes=None, name="mine.yaml", **choices):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_experiment(path, changes, **choices)

    return call


def names(experiment):
    return [trial.name for trial in experiment.trials]


def test_a_file_without_axes_is_one_trial_of_the_defaults(read):
    experiment = read("question: does it run?")
    (trial,) = experiment.trials
    assert (trial.name, trial.part, trial.kind) == ("base", "", "picture")
    assert (trial.axes, trial.repeats, trial.options) == ({}, {}, {})
    assert trial.config == experiment.base == kstyle.StyleConfig()
    assert (experiment.name, experiment.title) == ("mine", "mine")
    assert (experiment.parts, experiment.axes, experiment.repeats) == ((), {}, {})


STYLES = (
    "axes: {styles: {two: [a.jpg, b.jpg], near: [{picture: a.jpg, scale: 2}, b.jpg]}}"
)


@pytest.mark.parametrize(
    ("base", "changes"),
    [("{blend: [3, 1], style_size: [40, 50]}", {}), ("{}", {"blend": "3,1"})],
)
def test_shares_in_the_base_are_those_of_styles_on_an_axis(read, base, changes):
    trials = read(f"base: {base}\n{STYLES}", changes).trials
    assert [trial.config.style_shares() for trial in trials] == [(0.75, 0.25)] * 2
    assert all(trial.options["blend"] == (3, 1) for trial in trials)


def test_shares_of_styles_that_no_trial_has_are_refused(read):
    with pytest.raises(ConfigError, match="blend: 2 shares for 1 style"):
        read("base: {blend: [3, 1]}\naxes: {pool: [avg, max]}")


def test_a_grid_has_every_combination_and_lists_differences(read):
    experiment = read(
        "base: {size: 96, pool: avg}\naxes: {pool: [avg, max], size: [96, 128]}"
    )
    assert names(experiment) == [
        "pool=avg,size=96",
        "pool=avg,size=128",
        "pool=max,size=96",
        "pool=max,size=128",
    ]
    assert [trial.options for trial in experiment.trials] == [
        {},
        {"size": 128},
        {"pool": "max"},
        {"pool": "max", "size": 128},
    ]
    last = experiment.trials[-1]
    assert (last.config.pool, last.config.size) == ("max", 128)
    assert last.axes == {"pool": "max", "size": "128"}
    assert experiment.axes == {"pool": ("avg", "max"), "size": ("96", "128")}


def test_one_at_a_time_is_the_base_and_each_value_alone(read):
    experiment = read("mode: one-at-a-time\naxes: {pool: [max], size: [96, 128]}")
    assert names(experiment) == ["base", "pool=max", "size=96", "size=128"]
    assert experiment.trials[0].axes == {}
    assert experiment.trials[1].config.size == 512


def test_a_list_of_trials_runs_in_its_order(read):
    experiment = read(
        "trials: [{name: soft, pool: avg}, {pool: max, tv_weight: 0}, {}]\n"
        "repeats: {seed: [0, 1]}"
    )
    assert names(experiment)[:3] == [
        "soft,seed=0",
        "pool=max,tv_weight=0,seed=0",
        "seed=0",
    ]
    assert len(experiment.trials) == 6
    assert experiment.trials[1].config.tv_weight == 0
    assert experiment.axes == {"pool": ("avg", "max"), "tv_weight": ("0",)}


def test_parts_run_the_same_axes_with_their_own_options(read):
    experiment = read(
        "axes: {pool: [avg, max]}\n"
        "parts: {pastiche: {content_weight: 0, init: noise}, stylised: }"
    )
    assert names(experiment) == [
        "pastiche,pool=avg",
        "pastiche,pool=max",
        "stylised,pool=avg",
        "stylised,pool=max",
    ]
    assert experiment.parts == ("pastiche", "stylised")
    first, last = experiment.trials[0], experiment.trials[-1]
    assert first.options == {"content_weight": 0, "init": "noise"}
    assert (first.part, last.part) == ("pastiche", "stylised")
    assert last.options == {"pool": "max"}


def test_a_part_can_have_its_own_axes_trials_mode_and_kind(read):
    experiment = read(
        "axes: {pool: [avg, max]}\n"
        "parts:\n"
        "  losses: {kind: table, axes: {init: [noise]}}\n"
        "  none: {axes: {}}\n"
        "  list: {trials: [{name: x, net: vgg16}]}\n"
        "  single: {mode: one-at-a-time}\n"
    )
    assert names(experiment) == [
        "losses,init=noise",
        "none",
        "list,x",
        "single,base",
        "single,pool=avg",
        "single,pool=max",
    ]
    assert [trial.kind for trial in experiment.trials] == ["table"] + ["picture"] * 5
    assert experiment.axes["init"] == ("noise",)


def test_a_part_with_axes_works_in_a_file_with_a_list(read):
    text = "trials: [{pool: max}]\nparts: {a: {axes: {size: [96]}}, b: {}}"
    assert names(read(text)) == ["a,size=96", "b,pool=max"]


def test_axes_replace_parts_and_parts_replace_the_base(read):
    experiment = read(
        "base: {size: 96, steps: 1}\n"
        "parts: {a: {size: 97, steps: 2}}\n"
        "axes: {size: [98]}"
    )
    config = experiment.trials[0].config
    assert (config.size, config.steps) == (98, 2)


def test_repeats_run_every_trial_once_for_each_value(read):
    experiment = read("axes: {pool: [avg, max]}\nrepeats: {seed: [0, 1]}")
    assert names(experiment) == [
        "pool=avg,seed=0",
        "pool=max,seed=0",
        "pool=avg,seed=1",
        "pool=max,seed=1",
    ]
    assert [trial.config.seed for trial in experiment.trials] == [0, 0, 1, 1]
    assert experiment.trials[2].repeats == {"seed": "1"}
    assert experiment.trials[2].axes == {"pool": "avg"}
    assert experiment.repeats == {"seed": ("0", "1")}


def test_a_single_repeat_is_part_of_the_name(read):
    assert names(read("repeats: {seed: 3}")) == ["seed=3"]


PAIRS = [("sample:coffee", "sample:night"), ("photos/tower.jpg", Path("a/waves.png"))]


def test_pairs_are_repeats_named_after_their_pictures(read):
    experiment = read("axes: {pool: [max]}", pairs=PAIRS)
    assert names(experiment) == [
        "pool=max,pair=coffee+night",
        "pool=max,pair=tower+waves",
    ]
    config = experiment.trials[1].config
    assert (config.content, config.style) == ("photos/tower.jpg", "a/waves.png")


def test_pairs_and_other_repeats_are_combined(read):
    experiment = read("repeats: {seed: [0, 1]}", pairs=PAIRS)
    assert names(experiment)[1:3] == [
        "seed=0,pair=tower+waves",
        "seed=1,pair=coffee+night",
    ]


def test_two_pairs_of_one_name_are_refused(read):
    with pytest.raises(ConfigError, match=r"Two pairs are called 'a\+b'"):
        read("title: pairs", pairs=[("x/a.jpg", "b.jpg"), ("y/a.png", "b.jpg")])


def test_quick_is_small_with_one_repeat_and_another_name(read):
    text = "base: {size: 320, steps: 150}\nrepeats: {seed: [4, 5]}"
    experiment = read(text, quick=True)
    assert experiment.name == "mine-quick"
    assert experiment.smoke_test().startswith("Smoke test (--quick): 6 steps at 96 px")
    assert read(text).smoke_test() == ""
    assert names(experiment) == ["seed=4"]
    config = experiment.trials[0].config
    assert {key: getattr(config, key) for key in QUICK_OPTIONS} == QUICK_OPTIONS


def test_quick_does_not_change_axes_and_repeats(read):
    text = "axes: {size: [64, 256]}\nrepeats: {long: {yes: {steps: 90}}}"
    configs = [trial.config for trial in read(text, quick=True).trials]
    assert [(c.size, c.steps, c.scale_steps) for c in configs] == [
        (64, 90, 3),
        (256, 90, 3),
    ]


def test_a_file_can_set_the_options_of_quick(read):
    experiment = read("quick: {size: 64, padding: same}", quick=True)
    config = experiment.trials[0].config
    assert (config.size, config.padding, config.steps) == (
        64,
        "same",
        QUICK_OPTIONS["steps"],
    )
    assert read("quick: {size: 64}").trials[0].config.size == 512


def test_quick_replaces_options_of_a_part(read):
    experiment = read("parts: {a: {size: 256, steps: 9}}", quick=True)
    config = experiment.trials[0].config
    assert (config.size, config.steps) == (
        QUICK_OPTIONS["size"],
        QUICK_OPTIONS["steps"],
    )


def test_changes_replace_all_options_and_are_in_the_base(read):
    text = "base: {size: 320}\nparts: {a: {size: 256}}\nquick: {size: 64}"
    for quick in (False, True):
        experiment = read(text, {"size": 200}, quick=quick)
        assert experiment.base.size == experiment.trials[0].config.size == 200
        assert "size" not in experiment.trials[0].options


@pytest.mark.parametrize(
    "text",
    [
        "axes: {pool: [avg, max]}",
        "repeats: {pool: [avg, max]}",
        "trials: [{pool: max}]",
    ],
)
def test_an_axis_cannot_be_changed_for_all_trials(read, text):
    with pytest.raises(ConfigError, match="'pool' is set twice .* --set"):
        read(text, {"pool": "max"})


def test_a_base_config_is_relative_to_the_file(read, tmp_path):
    (tmp_path / "common.yaml").write_text("size: 96\nnet: vgg16\noutput: old.png")
    base = read("base_config: common.yaml\nbase: {size: 128}").base
    assert (base.size, base.net, base.output) == (128, "vgg16", None)


def test_a_key_without_a_value_counts_as_left_out(read):
    keys = ("title", "question", "base", "base_config", "axes", "trials", "parts")
    experiment = read("".join(f"{key}:\n" for key in keys) + "repeats:\nfindings:\n")
    assert names(experiment) == ["base"]
    assert (experiment.title, experiment.findings) == ("mine", ())


@pytest.mark.parametrize("text", ["parts: {}", "axes: {}", "repeats: {}"])
def test_an_empty_mapping_counts_as_left_out(read, text):
    assert names(read(text)) == ["base"]


def test_labels_and_names_can_be_numbers(read):
    experiment = read(
        "parts: {1: {net: vgg16}, 2: }\naxes: {style_size: {128: 128, 256: 256}}"
    )
    assert names(experiment)[0] == "1,style_size=128"
    assert experiment.parts == ("1", "2")
    assert experiment.axes == {"style_size": ("128", "256")}
    assert experiment.trials[0].config.style_size == 128


def test_null_is_a_value_with_the_label_none(read):
    experiment = read("axes: {style_crop: [left, null]}")
    assert experiment.axes == {"style_crop": ("left", "none")}
    assert experiment.trials[1].config.style_crop is None


def test_an_option_that_is_none_in_a_part_is_kept(read):
    experiment = read("base: {style_crop: left}\nparts: {a: {style_crop: null}}")
    assert experiment.trials[0].options == {"style_crop": None}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "axes: {style_layers: ['conv1_1:2,conv2_1']}",
            "style_layers=conv1_1_2_conv2_1",
        ),
        ("axes: {scales: [[64, 128]]}", "scales=64+128"),
        ("trials: [{style_layers: {conv1_1: 2}}]", "style_layers=conv1_1_2"),
        ("trials: [{name: ..}]", "_."),
        ("parts: {../x: {}}", "_._x"),
        ("trials: [{name: a/../b}]", "a_.._b"),
    ],
)
def test_a_trial_has_the_name_of_a_safe_folder(read, text, name):
    assert names(read(text)) == [name]


@pytest.mark.parametrize(
    ("file", "name"), [("a b,c.yaml", "a_b_c"), (".hidden.yaml", "_hidden")]
)
def test_an_experiment_is_named_after_its_file(read, file, name):
    assert read("title: x", name=file).name == name


def refusal(read, text, *arguments, **choices):
    """Return the message without the file's path; it is one line."""
    with pytest.raises(ConfigError) as caught:
        read(text, *arguments, **choices)
    path, _, message = str(caught.value).partition("mine.yaml: ")
    assert Path(path).is_absolute() and message
    assert "\n" not in message and "mine.yaml" not in message
    return message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("axis: {pool: [avg]}", "Unknown option 'axis'. Did you mean 'axes'?"),
        ("", "the file is empty. `kstyle experiment new` writes"),
        ("# only a comment", "the file is empty."),
        ("nonsense: 1", "Unknown option 'nonsense'. Known: ['axes', 'base', "),
        ("base: {nett: vgg16}", "Unknown option 'nett'. Did you mean 'net'?"),
        ("base: {1: 2}", "Unknown option '1'. `kstyle stylize --help-all"),
        (
            "parts: {a: {stepps: 1}}",
            "trial 'a': Unknown option 'stepps'. Did you mean 'steps'?",
        ),
        (
            "axes: {x: {a: {poool: max}}}",
            "trial 'x=a': Unknown option 'poool'. Did you mean 'pool'?",
        ),
        (
            "axes: {x: {a: {1: 2}}}",
            "trial 'x=a': Unknown option '1'. `kstyle stylize --help-all",
        ),
        ("trials: [{pol: avg}]", "trial 'pol=avg': Unknown option 'pol'. Did you mean"),
        ("quick: {sise: 3}", "quick: Unknown option 'sise'. Did you mean 'size'?"),
        ("axes: {nett: [vgg16]}", "axis 'nett' is no option of stylize. Did you mean"),
        ("repeats: {sed: [1]}", "axis 'sed' is no option of stylize. Did you mean"),
        ("axes: {pool: []}", "axes: 'pool' has no values. Give at least one."),
        ("repeats: {pool: {}}", "repeats: 'pool' has no values. Give at least one."),
        ("trials: []", "trials: the list is empty. Give one mapping of options."),
        ("axes: {size: [96, 96]}", "axis 'size' has the value '96' twice."),
        ("axes: {a: {x: 1, x: 2}}", "The key 'x' is given twice. Keep one of them."),
        ("axes: {part: {a: {pool: max}}}", "axes: the name 'part' is reserved. Rename"),
        ("axes: {pool: [avg]}\ntrials: [{}]", "Give axes or trials, not both."),
        (
            "parts: {a: {axes: {pool: [avg]}, trials: [{}]}}",
            "Give axes or trials, not both.",
        ),
        (
            "axes: {pool: [avg]}\nrepeats: {pool: [max]}",
            "trial 'pool=avg,pool=max': 'pool' is set twice for a trial",
        ),
        (
            "axes: {pool: [avg], both: {a: {pool: max}}}",
            "'pool' is set twice for a trial",
        ),
        ("trials: [{name: a}, {name: A}]", "Two trials are called 'A'. Give each"),
        ("axes: {x: {a/b: {}, a_b: {}}}", "Two trials are called 'x=a_b'. Give each"),
        ("axes: {pool: [avg, min]}", "trial 'pool=min': pool: input should be 'avg'"),
        (
            "axes: {style_weight: [.inf]}",
            "trial 'style_weight=inf': style_weight: input should be a finite number.",
        ),
        ("base: {output: x.png}", "trial 'base': output: a trial's result is written"),
        ("a: [", "This is not YAML: "),
        ("- a", "A config is a mapping like 'net: vgg19'. This is a list."),
        ("axes: pool", "axes: give a mapping, such as {name: value}. Received: 'pool'"),
        ("base: [1]", "base: give a mapping, such as {name: value}. Received: [1]"),
        ("parts: {a: [1]}", "parts.a: give a mapping, such as {name: value}. Received"),
        ("trials: [avg]", "trials.0: give a mapping, such as {name: value}. Received"),
        (
            "findings: [a, b]",
            "findings: not a valid value (a list of mappings, each with a claim",
        ),
        ("findings: {a: b}", "findings: input should be a valid list. Received: {'a'"),
        ("title: 5", "title: input should be a valid string. Received: 5"),
        (
            "mode: gird",
            "mode: input should be 'grid' or 'one-at-a-time'. Received: 'gi",
        ),
        ("parts: {a: {kind: tabel}}", "parts.a.kind: input should be 'picture' or 'ta"),
    ],
)
def test_every_error_has_the_path_and_one_sentence(read, text, sentence):
    assert refusal(read, text).startswith(sentence)


def test_an_unknown_option_in_changes_is_refused(read):
    assert refusal(read, "title: x", {"sise": 3}).startswith(
        "Unknown option 'sise'. Did you"
    )


def test_a_name_too_long_for_a_folder_is_refused(read):
    text = "trials: [{name: %s}]"
    assert len(names(read(text % ("é" * 75)))[0].encode()) == 150
    message = refusal(read, text % ("é" * 76))
    assert "is longer than 150 bytes. Give its values short labels" in message


def test_missing_files_are_named_in_the_error(read, tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot read the config '.*gone\.yaml'"):
        read_experiment(tmp_path / "gone.yaml")
    message = refusal(read, "base_config: nowhere.yaml")
    assert "Cannot read the config" in message and "nowhere.yaml" in message


def test_an_error_in_a_base_config_names_that_file_too(read, tmp_path):
    (tmp_path / "common.yaml").write_text("a: [")
    message = refusal(read, "base_config: common.yaml")
    assert "common.yaml: This is not YAML" in message


def test_the_built_in_experiments_are_numbered():
    assert [path.name[:3] for path in BUILTIN] == [f"{n:02}_" for n in range(1, 13)]


@pytest.mark.parametrize("path", [*BUILTIN, TEMPLATE], ids=lambda path: path.stem)
@pytest.mark.parametrize("quick", [False, True])
def test_a_shipped_experiment_and_its_findings_are_valid(path, quick):
    experiment = read_experiment(path, quick=quick)
    assert experiment.name == path.stem + "-quick" * quick
    assert len(check_findings(experiment.findings, experiment, SCORES)) >= 1


@pytest.mark.parametrize("path", BUILTIN, ids=lambda path: path.stem)
def test_a_built_in_experiment_has_all_its_texts(path):
    experiment = read_experiment(path)
    for key in ("title", "question", "finding", "measured"):
        assert getattr(experiment, key).strip(), key
    assert experiment.title != path.stem
    assert experiment.findings


def test_the_template_shows_every_key_of_a_file():
    text = TEMPLATE.read_text(encoding="utf-8")
    assert [key for key in ExperimentFile.model_fields if key not in text] == []
