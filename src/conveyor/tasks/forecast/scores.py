"""Scores of forecasts. Only observed values are scored, not missing ones.

They come from torchmetrics, which has neither MASE nor coverage.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.regression import (
    mean_absolute_error,
    mean_squared_error,
    symmetric_mean_absolute_percentage_error,
)

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """The scores of the forecasts of one series.

    Attributes:
        mae: the mean absolute error.
        rmse: the root of the mean squared error.
        mase: the MAE divided by that of the seasonal naive forecast on the training set (Hyndman &
            Koehler 2006).
        smape: the mean of 2·|error| by the sum of both sizes, from 0 to 2 (M4 competition).
        wape: the sum of the errors' sizes by that of the true values; NaN if all of these are 0.
        coverage: the share of observed values within the outer quantiles; None for forecasts
            without quantiles.
        by_horizon: the MAE of every step ahead.
    """

    mae: float
    rmse: float
    mase: float
    smape: float
    wape: float
    coverage: float | None
    by_horizon: tuple[float, ...]


def score(
    truth: Numbers,
    forecast: Numbers,
    *,
    naive_error: float,
    outer: tuple[Numbers, Numbers] | None = None,
) -> Score:
    """Score forecasts. If nothing was observed, the scores are NaN.

    Args:
        truth: the observed values, [windows, horizon]; NaN is not scored.
        forecast: the forecasts, [windows, horizon].
        naive_error: the MAE of the seasonal naive forecast on the training set.
        outer: the lowest and the highest quantile, both [windows, horizon].
    """
    seen = ~np.isnan(truth)
    if not seen.any():
        none = float("nan")
        return Score(none, none, none, none, none, None, (none,) * truth.shape[1])
    predicted, observed = torch.from_numpy(forecast[seen]), torch.from_numpy(truth[seen])
    mae = float(mean_absolute_error(predicted, observed))
    coverage = None
    if outer is not None:
        low, high = outer
        coverage = float(((low <= truth) & (truth <= high))[seen].mean())
    count = seen.sum(0)
    summed = np.where(seen, np.abs(forecast - truth), 0.0).sum(0)
    errors = np.where(count > 0, summed / np.maximum(count, 1), np.nan)
    return Score(
        mae=mae,
        rmse=float(mean_squared_error(predicted, observed, squared=False)),
        mase=mae / naive_error if naive_error > 0 else float("nan"),
        smape=float(symmetric_mean_absolute_percentage_error(predicted, observed)),
        wape=mae / size if (size := float(observed.abs().mean())) > 0 else float("nan"),
        coverage=coverage,
        by_horizon=tuple(float(error) for error in errors),
    )


def seasonal_naive_error(series: Numbers, season: int) -> float:
    """Return the mean of |y_t - y_(t - season)| over the observed values, by which MASE divides."""
    difference = np.abs(series[season:] - series[:-season])
    return float(np.nanmean(difference)) if (~np.isnan(difference)).any() else float("nan")
