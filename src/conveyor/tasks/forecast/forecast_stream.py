"""Forecasts row after row, at the speed of the arithmetic."""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.data.bounds import LARGEST
from conveyor.data.time_text import read_time
from conveyor.errors import DataError, did_you_mean
from conveyor.tasks.forecast.calibration import AdaptiveBands, band_errors
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.frozen_member import FrozenMember
from conveyor.tasks.forecast.known_ahead import KnownAhead
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.moved_bands import widened
from conveyor.tasks.forecast.stretches import SeriesInputs, inputs_of
from conveyor.tasks.forecast.tail import Tail

Numbers = NDArray[np.float64]


class ForecastStream:
    """The series of a group, row after row, with a forecast after each.

        stream = run.stream()
        forecast = stream(112.0)       # a row has come; [horizon, targets, quantiles]

    It goes on from the end of the run's rows, with the weights and bands that the run has then, and
    gives what ``run.update`` and ``run.predict`` give for the same rows, without reading a history
    anew: the networks keep their state, and adaptive bands see how far off each forecast was. The
    run itself does not change.

    Args:
        network: the run's forecaster, on a CPU.
        tail: the end of its rows.
    """

    def __init__(self, network: Forecaster, tail: Tail) -> None:
        frame, panel = network.frame, tail.panel
        self._frame, self._network, self._last_time = frame, network, tail.last_time
        self._step, self._added = panel.first + len(panel), 0
        self._names = (*frame.targets, *frame.past)
        last = read_time(tail.last_time, frame.time_format, frame.zone) if frame.step else None
        self._known = KnownAhead(frame, panel.known[len(panel) - 1 :], last)
        inputs = inputs_of(panel, frame)
        self._past = fill_forward(panel.past)[-1]
        self._series = [
            _SeriesStream(network, of_target, number, tail.learned - panel.first)
            for number, of_target in enumerate(inputs)
        ]
        self._static = frame.static_of(panel.group)
        self._forecast: Numbers | None = None

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The probabilities of the quantiles, rising; the median in the middle."""
        return self._frame.quantiles

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row: the targets, and those that are read up to now."""
        return self._names

    @property
    def times(self) -> list[str]:
        """The times of the steps that are forecast; +1, +2, ... without times."""
        frame = self._frame
        if frame.step is None or not self._last_time:
            return self._network.future_times(self._last_time, frame.horizon)
        times = self._network.future_times(self._last_time, self._added + frame.horizon)
        return times[self._added :]

    @property
    def forecast(self) -> Numbers:
        """The forecast of the steps after the last row, [horizon, targets, quantiles], in the units
        of the data.

        Raises:
            DataError: a column that is known ahead lacks a value there, see ``plan``.
        """
        if self._forecast is None:
            horizon = self._frame.horizon
            known = self._frame.known_units.standardised(self._known.rows(horizon + 1)[1:])
            steps = np.arange(self._step, self._step + horizon)
            self._forecast = np.stack([one.forecast(known, steps) for one in self._series], 1)
        return self._forecast.copy()

    def plan(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Take in values of columns that are known ahead, of the steps after those that are known
        already.

        Args:
            columns: of each such column of the table, its values; all of the same length.

        Raises:
            DataError: a column is missing or unknown, or holds what is no usable number.
        """
        self._known.extend(columns)
        self._forecast = None

    def __call__(self, row: float | Mapping[str, float | None]) -> Numbers:
        """Take in the next row, and return ``forecast``.

        Args:
            row: the value of each of ``columns``, None or NaN where it is missing; a number where
                there is one column.

        Raises:
            DataError: the row lacks a column, has another one, or holds what is no usable number;
                or a column that is known ahead lacks a value in the horizon. The row is not taken
                in then.
        """
        values = self._values(row)
        frame, count = self._frame, len(self._frame.targets)
        # What is known of the row itself and of the horizon after it.
        known = self._known.rows(frame.horizon + 2)[1:]
        past = values[count:]
        self._past = np.where(np.isnan(past), self._past, past)
        units = frame.past_units.standardised(self._past)
        standardised = frame.known_units.standardised(known)
        beside = np.concatenate([units, standardised.ravel(), self._static]).astype(np.float32)
        for one, value in zip(self._series, values, strict=False):
            one.take(value, standardised, self._step, beside)
        self._known.advance()
        self._step += 1
        self._added += 1
        self._forecast = None
        return self.forecast

    def _values(self, row: float | Mapping[str, float | None]) -> Numbers:
        if isinstance(row, Mapping):
            unknown = [name for name in row if name not in self._names]
            if unknown:
                raise DataError(
                    f"there is no column {unknown[0]!r}. {did_you_mean(unknown[0], self._names)}"
                )
            missing = [name for name in self._names if name not in row]
            if missing:
                raise DataError(
                    f"the row has no {', '.join(missing)}; expected {', '.join(self._names)}, None "
                    "where a value is missing."
                )
            values = [row[name] for name in self._names]
        elif len(self._names) == 1:
            values = [row]
        else:
            raise DataError(
                f"a row is {row!r}; expected a value of each of {', '.join(self._names)}, by name."
            )
        try:
            numbers = np.array([np.nan if value is None else value for value in values], float)
        except (TypeError, ValueError) as error:
            raise DataError(f"a row holds what is no number: {values}.") from error
        if numbers.shape != (len(self._names),) or (np.abs(numbers) >= LARGEST).any():
            raise DataError(f"a row is {values}; expected numbers below {LARGEST:g}.")
        return numbers


class _SeriesStream:
    """One series of a stream.

    Args:
        network: the forecaster.
        inputs: the series up to the end of the run's rows.
        target: its number among the targets.
        learned: the row up to which the network learned.
    """

    def __init__(
        self, network: Forecaster, inputs: SeriesInputs, target: int, learned: int
    ) -> None:
        frame, rows = network.frame, len(inputs.panel)
        self._frame, self._decomposition = frame, inputs.decomposition
        self._network = network
        self._farthest = network.farthest
        number = inputs.panel.group * len(frame.targets) + target
        # The forecasts whose truths come to be known: of the last rows, the latest last.
        first = max(rows - frame.horizon + 1, learned, 1)
        origins = list(range(first, rows + 1))
        raw, _ = network.raw(inputs, origins)
        self._pending: deque[Numbers] = deque(raw, maxlen=frame.horizon)
        self._bands: AdaptiveBands | None = None
        if network.adapts:
            self._bands = AdaptiveBands(network.memories[number], frame.levels)
        moved = frame.moved(inputs.panel.group)
        self._moved = None if moved is None else np.array(moved[target])
        self._members = _primed(network, inputs)
        read, _ = inputs.read(rows - 1, rows)
        self._values = read.numpy().astype(float)
        self._raw = self._pending[-1]

    def take(self, value: float, known: Numbers, step: int, beside: NDArray[np.float32]) -> None:
        """Take in the next row.

        Args:
            value: of the series, NaN where it is missing.
            known: the columns known ahead at this row and at each step of the horizon, in standard
                deviations, [1 + horizon, K].
            step: its number.
            beside: what the networks read of it beside the window.
        """
        series = self._decomposition
        remainder = series.remainder(np.array([value]), known[:1], np.array([step]))[0]
        if self._bands is not None:
            self._see(self._bands, float(remainder))
        values = self._values
        values[:-1] = values[1:]
        if not np.isnan(remainder):
            values[-1] = remainder
        reference = values[-self._frame.around :].mean()
        as_read = values.astype(np.float32)
        window = (as_read - np.float32(reference)).clip(-self._farthest, self._farthest)
        answers = []
        for member in self._members:
            member.step(window, beside)
            answers.append(member.answers(window))
        ahead = step + 1 + np.arange(self._frame.horizon)
        self._raw = self._network.quantiles_of(
            np.array(answers, dtype=float),
            np.array(reference),
            series.centre + series.expected(known[1:], ahead),
            series,
        )
        self._pending.append(self._raw)

    def _see(self, bands: AdaptiveBands, truth: float) -> None:
        """Let the bands see how far off the forecasts of a row were."""
        horizon, count = self._frame.horizon, len(self._pending)
        errors = np.full((count, horizon, len(self._frame.levels)), np.nan)
        # The latest forecast begins at this row, the one before it is at its second step.
        back = np.arange(count)
        quantiles = np.array([self._pending[-1 - step][step] for step in back])
        errors[-1 - back, back] = band_errors(quantiles, np.full(count, truth))
        bands.roll(errors, range(1 - count, 1), range(1))
        self._moved = bands.moved

    def forecast(self, known: Numbers, steps: NDArray[np.int_]) -> Numbers:
        """Return the forecast of the steps after the last row, [horizon, quantiles].

        Args:
            known: the columns known ahead at these steps, in standard deviations, [horizon, K].
            steps: their numbers.
        """
        quantiles = self._raw if self._moved is None else widened(self._raw, self._moved)
        expected = self._decomposition.expected(known, steps)
        return self._network.restored(quantiles, expected, self._decomposition)


def _primed(network: Forecaster, inputs: SeriesInputs) -> list[FrozenMember]:
    """Return the networks with the state that they have after the rows of a series."""
    rows = len(inputs.panel)
    values, beside = inputs.read(0, rows)
    with torch.no_grad():
        windows = network.windows(values[None])[0].numpy()
    frozen = []
    for member in network.members:
        assert isinstance(member, Member)
        one = FrozenMember(member)
        for window, columns in zip(windows, beside.numpy(), strict=True):
            one.step(window, columns)
        frozen.append(one)
    return frozen
