"""Votes of people on pairs of results: their files, a ranking, and its agreement.

The votes are files that the page `votes.html` of an experiment saves.
"""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kstyle.errors import ConfigError
from kstyle.experiments.findings.quantities import mean_ranks

VOTES_FORMAT = 1  # "kstyle_votes" in a file
CHOICES = ("a", "b", "equal")
# A weak prior on the strengths (their standard deviation) keeps them finite where a
# result has won or lost every comparison.
PRIOR_DEVIATION = 2.0
NORMAL_95 = 1.96  # standard deviations to each side of a 95 % interval
MAX_NEWTON_STEPS = 50
MIN_RANKED = 3  # items for a rank correlation

Item = tuple[str, str]  # part and label: repeats of a trial are one item


@dataclasses.dataclass(frozen=True)
class Vote:
    """One comparison: the ids of two results, and which was chosen."""

    a: str
    b: str
    choice: Literal["a", "b", "equal"]


@dataclasses.dataclass(frozen=True)
class RankedItem:
    """One line of a ranking, the best first.

    label: of the trial. preferred: the estimated probability of being preferred to the
        middle of the ranking. low, high: ends of its 95 % interval. votes: on it.
    scores: `{name: mean over its results}`.
    """

    label: str
    preferred: float
    low: float
    high: float
    votes: int
    scores: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class VoteRanking:
    """The ranking of one part of an experiment.

    agreement: `{score: Spearman's rank correlation with the ranking}`; NaN where there
        are fewer than three values or one is missing.
    """

    part: str
    items: tuple[RankedItem, ...]
    agreement: dict[str, float]


def find_vote_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files, and of a folder all `.json` files in it.

    Raises: ConfigError: a path does not exist, or a folder has none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise ConfigError(
                f"No votes at {path}. Give a file that votes.html has saved, or a "
                "folder of such files."
            )
        found += files
    return found


def read_votes(path: Path) -> tuple[str, list[Vote]]:
    """Read a file of votes: the experiment's name and the votes.

    Raises: ConfigError: it is not a file that `votes.html` has saved.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["kstyle_votes"] != VOTES_FORMAT:
            raise ValueError(f"format {content['kstyle_votes']!r}, not {VOTES_FORMAT}")
        votes = [Vote(str(v["a"]), str(v["b"]), v["choice"]) for v in content["votes"]]
        for vote in votes:
            if vote.choice not in CHOICES:
                raise ValueError(f"choice {vote.choice!r}")
        return str(content["experiment"]), votes
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} holds no votes ({error!r}). Give a file that votes.html has saved."
        ) from error


def votes_by_experiment(
    paths: Iterable[str | Path], experiments: Collection[str]
) -> dict[str, list[Vote]]:
    """Read all votes: `{experiment: votes}`.

    Raises: ConfigError: a file cannot be read, or is of none of `experiments`.
    """
    found: dict[str, list[Vote]] = {}
    for path in find_vote_files(paths):
        experiment, votes = read_votes(path)
        if experiment not in experiments:
            raise ConfigError(
                f"{path} has votes on the experiment {experiment!r}, but the report is "
                f"of {', '.join(experiments)}."
            )
        found.setdefault(experiment, []).extend(votes)
    return found


def rank_by_votes(
    votes: Iterable[Vote],
    items: Mapping[str, Item],
    scores: Mapping[Item, Mapping[str, float]],
) -> tuple[list[VoteRanking], int]:
    """Rank the trials of each part by the votes.

    items: `{id of a result: (part, label)}`. scores: `{item: {score: value}}`.
    Returns: a ranking for each part that has votes, and how many votes are of results
        that `items` does not know.
    """
    unknown = 0
    counted: dict[str, dict[tuple[str, str], float]] = {}
    for vote in votes:
        a, b = items.get(vote.a), items.get(vote.b)
        if a is None or b is None or a[0] != b[0]:
            unknown += 1
        elif a != b:
            wins = counted.setdefault(a[0], {})
            first = {"a": 1.0, "b": 0.0, "equal": 0.5}[vote.choice]
            for pair, win in (((a[1], b[1]), first), ((b[1], a[1]), 1 - first)):
                wins[pair] = wins.get(pair, 0.0) + win
    rankings = [rank_part(part, wins, scores) for part, wins in counted.items()]
    return rankings, unknown


def rank_part(
    part: str,
    counted: Mapping[tuple[str, str], float],
    scores: Mapping[Item, Mapping[str, float]],
) -> VoteRanking:
    """Rank the labels of one part. counted: `{(winner, loser): votes}`."""
    labels = list(dict.fromkeys(label for pair in counted for label in pair))
    wins = np.array([[counted.get((a, b), 0.0) for b in labels] for a in labels])
    strengths, deviations = bradley_terry(wins)
    totals = (wins + wins.T).sum(axis=1)
    known = [scores.get((part, label), {}) for label in labels]
    order = np.argsort(-strengths, kind="stable")
    items = tuple(
        RankedItem(
            label=labels[i],
            preferred=float(logistic(strengths[i])),
            low=float(logistic(strengths[i] - NORMAL_95 * deviations[i])),
            high=float(logistic(strengths[i] + NORMAL_95 * deviations[i])),
            votes=round(totals[i]),
            scores=known[i],
        )
        for i in order
    )
    names = dict.fromkeys(name for values in known for name in values)
    agreement = {
        name: rank_correlation(
            strengths, [values.get(name, np.nan) for values in known]
        )
        for name in names
    }
    return VoteRanking(part, items, agreement)


def bradley_terry(wins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the model of R. Bradley and M. Terry (Biometrika 1952) to comparisons.

    `P(i preferred to j) = 1 / (1 + exp(s_j - s_i))`; the strengths s have mean 0 and a
    weak normal prior, and are found by Newton's method.
    wins: `wins[i, j]`, how often i was preferred to j; a tie is half a win for each.
    Returns: strengths, and their standard deviations by the curvature of the posterior.
    """
    count = len(wins)
    strengths, compared = np.zeros(count), wins + wins.T
    for _ in range(MAX_NEWTON_STEPS):
        expected = compared * logistic(strengths[:, None] - strengths)
        gradient = (wins - expected).sum(axis=1) - strengths / PRIOR_DEVIATION**2
        step = np.linalg.solve(curvature(strengths, compared), gradient)
        strengths = strengths + step
        if np.abs(step).max() < 1e-9:
            break
    centring = np.eye(count) - 1 / count
    covariance = centring @ np.linalg.inv(curvature(strengths, compared)) @ centring
    return strengths - strengths.mean(), np.sqrt(np.diag(covariance))


def curvature(strengths: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """Return the negative second derivatives of the log posterior."""
    chance = logistic(strengths[:, None] - strengths)
    information = compared * chance * (1 - chance)
    diagonal = information.sum(axis=1) + 1 / PRIOR_DEVIATION**2
    return np.diag(diagonal) - information


def logistic(x: np.ndarray) -> np.ndarray:
    """Return `1 / (1 + exp(-x))`."""
    return 1 / (1 + np.exp(-x))


def rank_correlation(values: ArrayLike, others: ArrayLike) -> float:
    """Return Spearman's rank correlation; NaN for fewer than three or a NaN."""
    pair = np.asarray(values, float), np.asarray(others, float)
    if len(pair[0]) < MIN_RANKED or np.isnan(pair).any():
        return float("nan")
    ranks = np.stack([mean_ranks(array) for array in pair])
    if not np.ptp(ranks, axis=1).all():
        return float("nan")  # all values are equal
    return float(np.corrcoef(ranks)[0, 1])
