"""Which cell is best, and how sure that is."""

import math
from typing import Any

import pytest

from conveyor.comparing.ranking import Ranked, lost, rows, verdict
from conveyor.comparing.ranking import rank as rank_cells
from conveyor.comparing.study import Trial
from conveyor.comparing.trial import DIVERGED, LATE, TOO_LARGE


def rank(ended: list[Trial]) -> list[Ranked]:
    """Of all cells that were tried."""
    return rank_cells(ended, {each.cell for each in ended})


def tried(cell: str, number: int, **how: Any) -> Trial:
    """A trial that went so."""
    return Trial(cell=cell, number=number, hidden=8, learning_rate=0.1, **how)


def trials(cell: str, losses: list[float], offset: float = 0.0) -> list[Trial]:
    """Trials with these validation losses, and test scores that are ``offset`` more."""
    return [
        tried(
            cell,
            number,
            validation=loss,
            test=loss + offset,
            parameters=100,
            best_epoch=5,
            seconds=2.0 + number,
        )
        for number, loss in enumerate(losses)
    ]


def test_a_cell_that_always_wins_is_best() -> None:
    good = trials("good", [1.0 + 0.01 * n for n in range(20)], offset=0.5)
    bad = trials("bad", [2.0 + 0.01 * n for n in range(20)])
    first, second = rank(bad + good)
    assert (first.cell, second.cell) == ("good", "bad")
    assert (first.first, second.first) == (1.0, 0.0)
    assert first.best.test == 1.5
    assert 1.5 <= first.interval[0] <= first.interval[1] < 1.6
    assert first.tried == 20
    assert first.seconds == 11.5
    assert verdict([first, second], {"naive": 9.0}) == (
        "good is best: it comes first in 100 % of resamples of 20 draws."
    )


def test_the_test_part_does_not_choose() -> None:
    # The trial with the best test score has a bad validation loss.
    own = [
        tried("one", 0, validation=1.0, test=3.0),
        tried("one", 1, validation=2.0, test=0.1),
    ]
    assert rank(own)[0].best.test == 3.0
    # Nor in resamples: the good score counts only where the first draw is missing, 1 of 4.
    both = rank(own + trials("other", [0.0, 0.0], offset=1.0))
    # 10,000 resamples: a standard error of 0.004.
    assert {each.cell: each.first for each in both} == {
        "one": pytest.approx(0.25, abs=0.02),
        "other": pytest.approx(0.75, abs=0.02),
    }


def test_equal_cells_share_the_first_place() -> None:
    one = trials("one", [1.0, 2.0] * 8)
    other = trials("other", [2.0, 1.0] * 8)
    ranked = rank(one + other)
    shares = [each.first for each in ranked]
    same = rank(trials("a", [1.0, 2.0] * 6) + trials("b", [1.0, 2.0] * 6))
    assert [each.first for each in same] == [0.5, 0.5]
    assert sum(shares) == pytest.approx(1.0)
    assert "not surely" in verdict(ranked, {}) or max(shares) >= 0.95


def test_a_lucky_trial_is_not_surely_best() -> None:
    steady = trials("steady", [1.0] * 12)
    lucky = trials("lucky", [0.5, *[3.0] * 11])
    ranked = rank(steady + lucky)
    assert ranked[0].cell == "lucky"
    # The one good draw is missing from a resample with (11/12)^12 = 0.352.
    assert ranked[0].first == pytest.approx(1 - (11 / 12) ** 12, abs=0.03)
    assert ranked[0].interval == (0.5, 3.0)
    assert "best, but not surely" in verdict(ranked, {})


def test_cells_are_compared_on_draws_that_all_were_tried_with() -> None:
    """After a stop one cell may be ahead of the others by a draw, a lucky one here."""
    ahead = trials("ahead", [3.0, 3.0, 1.0])
    behind = trials("behind", [2.0, 2.0])
    ranked = rank(ahead + behind)
    assert [each.cell for each in ranked] == ["behind", "ahead"]
    assert [each.tried for each in ranked] == [2, 2]
    assert rank([ahead[0], behind[1]]) == []
    assert rank_cells(ahead, ["ahead", "behind"]) == []
    assert rank_cells([], ["one"]) == []


def test_cells_without_a_score_come_last() -> None:
    gone = [tried("gone", number, lost=DIVERGED) for number in range(10)]
    gone[3] = tried("gone", 3, lost=LATE)
    half = [tried("half", 0, lost=LATE), *trials("half", [1.0] * 10)[1:]]
    ranked = rank(gone + half)
    assert [each.cell for each in ranked] == ["half", "gone"]
    assert [each.lost for each in ranked] == [{LATE: 1}, {DIVERGED: 9, LATE: 1}]
    assert math.isinf(ranked[1].best.test)
    assert lost(ranked) == (
        "trials without a score: 1 of half (no epoch finished in time), 9 of gone (diverged), 1 of "
        "gone (no epoch finished in time)."
    )
    assert rows(ranked, {"naive": 2.0})[1][1] == "inf"
    assert lost(rank(trials("fine", [1.0]))) is None


@pytest.mark.parametrize(
    ("reason", "option"),
    [(DIVERGED, "learning_rate"), (LATE, "minutes"), (TOO_LARGE, "hidden")],
)
def test_where_no_trial_has_a_score_the_way_out_is_told(reason: str, option: str) -> None:
    said = verdict(rank([tried("gone", 0, lost=reason)]), {})
    assert f"no trial has a score: {reason}." in said
    assert option in said


def test_few_draws_say_little() -> None:
    ranked = rank(trials("one", [1.0]) + trials("other", [2.0]))
    assert verdict(ranked, {}) == (
        "one is best so far; fewer than 10 draws say little. Give more trials."
    )
    assert "alone was tried" in verdict(rank(trials("one", [1.0])), {})


def test_a_baseline_that_wins_is_told() -> None:
    ranked = rank(trials("one", [1.0] * 12) + trials("other", [2.0] * 12))
    said = verdict(ranked, {"naive": 3.0, "seasonal naive": 0.5})
    assert "But the baseline wins: seasonal naive has 0.5, one 1." in said
    assert "baseline" not in verdict(ranked, {"naive": 3.0})
    assert "But the baseline is as good: naive has 1, one 1." in verdict(ranked, {"naive": 1.0})


def test_equal_scores_are_ranked_by_validation_loss() -> None:
    better = [tried("z", 0, validation=0.1, test=0.0)]
    worse = [tried("a", 0, validation=0.2, test=0.0)]
    assert [each.cell for each in rank(worse + better)] == ["z", "a"]


def test_where_no_cell_has_a_score_none_comes_first() -> None:
    ranked = rank([tried(cell, 0, lost=LATE) for cell in ("a", "b")])
    assert [each.first for each in ranked] == [0.0, 0.0]


def test_the_interval_holds_95_percent_of_resamples() -> None:
    """Of 100 draws whose scores are their numbers the best of a resample is above k with
    (1 - k/100)^100, exp(-k): 2.5 % beyond 3.7, so the fourth."""
    ranked = rank(trials("one", [float(number) for number in range(100)]))
    assert ranked[0].interval == (0.0, 3.0)


def test_rows_hold_the_ranking_and_the_baselines() -> None:
    ranked = rank(trials("one", [1.25] * 3) + trials("other", [2.5] * 3))
    assert rows(ranked, {"naive": 2.0}) == [
        ("one", "1.25", "1.25–1.25", "100 %", "8", "0.1", "100", "3.0"),
        ("other", "2.5", "2.5–2.5", "0 %", "8", "0.1", "100", "3.0"),
        ("naive", "2", "", "", "", "", "", ""),
    ]
