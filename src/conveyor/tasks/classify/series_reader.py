"""How a classifier reads a series of numbers: in standard deviations, with a mark for what is
missing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.data.records import fits
from conveyor.errors import RunError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesReader:
    """Reads series.

    Args:
        columns: what the numbers of a step are called.
        means, deviations: of each column over the steps of the training set.
        masked: the columns in which values are missing there; each has a feature of its own that
            says where.
    """

    reads: ClassVar[str] = "numbers"

    columns: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    masked: tuple[str, ...]

    @staticmethod
    def of(columns: Sequence[str], series: Sequence[Values]) -> "SeriesReader":
        """Return the reader for the series of a training set, each [T, columns]."""
        steps: Values = np.concatenate(series)
        missing: NDArray[np.bool_] = np.isnan(steps)
        counts = np.maximum((~missing).sum(0), 1)
        means = np.where(missing, 0, steps).sum(0) / counts
        squares = np.where(missing, 0, (steps - means) ** 2).sum(0) / counts
        deviations = np.sqrt(squares)
        return SeriesReader(
            tuple(columns),
            tuple(means.tolist()),
            tuple(np.where(deviations > 0, deviations, 1).tolist()),
            tuple(name for column, name in enumerate(columns) if missing[:, column].any()),
        )

    @property
    def features(self) -> int:
        """How many numbers a step has."""
        return len(self.columns) + len(self.masked)

    @property
    def names(self) -> tuple[str, ...]:
        """What the features are called."""
        return (*self.columns, *(f"{name} missing" for name in self.masked))

    def encode(self, values: Values) -> Tensor:
        """Return a series as features, float32 [T, features]: a missing value is the last one
        before it, the mean without one.

        Args:
            values: [T, columns], NaN where a value is missing.
        """
        scaled = (values - np.array(self.means)) / np.array(self.deviations)
        missing = np.isnan(scaled)
        # The step of the last value that there is, at each step; -1 before the first.
        last = np.where(missing, -1, np.arange(len(scaled))[:, None])
        last = np.maximum.accumulate(last, axis=0) if len(last) else last
        before = np.take_along_axis(scaled, np.maximum(last, 0), axis=0)
        filled = np.where(last >= 0, before, 0.0)
        marks = missing[:, [self.columns.index(name) for name in self.masked]]
        return torch.from_numpy(np.concatenate([filled, marks], 1)).float()

    def decode(self, features: Tensor) -> Values:
        """Return the series of features: [T, columns], NaN where a value was missing.

        Args:
            features: what ``encode`` gave, float32 [T, features].
        """
        numbers = features.double().numpy().reshape(-1, self.features)
        count = len(self.columns)
        values: Values = numbers[:, :count] * np.array(self.deviations) + np.array(self.means)
        for mark, name in enumerate(self.masked):
            values[numbers[:, count + mark] > 0.5, self.columns.index(name)] = math.nan
        return values

    def description(self) -> dict[str, Any]:
        """Return the reader as JSON holds it."""
        return {
            "reads": self.reads,
            "columns": list(self.columns),
            "means": list(self.means),
            "deviations": list(self.deviations),
            "masked": list(self.masked),
        }

    @staticmethod
    def described(described: Mapping[str, Any], where: str) -> "SeriesReader":
        """Return the reader of a description, which may hold anything.

        Raises:
            RunError: the description is none.
        """
        columns, masked = described.get("columns"), described.get("masked")
        means, deviations = described.get("means"), described.get("deviations")
        texts = fits(columns, tuple[str, ...]) and fits(masked, tuple[str, ...])
        numbers = fits(means, tuple[float, ...]) and fits(deviations, tuple[float, ...])
        if not (texts and numbers and columns and len(columns) == len(means or ())):
            raise RunError(f"{where}: its columns of numbers are not described.")
        if len(deviations or ()) != len(columns) or not set(masked or ()) <= set(columns):
            raise RunError(f"{where}: its columns of numbers are not described.")
        if min(deviations or (0,)) <= 0:
            raise RunError(f"{where}: a standard deviation is not above 0.")
        return SeriesReader(
            tuple(columns), tuple(means or ()), tuple(deviations or ()), tuple(masked or ())
        )
