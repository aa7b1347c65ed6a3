"""The charts of the reports at the least and the most that they show, before a browser draws them:
what is one point is seen, and no axis of what is counted has a tick between two numbers."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from conveyor.pages import frame
from conveyor.tasks.forecast import forecast_charts
from conveyor.tasks.forecast.comparison import NAIVE, SEASONAL, Comparison, scores_of
from conveyor.tasks.forecast.scores import Score
from conveyor.tasks.results import Results
from conveyor.training import report

WINDOWS = 5


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, go.Figure]:
    """The figures of a report by name, once it is written."""
    seen: dict[str, go.Figure] = {}

    def noted(figure: go.Figure, name: str, **options: Any) -> str:
        seen[name] = figure
        return frame.chart(figure, name, **options)

    for module in (report, forecast_charts):
        monkeypatch.setattr(module, "chart", noted)
    return seen


def comparison(horizon: int) -> Comparison:
    source = np.random.default_rng(1)
    truth = source.normal(size=(WINDOWS, horizon))
    quantiles = truth[..., None] + np.array([-1.0, 0.1, 1.0])
    score = Score(1.0, 1.0, 1.0, None, tuple(source.uniform(size=horizon)))
    names = ("lstm", NAIVE, SEASONAL)
    baselines = dict.fromkeys((NAIVE, SEASONAL), truth + 1)
    return Comparison("y", "lstm", truth, quantiles, baselines, dict.fromkeys(names, score))


def write_forecast(
    folder: Path, horizon: int, epochs: int, drawn: Comparison | None = None
) -> None:
    shown = drawn or comparison(horizon)
    results = Results(
        (scores_of(shown),),
        f"{WINDOWS} windows",
        draw=lambda: forecast_charts.forecast_sections(
            [shown],
            times=[date(2024, 1, 1) + timedelta(n) for n in range(horizon + WINDOWS)],
            origins=list(range(1, WINDOWS + 1)),
            horizon=horizon,
        ),
    )
    report.write_report(
        folder / "report.html",
        "a table",
        results,
        curve=tuple((n, 1 / n, 2 / n) for n in range(1, epochs + 1)),
        loss="pinball loss",
        settings="",
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
