"""What a comparison of cells leaves behind: ``ranking.json`` and a report with charts."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import plotly.graph_objects as go

from conveyor.comparing.ranking import HEAD, RankedCell, Ranking
from conveyor.comparing.study import Study, Trial
from conveyor.compiler.show import show
from conveyor.data.files import json_text, write_whole
from conveyor.pages.frame import BASELINE, MARKED, OURS, chart, page, table
from conveyor.tasks.run import REPORT

RANKING = "ranking.json"

# Colours for cells beside each other: Okabe & Ito's, but for black and yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999")
_SIGNS = ("circle", "square", "diamond", "cross")

_HOW = (
    "Every cell is tried with the same random draws of width and learning rate. A cell's score is "
    "that of its trial with the least validation loss, on the test part. The interval holds it in "
    "95 % of resamples of the draws, and “first” is the share of resamples in which the cell comes "
    "first. Hidden units, learning rate and parameters are those of that trial, s the seconds of a "
    "trial of the cell, their median."
)


def _boxes(
    ranked: Sequence[RankedCell],
    trials: Sequence[Trial],
    baselines: Mapping[str, float],
    score: str,
) -> str:
    """The scores of all trials by cell, the best cell on top."""
    figure = go.Figure()
    for each in reversed(ranked):
        own = [t.test for t in trials if t.cell == each.cell and not t.lost]
        figure.add_box(
            x=own,
            name=each.cell,
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker_color=OURS,
            marker_size=6,
            showlegend=False,
            orientation="h",
        )
    for name, found in baselines.items():
        figure.add_vline(
            x=found,
            line={"color": BASELINE, "dash": "dot"},
            annotation_text=name,
            annotation_position="top",
        )
    figure.update_xaxes(title=score)
    return chart(figure, "boxes", height=120 + 46 * len(ranked))


def _against(
    ranked: Sequence[RankedCell], trials: Sequence[Trial], score: str, what: str, title: str
) -> str:
    """The scores of all trials by what was drawn, a colour and a sign for each cell."""
    figure = go.Figure()
    for number, each in enumerate(ranked):
        own = [t for t in trials if t.cell == each.cell and not t.lost]
        figure.add_scatter(
            x=[getattr(t, what) for t in own],
            y=[t.test for t in own],
            name=each.cell,
            mode="markers",
            marker={
                "color": _COLOURS[number % len(_COLOURS)],
                "symbol": _SIGNS[number // len(_COLOURS) % len(_SIGNS)],
                "size": 8,
            },
        )
    drawn = sorted({getattr(t, what) for t in trials})
    whole = all(isinstance(each, int) for each in drawn) and len(drawn) <= MARKED
    figure.update_xaxes(title=title, type="log", tickvals=drawn if whole else None)
    figure.update_yaxes(title=score)
    return chart(figure, what, hover="closest")


def write_comparison(folder: Path, study: Study, ranking: Ranking, *, title: str) -> None:
    """Write ``ranking.json`` and the report.

    Args:
        folder: where they are written.
        study: whose trials were ranked.
        ranking: of its cells.
        title: of the data.

    Raises:
        SaveError: a file could not be written.
    """
    score, trials = ranking.metric.name, study.trials()
    content = {
        "data": title,
        "loss": study.task.loss,
        **ranking.as_json(),
        "trials": [asdict(trial) for trial in trials],
        "settings": study.described(),
    }
    write_whole(folder / RANKING, json_text(content))
    about = f"{ranking.without_score or ''} {_HOW} The score is in {score}; {ranking.direction}."
    best = ranking.rows[0]
    parts = [
        f'<p class="verdict">{html.escape(ranking.verdict)}</p>',
        table(HEAD, [(row, row is best) for row in ranking.rows]),
        f"<p>{html.escape(about)}</p>",
        "<h2>All trials</h2>",
        _boxes(ranking.cells, trials, ranking.baselines, score),
        "<h2>By learning rate</h2>",
        _against(ranking.cells, trials, score, "learning_rate", "learning rate"),
        "<h2>By width</h2>",
        _against(ranking.cells, trials, score, "hidden", "hidden units"),
        "<h2>Equations</h2>",
    ]
    for ranked in ranking.cells:
        equations = html.escape(show(study.cells[ranked.cell]))
        name = html.escape(ranked.cell)
        parts.append(f"<details><summary>{name}</summary><pre>{equations}</pre></details>")
    settings = "\n".join(f"{key} = {value}" for key, value in study.described().items())
    page(folder / REPORT, f"Cells on {title}", parts, settings)
