"""The charts of the reports at the least and the most that they show, before a browser draws them:
what is one point is seen, and no axis of what is counted has a tick between two numbers."""

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from conveyor.pages import frame
from conveyor.pages.words import counted_words, same
from conveyor.tasks.forecast import forecast_charts
from conveyor.tasks.forecast.baselines import BASELINES, NAIVE, SEASONAL
from conveyor.tasks.forecast.comparison import Comparison, scores_of
from conveyor.tasks.forecast.scores import Score
from conveyor.tasks.results import Results
from conveyor.training import curve_chart, report
from conveyor.training.loop import Fitted
from tests.figures import noted_figures

WINDOWS = 5


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, go.Figure]:
    """The figures of a report by name, once it is written."""
    return noted_figures(monkeypatch, curve_chart, forecast_charts)


def comparison(horizon: int) -> Comparison:
    source = np.random.default_rng(1)
    truth = source.normal(size=(WINDOWS, horizon))
    quantiles = truth[..., None] + np.array([-1.0, 0.1, 1.0])
    score = Score(1.0, 1.0, 1.0, 1.0, 1.0, None, tuple(source.uniform(size=horizon)))
    names = ("lstm", NAIVE, SEASONAL)
    baselines = dict.fromkeys((NAIVE, SEASONAL), truth + 1)
    scores = dict.fromkeys(names, score)
    return Comparison(
        "y", 0, "y", "lstm", truth, quantiles, baselines, scores, naive_error=1.0, overlap=horizon
    )


def write_forecast(
    folder: Path, horizon: int, epochs: int, drawn: Comparison | None = None
) -> None:
    shown = drawn or comparison(horizon)
    results = Results(
        (scores_of(shown, 80),),
        counted_words(WINDOWS, "window", "cửa sổ"),
        draw=lambda: forecast_charts.forecast_sections(
            shown,
            name="",
            identity="0",
            times=[date(2024, 1, 1) + timedelta(n) for n in range(horizon + WINDOWS)],
            origins=list(range(1, WINDOWS + 1)),
            level=80,
        ),
    )
    report.write_report(
        folder / "report.html",
        same("a table"),
        results,
        fitted=Fitted("", tuple((n, 1 / n, 2 / n) for n in range(1, epochs + 1)), 0, 1.0),
        loss="pinball loss",
        settings="",
        opening=(),
        look_inside="conveyor inspect run",
        language="en",
    )


