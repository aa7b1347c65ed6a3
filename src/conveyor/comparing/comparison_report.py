"""The report of a comparison of cells, and its ``ranking.json``."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import plotly.graph_objects as go

from conveyor.comparing.ranking import HEAD, RESAMPLES, Ranking
from conveyor.comparing.study import Study, Trial
from conveyor.compiler.show import show
from conveyor.data.files import json_text, write_whole
from conveyor.errors import counted
from conveyor.pages.frame import BASELINE, OTHER, OURS, chart, log_numbers, page, table
from conveyor.tasks.results import Metric
from conveyor.tasks.run import REPORT

RANKING = "ranking.json"

# Colours for cells in one chart: Okabe & Ito's, but for black and yellow. Signs differ too, so
# that cells whose colours look alike can be told apart: 28 cells before a pair comes again.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999")
_SIGNS = ("circle", "square", "diamond", "cross")

# A baseline is drawn if it is at most so many times as far from the trials as they are from each
# other: the trials then still take a third of the axis.
_FAR = 2

# From this ratio of the greatest to the least on, an axis of positive scores is logarithmic: on a
# linear one, all scores below a tenth of the greatest would share a tenth of the axis.
_WIDE = 10

# Digits that the ticks of a logarithmic axis begin with, from sparse to dense, and the least number
# of ticks from which an axis can be read.
_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))
_TICKS = 3

# The least distance of two ticks, as a share of the axis: three digits on a phone.
_APART = 1 / 8

_HOW = (
    "Every cell was tried with the same random draws of width and learning rate. Of each cell, the "
    "trial with the least validation loss counts: hidden units, learning rate and parameters are "
    "those of that trial, and s is the median of the seconds that the cell's trials took. To see "
    f"how much luck there was in the draws, they are drawn again {RESAMPLES:,} times, with "
    "replacement: “first” is the share of these resamples in which the cell comes first, and the "
    "interval holds its score in 95 % of them."
)


def _log_ticks(low: float, high: float) -> list[float] | None:
    """Return round numbers on a logarithmic axis; None if there are too few to read it by."""
    for mantissas in _MANTISSAS:
        ticks = [number for number in log_numbers(low, high, mantissas) if low <= number <= high]
        if len(ticks) >= _TICKS:
            return ticks
    return None


def _tried_ticks(widths: Sequence[int]) -> list[int]:
    """Return widths that were tried as ticks of a logarithmic axis, without those too close."""
    ticks: list[int] = []
    span = math.log(max(widths) / min(widths))
    for width in sorted(set(widths)):
        if not ticks or math.log(width / ticks[-1]) >= span * _APART:
            ticks.append(width)
    return ticks


class _ScoreAxis:
    """The axis of scores: where trials are, and the baselines that are not far from them.

    ``near`` and ``far`` are the baselines with a finite score.

    Args:
        metric: of the scores.
        trials: scores of trials, each finite.
        baselines: scores by name.
    """

    def __init__(
        self, metric: Metric, trials: Sequence[float], baselines: Mapping[str, float]
    ) -> None:
        self.metric = metric
        self._scale = 100 if metric.percent else 1
        finite = {name: value for name, value in baselines.items() if math.isfinite(value)}
        positive = min([*trials, *finite.values()], default=0) > 0
        self._log = positive and max(trials) / min(trials) >= _WIDE
        ends = [min(trials), max(trials)] if trials else []
        span = self._along(ends[1]) - self._along(ends[0]) if ends else 0.0
        self.near = {
            name: value
            for name, value in finite.items()
            if not span or self._distance(value, ends) <= _FAR * span
        }
        self.far = {name: value for name, value in finite.items() if name not in self.near}
        self._trials = ends

    def _along(self, value: float) -> float:
        """Return where a score is on the axis."""
        return math.log10(value) if self._log else value

    def _distance(self, value: float, ends: Sequence[float]) -> float:
        """Return how far a score is from the trials, on the axis."""
        low, high = map(self._along, ends)
        return max(low - self._along(value), self._along(value) - high, 0.0)

    def at(self, values: Sequence[float]) -> list[float]:
        """Return scores as the axis has them."""
        return [self._scale * value for value in values]

    def layout(self, *, baselines: bool) -> dict[str, Any]:
        """Return the axis as plotly's options, long enough for near baselines if they are drawn."""
        unit = " %" if self.metric.percent else ""
        options: dict[str, Any] = {"title": self.metric.name, "ticksuffix": unit}
        values = self.at([*self._trials, *(self.near.values() if baselines else ())])
        if not values or min(values) == max(values):
            return options
        low, high = min(values), max(values)
        if not self._log:
            edge = 0.04 * (high - low)
            return {**options, "range": [low - edge, high + edge]}
        edge = 0.04 * math.log10(high / low)
        return {
            **options,
            "type": "log",
            "range": [math.log10(low) - edge, math.log10(high) + edge],
            "tickvals": _log_ticks(low, high),
        }


