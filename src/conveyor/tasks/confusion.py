"""Which classes are taken for which."""

from collections.abc import Sequence

from torch import Tensor, bincount

from conveyor.pages.shaded_table import Shade, shaded_table
from conveyor.pages.words import Words


def confusion_of(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Return how often each class [true, predicted] was taken for each, int64."""
    pairs = bincount(targets * classes + predicted, minlength=classes * classes)
    return pairs.view(classes, classes)


def confusion_table(counts: Sequence[Sequence[int]], names: Sequence[str], corner: Words) -> str:
    """Return a confusion matrix as a part of a page. The darker a cell, the larger its share of
    the row.

    Args:
        counts: how often each class [true, predicted] was taken for each.
        names: of the classes.
        corner: what rows and columns are.
    """
    rows = []
    for number, name in enumerate(names):
        total = max(sum(counts[number]), 1)
        cells = [
            Shade(f"{count:,}", count / total, "ours" if place == number else "baseline")
            for place, count in enumerate(counts[number])
        ]
        rows.append((name, cells))
    return shaded_table(corner, names, rows, Words("Confusion matrix", "Ma trận nhầm lẫn"))
