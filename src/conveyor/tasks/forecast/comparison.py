"""Forecasts beside the baselines that they have to beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.forecast.forecaster import QUANTILES, Forecaster
from conveyor.tasks.forecast.scores import Score, score
from conveyor.tasks.forecast.windows import Windows
from conveyor.tasks.results import Metric, Scores

Numbers = NDArray[np.float64]

# Histories of so many windows are in memory at once: of 200 steps of 10 columns, 66 MB.
AT_ONCE = 4096

NAIVE, SEASONAL = "naive", "seasonal naive"


@dataclass(frozen=True)
class Comparison:
    """One target's forecasts over windows, and everyone's errors.

    ``quantiles`` are [windows, horizon, 3], ``truth`` and each of ``baselines``
    [windows, horizon]; ``scores`` begin with ours, under the model's title.
    """

    target: str
    ours: str
    truth: Numbers
    quantiles: Numbers
    baselines: dict[str, Numbers]
    scores: dict[str, Score]


def compare(model: Forecaster, windows: Windows) -> list[Comparison]:
    """Forecast all windows and score each target beside naive and seasonal naive."""
    frame, ours = model.frame, model.title
    parts = [
        model.predict(windows.histories(first, first + AT_ONCE))
        for first in range(0, len(windows), AT_ONCE)
    ]
    quantiles = np.concatenate(parts)
    truth, naive = windows.truth(), windows.naive()
    seasonal = windows.seasonal_naive()
    found = []
    for column, target in enumerate(frame.targets):
        baselines = {NAIVE: naive[..., column], SEASONAL: seasonal[..., column]}
        error = frame.naive_error[column]
        own = quantiles[:, :, column]
        middle = own[..., QUANTILES.index(0.5)]
        mine = score(
            truth[..., column], middle, naive_error=error, outer=(own[..., 0], own[..., -1])
        )
        theirs = {
            name: score(truth[..., column], each, naive_error=error)
            for name, each in baselines.items()
        }
        # An own cell may be called as a baseline is.
        title = ours if ours not in baselines else f"{ours} (cell)"
        scores = {title: mine, **theirs}
        found.append(Comparison(target, title, truth[..., column], own, baselines, scores))
    return found


def scaled_errors(model: Forecaster, comparisons: list[Comparison]) -> dict[str, dict[str, float]]:
    """Everyone's MSE and MAE over all targets, in units of each target's standard deviation on
    the training part: what papers on ETT report."""
    spread = model.frame.scale.spread

    def scaled(forecasts: Iterable[Numbers]) -> dict[str, float]:
        errors = np.stack(
            [
                (each - comparison.truth) / spread[number]
                for number, (each, comparison) in enumerate(
                    zip(forecasts, comparisons, strict=True)
                )
            ]
        )
        return {"mse": float(np.nanmean(errors**2)), "mae": float(np.nanmean(np.abs(errors)))}

    middle = QUANTILES.index(0.5)
    found = {comparisons[0].ours: scaled(c.quantiles[..., middle] for c in comparisons)}
    for name in comparisons[0].baselines:
        found[name] = scaled(c.baselines[name] for c in comparisons)
    return found


METRICS = (
    Metric("mae", "MAE"),
    Metric("rmse", "RMSE"),
    Metric("mase", "MASE", digits=".3f"),
    Metric("coverage", "in 80 % band", digits=".0f", percent=True, better=None),
)

_ADVICE = "Use the baseline, or try a longer history, more hidden units or more data."


def scores_of(comparison: Comparison) -> Scores:
    """Return the record of everyone's errors."""
    rows = {
        label: tuple([getattr(errors, metric.key) for metric in METRICS])
        for label, errors in comparison.scores.items()
    }
    return Scores(comparison.target, METRICS, rows, _ADVICE)
