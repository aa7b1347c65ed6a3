"""Tables of numbers whose cells are shaded: who is taken for whom, what follows what."""

import html
from collections.abc import Sequence
from typing import Literal, NamedTuple

from conveyor.pages.words import Words, cell_text

# A table of more columns is set closer.
_WIDE = 10

# The deepest colour of a cell, and the palest that is seen beside none, in percent.
_DEEPEST, _PALEST = 60, 8


class Shade(NamedTuple):
    """A cell: its text, how deep its colour is, 0 to 1, and whose colour that is."""

    text: str
    depth: float
    role: Literal["ours", "baseline"]


def shaded_table(
    corner: Words,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Shade]]],
    label: Words,
    *,
    pictures: Sequence[str] = (),
) -> str:
    """Return a table as a part of a page, which scrolls where the page is narrow.

    Args:
        corner: what rows and columns are.
        columns: their names.
        rows: the name and the cells of each.
        label: what the table is called for people who do not see it.
        pictures: what is shown above the name of each column, as parts of a page; empty for none.
    """
    shown = pictures or [""] * len(columns)
    head = "".join(
        f'<th scope="col">{picture}{html.escape(name)}</th>'
        for picture, name in zip(shown, columns, strict=True)
    )
    lines = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(map(_cell, cells))}</tr>'
        for name, cells in rows
    )
    kind = "confusion dense" if len(columns) > _WIDE else "confusion"
    names = (
        f'aria-label="{html.escape(label.en)}" data-label-en="{html.escape(label.en)}" '
        f'data-label-vi="{html.escape(label.vi)}"'
    )
    return (
        f'<div class="wide" tabindex="0" role="region" {names}><table class="{kind}"><thead>'
        f'<tr><th scope="col">{corner.html()}</th>{head}</tr></thead><tbody>{lines}</tbody>'
        "</table></div>"
    )


def _cell(shade: Shade) -> str:
    # Also a single count is seen.
    percent = max(round(_DEEPEST * min(shade.depth, 1.0)), _PALEST) if shade.depth > 0 else 0
    style = f"background: color-mix(in srgb, var(--{shade.role}) {percent}%, transparent)"
    mark = f' style="{style}"' if percent else ""
    return f"<td{mark}>{cell_text(shade.text).html()}</td>"
