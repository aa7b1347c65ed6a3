"""Series and their covariates, as a forecaster reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.forecast.filling import fill_forward

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """Several series over the same steps.

    Attributes:
        targets: the series, [T, N], NaN where a value is missing.
        past: columns that are known up to now, [T, K].
        known: columns that are known ahead, [T + rows ahead, F].
        first: the number of the first step, counted from step 0 of the run's table.
        group: which group of the run's table the series are of.
    """

    targets: Numbers
    past: Numbers
    known: Numbers
    first: int = 0
    group: int = 0

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def ahead(self) -> int:
        """How many steps after the last one the known columns reach."""
        return len(self.known) - len(self.targets)

    def planned(self, columns: int) -> int:
        """Return how many steps after the last one the first columns that are known ahead have
        values, all of them.

        Args:
            columns: how many columns.
        """
        ahead = self.known[len(self) :, :columns]
        return int(np.cumprod(~np.isnan(ahead).any(1)).sum())

    def rows(self, first: int, last: int) -> "Panel":
        """Return some rows; the known columns reach as far as before, if these end the panel."""
        end = len(self.known) if last == len(self) else last
        return Panel(
            self.targets[first:last],
            self.past[first:last],
            self.known[first:end],
            self.first + first,
            self.group,
        )

    def steps(self, ahead: int = 0) -> NDArray[np.int_]:
        """Return the numbers of the steps, and of so many after the last one."""
        return self.first + np.arange(len(self) + ahead)


@dataclass(frozen=True)
class Origins:
    """Where forecasts begin, and what came then.

    Attributes:
        panel: the series.
        numbers: for each forecast, the row at which it begins.
        horizon: how many steps it has.
        season: in steps, of the baselines.
    """

    panel: Panel
    numbers: Sequence[int]
    horizon: int
    season: int

    def __len__(self) -> int:
        return len(self.numbers)

    @staticmethod
    def within(panel: Panel, first: int, last: int, *, horizon: int, season: int) -> "Origins":
        """Return the origins whose whole future lies in rows ``first`` to ``last`` and holds an
        observed value. A season must come before them, which baselines read."""
        observed = ~np.isnan(panel.targets).all(1)
        # How many rows are observed before each.
        before = np.r_[0, np.cumsum(observed)]
        candidates = np.arange(max(first, season, 1), last - horizon + 1)
        seen = before[candidates + horizon] > before[candidates]
        return Origins(panel, candidates[seen].tolist(), horizon, season)

    def every(self, stride: int) -> "Origins":
        """Return the last origin and every ``stride``-th before it."""
        return replace(self, numbers=list(self.numbers)[::-1][::stride][::-1])

    def last(self, count: int | None) -> "Origins":
        """Return the last ``count`` origins; None for all."""
        return self if count is None else replace(self, numbers=list(self.numbers)[-count:])

    @property
    def overlap(self) -> int:
        """How many neighbouring origins have forecasts that share rows; 1 if none do."""
        apart = np.diff(self.numbers)
        return -(-self.horizon // int(apart.min())) if len(apart) else 1

    def truth(self) -> Numbers:
        """Return what came, [origins, horizon, N], NaN where it is missing."""
        rows = np.array(self.numbers, dtype=int)[:, None] + np.arange(self.horizon)
        return np.asarray(self.panel.targets[rows])

    @property
    def filled(self) -> Numbers:
        """The series without missing values, [T, N], as baselines read them."""
        return fill_forward(self.panel.targets)
