"""Columns that have one value for each series, as a network reads them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from conveyor.data.number_column import read_numbers
from conveyor.data.table_reading import TableReading
from conveyor.errors import DataError, named

# More kinds tell a network less than they cost it: each has weights of its own.
_MOST_KINDS = 100


class StaticFeatures(NamedTuple):
    """What a network reads of each group at every step.

    Attributes:
        names: of the features: a column of numbers, or a column and one of its texts.
        values: of each group, in standard deviations, or 1 for the text that the group has.
    """

    names: tuple[str, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()


def static_features(
    table: str, columns: Sequence[str], values: Sequence[Sequence[str]], reading: TableReading
) -> StaticFeatures:
    """Return the features of columns that have one value for each group.

    Args:
        table: its name, for errors.
        columns: their names.
        values: of each group, the text in each column; empty where it is missing.
        reading: how numbers are written.

    Raises:
        DataError: a column of texts has too many kinds.
    """
    names: list[str] = []
    features: list[list[float]] = []
    for column, texts in zip(columns, zip(*values, strict=True), strict=True):
        numbers = read_numbers(pl.Series(column, list(texts)), reading.decimal, reading)
        if not numbers.bad.any() and not numbers.missing.all():
            spread = float(np.nanstd(numbers.values)) or 1.0
            scaled = (numbers.values - np.nanmean(numbers.values)) / spread
            names.append(column)
            features.append(np.nan_to_num(scaled).tolist())
            continue
        kinds = sorted(set(texts) - {""})
        if len(kinds) > _MOST_KINDS:
            raise DataError(
                f"{table}: column {column} has {len(kinds)} different texts; {named('static')} "
                f"takes {_MOST_KINDS} or fewer. Leave it out, or group its texts."
            )
        names += [f"{column}: {kind}" for kind in kinds]
        features += [[float(text == kind) for text in texts] for kind in kinds]
    return StaticFeatures(tuple(names), tuple(zip(*features, strict=True)))
