"""Writing ``report.html``, the page that shows how a run went."""

import html
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from conveyor.pages.frame import heading, page, paragraph, table
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Language, Words, number_text
from conveyor.tasks.results import Results, Section, heads, lines
from conveyor.tasks.run import INSIDE
from conveyor.training.curve_chart import curve_chart
from conveyor.training.loop import Fitted


def write_report(
    path: Path,
    title: Words,
    results: Results,
    *,
    fitted: Fitted,
    loss: str,
    settings: str,
    opening: Iterable[Section],
    look_inside: str,
    language: Language,
) -> None:
    """Write the report of a run: the verdict, the scores, the task's charts, and the losses.

    Args:
        path: the file.
        title: the title of the page.
        results: the results on the test set.
        fitted: the course of the fit.
        loss: the name of the loss, in words.
        settings: the settings as TOML.
        opening: what is shown before the scores.
        look_inside: the command line that writes the page of the network's gates and memory; empty
            where it has none.
        language: that the page begins in.

    Raises:
        SaveError: the file could not be written.
    """
    count = results.count
    parts = []
    for section in opening:
        parts += [heading(section.title), section.body]
    if parts:
        parts.append(heading(Words("Scores", "Chất lượng")))
    parts += [
        *(paragraph(scores.verdict, "verdict") for scores in results.scores),
        paragraph(
            Words(
                f"Scores on the test set ({count.en}), which was not used for training.",
                f"Điểm số trên phần kiểm tra ({count.vi}), phần không dùng để huấn luyện.",
            )
        ),
        table(heads(results.scores), lines(results.scores)),
    ]
    for section in results.draw():
        parts += [heading(section.title), section.body]
    if fitted.curve:
        parts += [heading(Words("Training", "Huấn luyện"))]
        if fitted.scores and fitted.best_epoch:
            parts += [paragraph(_kept(fitted))]
        parts += [curve_chart(fitted.curve, loss, fitted.best_epoch)]
    shows = Words(
        "shows what the network remembers: its gates, its memory and how far back it looks. This "
        "command writes it:",
        "cho thấy mạng nhớ gì: các cổng, bộ nhớ và nó nhìn lại được bao xa. Lệnh này tạo ra trang "
        "ấy:",
    )
    if look_inside:
        parts += [
            heading(Words("Look inside", "Nhìn vào bên trong")),
            f'<p><a href="{INSIDE}">{INSIDE}</a> {shows.html()}</p>',
            f"<pre>{html.escape(look_inside)}</pre>",
        ]
    page(path, title, parts, settings, language)


def _kept(fitted: Fitted) -> Words:
    """Return which epoch was kept, where the loss did not decide it."""
    name = name_of(fitted.decided_by)
    best = number_text(100 * fitted.scores[fitted.best_epoch - 1], ".1f")
    return Words(
        f"Epoch {fitted.best_epoch} was kept: its {name.en} on the validation set is the highest, "
        f"{best.en} %. The loss may be lowest in another epoch.",
        f"Mạng giữ lượt {fitted.best_epoch}, có {name.vi} trên phần kiểm định cao nhất: {best.vi} "
        "%. Hàm mất mát có thể thấp nhất ở lượt khác.",
    )


def report_language(path: Path) -> Language | None:
    """Return the language that a report begins in; None without a report.

    Args:
        path: of the report, which may be missing or anything.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(200)
    except OSError:
        return None
    return next((code for code in get_args(Language) if f'<html lang="{code}">' in head), None)
