"""Metrics, and the scores that are compared by them."""

import math
from dataclasses import replace

import pytest

from conveyor.pages.words import Words, same
from conveyor.tasks.results import Metric, Row, Scores

LESS = Metric("error", "error")
MORE = Metric("right", "right answers", digits=".1f", percent=True, better="more")
NAN, INF = math.nan, math.inf


def test_numbers_and_intervals_have_the_digits_of_the_metric() -> None:
    assert (LESS.text(0.123456), MORE.text(0.123456), LESS.text(None)) == ("0.1235", "12.3 %", "")
    assert LESS.span(0.1, 0.123456) == "0.1–0.1235"
    assert MORE.span(0.1, 0.123456) == "10.0–12.3 %"
    assert LESS.said(0.5) == ("error 0.5", "error 0,5")
    assert MORE.said(0.5) == ("50.0 % right answers", "50,0 % right answers")


def test_scores_of_large_and_small_numbers_have_no_exponent() -> None:
    sold = Metric("mae", "MAE")
    assert sold.text(1_234_567.8) == "1,234,568"
    assert sold.said(1_234_567.8) == ("MAE 1,234,568", "MAE 1.234.568")
    assert (sold.text(1234.5), sold.text(999.96), sold.text(0.000012345)) == (
        "1,234",
        "1,000",
        "0.00001234",
    )
    assert Metric("wape", "WAPE", digits=".3g", percent=True).text(12.345) == "1,234 %"
    worse = scores(sold, 1.25e7, naive=2.5e6)
    assert "naive has MAE 2,500,000, gru 12,500,000." in worse.verdict.en
    assert "đạt MAE 2.500.000, gru đạt 12.500.000." in worse.verdict.vi


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
    return Scores.of(
        "", (metric,), title="gru", ours=(ours,), baselines=rows, advice=same("Train.")
    )


@pytest.mark.parametrize(
    ("found", "wins", "verdict"),
    [
        (scores(MORE, 0.5, guess=0.4, bad=0.1), True, "gru beats guess: 25 % more right answers."),
        (
            scores(MORE, 0.5, bad=0.1, guess=0.6),
            False,
            "The baseline wins: guess has 60.0 % right answers, gru 50.0 %. Train.",
        ),
        # What a baseline never observed beats nobody, and nobody beats it.
        (scores(LESS, 0.5, odd=NAN, guess=1.0), True, "gru beats guess: 50 % less error."),
        (scores(LESS, 0.5, odd=NAN), True, "gru has error 0.5."),
        (
            scores(LESS, NAN, odd=NAN),
            False,
            "There are no observed values here, so nothing can be scored.",
        ),
        (
            replace(scores(MORE, 0.51, guess=0.5, bad=0.1), alike=("guess",)),
            False,
            "gru and guess cannot be distinguished: gru has 51.0 % right answers, guess 50.0 %. "
            "The difference may be due to chance.",
        ),
        (
            replace(scores(MORE, 0.5, guess=0.51), alike=("guess",)),
            False,
            "gru and guess cannot be distinguished: gru has 50.0 % right answers, guess 51.0 %. "
            "The difference may be due to chance. Train.",
        ),
        # A worse baseline may be like ours where the best is not.
        (
            replace(scores(MORE, 0.5, guess=0.4, bad=0.1), alike=("bad",)),
            True,
            "gru beats guess: 25 % more right answers.",
        ),
    ],
)
def test_who_wins(found: Scores, wins: bool, verdict: str) -> None:
    assert found.wins is wins
    assert found.verdict.en == verdict
    assert found.as_json()["wins"] is wins


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (
            scores(
                Metric("nats", "nats per step", "nats per step", apart="difference"),
                1.25,
                **{"key by key": 1.5},
            ),
            "gru tốt hơn từng phím một: thấp hơn 0,250 nat mỗi bước.",
        ),
        (
            scores(Metric("mae", "MAE"), 1.5, naive=1.25),
            "Phương pháp cơ sở tốt hơn: ngây thơ đạt MAE 1,25, gru đạt 1,5. Train.",
        ),
        (
            scores(Metric("mae", "MAE"), 0.5, naive=1.0),
            "gru tốt hơn ngây thơ: MAE thấp hơn 50 %.",
        ),
        (scores(MORE, 0.5, guess=0.4), "gru tốt hơn guess: right answers cao hơn 25 %."),
        (scores(LESS, 0.5, odd=NAN), "gru đạt error 0,5."),
        (
            scores(LESS, NAN, odd=NAN),
            "Ở đây không có giá trị quan sát nào nên không thể chấm điểm.",
        ),
    ],
)
def test_who_wins_in_vietnamese(found: Scores, verdict: str) -> None:
    assert found.verdict.vi == verdict


@pytest.mark.parametrize(
    ("ours", "share"),
    [(0.0, "100"), (1e-5, "99.9"), (0.004, "99.6"), (0.006, "99"), (0.997, "0.3")],
)
def test_only_nothing_is_less_by_everything(ours: float, share: str) -> None:
    assert scores(LESS, ours, guess=1.0).verdict.en == f"gru beats guess: {share} % less error."


def test_a_verdict_names_what_is_answered_in_both_languages() -> None:
    told = Scores("sales", (LESS,), {"gru": (0.5,)}).verdict
    assert told == ("sales: gru has error 0.5.", "sales: gru đạt error 0,5.")


def test_scores_that_are_written_alike_are_told_apart_by_the_next_metric() -> None:
    first = Metric("bleu", "BLEU", digits=".1f", better="more")
    second = Metric("chrf", "chrF", digits=".1f", better="more")

    def said(ours: tuple[float, ...], theirs: tuple[float, ...]) -> str:
        return Scores.of(
            "", (first, second), title="lstm", ours=ours, baselines={"copy": theirs},
            advice=Words("Take that one.", "Hãy dùng phương pháp ấy."),
        ).verdict.en  # fmt: skip

    better = "The baseline is as good: copy has BLEU 0.0, lstm 0.0. By chrF lstm is better."
    assert said((0.01, 14.0), (0.02, 11.5)) == better
    assert said((0.0, 11.0), (0.0, 11.5)).endswith("By chrF copy is better. Take that one.")
    assert said((0.0, 11.5), (0.0, 11.5)).endswith("lstm 0.0. Take that one.")
    assert said((0.0, 14.0), (0.5, 11.5)).startswith("The baseline wins")
