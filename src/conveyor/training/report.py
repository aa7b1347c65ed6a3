"""``report.html``: one self-contained page that shows how a run went."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from conveyor.tasks.forecast.forecaster import QUANTILES
from conveyor.training.compare import SEASONAL, Comparison
from conveyor.training.page import (
    BAND,
    BASELINE,
    OTHER,
    OURS,
    TRUTH,
    chart,
    count_axis,
    line_mode,
    page,
    table,
)

Curve = tuple[tuple[int, float, float], ...]

# So many forecasts are drawn over the test part; more cannot be told apart.
MOST_FORECASTS = 12


def _curve_chart(curve: Curve, label: str) -> str:
    epochs = [row[0] for row in curve]
    best = min(curve, key=lambda row: row[2])
    figure = go.Figure()
    for place, name, colour in ((1, "training", OTHER), (2, "validation", OURS)):
        figure.add_scatter(
            x=epochs,
            y=[row[place] for row in curve],
            name=name,
            mode=line_mode(len(epochs)),
            line_color=colour,
        )
    figure.add_scatter(
        x=[best[0]],
        y=[best[2]],
        name="kept",
        mode="markers",
        marker={"color": OURS, "size": 11, "symbol": "circle-open", "line": {"width": 2}},
    )
    count_axis(figure, "epoch", max(epochs))
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(title=label)
    return chart(figure, "curve")


def _forecast_chart(
    comparison: Comparison, times: Sequence[Any], origins: Sequence[int], horizon: int, name: str
) -> str:
    """The truth of the test part and forecasts that follow each other, the latest ones."""
    truth = np.full(len(times), np.nan)
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
            y += [*(float(each) for each in values[window]), None]
        return x, y

    for number, window in enumerate(chosen):
        span = list(times[origins[window] : origins[window] + horizon])
        low, high = comparison.quantiles[window, :, 0], comparison.quantiles[window, :, -1]
        figure.add_scatter(
            x=span + span[::-1],
            y=[*high, *low[::-1]],
            mode="lines",  # of fewer than 20 points plotly would draw markers
            fill="toself",
            fillcolor=BAND,
            # Of one step the area has no width, and its edge is all there is of it.
            line={"width": 0 if horizon > 1 else 9, "color": BAND},
            hoverinfo="skip",
            name="80 % of futures, says the model",
            legendgroup="band",
            showlegend=number == 0,
        )
    mode = "lines" if horizon > 1 else "markers"
    x, y = over_time(comparison.baselines[SEASONAL])
    figure.add_scatter(
        x=x, y=y, name=SEASONAL, mode=mode, line={"color": BASELINE, "dash": "dot", "width": 1.5}
    )
    x, y = over_time(comparison.quantiles[..., QUANTILES.index(0.5)])
    figure.add_scatter(x=x, y=y, name=comparison.ours, mode=mode, line={"color": OURS, "width": 2})
    figure.add_scatter(
        x=list(times[begins:]),
        y=[None if np.isnan(each) else float(each) for each in truth[begins:]],
        name="truth",
        mode="lines+markers",  # one observed among missing ones is no line
        line={"color": TRUTH, "width": 1.2},
        marker_size=3,
    )
    figure.update_yaxes(title=comparison.target)
    return chart(figure, name)


def _horizon_chart(comparison: Comparison, name: str) -> str:
    figure = go.Figure()
    colours = {comparison.ours: OURS, SEASONAL: BASELINE}
    for label, each in comparison.scores.items():
        steps = list(range(1, len(each.by_horizon) + 1))
        figure.add_scatter(
            x=steps,
            y=list(each.by_horizon),
            name=label,
            mode=line_mode(len(steps)),
            line_color=colours.get(label, OTHER),
        )
        count_axis(figure, "steps ahead", len(steps))
    figure.update_yaxes(title=f"MAE of {comparison.target}", rangemode="tozero")
    return chart(figure, name)


def write_forecast_report(
    path: Path,
    *,
    title: str,
    comparisons: Sequence[Comparison],
    curve: Curve,
    settings: str,
    times: Sequence[Any],
    origins: Sequence[int],
    horizon: int,
) -> None:
    """Write the report of a forecaster.

    Args:
        times: of the rows of the test part.
        origins: the row in ``times`` at which each window's future begins.

    Raises:
        SaveError: the file could not be written.
    """
    parts = ["<p>Scores on the test part, which the model has not seen.</p>"]
    head = ("", "MAE", "RMSE", "MASE", "within the 80 % band")
    for number, comparison in enumerate(comparisons):
        rows = [
            (
                label,
                f"{each.mae:.4g}",
                f"{each.rmse:.4g}",
                f"{each.mase:.3f}",
                "" if each.coverage is None else f"{100 * each.coverage:.0f} %",
            )
            for label, each in comparison.scores.items()
        ]
        parts.append(f"<h2>{html.escape(comparison.target)}</h2>")
        parts.append(f'<p class="verdict">{html.escape(comparison.verdict)}</p>')
        parts.append(table(head, rows, comparison.ours))
        parts.append("<h2>Forecasts over the test part</h2>")
        parts.append(_forecast_chart(comparison, times, origins, horizon, f"forecast{number}"))
        parts.append("<h2>Error by horizon</h2>")
        parts.append(_horizon_chart(comparison, f"horizon{number}"))
    if curve:
        parts.append("<h2>Training</h2>")
        parts.append(_curve_chart(curve, "pinball loss"))
    page(path, f"Forecast of {title}", parts, settings)


def write_text_report(
    path: Path,
    *,
    title: str,
    scores: dict[str, tuple[float, float]],
    verdict: str,
    curve: Curve,
    samples: dict[float, str],
    settings: str,
) -> None:
    """Write the report of a language model. ``scores`` are (nats, perplexity), ours first;
    ``samples`` are what it writes, by temperature.

    Raises:
        SaveError: the file could not be written.
    """
    rows = [
        (name, f"{nats:.4f}", f"{perplexity:.2f}") for name, (nats, perplexity) in scores.items()
    ]
    parts = [
        "<p>Scores on the test part, which the model has not seen.</p>",
        f'<p class="verdict">{html.escape(verdict)}</p>',
        table(("", "nats per character", "perplexity"), rows, next(iter(scores))),
    ]
    if curve:
        parts.append("<h2>Training</h2>")
        parts.append(_curve_chart(curve, "nats per character"))
    parts.append("<h2>What it writes</h2>")
    for temperature, sample in samples.items():
        parts.append(f"<p>At temperature {temperature:g}:</p>")
        parts.append(f'<pre class="sample">{html.escape(sample)}</pre>')
    page(path, f"Language model of {title}", parts, settings)
