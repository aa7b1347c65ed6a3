"""A table of many series, for the report."""

from collections.abc import Sequence

from conveyor.pages.frame import sortable
from conveyor.pages.words import counted_words

# Of more series a page would be too large: it says where they all are.
MOST_SHOWN = 100


def series_table(head: Sequence[str], rows: Sequence[Sequence[str]], at_once: int) -> str:
    """Return a table of series that can be sorted, of which the first are seen at once, and the
    others when they are asked for.

    Args:
        head: the headings of the columns.
        rows: the cells of each series, its name first.
        at_once: how many are seen.
    """
    rest = max(len(rows) - at_once, 0)
    more = counted_words(rest, "more series", "chuỗi khác", "more series")
    return sortable(head, rows, at_once=at_once, more=more)
