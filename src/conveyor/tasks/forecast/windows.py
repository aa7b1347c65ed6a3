"""Cuts a table into the parts and windows that a forecaster is trained and scored on."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.table import Table
from conveyor.errors import DataError, counted, named
from conveyor.tasks.forecast.baselines import Pasts
from conveyor.tasks.forecast.window_shape import WindowShape

Numbers = NDArray[np.float64]


def fill_forward(columns: Numbers) -> Numbers:
    """Replace every NaN of [T, K] columns by the last number before it; a NaN without one stays.

    Only the past is used, because a gap that is filled from both sides would leak the future.
    """
    row = np.where(np.isnan(columns), 0, np.arange(len(columns))[:, None])
    return np.asarray(columns[np.maximum.accumulate(row), np.arange(columns.shape[1])])


@dataclass(frozen=True)
class Parts:
    """The rows at which the training, validation and test parts end, all exclusive."""

    train: int
    validation: int
    test: int

    @staticmethod
    def of(rows: int, split: tuple[float, ...]) -> "Parts":
        """Split ``rows`` by fractions or by numbers of rows.

        Raises:
            DataError: the parts have more rows than the table.
        """
        if abs(sum(split) - 1) <= 1e-6:
            first, second = round(rows * split[0]), round(rows * (split[0] + split[1]))
            return Parts(first, second, rows)
        counts = [int(part) for part in split]
        if sum(counts) > rows:
            raise DataError(
                f"split asks for {counted(sum(counts), 'row')}; the table has {rows:,}. Give a "
                f"smaller {named('split')} or more rows."
            )
        return Parts(counts[0], counts[0] + counts[1], sum(counts))


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of history [history, K] and future [horizon, targets], in float32, minus ``centre``.

    Missing values of the history are filled from earlier rows; missing values of the future are
    NaN. A window belongs to the rows ``first`` to ``last`` if its whole future lies in them; its
    history may begin earlier.

    Args:
        columns: the columns, [T, K], the targets first.
        layout: the shape of the windows.
        first: the first row of the future of the first window.
        last: the row after the future of the last window.
        centre: the number that is subtracted from each column.
    """

    def __init__(
        self,
        columns: Numbers,
        layout: WindowShape,
        first: int,
        last: int,
        centre: tuple[float, ...],
    ) -> None:
        self.layout = layout
        self.columns = columns
        self.filled = fill_forward(columns)
        self._centred = torch.from_numpy(columns - np.array(centre)).float()
        self._centred_filled = torch.from_numpy(self.filled - np.array(centre)).float()
        past = max(layout.history, layout.season)
        candidates = range(max(first, past), last - layout.horizon + 1)
        observed = ~np.isnan(columns[:, : layout.targets])
        self.origins = [o for o in candidates if observed[o : o + layout.horizon].any()]

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        origin = self.origins[index]
        history = self._centred_filled[origin - self.layout.history : origin]
        future = self._centred[origin : origin + self.layout.horizon, : self.layout.targets]
        return history, future

    def histories(self, first: int = 0, last: int | None = None) -> Numbers:
        """Return the histories of windows ``first`` to ``last``, by default of all, in the units of
        the data: [windows, history, K]."""
        origins = np.array(self.origins[first:last], dtype=int)
        rows = origins[:, None] + np.arange(-self.layout.history, 0)
        return np.asarray(self.filled[rows])

    def truth(self) -> Numbers:
        """Return the futures of all windows, [windows, horizon, targets]."""
        rows = np.array(self.origins, dtype=int)[:, None] + np.arange(self.layout.horizon)
        return np.asarray(self.columns[:, : self.layout.targets][rows])

    @property
    def pasts(self) -> Pasts:
        """What is known of the targets before each window's future."""
        layout = self.layout
        targets = self.filled[:, : layout.targets]
        return Pasts(targets, self.origins, layout.horizon, layout.season)


def prepare(table: Table, targets: list[str]) -> tuple[list[str], Numbers, list[str]]:
    """Order the columns of a table, the targets first, and drop the rows before the first one at
    which every column has had a value.

    Returns:
        The names, the numbers [T, K] with NaN where they are missing, and notes for the user.

    Raises:
        DataError: a column has no value at all.
    """
    names = [*targets, *(name for name in table.columns if name not in targets)]
    columns = np.stack([table.columns[name] for name in names], axis=1)
    notes = []
    for column, name in enumerate(names):
        missing = int(np.isnan(columns[:, column]).sum())
        if missing == len(columns):
            raise DataError(f"{table.name}: column {name} has no value at all.")
        if missing:
            notes.append(
                f"{counted(missing, 'missing value')} of {name}: what is read is filled with the "
                "value before; what is missing is neither trained on nor scored"
            )
    first = (~np.isnan(columns)).argmax(0)
    begins = int(first.max())
    if begins:
        late = names[int(first.argmax())]
        are = "is" if begins == 1 else "are"
        rows = counted(begins, "row")
        notes.append(f"the first {rows} {are} left out: {late} has no value yet")
    cut = columns[begins:].copy()
    cut[0] = fill_forward(columns)[begins]  # keeps the last values of the rows that are dropped
    return names, cut, notes
