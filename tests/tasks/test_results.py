"""Metrics, and the scores that are compared by them."""

import math

import pytest

from conveyor.tasks.results import Metric, Row, Scores

LESS = Metric("error", "error")
MORE = Metric("right", "right answers", digits=".1f", percent=True, better="more")
NAN, INF = math.nan, math.inf


def test_numbers_and_intervals_have_the_digits_of_the_metric() -> None:
    assert (LESS.text(0.123456), MORE.text(0.123456), LESS.text(None)) == ("0.1235", "12.3 %", "")
    assert LESS.span(0.1, 0.123456) == "0.1–0.1235"
    assert MORE.span(0.1, 0.123456) == "10.0–12.3 %"
    assert (LESS.said(0.5), MORE.said(0.5)) == ("error 0.5", "50.0 % right answers")


@pytest.mark.parametrize(("metric", "best_first"), [(LESS, [1.0, 2.0]), (MORE, [2.0, 1.0])])
def test_values_are_sorted_best_first_and_what_is_not_finite_last(
    metric: Metric, best_first: list[float]
) -> None:
    for odd in (NAN, INF, -INF):
        assert sorted([odd, 1.0, 2.0], key=metric.order)[:2] == best_first
        assert metric.is_better(1.0, odd)
        assert not metric.is_better(odd, 1.0)
    good, bad = best_first
    assert metric.is_better(good, bad)
    assert not metric.is_better(bad, good)
    assert not metric.is_better(good, good)


def scores(metric: Metric, ours: float, **baselines: float) -> Scores:
    rows: dict[str, Row] = {name: (value,) for name, value in baselines.items()}
    return Scores.of("", (metric,), title="gru", ours=(ours,), baselines=rows, advice="Train.")


@pytest.mark.parametrize(
    ("found", "wins", "verdict"),
    [
        (scores(MORE, 0.5, guess=0.4, bad=0.1), True, "gru beats guess: 25 % more right answers."),
        (
            scores(MORE, 0.5, bad=0.1, guess=0.6),
            False,
            "the baseline wins: guess has 60.0 % right answers, gru 50.0 %. Train.",
        ),
        # What a baseline never observed beats nobody, and nobody beats it.
        (scores(LESS, 0.5, odd=NAN, guess=1.0), True, "gru beats guess: 50 % less error."),
        (scores(LESS, 0.5, odd=NAN), True, "gru has error 0.5."),
        (
            scores(LESS, NAN, odd=NAN),
            False,
            "nothing of it was observed here, so nothing can be scored.",
        ),
    ],
)
def test_who_wins(found: Scores, wins: bool, verdict: str) -> None:
    assert found.wins is wins
    assert found.verdict == verdict
    assert found.as_json()["wins"] is wins