def test_names_are_no_tags_in_charts(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    """plotly draws <b>, <br> and <a href> in titles, legends and annotations."""
    name, escaped = '<a href="x">y</a>&', '&lt;a href="x"&gt;y&lt;/a&gt;&amp;'
    each = comparison(2)
    scores = dict.fromkeys((name, NAIVE, SEASONAL), each.scores["lstm"])
    write_forecast(tmp_path, 2, 0, replace(each, target=name, ours=name, scores=scores))
    assert figures["forecast0"].layout.yaxis.title.text == escaped
    assert figures["horizon0"].layout.yaxis.title.text == f"MAE of {escaped}"
    assert escaped in [trace.name for trace in figures["forecast0"].data]
    figure = go.Figure()
    figure.add_vline(x=1, annotation_text=name)
    frame.chart(figure, "lines")
    assert figure.layout.annotations[0].text == escaped


@pytest.mark.parametrize("epochs", [1, 2, 30])
@pytest.mark.parametrize("horizon", [1, 2, 7, 9, 52])
def test_every_line_says_how_it_is_drawn(
    horizon: int, epochs: int, tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    """plotly draws lines of fewer than 20 points with markers, of colours of its own."""
    write_forecast(tmp_path, horizon, epochs)
    assert list(figures) == ["forecast0", "horizon0", "curve"]
    for figure in figures.values():
        for trace in figure.data:
            assert trace.mode is not None, trace.name
            assert (trace.marker if trace.mode == "markers" else trace.line) is not None
    bands = [each for each in figures["forecast0"].data if each.fill == "toself"]
    assert {each.mode for each in bands} == {"lines"}
    by_name = {each.name: each.mode for each in figures["forecast0"].data}
    assert ("markers" in by_name["lstm"]) == (horizon == 1)


def test_a_forecast_of_one_step_is_seen(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    write_forecast(tmp_path, horizon=1, epochs=1)
    drawn = figures["forecast0"].data
    for each in drawn:
        assert "markers" in each.mode or each.line.width > 1, each.name
    band = next(each for each in drawn if each.fill == "toself")
    assert band.y[0] - band.y[1] == pytest.approx(2)
    for name in ("horizon0", "curve"):
        assert all("markers" in each.mode for each in figures[name].data), name


def test_lines_of_errors_can_be_told_apart(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    each = comparison(7)
    names = ("lstm", *BASELINES)
    baselines = dict.fromkeys(BASELINES, each.truth + 1)
    scores = dict.fromkeys(names, each.scores["lstm"])
    write_forecast(tmp_path, 7, 1, replace(each, baselines=baselines, scores=scores))
    looks = {(line.line.color, line.line.dash) for line in figures["horizon0"].data}
    assert len(looks) == len(names)


@pytest.mark.parametrize("many", [1, 4, 12])
def test_few_counts_have_a_tick_each(
    many: int, tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    write_forecast(tmp_path, horizon=many, epochs=many)
    for name in ("horizon0", "curve"):
        assert figures[name].layout.xaxis.dtick == 1
        assert figures[name].layout.xaxis.tickformat is None


def test_many_counts_leave_the_ticks_to_plotly(
    tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    write_forecast(tmp_path, horizon=52, epochs=52)
    assert figures["horizon0"].layout.xaxis.dtick is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (timedelta(days=7), "%-d %b %Y"),
        (timedelta(days=1), "%-d %b %Y"),
        (timedelta(hours=1), "%-d %b %Y, %H:%M"),
        (timedelta(seconds=90), "%-d %b %Y, %H:%M:%S"),
    ],
)
def test_what_is_pointed_at_is_a_time_of_its_own(step: timedelta, expected: str) -> None:
    """Left to itself, plotly shows the month alone of times a week apart."""
    times = [datetime(2024, 2, 26) + n * step for n in range(9)]
    figure = go.Figure()
    frame.time_axis(figure, times)
    assert figure.layout.xaxis.hoverformat == expected
    assert len({time.strftime(expected) for time in times}) == len(times)


def test_months_are_shown_as_months_and_rows_as_they_are() -> None:
    months, rows = go.Figure(), go.Figure()
    frame.time_axis(months, [date(2024, month, 1) for month in range(1, 13)])
    frame.time_axis(rows, range(9))
    assert months.layout.xaxis.hoverformat == "%b %Y"
    assert rows.layout.xaxis.hoverformat is None


def drawn_curve(
    figures: dict[str, go.Figure], training: list[float], validation: list[float]
) -> go.Figure:
    rows = zip(range(1, len(training) + 1), training, validation, strict=True)
    curve_chart.curve_chart(tuple(rows), "nats")
    return figures["curve"]


def test_a_curve_begins_near_its_losses(figures: dict[str, go.Figure]) -> None:
    """From 0 on, a loss from 1.60 to 1.55 would be a flat line."""
    axis = drawn_curve(figures, [1.62, 1.58, 1.55], [1.6, 1.57, 1.56]).layout.yaxis
    assert (axis.type, axis.range, axis.rangemode) == (None, None, None)  # by the data
    assert axis.title.text == "nats"
    assert not figures["curve"].layout.annotations


def test_a_first_loss_far_above_the_others_is_written_instead(
    figures: dict[str, go.Figure],
) -> None:
    figure = drawn_curve(figures, [33.77, 11.8, 10.8], [12.7, 11.0, 10.7])
    low, high = figure.layout.yaxis.range
    assert 10.5 < low < 10.7
    assert 12.7 < high < 13
    (note,) = figure.layout.annotations
    assert note.text == "↑ training loss of the first epoch: 33.77"
    assert list(figure.data[0].y) == [33.77, 11.8, 10.8]  # to be seen by zooming out


def test_a_first_loss_that_leaves_room_is_drawn(figures: dict[str, go.Figure]) -> None:
    figure = drawn_curve(figures, [5.0, 2.0, 1.0], [2.5, 2.0, 1.5])
    assert figure.layout.yaxis.range is None
    assert not figure.layout.annotations


@pytest.mark.parametrize(
    ("last", "ticks"),
    [
        (0.05, {0.05, 0.1, 0.2, 0.5, 1.0}),
        (0.0015, {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0}),
        (2e-6, {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0}),
    ],
)
def test_a_loss_that_falls_to_a_tenth_has_a_logarithmic_axis(
    last: float, ticks: set[float], figures: dict[str, go.Figure]
) -> None:
    axis = drawn_curve(figures, [1.0, 0.5, last], [1.0, 0.4, last]).layout.yaxis
    assert axis.type == "log"
    assert axis.title.text == "nats, log scale"
    assert {tick for tick in axis.tickvals if last <= tick <= 1} == ticks
    assert [float(text) for text in axis.ticktext] == list(axis.tickvals)


@pytest.mark.parametrize("training", [[9.0, 5.0, 0.0], [9.0, 5.0, -3.0], [0.0, 5.0, 0.1]])
def test_losses_that_have_no_logarithm_are_drawn_as_they_are(
    training: list[float], figures: dict[str, go.Figure]
) -> None:
    assert drawn_curve(figures, training, [9.0, 5.0, 1.0]).layout.yaxis.type is None


def test_a_loss_that_is_no_number_is_not_the_one_kept(figures: dict[str, go.Figure]) -> None:
    figure = drawn_curve(figures, [1.0, 0.5, math.nan], [math.nan, 0.7, math.inf])
    kept = next(trace for trace in figure.data if trace.name == "best epoch")
    assert (list(kept.x), list(kept.y)) == ([2], [0.7])
    assert [trace.name for trace in drawn_curve(figures, [1.0], [math.nan]).data] == [
        "training", "validation"
    ]  # fmt: skip


@pytest.mark.parametrize("epochs", [1, 2, 12, 13, 40, 500])
def test_an_axis_of_epochs_has_no_epoch_that_never_was(
    epochs: int, figures: dict[str, go.Figure]
) -> None:
    figure = drawn_curve(figures, [1.0] * epochs, [1.0] * epochs)
    begin, end = figure.layout.xaxis.range
    assert 0 < begin < 1
    assert epochs < end < epochs + 1


def test_numbers_of_a_chart_are_as_fine_as_a_screen() -> None:
    """A series that moves little around a large number keeps its form."""
    assert frame._shortened([0.123456789, 1.0, None]) == [0.1234568, 1.0, None]
    assert frame._shortened([1e9 + 1.23456789, 1e9]) == [1e9 + 1.234568, 1e9]
    assert frame._shortened({"x": [2 / 3]}) == {"x": [2 / 3]}
    for odd in ([1e308, -1e308], [5e-324, 0.0], [1e300, 0.0]):
        assert frame._shortened(odd) == odd
    assert frame._shortened(["2024-01-01T00:00:00", None]) == ["2024-01-01", None]
    clock = ["2024-01-01T00:00:00", "2024-01-01T06:00:00"]
    assert frame._shortened(clock) == clock
    source = np.random.default_rng(0).normal(size=1000) * 1e-7
    drawn = np.array(frame._shortened(source.tolist()))
    assert np.abs(drawn - source).max() <= 1e-6 * np.ptp(source)
