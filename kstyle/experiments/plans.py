"""What an experiment will run, checked before the first trial starts."""

import dataclasses
import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kstyle.errors import ConfigError, KStyleError
from kstyle.experiments.definition.experiment_file import (
    Experiment,
    Trial,
    read_experiment,
)
from kstyle.experiments.findings.rules import Finding, check_findings
from kstyle.experiments.records import TrialRecord, split_finished
from kstyle.experiments.scoring.names import SCORES
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.planning.estimates import Estimate, cost_model, estimate_run
from kstyle.planning.regions import skipped_layers
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.inputs import check_packages, read_pictures
from kstyle.runs.job import check_folder_name

PictureSizes = tuple[tuple[int, int], ...]  # (height, width) of content and styles


@dataclasses.dataclass(frozen=True)
class ExperimentPlan:
    """One experiment, its folder, the records of finished trials, and the others.

    `findings`: those of the experiment, checked. `sizes`: `{trial name: (size of the
    content, of the style)}`, as (height, width) in pixels. `command`: repeats it.
    """

    experiment: Experiment
    findings: tuple[Finding, ...]
    folder: Path
    finished: dict[str, TrialRecord]
    todo: list[Trial]
    sizes: dict[str, PictureSizes]
    command: str


def plan(
    files: str | Path | Iterable[str | Path],
    *,
    quick: bool = False,
    only: str | Sequence[str] = (),
    pairs: Sequence[Sequence[str | Path]] = (),
    changes: Mapping[str, Any] | None = None,
    logdir: str | Path = "logs",
    overwrite: bool = False,
) -> list[ExperimentPlan]:
    """Return an `ExperimentPlan` for each file, every trial checked before any runs.

    files: an experiment file, or several; or the name of a built-in one, or "all".
    quick: small pictures, few steps, the first value of every repeat: to try it out.
    only: parts of trial names; trials with none of them in their name are left out.
    pairs: (content, style) pictures; every trial runs once for each.
    changes: options set for every trial, on top of its own, `{option: value}`.
    logdir: where each experiment's folder is, `logdir/NAME`.
    overwrite: whether finished trials that had other options may be replaced.
    Raises: KStyleError: something cannot work.
    """
    check_folder_name(logdir)
    files = [files] if isinstance(files, (str, Path)) else files
    only = [only] if isinstance(only, str) else only
    paths = find_experiment_files(files)
    requested = [
        read_experiment(path, changes, quick=quick, pairs=pairs) for path in paths
    ]
    names = [experiment.name for experiment in requested]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two experiments are called {name!r}. Rename a file.")
    plans = [
        plan_experiment(
            experiment,
            Path(logdir) / experiment.name,
            rerun_command(path, quick, only, pairs, changes),
            only=only,
            overwrite=overwrite,
        )
        for path, experiment in zip(paths, requested, strict=True)
    ]
    for experiment in requested:
        for trial in experiment.trials:
            explain_precision(trial.config.precision, trial.config.device)
    return plans


def plan_experiment(
    experiment: Experiment,
    folder: Path,
    command: str,
    *,
    only: Sequence[str],
    overwrite: bool,
) -> ExperimentPlan:
    """Plan one experiment as it was read; for the arguments see `plan`.

    The findings are checked against all trials, also those that `only` leaves out.
    """
    experiment = with_resolved_precision(experiment)
    findings = checked_findings(experiment)
    if only:
        experiment = select_trials(experiment, only)
    sizes = {trial.name: check_trial(trial) for trial in experiment.trials}
    finished, todo = split_finished(experiment, folder, overwrite=overwrite)
    return ExperimentPlan(
        experiment=experiment,
        findings=findings,
        folder=folder,
        finished=finished,
        todo=todo,
        sizes=sizes,
        command=command,
    )


def with_resolved_precision(experiment: Experiment) -> Experiment:
    """Return the experiment with `precision: auto` replaced in every trial.

    The precision is part of a trial: a checkpoint or finished record of another
    precision belongs to another trial.
    """
    trials = []
    for trial in experiment.trials:
        precision = resolve_precision(trial.config.precision, trial.config.device)
        config = trial.config.replace(precision=precision)
        trials.append(dataclasses.replace(trial, config=config))
    return dataclasses.replace(experiment, trials=tuple(trials))


def checked_findings(experiment: Experiment) -> tuple[Finding, ...]:
    """Return the findings of the experiment's file, checked.

    Raises: ConfigError: with the file's path.
    """
    try:
        return tuple(check_findings(experiment.findings, experiment, SCORES))
    except ConfigError as error:
        raise ConfigError(f"{experiment.path}: {error}") from None


def rerun_command(
    path: str | Path,
    quick: bool,
    only: Iterable[str],
    pairs: Iterable[Sequence[str | Path]],
    changes: Mapping[str, Any] | None,
) -> str:
    """Return the command that runs the same; files by name only, values as in YAML."""
    words = ["kstyle", "experiment", "run", Path(path).name]
    words += ["--quick"] if quick else []
    for word in only:
        words += ["--only", word]
    for content, style in pairs:
        words += ["--pair", Path(content).name, Path(style).name]
    for key, value in (changes or {}).items():
        text = Path(value).name if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{key}={text}"]
    return shlex.join(map(str, words))


def select_trials(experiment: Experiment, only: Sequence[str]) -> Experiment:
    """Return the experiment with only the trials whose name contains one of `only`.

    Raises: ConfigError: there is no such trial.
    """
    trials = [t for t in experiment.trials if any(word in t.name for word in only)]
    if not trials:
        names = [trial.name for trial in experiment.trials]
        raise ConfigError(
            f"{experiment.name} has no trial with {' or '.join(only)} in its name. "
            f"It has {names}."
        )
    return dataclasses.replace(experiment, trials=tuple(trials))


def check_trial(trial: Trial) -> PictureSizes:
    """Read the trial's pictures and plan its scales; return the pictures' sizes.

    Raises: KStyleError: with the trial's name.
    """
    try:
        check_packages(trial.config)
        pictures = read_pictures(trial.config)
        sizes = pictures.sizes
        scales = plan_scales_of_run(trial.config, *sizes)
        skipped_layers(trial.config, pictures.regions, scales)  # none everywhere
    except KStyleError as error:
        raise type(error)(f"trial {trial.name!r}: {error}") from None
    return sizes


def estimate_trials(
    plans: Iterable[ExperimentPlan], seconds_per_gflop: Callable[[str], float]
) -> dict[tuple[str, str], Estimate]:
    """Return `{(experiment, trial): Estimate}` of every trial, finished or not.

    seconds_per_gflop: a function of the precision.
    """
    found = {}
    for each in plans:
        for trial in each.experiment.trials:
            # A table of initial losses is one evaluation, without a step.
            table = trial.kind == "table"
            config = trial.config.replace(steps=0) if table else trial.config
            scales = plan_scales_of_run(config, *each.sizes[trial.name])
            found[each.experiment.name, trial.name] = estimate_run(
                cost_model(config), scales, seconds_per_gflop
            )
    return found


def builtin_folder() -> Path:
    """Return the folder of the built-in experiments, installed or in a checkout."""
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
