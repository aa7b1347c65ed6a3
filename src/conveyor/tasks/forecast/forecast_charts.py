"""The charts of a forecast's report."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from conveyor.pages.frame import (
    BAND,
    BASELINE,
    DECIMALS,
    OTHER,
    OURS,
    TRUTH,
    chart,
    count_axis,
    line_mode,
    time_axis,
)
from conveyor.pages.words import Words, joined
from conveyor.tasks.forecast.comparison import Comparison, medians
from conveyor.tasks.results import Section

# The most forecasts in a chart of the test set; more could not be distinguished.
MOST_FORECASTS = 12

# The lines of baselines are all grey; these distinguish them.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "2px,6px")

_OVER_TIME = Words("Forecasts over the test set", "Dự báo trên phần kiểm tra")
_BY_HORIZON = Words("Error by horizon", "Sai số theo số bước phía trước")


def forecast_sections(
    comparison: Comparison,
    *,
    name: str,
    identity: str,
    times: Sequence[Any],
    origins: Sequence[int],
    level: int,
) -> Iterator[Section]:
    """Yield two charts of a series: forecasts over the test set, and errors by horizon.

    Args:
        comparison: of the series.
        name: of the series in the titles; empty for the only one.
        identity: of the series in the page.
        times: the times of the rows of the test set, or their numbers.
        origins: the index in ``times`` at which the future of each window begins.
        level: of the widest band, in percent.
    """
    yield Section(
        joined([_OVER_TIME, name], ": "),
        _over_time(comparison, times, origins, f"{level} % band", f"forecast{identity}"),
    )
    yield Section(joined([_BY_HORIZON, name], ": "), _by_horizon(comparison, f"horizon{identity}"))


def _over_time(
    comparison: Comparison,
    times: Sequence[Any],
    origins: Sequence[int],
    band: str,
    name: str,
) -> str:
    """Return the chart of the truth over the test set with the latest forecasts that do not
    overlap."""
    truth, horizon = np.full(len(times), np.nan), comparison.truth.shape[1]
    for window, origin in enumerate(origins):
        truth[origin : origin + horizon] = comparison.truth[window]
    chosen: list[int] = []
    for window in reversed(range(len(origins))):
        if not chosen or origins[chosen[-1]] - origins[window] >= horizon:
            chosen.append(window)
    chosen = sorted(chosen[:MOST_FORECASTS])
    begins = max(origins[chosen[0]] - horizon, 0)
    figure = go.Figure()

    def over_time(values: np.ndarray[Any, Any]) -> tuple[list[Any], list[float | None]]:
        x: list[Any] = []
        y: list[float | None] = []
        for window in chosen:
            x += [*times[origins[window] : origins[window] + horizon], None]
            y += [*(float(value) for value in values[window]), None]
        return x, y

    for number, window in enumerate(chosen):
        span = list(times[origins[window] : origins[window] + horizon])
        low, high = comparison.quantiles[window, :, 0], comparison.quantiles[window, :, -1]
        figure.add_scatter(
            x=span + span[::-1],
            y=[*high, *low[::-1]],
            mode="lines",  # plotly would draw markers for fewer than 20 points
            fill="toself",
            fillcolor=BAND,
            # The area of a single step has no width, so that only its edge can be seen.
            line={"width": 0 if horizon > 1 else 9, "color": BAND},
            hoverinfo="skip",
            name=band,
            legendgroup="band",
            showlegend=number == 0,
        )
    mode = "lines" if horizon > 1 else "markers"
    baseline = comparison.best_baseline
    x, y = over_time(comparison.baselines[baseline])
    figure.add_scatter(
        x=x, y=y, name=baseline, mode=mode, line={"color": BASELINE, "dash": "dot", "width": 1.5}
    )
    x, y = over_time(medians(comparison.quantiles))
    figure.add_scatter(x=x, y=y, name=comparison.ours, mode=mode, line={"color": OURS, "width": 2})
    figure.add_scatter(
        x=list(times[begins:]),
        y=[None if np.isnan(value) else float(value) for value in truth[begins:]],
        name="actual",
        mode="lines+markers",  # a single value between missing ones would be no line
        line={"color": TRUTH, "width": 1.2},
        marker_size=3,
    )
    time_axis(figure, times)
    figure.update_yaxes(title=comparison.target, hoverformat=DECIMALS)
    return chart(figure, name)


def _by_horizon(comparison: Comparison, name: str) -> str:
    figure = go.Figure()
    colours = {comparison.ours: OURS, comparison.best_baseline: BASELINE}
    dashes = cycle(_DASHES)
    for label, score in comparison.scores.items():
        steps = list(range(1, len(score.by_horizon) + 1))
        figure.add_scatter(
            x=steps,
            y=list(score.by_horizon),
            name=label,
            mode=line_mode(len(steps)),
            line={
                "color": colours.get(label, OTHER),
                "dash": "solid" if label in colours else next(dashes),
            },
        )
        count_axis(figure, "steps ahead", len(steps))
    title = Words(f"MAE of {comparison.target}", f"MAE của {comparison.target}")
    figure.update_yaxes(title=title.en, rangemode="tozero", hoverformat=DECIMALS)
    return chart(figure, name, words=[title])
