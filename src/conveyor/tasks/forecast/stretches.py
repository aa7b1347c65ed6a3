"""The examples of a forecaster: stretches of series, at each step of which a forecast is scored."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.forecast_frame import MOST_READ, ForecastFrame
from conveyor.tasks.forecast.series_panel import Panel

Numbers = NDArray[np.float64]

# Of more steps a network learns from as many in an epoch, drawn anew; half as many are validated.
# Sixty epochs of them are a hundred million.
MOST_STEPS = 2_000_000


class Stretch(NamedTuple):
    """A stretch of a series, or a batch of them with an axis B in front.

    Attributes:
        values: what remains of the series, filled, [history - 1 + T]: the window of step t is t to
            t + history.
        beside: the other columns, [T, features - history].
        future: the same series from the step after the first, NaN where a value is missing or does
            not count, [T - 1 + horizon].
        counted: whether the forecast of a step counts, [T].
        weight: how much the series counts, see ``ForecastFrame.weights``, [].
        level: what is put back to ``future``, [T - 1 + horizon], in units of ``scale``.
        unit: of ``future``, in units of ``scale``, [].
        scale: of the series if it is one of counts, see ``Decomposition.scale``, [].
        place: see ``Smoothing.forward``, [3].
    """

    values: Tensor
    beside: Tensor
    future: Tensor
    counted: Tensor
    weight: Tensor
    level: Tensor
    unit: Tensor
    scale: Tensor
    place: Tensor


class SeriesInputs:
    """One series of a panel, as a forecaster reads it.

    Args:
        panel: the series.
        frame: the frame of the forecaster.
        target: which column of the panel's targets.
    """

    def __init__(self, panel: Panel, frame: ForecastFrame, target: int) -> None:
        self.panel, self.frame, self.target = panel, frame, target
        self.number = number = panel.group * len(frame.targets) + target
        self.decomposition: Decomposition = frame.series[number]
        self.weight = frame.weights[number]
        known = frame.known_units.standardised(panel.known)
        rows = len(panel)
        steps = panel.steps(frame.horizon)
        # Beyond what is known ahead the columns are at their mean.
        missing = max(rows + frame.horizon - len(known), 0)
        self.known = np.pad(known, ((0, missing), (0, 0)))[: rows + frame.horizon]
        self.expected = self.decomposition.expected(self.known, steps)
        self.remainder = self.decomposition.remainder(
            panel.targets[:, target], self.known[:rows], steps[:rows]
        )
        filled = fill_forward(self.remainder[:, None])[:, 0]
        self.filled = np.nan_to_num(filled)
        past = frame.past_units.standardised(fill_forward(panel.past))
        ahead = [self.known[step : step + rows] for step in range(frame.horizon + 1)]
        of_group = frame.static_of(panel.group)
        static = np.broadcast_to(of_group, (rows, len(of_group)))
        self.beside = np.concatenate([past, *ahead, static], 1)

    def read(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Return what a network reads of rows ``first`` to ``last``: ``values`` and ``beside`` of a
        ``Stretch``."""
        history = self.frame.history
        before = self.filled[max(first - history + 1, 0) : first]
        # Before the first row of a series stands its first value.
        pad = np.full(history - 1 - len(before), self.filled[0])
        values = np.concatenate([pad, before, self.filled[first:last]])
        return torch.from_numpy(values).float(), torch.from_numpy(self.beside[first:last]).float()

    def reference(self, ends: NDArray[np.int_]) -> Numbers:
        """Return what forecasts that begin at these rows are measured from, see
        ``Forecaster.reference``, [origins]."""
        around = self.frame.around
        before = np.r_[np.full(around - 1, self.filled[0]), self.filled]
        return np.asarray(
            np.lib.stride_tricks.sliding_window_view(before, around)[ends - 1].mean(-1)
        )

    def stretch(self, first: int, last: int, counted: NDArray[np.bool_], end: int) -> Stretch:
        """Return the rows ``first`` to ``last``.

        Args:
            first, last: rows of the panel.
            counted: whether the forecast after each row counts, [T].
            end: the row from which on nothing is scored.
        """
        horizon = self.frame.horizon
        future = np.full(last - first - 1 + horizon, np.nan)
        observed = self.remainder[first + 1 : min(last + horizon, end)]
        future[: len(observed)] = observed
        scale = self.decomposition.scale
        level = self.decomposition.centre + self.expected[first + 1 : last + horizon]
        return Stretch(
            *self.read(first, last),
            torch.from_numpy(future).float(),
            torch.from_numpy(counted),
            torch.tensor(self.weight),
            torch.from_numpy(level / scale).float(),
            torch.tensor(self.decomposition.change / scale),
            torch.tensor(scale),
            self.place(first),
        )

    def place(self, first: int) -> Tensor:
        """Return where the values that a network reads from row ``first`` on stand, see
        ``Smoothing.forward``, [3]."""
        history = self.frame.history
        begin = self.panel.first + first - history + 1
        return torch.tensor([self.number, begin, max(history - 1 - first, 0)])


