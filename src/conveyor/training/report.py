"""Writes ``report.html``, a page with the scores and the course of a run."""

import html
from pathlib import Path

import plotly.graph_objects as go

from conveyor.pages.frame import OTHER, OURS, chart, count_axis, line_mode, page, table
from conveyor.tasks.results import Results, heads, lines

Curve = tuple[tuple[int, float, float], ...]


def write_report(
    path: Path, title: str, results: Results, *, curve: Curve, loss: str, settings: str
) -> None:
    """Write the report of a run: the verdict, the scores, the task's charts, and the losses.

    Args:
        path: the file.
        title: the title of the page.
        results: the results on the test part.
        curve: the rows (epoch, training loss, validation loss).
        loss: the name of the loss, in words.
        settings: the settings as TOML.

    Raises:
        SaveError: the file could not be written.
    """
    parts = [
        *(f'<p class="verdict">{html.escape(scores.verdict)}</p>' for scores in results.scores),
        f"<p>Scores on the test part ({html.escape(results.count)}), which was kept back "
        "from training.</p>",
        table(heads(results.scores), lines(results.scores)),
    ]
    for section in results.draw():
        parts += [f"<h2>{html.escape(section.title)}</h2>", section.body]
    if curve:
        parts += ["<h2>Training</h2>", _curve_chart(curve, loss)]
    page(path, title, parts, settings)


def _curve_chart(curve: Curve, label: str) -> str:
    epochs = [row[0] for row in curve]
    best = min(curve, key=lambda row: row[2])
    figure = go.Figure()
    for column, name, colour in ((1, "training", OTHER), (2, "validation", OURS)):
        figure.add_scatter(
            x=epochs,
            y=[row[column] for row in curve],
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
