"""The report of a comparison: what it says, in which order, and what its charts draw."""

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import plotly.graph_objects as go
import pytest

from conveyor.cells import find
from conveyor.comparing import comparison_report
from conveyor.comparing.comparison_report import RANKING, write_comparison
from conveyor.comparing.ranking import Ranking, rank
from conveyor.comparing.study import Trial
from conveyor.comparing.trial import DIVERGED
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.tasks.results import Metric
from conveyor.tasks.run import REPORT
from tests.figures import noted_figures

ERROR = Metric("mse", "mean squared error")
RIGHT = Metric("right", "right answers", digits=".1f", percent=True, better="more")
REPEAT, BEST = "conveyor compare x", "conveyor fit <x>"


@dataclass
class Finished:
    """A study whose trials have finished."""

    metric: Metric
    finished: Sequence[Trial]

    loss: ClassVar[str] = "nats"

    @property
    def task(self) -> Any:
        """What knows metric and loss."""
        return self

    @property
    def cells(self) -> dict[str, Program]:
        """The equations; a cell of the user's may have any name."""
        return {trial.cell: program_of(find("gru")) for trial in self.finished}

    def trials(self) -> Sequence[Trial]:
        """Return all of them."""
        return self.finished

    def described(self) -> dict[str, Any]:
        """Return what they have in common."""
        return {"task": "x"}


def trial(cell: str, number: int, test: float, **other: Any) -> Trial:
    """Return a trial with that score; the higher its number, the wider and slower it is."""
    values = {"hidden": 2 ** (number + 2), "learning_rate": 0.01 / (number + 1), **other}
    return Trial(number + 1.0, test, cell=cell, number=number, **values)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, go.Figure]:
    """The figures of a report by name, once it is written."""
    return noted_figures(monkeypatch, comparison_report)


def report(
    folder: Path,
    trials: Sequence[Trial],
    metric: Metric = ERROR,
    baselines: Mapping[str, float] | None = None,
) -> str:
    """Write a report, and return its HTML in English, without the scripts."""
    study: Any = Finished(metric, trials)
    cells = rank(trials, {each.cell for each in trials}, metric)
    ranking = Ranking(metric, cells, baselines or {})
    write_comparison(
        folder, study, ranking, title="some data", repeat=REPEAT, best=BEST, language="en"
    )
    text = (folder / REPORT).read_text(encoding="utf-8")
    text = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    return re.sub(r'<span lang="vi">.*?</span>|<span lang="en">(.*?)</span>', r"\1", text)


TRIALS = [trial("gru", 0, 0.3), trial("gru", 1, 0.2), trial("rnn", 0, 0.4), trial("rnn", 1, 0.5)]