def inputs_of(panel: Panel, frame: ForecastFrame) -> list[SeriesInputs]:
    """Return all series of a panel, as a forecaster reads them."""
    return [SeriesInputs(panel, frame, target) for target in range(len(frame.targets))]


class InputsAsNeeded(Sequence[SeriesInputs]):
    """All series of several panels, each put together whenever it is asked for: of many rows the
    inputs of all would take more memory than the rows themselves.

    Args:
        panels: the series.
        frame: the frame of the forecaster.
    """

    def __init__(self, panels: Sequence[Panel], frame: ForecastFrame) -> None:
        self.panels, self.frame = panels, frame

    def __len__(self) -> int:
        return len(self.panels) * len(self.frame.targets)

    @overload
    def __getitem__(self, index: int) -> SeriesInputs: ...

    @overload
    def __getitem__(self, index: slice) -> list[SeriesInputs]: ...

    def __getitem__(self, index: int | slice) -> SeriesInputs | list[SeriesInputs]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        panel, target = divmod(range(len(self))[index], len(self.frame.targets))
        return SeriesInputs(self.panels[panel], self.frame, target)


def inputs_of_all(panels: Sequence[Panel], frame: ForecastFrame) -> Sequence[SeriesInputs]:
    """Return all series of several panels, as a forecaster reads them."""
    if sum(map(len, panels)) * len(frame.targets) > MOST_STEPS:
        return InputsAsNeeded(panels, frame)
    return [inputs for panel in panels for inputs in inputs_of(panel, frame)]


class Span(NamedTuple):
    """Rows of a series whose forecasts count: futures from row ``first`` on, up to row ``last``."""

    first: int
    last: int


class Stretches(Dataset[Stretch]):
    """The stretches of several series.

    A forecast counts from half a history after the first row on, and at most ``MOST_READ`` steps
    make a stretch.

    Args:
        inputs: the series.
        spans: of each series, the rows that count.
        whole: whether only futures count whose last step lies in the span, too.
    """

    def __init__(
        self, inputs: Sequence[SeriesInputs], spans: Sequence[Span], *, whole: bool = False
    ) -> None:
        self.inputs, self.spans = inputs, spans
        self.parts: list[tuple[int, int, int, NDArray[np.bool_]]] = []
        for number, (series, (first, last)) in enumerate(zip(inputs, spans, strict=True)):
            frame, rows = series.frame, np.arange(len(series.panel))
            # The forecast that begins at row r is made after row r - 1.
            begin = max(first - 1, min(frame.history // 2, last // 3))
            end = last - (frame.horizon if whole else 1)
            counted = (rows >= begin) & (rows < end)
            # How many values are observed from the first row up to each, but for those that do not
            # count: a forecast counts where one of its steps is observed.
            seen = np.r_[0, np.cumsum(~np.isnan(series.remainder[:last]))]
            ends = np.minimum(rows + 1 + frame.horizon, last)
            counted &= seen[ends] > seen[np.minimum(rows + 1, last)]
            for start, stop in cuts(0 if not first else max(begin - MOST_READ, 0), end):
                if counted[start:stop].any():
                    self.parts.append((number, start, stop, counted[start:stop]))
        self.times = 1

    def repeat(self, least: int) -> None:
        """Let each stretch come so often in an epoch that the epoch has ``least`` of them."""
        self.times = -(-least // max(len(self.parts), 1))

    @property
    def steps(self) -> int:
        """How many steps all stretches have."""
        return sum(stop - start for _, start, stop, _ in self.parts)

    def thin(self, most: int) -> None:
        """Keep every second stretch, or third, ..., so that they have ``most`` steps, or a few
        more."""
        self.parts = self.parts[:: -(-self.steps // most) or 1]

    @property
    def forecasts(self) -> int:
        """How many forecasts are scored in a pass."""
        return sum(int(counted.sum()) for *_, counted in self.parts)

    def __len__(self) -> int:
        return len(self.parts) * self.times

    def __getitem__(self, index: int) -> Stretch:
        number, start, stop, counted = self.parts[index % len(self.parts)]
        return self.inputs[number].stretch(start, stop, counted, self.spans[number].last)


def cuts(first: int, last: int) -> list[tuple[int, int]]:
    """Return the bounds of stretches of equal length, none longer than ``MOST_READ``."""
    parts = max(-(-(last - first) // MOST_READ), 1)
    bounds = [first + (last - first) * part // parts for part in range(parts + 1)]
    return list(pairwise(bounds))


def batch_of(stretches: Sequence[Stretch]) -> Stretch:
    """Return a batch of stretches, padded at the end with what does not count."""

    def padded(name: str, filling: float = 0.0) -> Tensor:
        tensors = [getattr(stretch, name) for stretch in stretches]
        return pad_sequence(tensors, batch_first=True, padding_value=filling)

    def of_each(name: str) -> Tensor:
        return torch.stack([getattr(stretch, name) for stretch in stretches])

    return Stretch(
        padded("values"),
        padded("beside"),
        padded("future", float("nan")),
        padded("counted"),
        of_each("weight"),
        padded("level"),
        of_each("unit"),
        of_each("scale"),
        of_each("place"),
    )
