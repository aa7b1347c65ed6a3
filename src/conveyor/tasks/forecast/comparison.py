"""Compares forecasts with the baselines that they have to beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.words import Words
from conveyor.tasks.forecast.baselines import BASELINES, THETA, Pasts
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.scores import Score, score
from conveyor.tasks.forecast.series_panel import Origins
from conveyor.tasks.results import Metric, Scores, label_beside

Numbers = NDArray[np.float64]

# The equal mean of a network's forecast and Theta's. Means of unlike forecasts are often better
# than either (M4 competition), and this one costs nothing more.
MIXED = "mean with Theta"


@dataclass(frozen=True)
class Comparison:
    """The forecasts of one target, and the scores of the model and the baselines.

    Attributes:
        target: the target's name.
        ours: the model's title, under which ``scores`` holds its scores.
        truth: the observed values, [windows, horizon].
        quantiles: the model's forecasts, [windows, horizon, quantiles], the median in the middle.
        baselines: the forecasts of each baseline by its name, [windows, horizon].
        scores: the scores by name, the model's first, then those of its mean with Theta.
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


def pasts_of(origins: Origins) -> Pasts:
    """Return what baselines know before each origin."""
    return Pasts(origins.filled, origins.numbers, origins.horizon, origins.season)


def medians(quantiles: Numbers) -> Numbers:
    """Return the medians of forecasts, [...], of quantiles [..., quantiles]."""
    return np.asarray(quantiles[..., quantiles.shape[-1] // 2])


def compare(model: Forecaster, origins: Origins, moved: Numbers | None = None) -> list[Comparison]:
    """Forecast from all origins and score each target beside ``BASELINES``.

    Args:
        model: the forecaster.
        origins: where forecasts begin.
        moved: how far their bands are moved, see ``Forecaster.forecasts``.
    """
    frame, ours = model.frame, label_beside(model.title, {*BASELINES, MIXED})
    quantiles = model.forecasts(origins.panel, origins.numbers, moved)
    truth, pasts = origins.truth(), pasts_of(origins)
    forecasts = {name: forecast(pasts) for name, forecast in BASELINES.items()}
    comparisons = []
    for column, target in enumerate(frame.targets):
        baselines = {name: each[..., column] for name, each in forecasts.items()}
        error = frame.series[column].naive_error
        forecast = quantiles[:, :, column]
        middle = medians(forecast)
        outer = forecast[..., 0], forecast[..., -1]
        model_score = score(truth[..., column], middle, naive_error=error, outer=outer)
        baseline_scores = {
            name: score(truth[..., column], baseline, naive_error=error)
            for name, baseline in baselines.items()
        }
        mixed = score(truth[..., column], (middle + baselines[THETA]) / 2, naive_error=error)
        scores = {ours: model_score, MIXED: mixed, **baseline_scores}
        comparisons.append(
            Comparison(target, ours, truth[..., column], forecast, baselines, scores)
        )
    return comparisons


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
    spread = [series.spread for series in model.frame.series]
    truths = [comparison.truth for comparison in comparisons]

    def scaled(forecasts: Iterable[Numbers]) -> dict[str, float]:
        return scaled_error(forecasts, truths, spread)

    errors = {comparisons[0].ours: scaled(medians(c.quantiles) for c in comparisons)}
    for name in comparisons[0].baselines:
        errors[name] = scaled(c.baselines[name] for c in comparisons)
    return errors


METRICS = (
    Metric("mae", "MAE"),
    Metric("rmse", "RMSE"),
    Metric("mase", "MASE", digits=".3f"),
    Metric("smape", "sMAPE", digits=".3g", percent=True),
    Metric("wape", "WAPE", digits=".3g", percent=True),
)

_ADVICE = Words(
    "Use the baseline, or try a longer history, more hidden units or more data.",
    "Hãy dùng phương pháp cơ sở, hoặc thử lịch sử dài hơn, nhiều đơn vị ẩn hơn hay nhiều dữ liệu "
    "hơn.",
)


def scores_of(comparison: Comparison, level: int) -> Scores:
    """Return the table of the scores of the model and the baselines for the report.

    Args:
        comparison: of one target.
        level: of the widest band, in percent.
    """
    band = Metric("coverage", f"in {level} % band", digits=".0f", percent=True, better=None)
    metrics = (*METRICS, band)
    rows = {
        label: tuple([getattr(errors, metric.key) for metric in metrics])
        for label, errors in comparison.scores.items()
    }
    return Scores(comparison.target, metrics, rows, _ADVICE, mixed=(MIXED,))
