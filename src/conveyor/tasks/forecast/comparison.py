"""Compares forecasts with the baselines that they have to beat."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.words import Words
from conveyor.tasks.forecast.baselines import BASELINES, THETA, Pasts, theta_of_groups
from conveyor.tasks.forecast.chance import may_be_chance
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecast_settings import HOLT_WINTERS
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.holt_winters_baseline import holt_winters_forecasts
from conveyor.tasks.forecast.raw_forecasts import group_forecasts
from conveyor.tasks.forecast.scores import Score, score
from conveyor.tasks.forecast.series_panel import Origins
from conveyor.tasks.forecast.statistical_baselines import statistical
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
        number: of the series in the frame.
        label: what it is called, see ``ForecastFrame.labels``.
        ours: the model's title, under which ``scores`` holds its scores.
        truth: the observed values, [windows, horizon].
        quantiles: the model's forecasts, [windows, horizon, quantiles], the median in the middle.
        baselines: the forecasts of each baseline by its name, [windows, horizon].
        scores: the scores by name, the model's first, then those of its mean with Theta.
        naive_error: the error by which MASE divides.
        overlap: how many neighbouring windows share rows; 1 if none do.
    """

    target: str
    number: int
    label: str
    ours: str
    truth: Numbers
    quantiles: Numbers
    baselines: dict[str, Numbers]
    scores: dict[str, Score]
    naive_error: float
    overlap: int

    def forecast(self, label: str) -> Numbers:
        """Return the forecasts that a row of ``scores`` is of, [windows, horizon]."""
        if label in self.baselines:
            return self.baselines[label]
        middle = medians(self.quantiles)
        return middle if label == self.ours else (middle + self.baselines[THETA]) / 2

    @property
    def best_baseline(self) -> str:
        """The name of the baseline with the least MAE."""
        known = [name for name in self.baselines if not np.isnan(self.scores[name].mae)]
        return min(known or self.baselines, key=lambda name: self.scores[name].mae)


def pasts_of(origins: Origins) -> Pasts:
    """Return what baselines know before each origin."""
    return Pasts(origins.filled, origins.numbers, origins.horizon, origins.season)


def baseline_forecasts(frame: ForecastFrame, pasts_of: Sequence[Pasts]) -> list[dict[str, Numbers]]:
    """Return the forecasts of each group by the names of those that make them, [origins, horizon,
    targets]: ``BASELINES``, and those that were asked for.

    Args:
        frame: the frame of the model that they are compared with.
        pasts_of: of each group.

    Raises:
        SettingError: the library of one is not installed.
    """
    of_library = [name for name in frame.baselines if name != HOLT_WINTERS]
    one_by_one = {**BASELINES, **{name: statistical(name) for name in of_library}}
    thetas = theta_of_groups(pasts_of) if pasts_of else []
    answers = [
        {
            name: thetas[number] if name == THETA else forecast(pasts)
            for name, forecast in one_by_one.items()
        }
        for number, pasts in enumerate(pasts_of)
    ]
    if HOLT_WINTERS in frame.baselines:
        # The series of all groups are fitted together.
        for answer, forecasts in zip(answers, holt_winters_forecasts(pasts_of), strict=True):
            answer[HOLT_WINTERS] = forecasts
    return answers


