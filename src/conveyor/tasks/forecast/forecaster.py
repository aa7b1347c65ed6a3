"""The forecaster: recurrent networks that read what remains of a series, and predict quantiles of
the next steps after every step."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.calendar_columns import Calendar
from conveyor.data.records import from_record, shown, to_record
from conveyor.data.table_reading import TableReading
from conveyor.data.time_text import read_time, write_time, zone_of
from conveyor.data.timeline import Step
from conveyor.errors import (
    ConveyorError,
    DataError,
    RunError,
    counted,
    named,
)
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.kept_arrays import array_of
from conveyor.networks.network import Loss, Network
from conveyor.networks.output_heads import pinball_losses
from conveyor.tasks.forecast.band_memory import (
    BandMemory,
    memories_stored,
    stored_memories,
)
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.dependence import Dependence
from conveyor.tasks.forecast.earlier_tail import earlier_tails
from conveyor.tasks.forecast.forecast_frame import (
    MOST_READ,
    Bands,
    ForecastFrame,
    Units,
)
from conveyor.tasks.forecast.forecast_settings import COUNTS, LOSSES
from conveyor.tasks.forecast.member import ForecasterSizes, Member
from conveyor.tasks.forecast.moved_bands import whole_bands, widened
from conveyor.tasks.forecast.negative_binomial import log_likelihood, mean_and_shape, quantile
from conveyor.tasks.forecast.seasons import Wave
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.smoothing import WIGGLING, Smoothing
from conveyor.tasks.forecast.stretches import SeriesInputs, Stretch, inputs_of
from conveyor.tasks.forecast.tail import Tail, stored_tails, tails_of

Numbers = NDArray[np.float64]

# A window may hold values that are this many units from its last one, or as many as it has steps;
# what is farther is an outlier, from which a network would learn nothing.
_FARTHEST = 12.0


class Absolute(NamedTuple):
    """What members that smooth answer, [members, B, T, horizon, quantiles], and the level that each
    finds, [B, T]."""

    answers: Tensor
    levels: list[Tensor]


class Forecaster(Network):
    """Direct forecasts of all steps ahead at once, after every step of a series, as quantiles that
    never cross.

    At each step the recurrent layer reads a window: the last ``history`` values of what remains of
    the series (see ``Decomposition``) less the last of them, in units of how much it moves; and it
    answers in the same units, beyond that last value. So a level that was not trained on does no
    harm. Every step is trained on (Wen et al. 2017, A multi-horizon quantile recurrent forecaster,
    section 3.3: forking sequences). Where the frame's pace is a season, the state is that of a
    season before: the layer walks from season to season, from every row (Lin et al. 2023, SegRNN:
    Segment recurrent neural network for long-term time series forecasting), reads the last season
    less the mean of the window, and learns the season, which is not taken out. A linear
    autoregression of the window is added to the median
    (Lai et al. 2018, Modeling long- and short-term temporal patterns, section 3.6). Several members
    differ by their random start; forecasts are their mean.

    Args:
        cell: see ``conveyor.Recurrent``.
        frame: what is read and written.
        hidden, layers, dropout: of the recurrent layer.
        projection: units of axis P, for cells that have it; 0 for those that have not.
        linear: False leaves out the linear autoregression.
        members: how many networks there are.
        loss: of ``LOSSES``: "quantile" for the quantiles of what comes, "mse" for its mean,
            "negative-binomial" for the distribution of counts (Salinas et al. 2017, DeepAR, section
            3.1). The bands around a mean come from past errors alone.
        es_rnn: whether each member takes level and season out of the series by smoothing that it
            learns (Smyl 2020, ES-RNN), see ``Smoothing``.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        frame: ForecastFrame,
        *,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        projection: int = 0,
        linear: bool = True,
        members: int = 1,
        loss: str = LOSSES[0],
        es_rnn: bool = False,
    ) -> None:
        super().__init__()
        self.frame = frame
        # The end of the rows of each group that can be forecast on.
        self.tails: tuple[Tail, ...] = ()
        # Of each series, what its bands know; none where they do not adapt.
        self.memories: tuple[BandMemory, ...] = ()
        sizes = ForecasterSizes(
            hidden=hidden,
            layers=layers,
            dropout=dropout,
            projection=projection,
            linear=linear,
            loss=loss,
            es_rnn=es_rnn,
        )
        self.fitted_by, self.smooths = loss, es_rnn
        self.members = nn.ModuleList(Member(cell, frame, sizes) for _ in range(members))

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]  # of a module list, not of its own
        """The recurrent layer of the first member."""
        return self._first.recurrent

    @property
    def _first(self) -> Member:
        member = self.members[0]
        assert isinstance(member, Member)
        return member

    @property
    def title(self) -> str:
        """What tables call it: the cell, and whether a linear part is added."""
        name = self.recurrent.program.name + " + linear" * (self._first.linear is not None)
        return "smoothing + " * self.smooths + name

    def forward(self, values: Tensor, beside: Tensor) -> Tensor:
        """Return the answers of each member after each step, [members, B, T, horizon, quantiles],
        as distances from ``reference``, see ``Member.forward``."""
        windows = self.windows(values)
        return torch.stack([member(windows, beside) for member in self.members])

    def absolute(self, values: Tensor, beside: Tensor, unit: Tensor, place: Tensor) -> Absolute:
        """Return the answers of members that smooth, not as distances, and how much their levels
        wiggle.

        Args:
            values, beside: as in ``forward``.
            unit: of the logarithm of each series, [B].
            place: see ``Smoothing.forward``.
        """
        answers, levels = [], []
        back = self.frame.history - 1
        for member in self.members:
            assert isinstance(member, Member)
            windows, smoothed = member.smoothed(values, unit, place, self.farthest)
            level = smoothed.level[:, back:]
            base = level[..., None] + smoothed.ahead[:, back:]
            answers.append(member(windows, beside) + base.unsqueeze(-1))
            levels.append(level)
        return Absolute(torch.stack(answers), levels)

    @property
    def adapts(self) -> bool:
        """Whether bands move by how far off forecasts were, each series by its own."""
        bands = self.frame.bands
        return bool(self.memories) and bands is not None and not bands.pooled

    @property
    def farthest(self) -> float:
        """How many units a window's values may be from its reference; what is farther is cut."""
        return max(_FARTHEST, float(self.frame.history))

    def windows(self, values: Tensor) -> Tensor:
        """Return the window of each step less its reference, [B, T, history]."""
        windows = values.unfold(1, self.frame.history, 1)
        farthest = self.farthest
        return (windows - self.reference(values)[..., None]).clamp(-farthest, farthest)

    def reference(self, values: Tensor) -> Tensor:
        """Return what the window of each step is measured from, [B, T]: its last value, or the mean
        of it."""
        after = self.frame.history - self.frame.around
        return values[:, after:].unfold(1, self.frame.around, 1).mean(-1)

    def loss(self, batch: Stretch, state: Any = None) -> Loss:
        """Return the pinball loss of the forecasts that count, or the squared error of their mean,
        in the units of the network, or the negative log-likelihood of counts, in nats; missing
        values count not.

        Args:
            batch: stretches, see ``Stretch``.
            state: none; stretches come in any order.
        """
        frame = self.frame
        reference = self.reference(batch.values)
        future = batch.future.unfold(1, frame.horizon, 1)
        counts = batch.counted.unsqueeze(-1) & ~future.isnan()
        if self.smooths:
            return self._smoothed_loss(batch, future, counts)
        answers, future = self(batch.values, batch.beside), future.nan_to_num()
        if self.fitted_by == COUNTS:
            losses = self._count_losses(answers, future, reference, batch)
            weighted = counts.to(losses.dtype)
        else:
            losses = self._losses(answers, future - reference.unsqueeze(-1))
            weighted = counts * batch.weight[:, None, None]
        return _joined((losses * weighted).sum((1, 2, 3)) / counts.sum(), batch)

    def _smoothed_loss(self, batch: Stretch, future: Tensor, counts: Tensor) -> Loss:
        """Return the loss of members that smooth, with how much their levels wiggle."""
        unit = batch.unit * batch.scale
        answers, levels = self.absolute(batch.values, batch.beside, unit, batch.place)
        losses = self._losses(answers, future.nan_to_num())
        errors = (losses * (counts * batch.weight[:, None, None])).sum((1, 2, 3))
        if self.training:  # what is validated are forecasts alone
            # As errors are: in units of the series, squared ones in their squares.
            of_series = batch.weight * counts.sum((1, 2)) / unit ** (1 + (self.fitted_by == "mse"))
            wiggling = [
                (smoothing.wiggling(level, unit, batch.counted.long()) * of_series).sum()
                for smoothing, level in zip(self._smoothings, levels, strict=True)
            ]
            errors = errors + WIGGLING * torch.stack(wiggling)
        return _joined(errors / counts.sum(), batch)

    @property
    def _smoothings(self) -> list[Smoothing]:
        parts = [member.smoothing for member in self.members if isinstance(member, Member)]
        return [part for part in parts if part is not None]

    def _losses(self, quantiles: Tensor, future: Tensor) -> Tensor:
        if self.fitted_by == "mse":
            return (quantiles[..., 0] - future).square()
        return pinball_losses(quantiles, future, self.frame.quantiles).mean(-1)

    def _count_losses(
        self, answers: Tensor, future: Tensor, reference: Tensor, batch: Stretch
    ) -> Tensor:
        """Return the negative log-likelihood of counts, [members, B, T, horizon]."""
        unit, scale = (numbers[:, None, None] for numbers in (batch.unit, batch.scale))
        level = batch.level.unfold(1, self.frame.horizon, 1)
        location = (answers[..., 0] + reference.unsqueeze(-1)) * unit + level
        mean, shape = mean_and_shape(location, answers[..., 1], scale)
        counts = ((future * unit + level) * scale).round().clamp_min(0)
        return -log_likelihood(counts, mean, shape).to(answers.dtype)

    def means_and_shapes(
        self, answers: Numbers, reference: Numbers, level: Numbers, series: Decomposition
    ) -> tuple[Numbers, Numbers]:
        """Return the mean and the shape of counts, [..., horizon], of what members answer.

        Args:
            answers: [..., horizon, 2], see ``Member.forward``.
            reference: see ``reference``, [...].
            level: what is put back at each step, ``centre`` and ``expected``, [..., horizon].
            series: what was taken out.
        """
        scale = series.scale
        location = ((answers[..., 0] + reference[..., None]) * series.change + level) / scale
        mean, shape = mean_and_shape(
            torch.from_numpy(location),
            torch.from_numpy(answers[..., 1]),
            torch.tensor(scale, dtype=torch.float64),
        )
        return mean.numpy(), shape.numpy()

    def quantiles_of(
        self, answers: Numbers, reference: Numbers, level: Numbers, series: Decomposition
    ) -> Numbers:
        """Return quantiles [..., horizon, quantiles] in the units of the network, the mean of those
        of the members.

        Args:
            answers: of each member, [members, ..., horizon, quantiles], see ``Member.forward``.
            reference, level, series: see ``means_and_shapes``.
        """
        if self.fitted_by != COUNTS:
            return np.asarray(np.mean(answers, 0) + reference[..., None, None])
        means, shapes = self.means_and_shapes(answers, reference, level, series)
        probabilities = np.array(self.frame.quantiles)
        counts = quantile(probabilities, means[..., None], shapes[..., None]).mean(0)
        return np.asarray((counts - level[..., None]) / series.change)

    def restored(self, quantiles: Numbers, expected: Numbers, series: Decomposition) -> Numbers:
        """Return quantiles in the unit of a series, see ``Decomposition.restored``; of counts whole
        numbers, between which a band holds no less."""
        values = series.restored(quantiles, expected)
        return whole_bands(values) if self.fitted_by == COUNTS else values

    def description(self) -> dict[str, Any]:
        """Return the sizes, the frame and the end of the data."""
        first = self._first
        return {
            "network": ForecasterSizes.of(
                first.recurrent,
                linear=first.linear is not None,
                members=len(self.members),
                loss=self.fitted_by,
                es_rnn=self.smooths,
            ),
            "frame": self._stored_frame(),
            **({"kept_rows": stored_tails(self.tails)} if self.tails else {}),
            **({"kept_bands": stored_memories(self.memories)} if self.memories else {}),
        }

    def _stored_frame(self) -> dict[str, Any]:
        """Return the frame as JSON holds it, but for long rows of numbers."""
        bands = self.frame.bands
        stored = from_record(replace(self.frame, bands=None))
        if bands is not None:
            moved = np.array(bands.moved, dtype=np.float64)
            stored["bands"] = {**from_record(replace(bands, moved=())), "moved": moved}
        return stored

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "Forecaster":
        """Return the forecaster of a description; see ``Network.described``."""
        stored = dict(description["frame"])
        if "series" not in stored:
            raise RunError(
                f"{where} is of an earlier version, whose forecasters read their table in another "
                "way. Fit the run again: its settings.toml says on what and with which options."
            )
        network = to_record(ForecasterSizes, dict(description["network"]), where)
        model = cls(program, _frame(stored, where), **asdict(network))
        frame = model.frame
        if "tails" in description or "tail" in description:
            model.tails = earlier_tails(description, frame, where)
        elif "kept_rows" in description:
            model.tails = tails_of(description["kept_rows"], frame, where)
        sizes_of_bands = len(frame.series), frame.horizon, len(frame.levels)
        if "kept_bands" in description:
            kept = description["kept_bands"]
            model.memories = memories_stored(kept, *sizes_of_bands, where)
        else:
            earlier = description.get("memories", ())
            model.memories = tuple(to_record(BandMemory, one, where) for one in earlier)
        shapes = {(len(one.errors), len(one.outside)) for one in model.memories}
        if model.memories and (len(model.memories), shapes) != (
            sizes_of_bands[0],
            {sizes_of_bands[1:]},
        ):
            raise RunError(f"{where}: the kept errors of bands do not fit the model.")
        _check_times(model, where)
        return model

    def tail_of(self, group: int) -> Tail | None:
        """Return the end of a group's rows; None if they cannot be forecast on."""
        return next((tail for tail in self.tails if tail.group == group), None)

    def forecasts(
        self, panel: Panel, origins: Sequence[int], moved: Numbers | None = None
    ) -> Numbers:
        """Return quantiles [origins, horizon, N, quantiles] in the units of the data.

        Args:
            panel: the series.
            origins: for each forecast, the row at which it begins, rising; at least 1.
            moved: how far the bands are moved outwards, [origins, horizon, N, levels], in the units
                of the network; by default as ``frame.bands`` says, where this is known.
        """
        moves = self.moves_of(panel.group, moved)
        quantiles = []
        for number, inputs in enumerate(inputs_of(panel, self.frame)):
            raw, _ = self.raw(inputs, origins)
            of_series = None if moves is None else moves[..., number, :]
            quantiles.append(self.in_units(inputs, origins, raw, of_series))
        return np.stack(quantiles, axis=2)

    def moves_of(self, group: int, moved: Numbers | None) -> Numbers | None:
        """Return how far the bands of a group move: as said, or as ``frame.bands`` says; None
        where that is not known."""
        stored = self.frame.moved(group)
        return np.array(stored).swapaxes(0, 1) if moved is None and stored is not None else moved

    def raw(self, inputs: SeriesInputs, origins: Sequence[int]) -> tuple[Numbers, Numbers]:
        """Return the quantiles [origins, horizon, quantiles] in the units of the network, and the
        truth [origins, horizon] in the same units, NaN where it is missing."""
        frame, numbers = self.frame, np.array(origins, dtype=int)
        if not len(numbers):
            empty = np.zeros((0, frame.horizon))
            return np.zeros((*empty.shape, len(frame.quantiles))), empty
        begin = max(int(numbers[0]) - MOST_READ, 0)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            values, beside = self.read(inputs, int(numbers[-1]), begin)
            steps = numbers - 1 - begin
            of_members = self._answers(inputs, values, beside, begin)[:, 0, steps]
        self.train(was_training)
        return self.raw_of(inputs, numbers, of_members.double().cpu().numpy())

    def raw_of(
        self, inputs: SeriesInputs, numbers: NDArray[np.int_], answers: Numbers
    ) -> tuple[Numbers, Numbers]:
        """Return quantiles and truth as ``raw`` does, of what members have answered.

        Args:
            inputs: the series.
            numbers: the origins.
            answers: of each member, [members, origins, horizon, ...], see ``Member.forward``.
        """
        rows = numbers[:, None] + np.arange(self.frame.horizon)
        series = inputs.decomposition
        quantiles = self.quantiles_of(
            answers,
            np.zeros(len(numbers)) if self.smooths else inputs.reference(numbers),
            series.centre + inputs.expected[rows],
            series,
        )
        remainder = np.r_[inputs.remainder, np.full(self.frame.horizon, np.nan)]
        return quantiles, remainder[rows]

    def _answers(self, inputs: SeriesInputs, values: Tensor, beside: Tensor, begin: int) -> Tensor:
        """Return what members answer to rows of a series, see ``forward`` and ``absolute``."""
        if not self.smooths:
            answers: Tensor = self(values, beside)
            return answers
        unit = values.new_tensor([inputs.decomposition.change])
        place = inputs.place(begin)[None].to(unit.device)
        return self.absolute(values, beside, unit, place).answers

    def windows_of(self, inputs: SeriesInputs, values: Tensor, begin: int) -> Tensor:
        """Return what the first member reads of a series, [1, T, history].

        Args:
            inputs: the series.
            values: of it, see ``read``.
            begin: the first row that is read.
        """
        if not self.smooths:
            return self.windows(values)
        unit = values.new_tensor([inputs.decomposition.change])
        place = inputs.place(begin)[None].to(unit.device)
        return self._first.smoothed(values, unit, place, self.farthest)[0]

    def read(
        self, inputs: SeriesInputs, end: int, begin: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what the network reads before a row, [1, T, ...], see ``SeriesInputs.read``.

        Args:
            inputs: the series.
            end: the row.
            begin: the first row that is read; None for ``MOST_READ`` rows.
        """
        first = max(end - MOST_READ, 0) if begin is None else begin
        read, columns = inputs.read(first, end)
        device = self._first.head.weight.device
        return read[None].to(device), columns[None].to(device)

    def in_units(
        self, inputs: SeriesInputs, origins: Sequence[int], raw: Numbers, moved: Numbers | None
    ) -> Numbers:
        """Return quantiles of ``raw`` in the unit of a series, with its bands moved.

        Args:
            inputs: the series.
            origins: where its forecasts begin.
            raw: [origins, horizon, quantiles].
            moved: how far bands are moved, [origins, horizon, levels] or [horizon, levels]; None
                for bands as they are.
        """
        quantiles = raw if moved is None else widened(raw, moved)
        rows = np.array(origins, dtype=int)[:, None] + np.arange(self.frame.horizon)
        return self.restored(quantiles, inputs.expected[rows], inputs.decomposition)

    def future_times(self, last: str, count: int, frame: ForecastFrame | None = None) -> list[str]:
        """Return the times of the next steps after ``last``; without times, +1, +2, ...

        Args:
            last: as ``frame`` writes times.
            count: how many.
            frame: of a table that writes times otherwise than the model's own.

        Raises:
            DataError: there are no such times.
        """
        frame = frame or self.frame
        if frame.step is None or not last:
            return [f"+{number}" for number in range(1, count + 1)]
        try:
            return [*_times_after(last, count, frame.step, frame.time_format, frame.zone)]
        except (ValueError, OverflowError) as error:
            raise DataError(
                f"there is no time {counted(count, 'step')} of {frame.step} after {last!r}, the "
                f"end of the table. Give a table that ends earlier, or {named('time', 'none')}."
            ) from error

    def past_times(self, last: str, count: int) -> list[str]:
        """Return the times of the ``count`` steps up to ``last``; nothing without times.

        Args:
            last: as the frame writes times.
            count: how many.
        """
        frame = self.frame
        if frame.step is None or not last:
            return []
        end = read_time(last, frame.time_format, frame.zone)
        return [
            write_time(frame.step.after(end, -back), frame.time_format)
            for back in range(count - 1, -1, -1)
        ]


@lru_cache
def _times_after(last: str, count: int, step: Step, time_format: str, zone: str) -> tuple[str, ...]:
    """Return the times of the next steps after ``last``, see ``Forecaster.future_times``: many
    series mostly end at the same time."""
    begin = read_time(last, time_format, zone)
    times = [step.after(begin, number) for number in range(1, count + 1)]
    return tuple(write_time(time, time_format) for time in times)


def _joined(losses: Tensor, batch: Stretch) -> Loss:
    """Return the loss of all members. Each learns by itself: the sum of their losses has the
    gradient of each. What is shown is their mean."""
    value = losses.sum() - losses.detach().sum() + losses.detach().mean()
    return Loss(value, int(batch.counted.sum()))


def _frame(stored: Any, where: str) -> ForecastFrame:
    parts = dict(stored)
    for name in ("past_units", "known_units"):
        parts[name] = to_record(Units, parts.get(name), where)
    parts["series"] = tuple(_decomposition(series, where) for series in parts["series"])
    if parts.get("step") is not None:
        parts["step"] = to_record(Step, parts["step"], where)
    if parts.get("reading") is not None:
        parts["reading"] = to_record(TableReading, parts["reading"], where)
    # Before there were other parts of a calendar, holidays stood alone.
    calendar = parts.get("calendar") or {"holidays": parts.pop("holidays", "")}
    parts["calendar"] = to_record(Calendar, calendar, where)
    if isinstance(parts.get("bands"), dict) and isinstance(parts["bands"].get("moved"), np.ndarray):
        parts["bands"] = _bands(parts["bands"], where)
    for name, kind in (("bands", Bands), ("dependence", Dependence)):
        if isinstance(parts.get(name), dict):
            parts[name] = to_record(kind, parts[name], where)
    return to_record(ForecastFrame, parts, where)


def _bands(stored: Mapping[str, Any], where: str) -> Bands:
    moved = array_of(stored, "moved", (None, None, None), np.float64, where)
    bands = to_record(Bands, {**stored, "moved": ()}, where)
    series = tuple(tuple(map(tuple, of_series)) for of_series in moved.tolist())
    return replace(bands, moved=series)


def _decomposition(stored: Any, where: str) -> Decomposition:
    parts = dict(stored)
    parts["waves"] = tuple(to_record(Wave, wave, where) for wave in parts.get("waves", ()))
    return to_record(Decomposition, parts, where)


def _check_times(model: Forecaster, where: str) -> None:
    """See that the format of times writes what it reads, and that the kept history has a next
    time: they are used long after loading."""
    frame = model.frame
    try:
        moment = datetime(2001, 2, 3, 4, 5, 6, tzinfo=zone_of(frame.zone))
        if frame.step is not None:
            written = write_time(moment, frame.time_format)
            written.encode()
            read = read_time(written, frame.time_format, frame.zone)
            if read.year != moment.year:
                raise ValueError(f"it reads {written!r} as {read}")
        for tail in model.tails:
            model.future_times(tail.last_time, 0)
    except (ConveyorError, ValueError, OverflowError) as error:
        raise RunError(
            f"{where} is corrupt: times are written as {shown(frame.time_format)}: {error}."
        ) from error
