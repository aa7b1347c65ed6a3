"""Scores of forecasts, over what was observed: a missing truth is not scored.

MAE and RMSE come from torchmetrics; MASE and coverage it does not have.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How good forecasts of one series were.

    ``mase`` is the MAE over that of the seasonal naive forecast on the training part (Hyndman &
    Koehler 2006); ``coverage`` the share of truths within the outer quantiles, None for
    forecasts without quantiles; ``by_horizon`` the MAE of every step ahead.
    """

    mae: float
    rmse: float
    mase: float
    coverage: float | None
    by_horizon: tuple[float, ...]


def score(
    truth: Numbers,
    forecast: Numbers,
    *,
    naive_error: float,
    outer: tuple[Numbers, Numbers] | None = None,
) -> Score:
    """Score forecasts [windows, horizon]; NaN in ``truth`` is not scored, and where nothing was
    observed the score is NaN.

    Args:
        naive_error: MAE of the seasonal naive forecast on the training part.
        outer: the lowest and the highest quantile, shaped as the forecasts.
    """
    seen = ~np.isnan(truth)
    if not seen.any():
        none = float("nan")
        return Score(none, none, none, None, (none,) * truth.shape[1])
    got, wanted = torch.from_numpy(forecast[seen]), torch.from_numpy(truth[seen])
    mae = float(mean_absolute_error(got, wanted))
    coverage = None
    if outer is not None:
        low, high = outer
        coverage = float(((low <= truth) & (truth <= high))[seen].mean())
    count = seen.sum(0)
    summed = np.where(seen, np.abs(forecast - truth), 0.0).sum(0)
    errors = np.where(count > 0, summed / np.maximum(count, 1), np.nan)
    return Score(
        mae=mae,
        rmse=float(mean_squared_error(got, wanted, squared=False)),
        mase=mae / naive_error if naive_error > 0 else float("nan"),
        coverage=coverage,
        by_horizon=tuple(float(error) for error in errors),
    )


def seasonal_naive_error(series: Numbers, season: int) -> float:
    """The mean of |y_t - y_(t - season)| over what was observed: what MASE divides by."""
    difference = np.abs(series[season:] - series[:-season])
    return float(np.nanmean(difference)) if (~np.isnan(difference)).any() else float("nan")
