"""What an experiment will run, checked before anything does."""

import dataclasses
import json
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

from kstyle.errors import ConfigError, KStyleError
from kstyle.experiments.definition.experiment_file import Experiment, read_experiment
from kstyle.experiments.findings.rules import check_findings
from kstyle.experiments.records import split_finished
from kstyle.experiments.scoring.names import SCORES
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.planning.estimates import estimate_run
from kstyle.runs.inputs import read_pictures


@dataclasses.dataclass(frozen=True)
class ExperimentPlan:
    """One experiment, its folder, the records of what is done, and the other trials.

    `sizes`: `{trial name: ((height, width) of the content, of the style)}` as read.
    `command`: what a user types to run the same.
    """

    experiment: Experiment
    folder: Path
    finished: dict
    todo: list
    sizes: dict
    command: str


def plan(
    files,
    *,
    quick=False,
    only=(),
    pairs=(),
    changes=None,
    logdir="logs",
    overwrite=False,
):
    """A `Plan` for each file, with every trial checked before the first one runs.

    files: an experiment file, or several; or the name of a built-in one, or "all".
    quick: small, few steps, the first of every repeat: a look at whether it works.
    only: parts of trial names; trials with none of them in their name are left out.
    pairs: (content, style) pictures; every trial runs once for each.
    changes: options put on top of every trial's own, `{option: value}`.
    logdir: where each experiment's folder is, `logdir/NAME`.
    overwrite: whether finished trials that had other options may be replaced.
    Raises: KStyleError: something cannot work.
    """
    plans, wanted, only = [], [], [only] if isinstance(only, str) else only
    for path in find_experiment_files(
        [files] if isinstance(files, (str, Path)) else files
    ):
        whole = read_experiment(path, changes, quick=quick, pairs=pairs)
        folder = Path(logdir) / whole.name
        wanted += [trial.config for trial in whole.trials]
        experiment = with_findings(with_resolved_precision(whole))
        if only:
            experiment = select_trials(experiment, only)
        sizes = {trial.name: check_trial(trial) for trial in experiment.trials}
        split = split_finished(experiment, folder, overwrite=overwrite)
        command = rerun_command(path, quick, only, pairs, changes)
        plans.append(ExperimentPlan(experiment, folder, *split, sizes, command))
    names = [each.experiment.name for each in plans]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two experiments are called {name!r}. Rename a file.")
    explain_precision(*wanted)
    return plans


def with_resolved_precision(experiment):
    """The experiment with every trial's precision decided: it is part of the trial, and
    a checkpoint or a finished record of another precision is another trial's."""
    trials = [
        dataclasses.replace(trial, config=resolve_precision(trial.config))
        for trial in experiment.trials
    ]
    return dataclasses.replace(experiment, trials=tuple(trials))


def with_findings(experiment):
    """The experiment with its findings checked and filled in."""
    try:
        findings = tuple(check_findings(experiment.findings, experiment, SCORES))
    except ConfigError as error:
        raise ConfigError(f"{experiment.path}: {error}") from None
    return dataclasses.replace(experiment, findings=findings)


def rerun_command(path, quick, only, pairs, changes):
    """The command that runs the same, its files by name alone; values as in YAML."""
    words = ["kstyle", "experiment", "run", Path(path).name]
    words += ["--quick"] if quick else []
    for word in only:
        words += ["--only", word]
    for pair in pairs:
        words += ["--pair", *(Path(picture).name for picture in pair)]
    for key, value in (changes or {}).items():
        text = Path(value).name if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{key}={text}"]
    return shlex.join(map(str, words))


def select_trials(experiment, only):
    """The experiment with those trials alone whose name holds one of `only`."""
    trials = [t for t in experiment.trials if any(word in t.name for word in only)]
    if not trials:
        names = [trial.name for trial in experiment.trials]
        raise ConfigError(
            f"{experiment.name} has no trial with {' or '.join(only)} in its name. "
            f"It has {names}."
        )
    return dataclasses.replace(experiment, trials=tuple(trials))


def check_trial(trial):
    """Read the trial's pictures and plan its scales. Returns the pictures' sizes."""
    try:
        content, style, _, _ = read_pictures(trial.config)
    except KStyleError as error:
        raise type(error)(f"trial {trial.name!r}: {error}") from None
    return content.size, style.shape[:2]


def estimate_trials(plans, seconds_per_gflop):
    """`{(experiment, trial): estimates.Estimate}` of every trial, done or not."""
    found = {}
    for each in plans:
        for trial in each.experiment.trials:
            table = trial.kind == "table"  # one look at the picture
            config = trial.config.replace(steps=0) if table else trial.config
            found[each.experiment.name, trial.name] = estimate_run(
                config, *each.sizes[trial.name], seconds_per_gflop
            )
    return found


def builtin_folder():
    """The experiments that come with kstyle: in the package, or beside a checkout's."""
    package = Path(__file__).parents[1]
    installed = package / "data" / "configs" / "experiments"
    if installed.is_dir():
        return installed
    return package.parent / "configs" / "experiments"


def builtin_experiments() -> dict[str, Path]:
    """Return `{name: file}` of the experiments that come with kstyle, in order."""
    return {path.stem: path for path in sorted(builtin_folder().glob("*.yaml"))}


def find_experiment_files(words: Iterable[str | Path]) -> list[Path]:
    """Return the experiment files that `words` name, each once.

    words: paths, names of built-in experiments or their beginnings (08), or "all".
    Raises: ConfigError: a word names no experiment, or the beginning of several.
    """
    builtin = builtin_experiments()
    found: list[Path] = []
    for word in words:
        if str(word) == "all":
            found += builtin.values()
        elif Path(word).is_file():
            found.append(Path(word))
        else:
            found.append(builtin[find_builtin_name(str(word), builtin)])
    return list({path.resolve(): path for path in found}.values())


def find_builtin_name(word: str, names: Collection[str]) -> str:
    """Return the built-in experiment called `word`, or the only one that begins so."""
    if word.removesuffix(".yaml") in names:
        return word.removesuffix(".yaml")
    matches = [name for name in names if word and name.startswith(word)]
    if len(matches) > 1:
        raise ConfigError(f"Several experiments begin with {word!r}: {matches}.")
    if not matches:
        raise ConfigError(
            f"There is no experiment file {word!r}. Give a path, 'all', or one of "
            f"{list(names)}; `kstyle experiment new` writes a template."
        )
    return matches[0]
