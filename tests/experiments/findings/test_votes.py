"""Votes of people: their files, the fitted ranking, its agreement with scores."""

import json

import numpy as np
import pytest

from kstyle.errors import ConfigError
from kstyle.experiments.findings.votes import (
    PRIOR_DEVIATION,
    Vote,
    bradley_terry,
    find_vote_files,
    rank_by_votes,
    rank_correlation,
    read_votes,
    votes_by_experiment,
)

ITEMS = {name: ("", name.upper()) for name in "abcd"}


@pytest.fixture
def vote_file(tmp_path):
    """Return a function that writes a file of votes with some keys changed."""

    def write(name="votes.json", **keys):
        votes = [{"a": "a", "b": "b", "choice": "a", "seconds": 1.5}]
        content = {"kstyle_votes": 1, "experiment": "08_pooling", "votes": votes}
        (tmp_path / name).write_text(json.dumps(content | keys))
        return tmp_path / name

    return write


def test_strengths_of_two_are_the_log_of_the_odds():
    wins = np.array([[0, 3000], [1000, 0]])  # so many that the prior hardly counts
    strengths, deviations = bradley_terry(wins)
    assert strengths[0] - strengths[1] == pytest.approx(np.log(3), rel=1e-3)
    assert strengths.sum() == pytest.approx(0)
    # Each is half the difference, whose information is n p (1 - p).
    assert deviations[0] == pytest.approx(0.5 / np.sqrt(4000 * 0.75 * 0.25), rel=1e-2)


def test_strengths_satisfy_the_equation_of_their_maximum():
    wins = np.array([[0, 4, 2.5], [1, 0, 3], [0.5, 2, 0]])
    strengths, _ = bradley_terry(wins)
    chance = 1 / (1 + np.exp(strengths - strengths[:, None]))
    gradient = (wins - (wins + wins.T) * chance).sum(1)
    np.testing.assert_allclose(gradient, strengths / PRIOR_DEVIATION**2, atol=1e-6)


def test_one_that_never_loses_has_a_finite_strength():
    strengths, deviations = bradley_terry(np.array([[0, 9, 9], [0, 0, 5], [0, 4, 0]]))
    assert np.isfinite(strengths).all() and np.isfinite(deviations).all()
    assert strengths[0] > strengths[1] > strengths[2]


def test_votes_rank_items_and_agree_with_a_score():
    votes = [Vote("a", "b", "a"), Vote("c", "b", "b"), Vote("c", "a", "b")] * 4
    scores = {("", name): {"lpips": x} for name, x in (("A", 3), ("B", 2), ("C", 1))}
    (ranking,), unknown = rank_by_votes(votes, ITEMS, scores)
    assert [item.label for item in ranking.items] == ["A", "B", "C"]
    assert [item.votes for item in ranking.items] == [8, 8, 8]
    assert ranking.items[1].preferred == pytest.approx(0.5)
    for item in ranking.items:
        assert item.low < item.preferred < item.high
    assert ranking.agreement == {"lpips": pytest.approx(1)}
    assert unknown == 0


def test_ties_are_half_a_win_for_each():
    (ranking,), _ = rank_by_votes([Vote("a", "b", "equal")], ITEMS, {})
    assert [item.preferred for item in ranking.items] == pytest.approx([0.5, 0.5])
    assert [item.votes for item in ranking.items] == [1, 1]


def test_votes_on_other_results_are_counted_apart():
    items = ITEMS | {"e": ("other part", "E")}
    votes = [Vote("a", "b", "a"), Vote("a", "x", "a"), Vote("a", "e", "a")]
    rankings, unknown = rank_by_votes(votes, items, {})
    assert (len(rankings), unknown) == (1, 2)


def test_rank_correlation_needs_three_values_that_differ():
    assert rank_correlation([1, 2, 9], [5, 6, 7]) == pytest.approx(1)
    assert rank_correlation([1, 2, 9], [7, 6, 5]) == pytest.approx(-1)
    for values in ([1, 2], [1, 1, 1], [1, 2, np.nan]):
        assert np.isnan(rank_correlation(values, range(len(values))))


def test_a_file_has_the_experiment_and_its_votes(vote_file):
    assert read_votes(vote_file()) == ("08_pooling", [Vote("a", "b", "a")])


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"kstyle_votes": 2}, "format 2, not 1"),
        ({"votes": [{"a": "a", "b": "b", "choice": "c"}]}, "choice 'c'"),
        ({"votes": [{"a": "a"}]}, "KeyError"),
        ({"votes": 3}, "not iterable"),
    ],
)
def test_a_file_of_another_kind_is_refused(vote_file, keys, reason):
    with pytest.raises(ConfigError, match=f"holds no votes .*{reason}"):
        read_votes(vote_file(**keys))


def test_a_folder_stands_for_its_files(vote_file, tmp_path):
    files = [vote_file("1.json"), vote_file("2.json")]
    assert find_vote_files([tmp_path]) == files
    found = votes_by_experiment([tmp_path], ["08_pooling"])
    assert found == {"08_pooling": [Vote("a", "b", "a")] * 2}


def test_missing_files_and_other_experiments_are_refused(vote_file, tmp_path):
    with pytest.raises(ConfigError, match="No votes at"):
        find_vote_files([tmp_path / "none.json"])
    with pytest.raises(ConfigError, match="'08_pooling', but the report is of 09"):
        votes_by_experiment([vote_file()], ["09"])
