"""Scores against hand-made figures."""

import numpy as np
import pytest

from conveyor.tasks.forecast.scores import score, seasonal_naive_error

NAN = float("nan")


def test_scores_of_a_small_forecast() -> None:
    truth = np.array([[1.0, 2.0], [3.0, NAN]])
    forecast = np.array([[2.0, 2.0], [0.0, 9.0]])
    low, high = forecast - 1, forecast + 1
    got = score(truth, forecast, naive_error=2.0, outer=(low, high))
    assert got.mae == pytest.approx(4 / 3)
    assert got.rmse == pytest.approx(np.sqrt(10 / 3))
    assert got.mase == pytest.approx(2 / 3)
    # |1 - 2|, |2 - 2| and |3 - 0|, by half of both sizes, and by all of the truth.
    assert got.smape == pytest.approx((1 / 1.5 + 0 + 3 / 1.5) / 3)
    assert got.wape == pytest.approx(4 / 6)
    assert got.coverage == pytest.approx(2 / 3)
    assert got.by_horizon == pytest.approx((2.0, 0.0))


def test_what_was_never_observed_has_no_score() -> None:
    truth = np.array([[1.0, NAN], [3.0, NAN]])
    got = score(truth, np.zeros((2, 2)), naive_error=1.0)
    assert got.mae == pytest.approx(2.0)
    assert np.isnan(got.by_horizon[1])
    nothing = score(np.full((2, 2), NAN), np.zeros((2, 2)), naive_error=1.0)
    assert np.isnan(nothing.mae)
    assert np.isnan(nothing.smape)
    zeros = score(np.zeros((1, 2)), np.zeros((1, 2)), naive_error=1.0)
    assert zeros.smape == 0
    assert np.isnan(zeros.wape)


def test_by_horizon_only_what_was_observed_counts() -> None:
    """A missing truth is neither an error of 0 nor one of the forecasts that are averaged."""
    truth = np.array([[1.0, NAN], [3.0, 10.0], [2.0, NAN], [2.0, 14.0]])
    forecast = np.array([[2.0, 100.0], [3.0, 13.0], [2.0, 100.0], [2.0, 9.0]])
    got = score(truth, forecast, naive_error=1.0)
    assert got.by_horizon == pytest.approx(((1 + 0 + 0 + 0) / 4, (3 + 5) / 2))


def test_naive_error_skips_what_is_missing() -> None:
    series = np.array([1.0, 5.0, 2.0, NAN, 4.0])
    assert seasonal_naive_error(series, 2) == pytest.approx((1 + 2) / 2)
