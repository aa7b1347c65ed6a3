"""The beginning of a report: the forecast of the steps after the end of the table."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from conveyor.data.time_text import read_time
from conveyor.pages.frame import BAND, OURS, TRUTH, chart, paragraph, time_axis
from conveyor.pages.words import Words, cell_text, joined
from conveyor.tasks.forecast.comparison import medians
from conveyor.tasks.forecast.forecast_csv import rounded
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.prepared_table import Prepared
from conveyor.tasks.results import Section

# Of the past so many horizons are drawn, and so many steps at least.
_HORIZONS, _FEWEST = 4, 40

_NEXT = Words("What comes next", "Dự báo sắp tới")


def next_sections(network: Forecaster, prepared: Prepared) -> Iterator[Section]:
    """Yield the forecast of each target after the end of the table, as a sentence and a chart.

    Args:
        network: the forecaster.
        prepared: its table.
    """
    frame, panel, table = network.frame, prepared.panel, prepared.table
    end, horizon = len(panel), frame.horizon
    quantiles = network.forecasts(panel, [end])[0]
    # In the last history a target has a value, or the run would not go on from it.
    begin = max(end - max(_HORIZONS * horizon, _FEWEST, frame.history), 0)
    skipped = len(table) - end
    texts = network.future_times(table.last_time, horizon)
    past: list[Any]
    future: list[Any]
    if table.times and frame.step:
        past = table.times[skipped + begin :]
        future = [read_time(text, frame.time_format, frame.zone) for text in texts]
    else:
        past = list(range(skipped + begin, skipped + end))
        future = list(range(skipped + end, skipped + end + horizon))
        texts = [str(number + 1) for number in future]
    for number, target in enumerate(frame.targets):
        of_target = target if len(frame.targets) > 1 else ""
        yield Section(
            joined([_NEXT, of_target], ": "),
            paragraph(_said(network, number, quantiles[:, number], texts))
            + _chart(
                panel.targets[begin:, number],
                quantiles[:, number],
                (past, future),
                (target, f"{frame.levels[0]} % band"),
                f"next{number}",
            ),
        )


def _said(network: Forecaster, number: int, quantiles: Any, texts: list[str]) -> Words:
    """Return what is to be expected, in a sentence."""
    frame = network.frame
    series, target, level = frame.series[number], frame.targets[number], frame.levels[0]
    low, middle, high = (
        cell_text(rounded(float(value), series))
        for value in (quantiles[-1, 0], medians(quantiles)[-1], quantiles[-1, -1])
    )
    ahead, tenth = texts[-1], level // 10 if level % 10 == 0 else None
    often = f"{tenth} times out of ten" if tenth else f"{level} times out of a hundred"
    often_vi = f"{tenth} lần trong mười" if tenth else f"{level} lần trong một trăm"
    words = Words(
        f"Expect {target} of about {middle.en} at {ahead}, and {often} between {low.en} and "
        f"{high.en}.",
        f"Vào {ahead}, {target} dự kiến khoảng {middle.vi}, và {often_vi} nằm giữa {low.vi} và "
        f"{high.vi}.",
    )
    return joined([words, calibrated_words(network)])


def calibrated_words(network: Forecaster) -> Words:
    """Return on what the bands rest, in a sentence."""
    bands = network.frame.bands
    if bands is None:
        return Words(
            "The band is not calibrated: there was no forecast to calibrate it on.",
            "Dải dự báo chưa được hiệu chỉnh: không có dự báo nào để hiệu chỉnh.",
        )
    windows = round(bands.windows)
    apart = max(round(bands.windows / network.frame.horizon), 1)
    shared = {
        "": Words("", ""),
        "series": Words(", all series together", ", gộp mọi chuỗi"),
        "steps": Words(", all steps ahead together", ", gộp mọi bước phía trước"),
    }[bands.pooled]
    return Words(
        f"The band is calibrated on {windows:,} forecasts that the network had not learned from "
        f"(about {apart:,} that do not overlap{shared.en}).",
        f"Dải dự báo được hiệu chỉnh trên {cell_text(f'{windows:,}').vi} dự báo mà mạng chưa học "
        f"(khoảng {cell_text(f'{apart:,}').vi} dự báo không chồng nhau{shared.vi}).",
    )


def _chart(
    values: Any,
    quantiles: Any,
    times: tuple[list[Any], list[Any]],
    names: tuple[str, str],
    identity: str,
) -> str:
    """Return the chart of the past and of what comes next.

    Args:
        values: of the past, [T].
        quantiles: of the future, [horizon, quantiles].
        times: of the past and of the future.
        names: of the target and of the band.
        identity: of the chart in the page.
    """
    (past, future), (target, band) = times, names
    # The lines begin at the last observed value, so that no gap stands between past and future.
    last = int(np.flatnonzero(~np.isnan(values))[-1])
    joint, at = float(values[last]), past[last]
    figure = go.Figure()
    low, high = quantiles[:, 0], quantiles[:, -1]
    figure.add_scatter(
        x=[at, *future, *reversed(future), at],
        y=[joint, *high, *reversed(low), joint],
        mode="lines",
        fill="toself",
        fillcolor=BAND,
        line={"width": 0, "color": BAND},
        hoverinfo="skip",
        name=band,
    )
    figure.add_scatter(
        x=past,
        y=[None if np.isnan(value) else float(value) for value in values],
        name="truth",
        mode="lines+markers",
        line={"color": TRUTH, "width": 1.2},
        marker_size=3,
    )
    figure.add_scatter(
        x=[at, *future],
        y=[joint, *map(float, medians(quantiles))],
        name="forecast",
        mode="lines+markers",
        line={"color": OURS, "width": 2},
        marker_size=4,
    )
    time_axis(figure, [*past, *future])
    figure.update_yaxes(title=target)
    return chart(figure, identity)