def medians(quantiles: Numbers) -> Numbers:
    """Return the medians of forecasts, [...], of quantiles [..., quantiles]."""
    return np.asarray(quantiles[..., quantiles.shape[-1] // 2])


def compare(
    model: Forecaster,
    origins_of: Sequence[Origins],
    moved_of: Sequence[Numbers] | None = None,
) -> list[Comparison]:
    """Forecast from all origins and score each series and its baselines.

    Args:
        model: the forecaster.
        origins_of: of each group, where forecasts begin.
        moved_of: of each group, how far their bands are moved, see ``Forecaster.forecasts``.
    """
    moves: Sequence[Numbers | None] = moved_of or [None] * len(origins_of)
    scored = [pair for pair in zip(origins_of, moves, strict=True) if len(pair[0])]
    groups = [(origins.panel, origins.numbers) for origins, _ in scored]
    ours = group_forecasts(model, groups, [moved for _, moved in scored])
    beside = baseline_forecasts(model.frame, [pasts_of(origins) for origins, _ in scored])
    return [
        comparison
        for (origins, _), quantiles, forecasts in zip(scored, ours, beside, strict=True)
        for comparison in _of_group(model, origins, quantiles, forecasts)
    ]


def _of_group(
    model: Forecaster, origins: Origins, quantiles: Numbers, forecasts: Mapping[str, Numbers]
) -> Iterator[Comparison]:
    frame = model.frame
    ours = label_beside(model.title, {*forecasts, MIXED})
    truth = origins.truth()
    group, count, labels = origins.panel.group, len(frame.targets), frame.labels
    for column, target in enumerate(frame.targets):
        baselines = {name: each[..., column] for name, each in forecasts.items()}
        error = frame.of_group(group)[column].naive_error
        forecast = quantiles[:, :, column]
        middle = medians(forecast)
        outer = forecast[..., 0], forecast[..., -1]
        model_score = score(truth[..., column], middle, naive_error=error, outer=outer)
        baseline_scores = {
            name: score(truth[..., column], baseline, naive_error=error)
            for name, baseline in baselines.items()
        }
        mixed = score(truth[..., column], (middle + baselines[THETA]) / 2, naive_error=error)
        number = group * count + column
        yield Comparison(
            target,
            number,
            labels[number],
            ours,
            truth[..., column],
            forecast,
            baselines,
            {ours: model_score, MIXED: mixed, **baseline_scores},
            naive_error=error,
            overlap=origins.overlap,
        )


def scaled_error(
    forecasts: Iterable[Numbers], truths: Iterable[Numbers], spread: Iterable[float]
) -> dict[str, float]:
    """Return the MSE and the MAE over all series.

    Args:
        forecasts, truths: of each series, [windows, horizon].
        spread: the unit of each series.
    """
    of_series = [
        ((forecast - truth) / unit)[~np.isnan(truth)]
        for forecast, truth, unit in zip(forecasts, truths, spread, strict=True)
    ]
    errors = np.concatenate(of_series)
    return {"mse": float(np.mean(errors**2)), "mae": float(np.mean(np.abs(errors)))}


def scaled_errors(
    model: Forecaster, comparisons: Sequence[Comparison]
) -> dict[str, dict[str, float]]:
    """Return the MSE and the MAE of the model and the baselines over all series, in units of each
    series' standard deviation on the training set, as papers on the ETT data report them."""
    spread = [model.frame.series[comparison.number].spread for comparison in comparisons]
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

# The scores over all series, the one that is compared first: of series in different units the MAE
# says little.
_OF_ALL = ("mase", "smape", "wape", "mae", "rmse")

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
    metrics = (*METRICS, _coverage(level))
    rows = {label: _row(errors, metrics) for label, errors in comparison.scores.items()}
    scores = Scores(comparison.label, metrics, rows, _ADVICE, mixed=(MIXED,))
    return _with_chance(scores, [comparison], [1.0])


def _with_chance(
    scores: Scores, comparisons: Sequence[Comparison], units: Sequence[float]
) -> Scores:
    """Return scores that say whether the best baseline differs from ours by chance. The others are
    not tested: the verdict is on the best one, and with ten thousand series a test takes seconds.

    Args:
        scores: over the series.
        comparisons: of each series.
        units: by which the errors of each series are divided; if it is not above 0, the series is
            not compared.
    """
    baseline = scores.best_baseline
    if baseline is None:
        return scores
    windows = max(len(comparison.truth) for comparison in comparisons)
    distances = np.zeros((len(comparisons), windows))
    for row, comparison, unit in zip(distances, comparisons, units, strict=True):
        observed = np.count_nonzero(~np.isnan(comparison.truth))
        if unit > 0 and observed:
            mine, theirs = (
                np.abs(comparison.forecast(label) - comparison.truth)
                for label in (comparison.ours, baseline)
            )
            of_windows = np.nansum(mine - theirs, axis=1) / (unit * observed)
            row[: len(of_windows)] = of_windows[::-1]
    overlap = max(comparison.overlap for comparison in comparisons)
    return replace(scores, alike=(baseline,)) if may_be_chance(distances, overlap) else scores


def _coverage(level: int) -> Metric:
    return Metric("coverage", f"in {level} % band", digits=".0f", percent=True, better=None)


def _row(errors: Score, metrics: Sequence[Metric]) -> tuple[float | None, ...]:
    return tuple([getattr(errors, metric.key) for metric in metrics])


def overall(comparisons: Sequence[Comparison], level: int) -> Scores:
    """Return the table of the scores over all series: MASE and sMAPE are the means of those of the
    series, whatever their units and lengths (M4 competition); the other scores are over all values
    together, so that large series count more.

    Args:
        comparisons: of each series.
        level: of the widest band, in percent.
    """
    by_key = {metric.key: metric for metric in METRICS}
    metrics = (*(by_key[key] for key in _OF_ALL), _coverage(level))
    truth = np.concatenate([comparison.truth for comparison in comparisons])
    rows = {}
    for label in comparisons[0].scores:
        together = score(
            truth,
            np.concatenate([comparison.forecast(label) for comparison in comparisons]),
            naive_error=np.nan,
            outer=_outer(comparisons) if label == comparisons[0].ours else None,
        )
        of_series = [comparison.scores[label] for comparison in comparisons]
        mase, smape = (
            _mean([getattr(scored, key) for scored in of_series]) for key in ("mase", "smape")
        )
        rows[label] = _row(replace(together, mase=mase, smape=smape), metrics)
    scores = Scores("", metrics, rows, _ADVICE, mixed=(MIXED,))
    return _with_chance(scores, comparisons, [each.naive_error for each in comparisons])


def _outer(comparisons: Sequence[Comparison]) -> tuple[Numbers, Numbers]:
    quantiles = np.concatenate([comparison.quantiles for comparison in comparisons])
    return quantiles[..., 0], quantiles[..., -1]


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are finite; NaN without any."""
    finite = [value for value in values if np.isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")
