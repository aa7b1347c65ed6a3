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
from conveyor.pages.frame import (
    BASELINE,
    OTHER,
    OURS,
    chart,
    heading,
    log_numbers,
    page,
    paragraph,
    table,
)
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Language, Words, cell_text, counted_words, joined, number_text
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

_HOW = Words(
    "Every cell was tried with the same random draws of width and learning rate. Of each cell, the "
    "trial that did best on the validation set counts, by its loss or by the score that decides "
    "there: hidden units, learning rate and parameters are those of that trial, and s is the "
    "median of the seconds that the cell's trials took. To see "
    f"how much luck there was in the draws, they are drawn again {RESAMPLES:,} times, with "
    "replacement: “first” is the share of these resamples in which the cell comes first, and the "
    "interval holds its score in 95 % of them.",
    "Mọi tế bào được thử với cùng những lần rút ngẫu nhiên kích thước và tốc độ học. Với mỗi tế "
    "bào, lần thử tốt nhất trên phần kiểm định (theo mất mát, hoặc theo điểm quyết định ở đó) được "
    "tính: đơn vị ẩn, tốc độ học và tham số là "
    "của lần thử ấy, còn cột giây là trung vị thời gian các lần thử của tế bào. Để thấy may rủi "
    f"trong các lần rút, chúng được rút lại {number_text(RESAMPLES, ',').vi} lần, có hoàn lại: "
    "“đứng đầu” là tỷ lệ những lần mà tế bào đứng đầu, và khoảng chứa điểm của nó trong 95 % số "
    "lần ấy.",
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


def _draw_words(trial: Trial) -> Words:
    """Return what is shown of a trial that is pointed at, above its score."""
    units = counted_words(trial.hidden, "unit", "đơn vị")
    rate, number = number_text(trial.learning_rate, ".3g"), trial.number + 1
    return Words(
        f"{trial.cell}, draw {number}: {units.en}, learning rate {rate.en}",
        f"{trial.cell}, lần rút {number}: {units.vi}, tốc độ học {rate.vi}",
    )


class _Pointed:
    """What is shown of trials that are pointed at: two lines each, and their words."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.words: list[Words] = []

    def options(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """Return plotly's options of a line of these trials."""
        draws = [_draw_words(trial) for trial in trials]
        scores = [self.metric.said(trial.test) for trial in trials]
        self.words += draws + scores
        return {
            "text": [html.escape(words.en, quote=False) for words in draws],
            "customdata": [html.escape(words.en, quote=False) for words in scores],
            "hovertemplate": "%{text}<br>%{customdata}<extra></extra>",
        }


def _trials_chart(ranking: Ranking, trials: Sequence[Trial], axis: _ScoreAxis) -> str:
    """Return a chart with a row for each cell, the best on top, and for each near baseline."""
    metric, figure, pointed = ranking.metric, go.Figure(), _Pointed(ranking.metric)
    rows = {ranked.cell: row for row, ranked in enumerate(ranking.cells)}
    figure.add_scatter(
        x=axis.at([trial.test for trial in trials]),
        y=[rows[trial.cell] for trial in trials],
        **pointed.options(trials),
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
        **pointed.options([ranked.best for ranked in scored]),
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
            text=[html.escape(name, quote=False) for name in axis.near],
            customdata=[metric.text(value) for value in axis.near.values()],
            hovertemplate="%{text}: %{customdata}<extra></extra>",
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
    numbers = [cell_text(metric.text(value)) for value in axis.near.values()]
    words = [*pointed.words, *map(name_of, axis.near), *numbers]
    height = 190 + 40 * len(names)
    return chart(figure, "trials", words=words, height=height, hover="closest")


def _draws_chart(
    ranking: Ranking,
    trials: Sequence[Trial],
    axis: _ScoreAxis,
    drawn: Literal["hidden", "learning_rate"],
    title: str,
) -> str:
    """Return a chart of the scores over what was drawn, a colour and a sign for each cell."""
    figure, pointed = go.Figure(), _Pointed(ranking.metric)
    for number, ranked in enumerate(ranking.cells):
        of_cell = [trial for trial in trials if trial.cell == ranked.cell]
        figure.add_scatter(
            x=[getattr(trial, drawn) for trial in of_cell],
            y=axis.at([trial.test for trial in of_cell]),
            **pointed.options(of_cell),
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
    height = 360 + 22 * len(ranking.cells)
    return chart(figure, drawn, words=pointed.words, height=height, hover="closest")


def _charts(ranking: Ranking, finished: Sequence[Trial]) -> list[str]:
    """Return the charts as parts of a page; none where no trial has a score."""
    cells = {ranked.cell for ranked in ranking.cells}
    trials = [t for t in finished if t.cell in cells and not t.lost and math.isfinite(t.test)]
    if not trials:
        return []
    axis = _ScoreAxis(ranking.metric, [trial.test for trial in trials], ranking.baselines)
    parts = [
        heading(Words("All trials", "Mọi lần thử")),
        _trials_chart(ranking, trials, axis),
    ]
    if axis.far:
        names = joined(
            [
                joined([name_of(name), joined(["(", cell_text(ranking.score(value)), ")"], "")])
                for name, value in axis.far.items()
            ],
            ", ",
        )
        too_far = Words("Outside the range of the chart:", "Quá xa nên không vẽ ở đây:")
        parts.append(paragraph(joined([joined([too_far, names]), "."], "")))
    if len({trial.learning_rate for trial in trials}) > 1:
        learning_rate = _draws_chart(ranking, trials, axis, "learning_rate", "learning rate")
        parts += [heading(Words("By learning rate", "Theo tốc độ học")), learning_rate]
    if len({trial.hidden for trial in trials}) > 1:
        hidden = _draws_chart(ranking, trials, axis, "hidden", "hidden units")
        parts += [heading(Words("By width", "Theo kích thước")), hidden]
    return parts


def write_comparison(
    folder: Path,
    study: Study,
    ranking: Ranking,
    *,
    title: str,
    repeat: str,
    best: str | None,
    language: Language,
) -> None:
    """Write ``ranking.json`` and the report.

    Args:
        folder: where they are written.
        study: whose trials were ranked.
        ranking: of its cells.
        title: of the data.
        repeat: the command line that makes the comparison.
        best: that fits the best cell with its draw, as a run of its own; None where no trial has a
            score.
        language: that the report begins in.

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
    first, name = ranking.rows[0], name_of(ranking.metric.name)
    direction, without = ranking.direction, ranking.without_score
    parts = [
        paragraph(ranking.verdict, "verdict"),
        paragraph(
            Words(
                f"Scores are {name.en} on the test set, which was used neither for training nor "
                f"for selection; {direction.en}.",
                f"Điểm số là {name.vi} trên phần kiểm tra, phần không dùng để huấn luyện hay lựa "
                f"chọn; {direction.vi}.",
            )
        ),
        table(HEAD, [(row, row is first) for row in ranking.rows]),
        *([paragraph(joined([Words("There are", "Có"), without]))] if without else []),
        paragraph(_HOW),
        *_charts(ranking, trials),
        heading(Words("How to reproduce it", "Cách lặp lại")),
    ]
    for purpose, command in (
        (Words("This comparison:", "Cùng so sánh này:"), repeat),
        (
            Words(
                "The best cell with its settings, as a separate run:",
                "Tế bào tốt nhất với lần rút của nó, thành một lần chạy riêng:",
            ),
            best,
        ),
    ):
        if command is not None:
            parts.append(f"{paragraph(purpose)}\n<pre>{html.escape(command)}</pre>")
    parts.append(heading(Words("Equations", "Công thức")))
    for ranked in ranking.cells:
        equations = html.escape(show(study.cells[ranked.cell]))
        cell = html.escape(ranked.cell)
        parts.append(f"<details><summary>{cell}</summary><pre>{equations}</pre></details>")
    settings = "\n".join(f"{key} = {value}" for key, value in study.described().items())
    heading_words = Words(f"Cells compared on {title}", f"So sánh các tế bào trên {title}")
    page(folder / REPORT, heading_words, parts, settings, language)
