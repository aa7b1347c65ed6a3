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
from conveyor.data.raw_table import read_raw
from conveyor.errors import DataError, RunError, counted, named
from conveyor.networks.density_heads import GaussianHead
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Kind, LatentData
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
        means, deviations: of the training part, one for each.
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
        """Return a sequence in the units of the table, [T, columns]."""
        return sequence.double() * torch.tensor(self.deviations) + torch.tensor(self.means)

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


def read_columns(source: Any, settings: LatentDataSettings) -> LatentData:
    """Return sequences of rows of a table, which follow each other.

    Args:
        source: any table that ``read_raw`` reads, in order of time.
        settings: how it is read.

    Raises:
        DataError: it holds no numbers, one is missing, or there are too few rows.
    """
    raw = read_raw(source).with_names(list(settings.values))
    columns = settings.values or numbers_left(raw, set())
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
    scaled = ((values - means) / deviations).float()
    parts = torch.split(scaled, [train, validation, rows - train - validation])
    # Those that are learned from overlap by half.
    known = [
        parts[0][first : first + steps] for first in range(0, train - steps + 1, max(steps // 2, 1))
    ]
    cut = [[part[f : f + steps] for f in range(0, len(part) - steps + 1, steps)] for part in parts]
    kind = TableKind(columns, means.tolist(), deviations.tolist())
    gauss = (parts[2].double().square() / 2 + math.log(2 * math.pi) / 2).sum(1).mean()
    notes = [*raw.notes]
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
    return LatentData(
        raw.name,
        kind,
        (known, cut[1], cut[2]),
        Words(f"Rows of {Path(raw.name).name}", f"Các hàng của {Path(raw.name).name}"),
        {"one Gaussian": float(gauss)},
        notes,
    )
