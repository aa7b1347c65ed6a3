"""Columns of a table, a row a step."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conveyor.data.labelled_series import numbers_left
from conveyor.data.number_column import checked_numbers, decimal_mark
from conveyor.data.raw_table import RawTable, read_raw
from conveyor.errors import DataError, RunError, counted, named
from conveyor.networks.density_heads import GaussianHead
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Baseline, Kind, LatentData
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.line_picture import line_picture
from conveyor.tasks.latent.picture_kind import rows_file
from conveyor.tasks.latent.stroke_kind import checked_numbers_of

# The least deviation, as a share of a column's: a value that repeats would have a density without
# bound, and scores would be about nothing else.
NARROWEST = 0.05
# A value that so many of a column's rows have is told.
_OFTEN = 0.1


class TableKind(Kind):
    """Steps of numbers, each less its mean and divided by its deviation.

    Args:
        columns: what the numbers are called.
        means, deviations: of the training set, one for each.
    """

    name = "table"
    noun, noun_vi = "sequence", "chuỗi"
    endings = (".csv",)

    def __init__(
        self, columns: Sequence[str], means: Sequence[float], deviations: Sequence[float]
    ) -> None:
        self.columns, self.width = tuple(columns), len(columns)
        self.means, self.deviations = tuple(means), tuple(deviations)

    def head(self, features: int, *, components: int, dropout: float) -> nn.Module:
        """Return a normal distribution for each number."""
        return GaussianHead(features, self.width, narrowest=NARROWEST, dropout=dropout)

    def values(self, sequence: Tensor) -> Tensor:
        """Return a sequence in the units of the table, float64 [T, columns]."""
        return sequence.double() * self._of(self.deviations) + self._of(self.means)

    def scaled(self, values: Tensor) -> Tensor:
        """Return rows in the units of the table, float64 [T, columns], as a sequence."""
        return ((values - self._of(self.means)) / self._of(self.deviations)).float()

    @staticmethod
    def _of(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.double)

    def baselines(self) -> dict[str, Baseline]:
        """Return the normal distribution of each column in the training set."""
        return {"one Gaussian": _standard_nats}

    def picture(self, sequence: Tensor, about: str) -> str:
        """Return lines over time."""
        return line_picture(sequence.double().numpy(), about)

    def text(self, sequence: Tensor) -> str:
        """Return lines of CSV."""
        return rows_file([self.values(sequence)], "sequence", "step", self.columns).decode()

    def file(self, sequences: Sequence[Tensor], ending: str) -> bytes:
        """Return a row for each step."""
        values = [self.values(each) for each in sequences]
        return rows_file(values, "sequence", "step", self.columns)

    def description(self) -> dict[str, Any]:
        """Return the columns and their units."""
        return {
            "columns": list(self.columns),
            "means": list(self.means),
            "deviations": list(self.deviations),
        }

    @classmethod
    def described(cls, description: Mapping[str, Any], where: str) -> "TableKind":
        """Return the kind of a description; see ``Kind.described``."""
        columns = description.get("columns")
        if not isinstance(columns, list) or not all(isinstance(each, str) for each in columns):
            raise RunError(f"{where} is corrupt: columns is no list of names.")
        count = len(columns)
        units = [checked_numbers_of(description, n, where, count) for n in ("means", "deviations")]
        return cls(columns, *units)


def _standard_nats(sequences: Sequence[Tensor]) -> float:
    """Return the nats of a step where all numbers are standard normal."""
    numbers = torch.cat(list(sequences)).double()
    return float((numbers.square() / 2 + math.log(2 * math.pi) / 2).sum(1).mean())


def read_columns(
    source: Any, settings: LatentDataSettings, fitted: Kind | None = None
) -> LatentData:
    """Return sequences of rows of a table, which follow each other.

    Args:
        source: any table that ``read_raw`` reads, in order of time.
        settings: how it is read.
        fitted: see ``read_sequences``; its columns are read, by name, and no others.

    Raises:
        DataError: it holds no numbers, one is missing, or there are too few rows.
    """
    units = fitted if isinstance(fitted, TableKind) else None
    asked = settings.values if units is None else units.columns
    raw = read_raw(source).with_names(list(asked))
    if units is not None:
        _check_columns(raw, units)
    columns = asked or numbers_left(raw, set())
    if not columns:
        raise DataError(f"{raw.name}: no column holds numbers.")
    decimal = decimal_mark(raw)
    read = [checked_numbers(raw, name, decimal) for name in columns]
    for name, column in zip(columns, read, strict=True):
        if column.missing.any():
            row = int(column.missing.argmax())
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {name}: there is no value. Fill gaps, or "
                f"choose columns without them: {named('values')}."
            )
    values = torch.from_numpy(np.stack([column.values for column in read], 1))
    steps, rows = settings.rows, len(values)
    if units is not None:
        return _in_units(raw, units, values, settings)
    train, validation, _ = settings.parts_of(rows)
    if min(train, validation, rows - train - validation) < steps:
        raise DataError(
            f"{raw.name} has {counted(rows, 'row')}, of which {train:,} train, {validation:,} "
            f"validate and {rows - train - validation:,} test. A sequence has {steps:,} rows "
            f"({named('rows', steps)}): give more rows, or make sequences shorter."
        )
    means, deviations = values[:train].mean(0), values[:train].std(0, unbiased=False)
    constant = [name for name, each in zip(columns, deviations, strict=True) if not each > 0]
    if constant:
        raise DataError(
            f"{raw.name}, column {constant[0]}: all values that are learned from are the same, and "
            f"a distribution of them has no width. Choose others: {named('values')}."
        )
    kind = TableKind(columns, means.tolist(), deviations.tolist())
    notes = []
    for name, column in zip(columns, values[:train].T, strict=True):
        common, often = torch.unique(column, return_counts=True)
        share = float(often.max()) / train
        if share > _OFTEN:
            notes.append(
                f"warning: {share:.0%} of column {name} are {common[often.argmax()]:g}. Densities "
                "of what repeats are large, so that nats say little about other values: look at "
                f"its CRPS, or leave it out ({named('values', 'NAME')} takes others)"
            )
    if not settings.values:
        notes.append(f"columns: {', '.join(columns)} (others: {named('values', 'NAME')})")
    return _in_units(raw, kind, values, settings, notes)


def _check_columns(raw: RawTable, kind: TableKind) -> None:
    """Check that a table has the columns that a network knows.

    Raises:
        DataError: one is missing.
    """
    missing = [name for name in kind.columns if name not in raw.frame.columns]
    if missing:
        raise DataError(
            f"{raw.name}: the run was fitted on the columns {', '.join(kind.columns)}; this table "
            f"has no {', '.join(missing)}. Give a table that has them all, whatever their order."
        )


def _in_units(
    raw: RawTable,
    kind: TableKind,
    values: Tensor,
    settings: LatentDataSettings,
    notes: Sequence[str] = (),
) -> LatentData:
    """Return the sequences of a table in the units of a kind.

    Args:
        raw: the table.
        kind: which columns are read, and in which units.
        values: of these columns, [rows, columns].
        settings: how long a sequence is, and which rows are of which part.
        notes: for the user, besides those of the table.

    Raises:
        DataError: there are fewer rows than a sequence has.
    """
    steps, rows = settings.rows, len(values)
    if rows < steps:
        raise DataError(
            f"{raw.name} has {counted(rows, 'row')}; the run was fitted on sequences of {steps:,}. "
            "Give that many rows or more."
        )
    scaled, counts = kind.scaled(values), settings.parts_of(rows)
    train, validation, test = torch.split(scaled[: sum(counts)], [*counts])
    # Those that are learned from overlap by half.
    return LatentData(
        raw.name,
        kind,
        (_cut(train, steps, max(steps // 2, 1)), _cut(validation, steps), _cut(test, steps)),
        Words(f"Rows of {Path(raw.name).name}", f"Các hàng của {Path(raw.name).name}"),
        whole=_cut(scaled, steps),
        notes=[*raw.notes, *notes],
    )


def _cut(rows: Tensor, steps: int, every: int | None = None) -> list[Tensor]:
    """Return sequences of so many rows, of which one begins every so many rows; None for one after
    another."""
    return [
        rows[first : first + steps] for first in range(0, len(rows) - steps + 1, every or steps)
    ]