def test_the_verdict_comes_first_and_how_to_repeat_it_after_the_charts(tmp_path: Path) -> None:
    text = report(tmp_path, TRIALS, baselines={"guess": 0.6})
    order = [
        "<h1>Cells compared on some data",
        'class="verdict">gru is best so far',
        "gru beats guess: 50 % less mean squared error.",
        "less is better",
        "<table",
        "10,000 times",
        'id="trials"',
        'id="learning_rate"',
        'id="hidden"',
        "How to reproduce it",
        "<pre>conveyor compare x</pre>",
        "<pre>conveyor fit &lt;x&gt;</pre>",
        "Equations",
        'id="settings"',
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_table_and_json_are_of_one_ranking(tmp_path: Path) -> None:
    trials = [trial("gru", 0, 0.9), trial("rnn", 0, 0.5)]
    text = report(tmp_path, trials, RIGHT, {"guess": 0.25}).replace("&nbsp;", " ")
    rows = re.findall(r'<th scope="row">(\w+)</th><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>', text)
    assert rows == [
        ("gru", "90.0 %", "100 %", "90.0–90.0 %"),
        ("rnn", "50.0 %", "0 %", "50.0–50.0 %"),
        ("guess", "25.0 %", "", ""),
    ]
    assert "right answers on the test set" in text
    assert "more is better" in text
    stored = json.loads((tmp_path / RANKING).read_text(encoding="utf-8"))
    assert (stored["score"], stored["better"], stored["loss"]) == ("right answers", "more", "nats")
    assert [(each["cell"], each["test"]) for each in stored["ranking"]] == [
        ("gru", 0.9),
        ("rnn", 0.5),
    ]
    assert html.escape(stored["verdict"]) in text
    assert stored["baselines"] == {"guess": 0.25}


def test_the_axis_of_scores_begins_where_the_trials_are(
    tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    report(tmp_path, TRIALS)
    for axis in (figures["trials"].layout.xaxis, figures["hidden"].layout.yaxis):
        low, high = axis.range
        assert 0.18 < low < 0.2
        assert 0.5 < high < 0.52


def test_baselines_far_from_the_trials_are_told_and_not_drawn(
    tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    text = report(tmp_path, TRIALS, baselines={"near": 1.0, "far": 1.2, "odd": math.nan})
    assert "Outside the range of the chart: far (1.2)." in text
    drawn = figures["trials"]
    assert drawn.layout.yaxis.ticktext == ("gru", "rnn", "near")
    assert 1.0 < drawn.layout.xaxis.range[1] < 1.1
    assert figures["hidden"].layout.yaxis.range[1] < 0.52  # no baseline is drawn there


def test_scores_of_several_decades_have_a_logarithmic_axis(
    tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    scores = (0.001, 0.02, 0.1, 0.4)
    trials = [trial("gru", number, score) for number, score in enumerate(scores)]
    report(tmp_path, trials)
    axis = figures["trials"].layout.xaxis
    assert axis.type == "log"
    assert axis.tickvals == (0.001, 0.01, 0.1)
    assert 10 ** axis.range[0] == pytest.approx(0.001, rel=0.3)
    report(tmp_path, [*trials, trial("gru", 4, 0.0)])  # which no logarithm has
    assert figures["trials"].layout.xaxis.type is None


def test_shares_are_drawn_in_percent(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    trials = [trial("gru", 0, 0.5), trial("gru", 1, 0.7)]
    report(tmp_path, trials, RIGHT, {"guess": 0.4})
    drawn = figures["trials"]
    assert [list(trace.x) for trace in drawn.data] == [[50, 70], [50], [40]]
    assert drawn.layout.xaxis.ticksuffix == " %"
    assert drawn.layout.xaxis.range[0] < 40
    # The interval is from 50 to 70 %, and the trial that counts has 50 %.
    assert (drawn.data[1].error_x.array, drawn.data[1].error_x.arrayminus) == (
        (pytest.approx(20),),
        (0,),
    )
    assert drawn.data[0].customdata[0] == "50.0 % right answers"
    assert list(figures["hidden"].data[0].y) == [50, 70]


def test_trials_without_a_score_are_told_and_not_drawn(
    tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    lost = Trial(cell="rnn", number=1, hidden=9, learning_rate=0.1, lost=DIVERGED)
    text = report(tmp_path, [*TRIALS[:3], lost])
    assert "There are trials without a score: 1 of rnn (diverged)." in text
    assert len(figures["trials"].data[0].x) == 3
    assert all(map(math.isfinite, figures["trials"].data[1].error_x.array))
    figures.clear()
    text = report(tmp_path, [lost])
    assert figures == {}
    assert "no trial has a score: diverged." in text


def test_what_was_not_varied_has_no_chart(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    report(tmp_path, [trial("gru", number, 0.1 + number, hidden=64) for number in range(3)])
    assert list(figures) == ["trials", "learning_rate"]
    figures.clear()
    report(tmp_path, [trial("gru", 0, 0.1)])
    assert list(figures) == ["trials"]


def test_ticks_are_round_rates_and_widths_that_were_tried(
    tmp_path: Path, figures: dict[str, go.Figure]
) -> None:
    widths, rates = (4, 6, 7, 32, 33), (0.0009, 0.001, 0.004, 0.012, 0.02)
    draws = enumerate(zip(widths, rates, strict=True))
    report(tmp_path, [trial("gru", n, 0.1 + n, hidden=w, learning_rate=r) for n, (w, r) in draws])
    assert figures["hidden"].layout.xaxis.tickvals == (4, 6, 32)  # 7 and 33 are too close
    assert figures["learning_rate"].layout.xaxis.tickvals == (0.001, 0.003, 0.01)
    assert comparison_report._log_ticks(0.00101, 0.0039) == [0.0015, 0.002, 0.003]
    assert comparison_report._log_ticks(0.00101, 0.00102) is None


def test_names_are_no_tags_in_charts(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    """plotly draws <b> and <a href> in ticks, legends and what is pointed at."""
    report(tmp_path, [trial("<b>", 0, 0.1), trial("<b>", 1, 0.2)], baselines={"<i>": 0.3})
    drawn = figures["trials"]
    assert drawn.layout.yaxis.ticktext == ("&lt;b&gt;", "&lt;i&gt;")
    assert drawn.data[0].text[0].startswith("&lt;b&gt;, draw 1: 4 units")
    assert (drawn.data[2].text, drawn.data[2].customdata) == (("&lt;i&gt;",), ("0.3",))
    assert figures["hidden"].data[0].name == "&lt;b&gt;"


def test_cells_differ_in_colour_and_sign(tmp_path: Path, figures: dict[str, go.Figure]) -> None:
    cells = [f"cell{number}" for number in range(28)]
    report(tmp_path, [trial(cell, n, 0.1 + n) for cell in cells for n in range(2)])
    looks = {(each.marker.color, each.marker.symbol) for each in figures["hidden"].data}
    assert len(looks) == 28
