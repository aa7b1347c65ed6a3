"""The beginning of a report: the forecast of the steps after the end of the table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from conveyor.data.group_names import group_label
from conveyor.pages.frame import BAND, BASELINE, DECIMALS, OURS, TRUTH, chart, paragraph, time_axis
from conveyor.pages.words import Words, cell_text, counted_words, joined
from conveyor.tasks.forecast.comparison import medians
from conveyor.tasks.forecast.forecast_csv import GroupForecast, rounded
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.next_forecast import End, next_total
from conveyor.tasks.forecast.series_table import MOST_SHOWN, series_table
from conveyor.tasks.results import Section

Numbers = NDArray[np.float64]

# The signs of events, in their order.
_SIGNS = ("diamond-open", "square-open", "triangle-up-open")

# Of many series so many are drawn, and so many are listed at once.
_MOST_DRAWN, _AT_ONCE = 4, 8

_NEXT = Words("What comes next", "Dự báo sắp tới")


def next_sections(
    network: Forecaster, ends: Sequence[End], forecasts: Sequence[GroupForecast]
) -> Iterator[Section]:
    """Yield the forecast of series after their ends, each as a sentence and a chart, and of many a
    table.

    Args:
        network: the forecaster.
        ends: of groups.
        forecasts: of the steps after each.
    """
    frame = network.frame
    end_of = {end.panel.group: end for end in ends}
    series = [(forecast, target) for forecast in forecasts for target in range(len(frame.targets))]
    several = frame.has_overview
    totals = {
        forecast.group: next_total(network, end_of[forecast.group], len(forecast.times))
        for forecast in forecasts[:MOST_SHOWN]
    }
    steps = max((len(forecast.times) for forecast in forecasts), default=0)
    if several and len(series) > 1:
        yield Section(
            _NEXT, _table(frame, series, totals) + paragraph(calibrated_words(network, steps))
        )
    for forecast, target in series[: _MOST_DRAWN if several else None]:
        number = forecast.group * len(frame.targets) + target
        label = frame.labels[number]
        total = totals.get(forecast.group)
        words = joined(
            [
                _said(frame, number, forecast),
                *(
                    []
                    if total is None or len(forecast.times) < 2
                    else [_said_of_all(frame, number, forecast, total[target])]
                ),
            ]
        )
        yield Section(
            joined([_NEXT, label if len(frame.series) > 1 else ""], ": "),
            paragraph(words if several else joined([words, calibrated_words(network, steps)]))
            + _of_series(end_of[forecast.group], forecast, target),
        )


def _table(
    frame: ForecastFrame,
    series: Sequence[tuple[GroupForecast, int]],
    totals: Mapping[int, Numbers | None],
) -> str:
    """Return the table of the forecasts of the next step with their bands, and of the sums of all
    steps where they are known.

    Args:
        frame: the model's frame.
        series: of each series, the forecast of its group, and its number among the targets.
        totals: of each group, quantiles of the sums, [targets, quantiles]; None where they are not
            known.
    """
    rows, summed = [], any(total is not None for total in totals.values())
    steps = max(len(forecast.times) for forecast, _ in series[:MOST_SHOWN])
    summed = summed and steps > 1
    begins = {forecast.times[0] for forecast, _ in series[:MOST_SHOWN]}
    for forecast, target in series[:MOST_SHOWN]:
        number = forecast.group * len(frame.targets) + target
        step, total = forecast.quantiles[0, target], totals.get(forecast.group)
        shown_of = [step] if total is None or not summed else [step, total[target]]
        cells = [
            rounded(float(value), frame.series[number])
            for quantiles in shown_of
            for value in (medians(quantiles), quantiles[0], quantiles[-1])
        ]
        cells += [""] * (3 * (1 + summed) - len(cells))
        # Where all begin together, the sentence above gives the time.
        time = [forecast.times[0]] * (len(begins) > 1)
        rows.append([frame.labels[number], *time, *cells])
    columns = ["forecast", "from", "to"] + ["sum", "sum from", "sum to"] * summed
    titles = ["", *["time"] * (len(begins) > 1), *columns]
    shown = series_table(titles, rows, _AT_ONCE)
    if len(begins) == 1:
        first, _ = series[0]
        shown = paragraph(_next_step(first, frame.levels[0], summed=summed)) + shown
    left = len(series) - MOST_SHOWN
    if left > 0:
        other = counted_words(left, "series", "chuỗi", "series")
        shown += paragraph(
            Words(
                f"conveyor predict writes the forecasts of the other {other.en}, too.",
                f"conveyor predict ghi cả dự báo của {other.vi} còn lại.",
            )
        )
    return shown


def _next_step(forecast: GroupForecast, level: int, *, summed: bool) -> Words:
    """Return what a table of forecasts that begin together shows.

    Args:
        forecast: one of them.
        level: of the bands, in percent.
        summed: whether the table has the sums of all steps, too.
    """
    steps, first, last = len(forecast.times), forecast.times[0], forecast.times[-1]
    also = f", and the sum of all {steps} steps up to {last}" * summed
    also_vi = f", và tổng của cả {steps} bước đến {last}" * summed
    return Words(
        f"The forecast of the next step, {first}{also}, each with its {level} % band.",
        f"Dự báo cho bước tiếp theo, {first}{also_vi}, kèm dải {level} %.",
    )


def _of_series(end: End, forecast: GroupForecast, target: int) -> str:
    """Return the chart of a series."""
    frame, rows = end.frame, len(end.panel)
    back = end.drawn
    return _chart(
        end.panel.targets[rows - back :, target],
        forecast.quantiles[:, target],
        end.moments(back, len(forecast.times)),
        (frame.targets[target], f"{frame.levels[0]} % band"),
        identity=f"next{forecast.group * len(frame.targets) + target}",
        events=end.events(back, len(forecast.times)),
    )


def _said(frame: ForecastFrame, number: int, forecast: GroupForecast) -> Words:
    """Return what is to be expected of a series at its next step, in a sentence."""
    target = number % len(frame.targets)
    quantiles, level = forecast.quantiles[:, target], frame.levels[0]
    low, middle, high = (
        cell_text(rounded(float(value), frame.series[number]))
        for value in (quantiles[0, 0], medians(quantiles)[0], quantiles[0, -1])
    )
    names = group_label(frame.groups[forecast.group])
    called = frame.targets[target]
    of_en, of_vi = (f"{called} of {names}", f"{called} của {names}") if names else (called, called)
    ahead = forecast.times[0]
    often, often_vi = _often(level)
    return Words(
        f"For {ahead}, expect {of_en} of about {middle.en}, and {often} between {low.en} and "
        f"{high.en}.",
        f"Vào {ahead}, {of_vi} dự kiến khoảng {middle.vi}, và {often_vi} nằm giữa {low.vi} và "
        f"{high.vi}.",
    )


def _often(level: int) -> tuple[str, str]:
    """Return how often that is, of a level in percent, in English and Vietnamese."""
    if level % 10 == 0:
        return f"{level // 10} times out of ten", f"{level // 10} lần trong mười"
    return f"{level} times out of a hundred", f"{level} lần trong một trăm"


def _said_of_several(
    frame: ForecastFrame, number: int, forecast: GroupForecast, total: Numbers | None, target: int
) -> list[Words]:
    """Return the sentence of ``_said_of_all``; nothing of a single step, or without sums."""
    if total is None or len(forecast.times) < 2:
        return []
    return [_said_of_all(frame, number, forecast, total[target])]


def _said_of_all(
    frame: ForecastFrame, number: int, forecast: GroupForecast, total: Numbers
) -> Words:
    """Return what is to be expected of all steps of a horizon together, in a sentence.

    Args:
        frame: the model's frame.
        number: of the series.
        forecast: of its group.
        total: quantiles of the sum.
    """
    often, often_vi = _often(frame.levels[0])
    low, middle, high = (
        cell_text(rounded(float(value), frame.series[number]))
        for value in (total[0], medians(total), total[-1])
    )
    steps = len(forecast.times)
    return Words(
        f"All {steps} steps together come to about {middle.en}, and {often} to between {low.en} "
        f"and {high.en}.",
        f"Cộng cả {steps} bước được khoảng {middle.vi}, và {often_vi} nằm giữa {low.vi} và "
        f"{high.vi}.",
    )


def calibrated_words(network: Forecaster, steps: int) -> Words:
    """Return on what the bands rest, in a sentence, and in a second one that those of steps beyond
    the horizon rest on nothing that came.

    Args:
        network: the forecaster.
        steps: how many steps are forecast.
    """
    horizon = network.frame.horizon
    if steps <= horizon:
        return _calibrated(network)
    beyond = Words(
        f"The run was fitted for {horizon} steps. From step {horizon + 1} on, bands are those of "
        "drawn futures, and were not compared with anything that came.",
        f"Mô hình được huấn luyện cho {horizon} bước. Từ bước {horizon + 1} trở đi, dải dự báo lấy "
        "từ các kịch bản được rút ngẫu nhiên và chưa được so với giá trị thực nào.",
    )
    return joined([_calibrated(network), beyond])


def _calibrated(network: Forecaster) -> Words:
    bands = network.frame.bands
    if bands is None:
        return Words(
            "The band is not calibrated: there was no forecast to calibrate it on.",
            "Dải dự báo chưa được hiệu chỉnh: không có dự báo nào để hiệu chỉnh.",
        )
    # Errors of all series together rest on the forecasts of each, which do not overlap another's.
    together = len(network.frame.series) if bands.pooled == "series" else 1
    windows = round(bands.windows * together)
    apart = min(together * max(round(bands.windows / network.frame.horizon), 1), windows)
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
    *,
    identity: str,
    events: Mapping[str, Sequence[int]],
) -> str:
    """Return the chart of the past and of what comes next.

    Args:
        values: of the past, [T].
        quantiles: of the future, [horizon, quantiles].
        times: of the past and of the future.
        names: of the target and of the band.
        identity: of the chart in the page.
        events: the rows, counted from the first of the past, of holidays and planned events.
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
        name="actual",
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
    line = [*values, *medians(quantiles)]
    for sign, (name, rows) in zip(_SIGNS, events.items(), strict=False):
        seen = [row for row in rows if not np.isnan(line[row])]
        figure.add_scatter(
            x=[[*past, *future][row] for row in seen],
            y=[float(line[row]) for row in seen],
            name=name,
            mode="markers",
            marker={"symbol": sign, "size": 10, "color": BASELINE, "line": {"width": 1.6}},
        )
    time_axis(figure, [*past, *future])
    figure.update_yaxes(title=target, hoverformat=DECIMALS)
    return chart(figure, identity)