def _in_words(trial: Trial, metric: Metric) -> str:
    """Return what is shown of a trial that is pointed at, as plotly's HTML."""
    draw = f"{counted(trial.hidden, 'unit')}, learning rate {trial.learning_rate:.3g}"
    text = f"{trial.cell}, draw {trial.number + 1}: {draw}"
    return f"{html.escape(text)}<br>{html.escape(metric.said(trial.test))}"


def _trials_chart(ranking: Ranking, trials: Sequence[Trial], axis: _ScoreAxis) -> str:
    """Return a chart with a row for each cell, the best on top, and for each near baseline."""
    metric, figure = ranking.metric, go.Figure()
    rows = {ranked.cell: row for row, ranked in enumerate(ranking.cells)}
    figure.add_scatter(
        x=axis.at([trial.test for trial in trials]),
        y=[rows[trial.cell] for trial in trials],
        text=[_in_words(trial, metric) for trial in trials],
        hovertemplate="%{text}<extra></extra>",
        name="trial",
        mode="markers",
        marker={"color": OTHER, "size": 8},
    )
    scored = [ranked for ranked in ranking.cells if math.isfinite(ranked.best.test)]
    best = [ranked.best.test for ranked in scored]
    # A resample without a score has no place on the axis: the interval ends at the score there.
    ends = [
        [end if math.isfinite(end) else ranked.best.test for end in ranked.interval]
        for ranked in scored
    ]
    figure.add_scatter(
        x=axis.at(best),
        y=[rows[ranked.cell] for ranked in scored],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": axis.at([high - score for (_, high), score in zip(ends, best, strict=True)]),
            "arrayminus": axis.at(
                [score - low for (low, _), score in zip(ends, best, strict=True)]
            ),
            "color": OURS,
            "thickness": 2,
            "width": 6,
        },
        text=[_in_words(ranked.best, metric) for ranked in scored],
        hovertemplate="%{text}<extra></extra>",
        name="trial that counts, and its 95 % interval",
        mode="markers",
        marker={"color": OURS, "size": 12},
    )
    names = [ranking.label(ranked.cell) for ranked in ranking.cells]
    if axis.near:
        for value in axis.at(list(axis.near.values())):
            figure.add_vline(x=value, line={"color": BASELINE, "dash": "dot", "width": 1})
        figure.add_scatter(
            x=axis.at(list(axis.near.values())),
            y=[len(names) + row for row in range(len(axis.near))],
            text=[html.escape(f"{name}: {metric.text(v)}") for name, v in axis.near.items()],
            hovertemplate="%{text}<extra></extra>",
            name="baseline",
            mode="markers",
            marker={"color": BASELINE, "size": 10, "symbol": "diamond"},
        )
        names += axis.near
    figure.update_xaxes(axis.layout(baselines=True))
    figure.update_yaxes(
        range=[len(names) - 0.4, -0.6],  # the first row on top
        tickvals=list(range(len(names))),
        ticktext=[html.escape(name, quote=False) for name in names],
        zeroline=False,
    )
    return chart(figure, "trials", height=190 + 40 * len(names), hover="closest")


