"""What messages and pages call the series of a long table."""

from collections.abc import Sequence

# Notes list so many names of series.
MOST_LISTED = 4


def group_label(names: Sequence[str]) -> str:
    """Return what messages and pages call a series.

    Args:
        names: its value in each column that names series.
    """
    return " ".join(names)


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return the first of some names, ``most`` of them."""
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)
