"""Writing ``report.html``, the page that shows how a run went."""

import html
import shlex
from pathlib import Path

from conveyor.pages.frame import page, table
from conveyor.tasks.results import Results, heads, lines
from conveyor.tasks.run import INSIDE
from conveyor.training.curve import Row
from conveyor.training.curve_chart import curve_chart


def write_report(
    path: Path, title: str, results: Results, *, curve: tuple[Row, ...], loss: str, settings: str
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
        parts += ["<h2>Training</h2>", curve_chart(curve, loss)]
    command = html.escape(shlex.join(["conveyor", "inspect", str(path.parent)]))
    parts += [
        "<h2>Look inside</h2>",
        f'<p><a href="{INSIDE}">{INSIDE}</a> shows what the network remembers: its gates, its '
        f"memory and how far back it looks. <code>{command}</code> writes it.</p>",
    ]
    page(path, title, parts, settings)