def _draws_chart(
    ranking: Ranking,
    trials: Sequence[Trial],
    axis: _ScoreAxis,
    drawn: Literal["hidden", "learning_rate"],
    title: str,
) -> str:
    """Return a chart of the scores over what was drawn, a colour and a sign for each cell."""
    figure = go.Figure()
    for number, ranked in enumerate(ranking.cells):
        of_cell = [trial for trial in trials if trial.cell == ranked.cell]
        figure.add_scatter(
            x=[getattr(trial, drawn) for trial in of_cell],
            y=axis.at([trial.test for trial in of_cell]),
            text=[_in_words(trial, ranking.metric) for trial in of_cell],
            hovertemplate="%{text}<extra></extra>",
            name=ranking.label(ranked.cell),
            mode="markers",
            marker={
                "color": _COLOURS[number % len(_COLOURS)],
                "symbol": _SIGNS[number % len(_SIGNS)],
                "size": 9,
            },
        )
    values = [getattr(trial, drawn) for trial in trials]
    ticks = _tried_ticks(values) if drawn == "hidden" else _log_ticks(min(values), max(values))
    figure.update_xaxes(title=title, type="log", tickvals=ticks)
    figure.update_yaxes(axis.layout(baselines=False))
    # On a phone each cell has a line of its own in the legend.
    return chart(figure, drawn, height=360 + 22 * len(ranking.cells), hover="closest")


def _charts(ranking: Ranking, finished: Sequence[Trial]) -> list[str]:
    """Return the charts as parts of a page; none where no trial has a score."""
    cells = {ranked.cell for ranked in ranking.cells}
    trials = [t for t in finished if t.cell in cells and not t.lost and math.isfinite(t.test)]
    if not trials:
        return []
    axis = _ScoreAxis(ranking.metric, [trial.test for trial in trials], ranking.baselines)
    parts = ["<h2>All trials</h2>", _trials_chart(ranking, trials, axis)]
    if axis.far:
        names = ", ".join(f"{name} ({ranking.score(v)})" for name, v in axis.far.items())
        parts.append(f"<p>Too far away to be drawn here: {html.escape(names)}.</p>")
    if len({trial.learning_rate for trial in trials}) > 1:
        learning_rate = _draws_chart(ranking, trials, axis, "learning_rate", "learning rate")
        parts += ["<h2>By learning rate</h2>", learning_rate]
    if len({trial.hidden for trial in trials}) > 1:
        hidden = _draws_chart(ranking, trials, axis, "hidden", "hidden units")
        parts += ["<h2>By width</h2>", hidden]
    return parts


def write_comparison(
    folder: Path, study: Study, ranking: Ranking, *, title: str, commands: Mapping[str, str]
) -> None:
    """Write ``ranking.json`` and the report.

    Args:
        folder: where they are written.
        study: whose trials were ranked.
        ranking: of its cells.
        title: of the data.
        commands: how to repeat the comparison: command lines by what they do, in words.

    Raises:
        SaveError: a file could not be written.
    """
    trials = study.trials()
    content = {
        "data": title,
        "loss": study.task.loss,
        **ranking.as_json(),
        "trials": [asdict(trial) for trial in trials],
        "settings": study.described(),
    }
    write_whole(folder / RANKING, json_text(content))
    best = ranking.rows[0]
    paragraphs = [_HOW]
    if ranking.without_score:
        paragraphs.insert(0, f"There are {ranking.without_score}")
    parts = [
        f'<p class="verdict">{html.escape(ranking.verdict)}</p>',
        f"<p>Scores are {html.escape(ranking.metric.name)} on the test part, which was kept back "
        f"from training and choosing; {ranking.direction}.</p>",
        table(HEAD, [(row, row is best) for row in ranking.rows]),
        *(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs),
        *_charts(ranking, trials),
        "<h2>How to repeat it</h2>",
    ]
    for purpose, command in commands.items():
        parts.append(f"<p>{html.escape(purpose)}</p>\n<pre>{html.escape(command)}</pre>")
    parts.append("<h2>Equations</h2>")
    for ranked in ranking.cells:
        equations = html.escape(show(study.cells[ranked.cell]))
        name = html.escape(ranked.cell)
        parts.append(f"<details><summary>{name}</summary><pre>{equations}</pre></details>")
    settings = "\n".join(f"{key} = {value}" for key, value in study.described().items())
    page(folder / REPORT, f"Cells compared on {title}", parts, settings)
