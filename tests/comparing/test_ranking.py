"""Which cell is best, and how sure that is."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from conveyor.comparing.ranking import NO_SCORE, RankedCell, Ranking
from conveyor.comparing.ranking import rank as rank_cells
from conveyor.comparing.study import Trial
from conveyor.comparing.trial import DIVERGED, LATE, TOO_LARGE
from conveyor.tasks.results import Metric

ERROR = Metric("error", "error")
WRONG = Metric("wrong", "wrong answers", digits=".1f", percent=True)
RIGHT = Metric("right", "right answers", digits=".1f", percent=True, better="more")

Cells = tuple[RankedCell, ...]


def rank(finished: list[Trial], metric: Metric = ERROR) -> Cells:
    """Rank all cells that were tried."""
    return rank_cells(finished, {trial.cell for trial in finished}, metric)


def verdict(cells: Cells, baselines: Mapping[str, float], metric: Metric = ERROR) -> str:
    """Return the verdict of a ranking."""
    return Ranking(metric, cells, baselines).verdict.en


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
    assert verdict((first, second), {"naive": 9.0}) == (
        "good is best: it comes first in 100 % of resamples of 20 draws. good beats naive: 83 % "
        "less error."
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
    assert rank([ahead[0], behind[1]]) == ()
    assert rank_cells(ahead, ["ahead", "behind"], ERROR) == ()
    assert rank_cells([], ["one"], ERROR) == ()


def test_cells_without_a_score_come_last() -> None:
    gone = [tried("gone", number, lost=DIVERGED) for number in range(10)]
    gone[3] = tried("gone", 3, lost=LATE)
    half = [tried("half", 0, lost=LATE), *trials("half", [1.0] * 10)[1:]]
    ranked = rank(gone + half)
    assert [each.cell for each in ranked] == ["half", "gone"]
    assert [each.lost for each in ranked] == [{LATE: 1}, {DIVERGED: 9, LATE: 1}]
    assert math.isnan(ranked[1].best.test)
    without = Ranking(ERROR, ranked, {}).without_score
    assert without is not None
    assert without.en == (
        "trials without a score: 1 of half (no epoch finished in time), 9 of gone (diverged), 1 of "
        "gone (no epoch finished in time)."
    )
    assert Ranking(ERROR, ranked, {"naive": 2.0}).rows[1][1:4] == (NO_SCORE, "0 %", NO_SCORE)
    assert Ranking(ERROR, rank(trials("fine", [1.0])), {}).without_score is None


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
    assert "But the baseline wins: seasonal naive has error 0.5, one 1. Train longer" in said
    assert "baseline" not in verdict(ranked, {"naive": 3.0})
    assert "But the baseline is as good: naive has error 1, one 1." in verdict(
        ranked, {"naive": 1.0}
    )


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
    cells = rank(trials("one", [1.25] * 3) + trials("other", [2.5] * 3))
    assert Ranking(ERROR, cells, {"naive": 2.0, "odd": math.nan}).rows == [
        ("one", "1.25", "100 %", "1.25–1.25", "8", "0.1", "100", "3.0"),
        ("other", "2.5", "0 %", "2.5–2.5", "8", "0.1", "100", "3.0"),
        ("naive", "2", "", "", "", "", "", ""),
        ("odd", NO_SCORE, "", "", "", "", "", ""),
    ]


def scored(cell: str, scores: list[float], losses: list[float]) -> list[Trial]:
    """Return trials with these scores and validation losses."""
    return [
        tried(cell, number, validation=loss, test=score)
        for number, (score, loss) in enumerate(zip(scores, losses, strict=True))
    ]


def test_more_is_better_where_the_metric_says_so() -> None:
    """The validation loss, of which less is better, still chooses the trial of a cell."""
    good = scored("good", [0.5, 0.9, 0.8], [3.0, 1.0, 2.0])
    bad = scored("bad", [0.95, 0.3, 0.2], [3.0, 1.0, 2.0])
    cells = rank(bad + good, RIGHT)
    assert [(each.cell, each.best.test) for each in cells] == [("good", 0.9), ("bad", 0.3)]
    # Three draws are all of number 0 in 1 of 27 resamples: the only one where bad is first.
    assert [each.first for each in cells] == [
        pytest.approx(26 / 27, abs=0.01),
        pytest.approx(1 / 27, abs=0.01),
    ]
    assert cells[0].interval == (0.5, 0.9)
    assert [each.cell for each in rank(bad + good, WRONG)] == ["bad", "good"]


def test_equal_scores_share_the_first_place_where_more_is_better() -> None:
    one = scored("one", [0.5, 0.9], [2.0, 1.0])
    other = scored("other", [0.5, 0.9], [1.5, 0.5])
    cells = rank(one + other, RIGHT)
    assert [each.cell for each in cells] == ["other", "one"]
    assert [each.first for each in cells] == [0.5, 0.5]


@pytest.mark.parametrize("metric", [RIGHT, WRONG])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_the_worst_in_either_direction(score: float, metric: Metric) -> None:
    odd = scored("odd", [score], [1.0])
    low = scored("low", [0.1], [1.0])
    cells = rank(odd + low, metric)
    assert [each.cell for each in cells] == ["low", "odd"]
    assert [each.first for each in cells] == [1.0, 0.0]


def test_a_resample_without_a_score_is_at_the_worse_end_of_the_interval() -> None:
    both = [tried("half", number, validation=1.0, test=0.5) for number in (1, 2)]
    half = [tried("half", 0, lost=LATE), *both]
    more, less = (Ranking(metric, rank(half, metric), {}) for metric in (RIGHT, WRONG))
    assert more.best.interval == (-math.inf, 0.5)
    assert less.best.interval == (0.5, math.inf)
    assert more.rows[0][3] == f"{NO_SCORE}–50.0 %"
    assert less.rows[0][3] == f"50.0 %–{NO_SCORE}"


def test_numbers_are_written_as_the_metric_writes_them() -> None:
    cells = rank(scored("gru", [0.1234] * 12, [1.0] * 12), WRONG)
    ranking = Ranking(WRONG, cells, {"guess": 0.9})
    assert ranking.rows[0][1:4] == ("12.3 %", "100 %", "12.3–12.3 %")
    assert ranking.rows[1][1] == "90.0 %"
    fine = Ranking(Metric("loss", "loss", digits=".6f"), cells, {})
    assert fine.rows[0][1:4] == ("0.123400", "100 %", "0.123400–0.123400")


@pytest.mark.parametrize(
    ("metric", "baseline", "says"),
    [
        (RIGHT, 0.4, "one beats guess: 25 % more right answers."),
        (RIGHT, 0.6, "But the baseline wins: guess has 60.0 % right answers, one 50.0 %. Train"),
        (RIGHT, 0.5, "But the baseline is as good: guess has 50.0 % right answers, one 50.0 %."),
        (WRONG, 0.4, "But the baseline wins: guess has 40.0 % wrong answers, one 50.0 %."),
        (WRONG, 1.0, "one beats guess: 50 % less wrong answers."),
        (WRONG, math.nan, "one has 50.0 % wrong answers."),
    ],
)
def test_baselines_are_compared_in_the_direction_of_the_metric(
    metric: Metric, baseline: float, says: str
) -> None:
    cells = rank(scored("one", [0.5] * 2, [1.0] * 2), metric)
    # A baseline that is beaten by far, or was not observed, is not the one that is named.
    worse = {} if math.isnan(baseline) else {"worse": 0.0 if metric is RIGHT else 1.5}
    said = verdict(cells, {"odd": math.nan, **worse, "guess": baseline}, metric)
    assert said.startswith("one alone was tried.")
    assert says in said


def test_a_cell_may_be_called_as_a_baseline_is() -> None:
    ranking = Ranking(ERROR, rank(trials("naive", [1.0])), {"naive": 2.0})
    assert [row[0] for row in ranking.rows] == ["naive (cell)", "naive"]
    assert ranking.verdict.en.startswith("naive (cell) alone was tried.")
    assert ranking.verdict.en.endswith("naive (cell) beats naive: 50 % less error.")
