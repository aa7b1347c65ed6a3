"""Writing ``units.html``, the page that shows which units track a property of a text."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from conveyor.pages.frame import heading, paragraph, text_of, write_document
from conveyor.pages.words import Language, Words, language_buttons, number_text

# Of a letter's colour so many percent at most: text on it can still be read.
COLOURED = 55


class UnitRow(NamedTuple):
    """A property and the unit that tracks it best.

    Args:
        name: of the property.
        unit: where the unit is: "c, layer 2, unit 17".
        score: its correlation.
        control: the best of the controls.
        tracks: whether it does better than they.
        symbols: that are shown.
        values: by which they are coloured, from -1 to 1.
    """

    name: Words
    unit: Words
    score: float
    control: float
    tracks: bool
    symbols: Sequence[str]
    values: Sequence[float]


def _coloured(row: UnitRow) -> str:
    letters = []
    for character, value in zip(row.symbols, row.values, strict=True):
        role = "baseline" if value < 0 else "ours"
        share = round(COLOURED * min(1.0, abs(value)))
        letters.append(
            f'<span style="background:color-mix(in srgb,var(--{role}) {share}%,transparent)">'
            f"{html.escape(character)}</span>"
        )
    return f'<pre class="read">{"".join(letters)}</pre>'


def write_units(
    path: Path,
    title: Words,
    rows: Sequence[UnitRow],
    notes: Sequence[Words],
    *,
    shown: int,
    language: Language,
) -> None:
    """Write the page.

    Args:
        path: the file.
        title: the heading.
        rows: the properties, the best first.
        notes: what a reader should know besides.
        shown: of so many properties the text is shown.
        language: that it begins in.

    Raises:
        SaveError: the file could not be written.
    """
    head = "".join(
        f'<th scope="col">{words.html()}</th>'
        for words in (
            Words("property", "tính chất"),
            Words("unit", "đơn vị"),
            Words("correlation", "tương quan"),
            Words("best control", "đối chứng tốt nhất"),
        )
    )
    lines = []
    for row in rows:
        score, control = number_text(row.score, "+.2f"), number_text(row.control, ".2f")
        mark = ' class="ours"' if row.tracks else ""
        lines.append(
            f'<tr{mark}><th scope="row">{row.name.html()}</th><td>{row.unit.html()}</td>'
            f"<td>{score.html()}</td><td>{control.html()}</td></tr>"
        )
    samples = []
    for row in [row for row in rows if row.tracks][:shown]:
        score = number_text(row.score, "+.2f")
        samples.append(
            f"{heading(row.name, 3)}<p>{row.unit.html()}, "
            f"{Words('correlation', 'tương quan').html()} {score.html()}</p>{_coloured(row)}"
        )
    table = (
        '<div class="wide" tabindex="0" role="region" aria-label="Scores"><table class="scores">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
    main = [
        f'<div class="above"><h1>{title.html()}</h1>{language_buttons(language)}</div>',
        *map(paragraph, notes),
        table,
        heading(Words("Where they light up", "Chúng sáng lên ở đâu")) if samples else "",
        *samples,
    ]
    write_document(
        path,
        title,
        "\n".join(main),
        styles=("page.css", "inside.css"),
        scripts=f"<script>\n{text_of('languages.js')}</script>",
        language=language,
    )
