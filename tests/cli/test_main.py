"""The command line: what it prints, what it refuses, and with which exit code."""

import hashlib
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import kstyle
from kstyle.cli.common import show_log, user_errors
from kstyle.cli.main import COMMANDS, cli
from kstyle.cli.options import STRUCTURED_OPTIONS
from kstyle.config.style_config import StyleConfig
from kstyle.networks.registry import NETWORKS
from kstyle.networks.vgg import VGG16

PICTURES = ("content", "style")


def invoke(*arguments, env=None):
    """Run `kstyle ARGUMENTS` in this process; return the result of the runner."""
    return CliRunner().invoke(cli, list(map(str, arguments)), env=env)


def command(options, *more):
    """Return the words of `kstyle stylize` for options by their names in a config."""
    words = [options[name] for name in PICTURES if name in options]
    for name, value in options.items():
        if name not in PICTURES:
            words += [f"--{name.replace('_', '-')}", value]
    return ["stylize", *map(str, words), *more]


def run_python(*arguments, **kwargs):
    """Start Python with a user's environment; return the process."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **kwargs,
    )


# ---------------------------------------------------------------- help and tables


def test_help_lists_the_commands_and_every_option():
    commands = invoke("--help").stdout
    for name in ("stylize", "layers", "weights", "samples"):
        assert f"  {name} " in commands
    text = invoke("stylize", "--help-all").stdout
    for name in StyleConfig.model_fields:
        if name not in (*PICTURES, *STRUCTURED_OPTIONS):
            assert re.search(rf"--{name.replace('_', '-')}\b", text), name
    for flag in (
        "-o, --output",
        "--config",
        "--overwrite",
        "--quiet",
        "CONTENT",
        "STYLE",
    ):
        assert flag in text


def test_help_of_a_fresh_process_loads_no_tensorflow():
    code = (
        "import sys\n"
        "from kstyle.cli.main import cli\n"
        "try: cli(['stylize', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'h5py', 'tensorboard'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    out, err = run_python("-c", code).communicate(timeout=60)
    assert out.splitlines()[-1] == "[]", err


def test_the_list_of_commands_is_printed_without_importing_them():
    code = (
        "import sys\n"
        "from kstyle.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'numpy', 'pydantic', 'rich', 'yaml'} & set(sys.modules)))\n"
    )
    out, err = run_python("-c", code).communicate(timeout=60)
    assert "Render a photograph in the style of a painting." in out
    assert out.splitlines()[-1] == "[]", err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_line_in_the_list_is_its_own(name):
    command = cli.commands[name]
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name].short_help


def test_the_module_can_be_run_and_says_its_version():
    process = run_python("-m", "kstyle", "--version")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out == f"kstyle, version {kstyle.__version__}\n"


def test_the_short_flag_prints_the_version():
    assert invoke("-V").stdout == f"kstyle, version {kstyle.__version__}\n"


def test_the_built_in_experiments_are_listed():
    lines = invoke("experiment", "list").stdout.splitlines()
    (row,) = (line for line in lines if "08_pooling" in line)
    assert "Average or maximum?" in row
    assert sum("?" in line for line in lines) == 12


def test_the_beginning_of_an_experiments_name_is_enough():
    result = invoke("experiment", "run", "08", "--list")
    assert result.exit_code == 0 and "08_pooling" in result.stdout


@pytest.mark.parametrize("net", ["vgg16", "vgg19"])
def test_layers_prints_every_layer_of_the_network(net):
    lines = invoke("layers", "--net", net).stdout.splitlines()
    known = NETWORKS[net].layer_names
    table = [line for line in lines if not line.startswith("--")]
    names = [word for line in table for word in line.split() if word in known]
    assert tuple(names) == known
    assert lines[-2] == "--content-layers conv4_2:0.5,conv3_2:2  (default)"
    (row,) = (line for line in table if "conv1_1" in line)
    # 3 x 3 x 3 x 64 + 64 parameters; 2 x 27 x 64 x 224 x 224 operations
    for figure in ("224 x 224", "64", "1,792", "0.173"):
        assert figure in row


def test_layers_of_a_small_input_end_where_no_pixel_is_left():
    text = invoke("layers", "--net", "vgg16", "--size", 14, "--padding", "valid").stdout
    assert "conv2_2" in text  # 14, 12, 10, 5, 3, 1
    assert "pool2" not in text


@pytest.mark.parametrize(
    "words",
    [("--net", "vgg17"), ("--size", "0"), ("--size", "x"), ("--padding", "zero")],
)
def test_layers_refuses_what_does_not_exist(words):
    result = invoke("layers", *words)
    assert result.exit_code == 2
    assert f"Invalid value for '{words[0]}'" in result.stderr


def test_weights_prints_each_network_and_source(tmp_path):
    text = invoke("weights", env={"KERAS_HOME": str(tmp_path)}).stdout
    for net in ("vgg16", "vgg19"):
        head, keras = text.split(f"{net} --weights keras\n")
        builtin = head.split(f"{net} --weights builtin\n")[1]
        blob = (
            Path(kstyle.__file__).parent / "data" / "weights" / f"{net}.npz"
        ).read_bytes()
        assert f"{len(blob) / 1e6:.1f} MB\n" in builtin
        assert hashlib.sha256(blob).hexdigest() + "\n" in builtin
        assert re.match(r"  there: +yes\n", builtin)
        assert re.match(r"  there: +no\n  licence: CC BY 4.0", keras)


def test_samples_prints_names_that_can_be_used():
    names = invoke("samples").stdout.split()
    assert len(names) >= 6
    for name in names:
        assert kstyle.load_picture(name).pixels.ndim == 3
    defaults = StyleConfig()
    assert {defaults.content, defaults.style} <= set(names)


# ------------------------------------------------------------------------ refusals

BAD_INPUT = {  # changed options: exit code, and what the message must say
    "a missing content": ({"content": "nothing.png"}, 1, "nothing.png"),
    "a missing style": ({"style": "nothing.png"}, 1, "nothing.png"),
    "a word that init has not": (
        {"init": "nois"},
        2,
        "--init: nois: No such file",
    ),
    "a damaged init": ({"init": "text.png"}, 1, "not a picture"),
    "a missing mask": ({"region": "alpa"}, 2, "Error: --region: alpa: No such file"),
    "a crop outside": ({"style_crop": "9999,0,5,5"}, 2, "Error: --style-crop: "),
    "an unknown sample": ({"content": "sample:coffe"}, 1, "coffee"),
    "a text for a picture": ({"content": "text.png"}, 1, "not a picture"),
    "an unknown network": ({"net": "vgg17"}, 2, "Did you mean 'vgg19'"),
    "an unknown layer": ({"style_layers": "conv11"}, 2, "Did you mean 'conv1_1'"),
    "a layer named twice": ({"style_layers": "conv1_1,conv1_1"}, 2, "named twice"),
    "a negative weight": ({"style_weight": -1}, 2, "Error: --style-weight: "),
    "a negative layer weight": ({"style_layers": "conv1_1:-2"}, 2, "conv1_1"),
    "a weight that is no number": ({"tv_weight": "nan"}, 2, "--tv-weight: "),
    "a word for a number": ({"steps": "many"}, 2, "Received: 'many'"),
    "a size of 0": ({"size": 0}, 2, "size"),
    "an unknown method": ({"style_weights": "equal"}, 2, "not a method"),
    "a share of more than all": ({"style_weights": "equal-loss:2"}, 2, "between 0 and"),
    "a wrong crop": (
        {"style_crop": "middle"},
        2,
        "Error: --style-crop: 'middle' is not a crop",
    ),
    "far too many scales": ({"scales": 1000}, 2, "1000 scales are too many"),
    "a tile too small": (
        {"tile": 5},
        2,
        "--tile: give off, whole or an edge from 128 to 65535 pixels. Received: '5'",
    ),
    "no scales": ({"scales": "some"}, 2, "--scales: give auto, how many, or"),
    "no size of the style": ({"style_size": -4}, 2, "--style-size: give a short edge"),
    "an address for a content": (
        {"content": "https://example.org/a.png"},
        1,
        "https://example.org/a.png is a web address, and kstyle reads files",
    ),
    "an address for weights": (
        {"weights": "http://example.org/a.npz"},
        1,
        "'http://example.org/a.npz' cannot be opened (this is a web address",
    ),
    "an address for the output": (
        {"output": "https://example.org/a.png"},
        2,
        "https://example.org/a.png is a web address. Name a file",
    ),
    "an address for the runs": (
        {"logdir": "https://example.org/logs"},
        2,
        "https://example.org/logs is a web address. Name a folder with --logdir",
    ),
    "scales that shrink": ({"scales": "16,8"}, 2, "must grow"),
    "an output that exists": ({"output": "there.png"}, 2, "--overwrite"),
    "an output of no type": ({"output": "out.psd"}, 2, ".psd"),
    "an output below a file": ({"output": "text.png/out.png"}, 1, "not a folder"),
    "a run's folder below a file": ({"logdir": "text.png"}, 2, "--logdir"),
    "weights that are missing": ({"weights": "nothing.npz"}, 1, "nothing.npz"),
    "a text for weights": ({"weights": "text.png"}, 1, "text.png"),
    "a picture too small": ({"padding": "valid", "size": 9}, 2, "need 10 each way"),
    "a missing config": ({"config": "nothing.yaml"}, 2, "nothing.yaml"),
    "an unknown key in a config": (
        {"config": "key.yaml"},
        2,
        "key.yaml: Unknown option 'stepz'. Did you mean 'steps'",
    ),
    "a wrong type in a config": ({"config": "type.yaml"}, 2, "type.yaml: seed: "),
    "a key twice in a config": ({"config": "twice.yaml"}, 2, "'seed' is given twice"),
}


@pytest.fixture
def bad_files(tmp_path, monkeypatch):
    """Make the files that `BAD_INPUT` names in the current folder."""
    monkeypatch.chdir(tmp_path)
    texts = {
        "text.png": "no picture",
        "key.yaml": "stepz: 3",
        "type.yaml": "seed: [1]",
        "twice.yaml": "seed: 1\nseed: 2",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    kstyle.save_picture("there.png", np.zeros((2, 2, 3)))


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_refused_in_one_sentence(case, small_run, bad_files, monkeypatch):
    changes, code, expected = BAD_INPUT[case]
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # refused without it
    result = invoke(*command(small_run | changes))
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)  # no traceback for the user
    assert result.stdout == ""
    *usage, message = result.stderr.splitlines()
    assert message.startswith("Error: ")
    assert expected in message
    assert all(line.startswith(("Usage: ", "Try ")) or not line for line in usage)
    assert not Path("logs").exists()


@pytest.mark.parametrize("name", ["resume", "rerun", "verify", "compare"])
def test_an_address_for_a_run_keeps_its_slashes(name):
    result = invoke(name, *["https://example.org/run"] * (1 + (name == "compare")))
    assert result.exit_code == 2
    message = "https://example.org/run is a web address, and kstyle reads files"
    assert result.stderr.startswith(f"Error: {message}")


def test_an_unknown_option_or_command_is_refused():
    for words in (["stylize", "--stepz", "3"], ["stylise"], ["layers", "a"]):
        result = invoke(*words)
        assert result.exit_code == 2
        assert "Traceback" not in result.output
    assert "--steps" in invoke("stylize", "--stepz", "3").stderr


def test_the_log_shows_names_in_one_line_and_tracebacks_in_full(capsys):
    log = logging.getLogger("kstyle")
    with show_log(quiet=False):
        log.info("%s is read", "a\nb.png")
        log.error("a.png failed:\n%s", "Traceback ...\n  line")
    expected = "a\\nb.png is read\na.png failed:\nTraceback ...\n  line\n"
    assert capsys.readouterr().err == expected


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), user_errors():
        raise ZeroDivisionError


# ------------------------------------------------------------------------ real runs


def test_a_run_in_a_pipe_prints_plain_lines_and_the_path(small_run, tmp_path):
    output = tmp_path / "out.png"
    result = invoke(*command(small_run | {"output": output}))
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output  # no colours, no cursor

    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "step 0/4",
        "step 2/4",
        "step 4/4",
    ]
    assert re.fullmatch(r"step 0/4: loss [\d.e+]+", lines[0])
    for line in lines[1:]:
        pattern = r"step ./4: loss [\d.e+]+, [\d.]+ steps/s, ETA \d+:\d\d"
        assert re.fullmatch(pattern, line)

    first, last = result.stdout.splitlines()
    assert re.fullmatch(
        rf"wrote {re.escape(str(output))} \(18 x 12, 4 steps, [\d.]+ s\)", first
    )
    (folder,) = (tmp_path / "logs").iterdir()
    assert last == f"tensorboard --logdir {folder}"
    assert kstyle.load_picture(output).size == (12, 18)


def test_a_terminal_shows_a_bar_with_loss_speed_and_eta(small_run):
    result = invoke(*command(small_run), env={"FORCE_COLOR": "1", "COLUMNS": "100"})
    assert "wrote " in result.stdout
    assert "step " not in result.stderr  # no plain lines beside the bar
    pattern = r"stylize .*4/4.* loss .*\d.* steps/s .*ETA .*0:00"
    assert re.search(pattern, result.stderr)


def test_quiet_prints_the_path_and_nothing_else(small_run):
    result = invoke(*command(small_run, "--quiet"))
    assert (result.exit_code, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    assert kstyle.load_picture(line).size == (12, 18)


def test_line_breaks_in_printed_paths_are_escaped(small_run, tmp_path):
    output, logs = tmp_path / "a\nb.png", tmp_path / "it's\nlogs"
    options = small_run | {"output": output, "logdir": logs, "steps": 0}
    first, last = invoke(*command(options)).stdout.splitlines()
    assert "a\\nb.png (18 x 12" in first
    assert "/it\\'s\\nlogs/" in last and last.startswith("tensorboard --logdir $'")

    # A script gets the name itself.
    quiet = invoke(*command(options), "--overwrite", "--quiet").stdout
    assert quiet == f"{output}\n"


def test_a_folder_with_a_blank_can_be_pasted_into_a_shell(small_run, tmp_path):
    options = small_run | {"logdir": tmp_path / "my logs", "steps": 0}
    line = invoke(*command(options)).stdout.splitlines()[-1]
    assert re.fullmatch(r"tensorboard --logdir '.*/my logs/[^ ]*'", line)


def test_normalized_weights_are_printed_with_what_they_imply(small_run):
    options = small_run | {"steps": 1, "snapshot_every": 0, "scales": "9,18"}
    solving = {"style_weights": "normalized", "style_loss": "covariance"}
    result = invoke(*command(options | solving))
    line, wrote, _ = result.stdout.splitlines()
    smoothness = " --tv-loss charbonnier --tv-weight 2000"
    assert line.endswith(f" --style-growth 1 --style-loss covariance{smoothness}")
    path = Path(wrote.removeprefix("wrote ").split(" (")[0])
    again = invoke(*command(options), *line.split(), "--quiet").stdout.strip()
    assert Path(again).read_bytes() == path.read_bytes()


def test_all_losses_are_printed_as_a_table_before_the_run(small_run):
    options = small_run | {"weights": "builtin", "net": "vgg16", "steps": 0}
    result = invoke(*command(options, "--all-losses"))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    names = [word for line in lines for word in line.split() if word[:4] in _KINDS]
    assert tuple(names) == VGG16.layer_names[:13]
    assert "content x 8" in result.stdout and "style x 100" in result.stdout
    row = next(line for line in lines if "conv2_1" in line)
    _, _, style, _, weighted = re.findall(r"[\w.+-]+", row)
    assert float(weighted) == pytest.approx(100 * float(style), rel=1e-5)
    assert lines[-1].startswith("tensorboard")


_KINDS = ("conv", "pool")


def test_solved_weights_are_printed_as_they_would_be_typed(small_run):
    options = small_run | {"steps": 1, "snapshot_every": 0}
    solving = options | {"style_weights": "equal-loss:0.8"}
    result = invoke(*command(solving))
    assert result.exit_code == 0, result.output
    line, wrote, _ = result.stdout.splitlines()
    number = r"[\d.e+-]+"
    layers = f"conv1_1:({number}),conv2_1:({number})"
    pattern = f"--style-layers {layers} --content-weight ({number})"
    assert len(set(re.fullmatch(pattern, line).groups())) == 3

    path = Path(wrote.removeprefix("wrote ").split(" (")[0])
    again = invoke(*command(options), *line.split(), "--quiet").stdout.strip()
    assert Path(again).read_bytes() == path.read_bytes()


def test_solved_weights_are_not_printed_when_quiet(small_run):
    options = small_run | {"style_weights": "equal-loss", "steps": 0}
    (line,) = invoke(*command(options, "--quiet")).stdout.splitlines()
    assert kstyle.load_picture(line).size == (12, 18)


def test_weights_that_cannot_be_solved_are_refused(small_run):
    same = {"style": small_run["content"], "style_weights": "equal-loss"}
    result = invoke(*command(small_run | same))
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: style_weights: style layer conv1_1 starts with")


def test_the_config_of_a_run_repeats_it_and_a_flag_still_wins(small_run, tmp_path):
    options = small_run | {"init": "noise", "seed": 9, "steps": 2}
    first = invoke(*command(options), "--quiet").stdout.strip()
    saved = Path(first).parent / "config.yaml"
    again = invoke("stylize", "--config", saved, "--quiet").stdout.strip()
    assert first != again
    assert Path(first).read_bytes() == Path(again).read_bytes()
    shorter = invoke("stylize", "--config", saved, "--steps", 1, "-q").stdout.strip()
    text = (Path(shorter).parent / "config.yaml").read_text()
    assert StyleConfig.from_yaml(text) == StyleConfig(**options).replace(steps=1)


def test_ctrl_c_before_the_first_step_exits_130_in_words(capsys):
    with pytest.raises(SystemExit) as end, user_errors():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert "Interrupted before the result was written" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_keeps_the_picture_and_exits_130(small_run, enabled_interrupts):
    options = small_run | {"steps": 1_000_000, "report_every": 1, "snapshot_every": 0}
    process = run_python("-m", "kstyle", *command(options))
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if line.startswith("step 2/"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, lines + [err]
    assert all(line.startswith("step ") for line in lines), lines  # TensorFlow is quiet
    assert "Traceback" not in err
    found = re.fullmatch(
        r"interrupted, kept (.*) \(18 x 12, .* s\)\n"
        r"kstyle resume .*\ntensorboard --logdir .*\n",
        out,
    )
    assert found, out
    assert kstyle.load_picture(found[1]).size == (12, 18)
