"""Compares forecasts with the baselines that they have to beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.words import Words
from conveyor.tasks.forecast.baselines import BASELINES
from conveyor.tasks.forecast.forecaster import QUANTILES, Forecaster
from conveyor.tasks.forecast.scores import Score, score
from conveyor.tasks.forecast.windows import Windows
from conveyor.tasks.results import Metric, Scores, label_beside

Numbers = NDArray[np.float64]

# The histories of this many windows are in memory at once: 66 MB for 200 steps of 10 columns.
AT_ONCE = 4096


@dataclass(frozen=True)
class Comparison:
    """The forecasts of one target, and the scores of the model and the baselines.

    Attributes:
        target: the target's name.
        ours: the model's title, under which ``scores`` holds its scores.
        truth: the observed values, [windows, horizon].
        quantiles: the model's forecasts, [windows, horizon, 3].
        baselines: the forecasts of each baseline by its name, [windows, horizon].
        scores: the scores by name, the model's first.
    """

    target: str
    ours: str
    truth: Numbers
    quantiles: Numbers
    baselines: dict[str, Numbers]
    scores: dict[str, Score]

    @property
    def best_baseline(self) -> str:
        """The name of the baseline with the least MAE."""
        return min(self.baselines, key=lambda name: self.scores[name].mae)


def compare(model: Forecaster, windows: Windows) -> list[Comparison]:
    """Forecast all windows and score each target beside ``BASELINES``."""
    frame, ours = model.frame, label_beside(model.title, BASELINES)
    quantiles = quantiles_of(model, windows)
    truth, pasts = windows.truth(), windows.pasts
    forecasts = {name: forecast(pasts) for name, forecast in BASELINES.items()}
    comparisons = []
    for column, target in enumerate(frame.targets):
        baselines = {name: each[..., column] for name, each in forecasts.items()}
        error = frame.naive_error[column]
        forecast = quantiles[:, :, column]
        middle = forecast[..., QUANTILES.index(0.5)]
        outer = forecast[..., 0], forecast[..., -1]
        model_score = score(truth[..., column], middle, naive_error=error, outer=outer)
        baseline_scores = {
            name: score(truth[..., column], baseline, naive_error=error)
            for name, baseline in baselines.items()
        }
        scores = {ours: model_score, **baseline_scores}
        comparisons.append(
            Comparison(target, ours, truth[..., column], forecast, baselines, scores)
        )
    return comparisons


def quantiles_of(model: Forecaster, windows: Windows) -> Numbers:
    """Return a model's forecasts of all windows, [windows, horizon, targets, 3]."""
    parts = [
        model.predict(windows.histories(first, first + AT_ONCE))
        for first in range(0, len(windows), AT_ONCE)
    ]
    return np.concatenate(parts)


def scaled_error(
    forecasts: Iterable[Numbers], truths: Iterable[Numbers], spread: Iterable[float]
) -> dict[str, float]:
    """Return the MSE and the MAE over all targets.

    Args:
        forecasts, truths: of each target, [windows, horizon].
        spread: the unit of each target; there may be more columns than targets.
    """
    targets = zip(forecasts, truths, spread, strict=False)
    errors = np.stack([(forecast - truth) / unit for forecast, truth, unit in targets])
    return {"mse": float(np.nanmean(errors**2)), "mae": float(np.nanmean(np.abs(errors)))}


def scaled_errors(model: Forecaster, comparisons: list[Comparison]) -> dict[str, dict[str, float]]:
    """Return the MSE and the MAE of the model and the baselines over all targets, in units of each
    target's standard deviation on the training part, as papers on the ETT data report them."""
    spread, truths = model.frame.scale.spread, [c.truth for c in comparisons]

    def scaled(forecasts: Iterable[Numbers]) -> dict[str, float]:
        return scaled_error(forecasts, truths, spread)

    middle = QUANTILES.index(0.5)
    errors = {comparisons[0].ours: scaled(c.quantiles[..., middle] for c in comparisons)}
    for name in comparisons[0].baselines:
        errors[name] = scaled(c.baselines[name] for c in comparisons)
    return errors


METRICS = (
    Metric("mae", "MAE"),
    Metric("rmse", "RMSE"),
    Metric("mase", "MASE", digits=".3f"),
    Metric("smape", "sMAPE", digits=".3g", percent=True),
    Metric("wape", "WAPE", digits=".3g", percent=True),
    Metric("coverage", "in 80 % band", digits=".0f", percent=True, better=None),
)

_ADVICE = Words(
    "Use the baseline, or try a longer history, more hidden units or more data.",
    "Hãy dùng phương pháp cơ sở, hoặc thử lịch sử dài hơn, nhiều đơn vị ẩn hơn hay nhiều dữ liệu "
    "hơn.",
)


def scores_of(comparison: Comparison) -> Scores:
    """Return the table of the scores of the model and the baselines for the report."""
    rows = {
        label: tuple([getattr(errors, metric.key) for metric in METRICS])
        for label, errors in comparison.scores.items()
    }
    return Scores(comparison.target, METRICS, rows, _ADVICE)
