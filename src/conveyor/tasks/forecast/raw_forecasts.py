"""Forecasts of many series, which a network makes in few passes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from conveyor.tasks.forecast.forecast_frame import MOST_READ
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import SeriesInputs, inputs_of

Numbers = NDArray[np.float64]

# From so many groups on, several are forecast in one pass. Fewer are forecast one by one: then
# float32 adds up the same numbers in the same order, whichever series are beside them.
TOGETHER = 32

# A pass reads and writes so many numbers: 64 MB of float32.
_AT_ONCE = 2**24

# Series are padded to the longest one of a pass, which is at most so many times as long as the
# shortest one.
_LONGER = 1.5


class RawForecasts(NamedTuple):
    """The forecasts of a series in the units of the network, see ``Forecaster.raw``.

    Attributes:
        inputs: the series.
        quantiles: [origins, horizon, quantiles].
        truth: [origins, horizon], NaN where it is missing.
    """

    inputs: SeriesInputs
    quantiles: Numbers
    truth: Numbers


def raw_forecasts(
    network: Forecaster, groups: Sequence[tuple[Panel, Sequence[int]]]
) -> Iterator[list[RawForecasts]]:
    """Yield the forecasts of the series of each group, as ``Forecaster.raw`` does but for rounding.

    Args:
        network: the forecaster.
        groups: of each, its series, and the rows at which forecasts begin, rising.
    """
    if len(groups) < TOGETHER:
        for panel, origins in groups:
            inputs = inputs_of(panel, network.frame)
            yield [RawForecasts(of, *network.raw(of, origins)) for of in inputs]
        return
    for chunk in _chunks(network, groups):
        yield from _of_chunk(network, chunk)


def group_forecasts(
    network: Forecaster,
    groups: Sequence[tuple[Panel, Sequence[int]]],
    moved_of: Sequence[Numbers | None] | None = None,
) -> Iterator[Numbers]:
    """Yield the forecasts of each group, as ``Forecaster.forecasts`` does but for rounding.

    Args:
        network, groups: see ``raw_forecasts``.
        moved_of: of each group, how far its bands move, see ``Forecaster.forecasts``.
    """
    every = moved_of or [None] * len(groups)
    raw_of = raw_forecasts(network, groups)
    for (panel, origins), of_group, raws in zip(groups, every, raw_of, strict=True):
        moved = network.moves_of(panel.group, of_group)
        quantiles = [
            network.in_units(
                raw.inputs, origins, raw.quantiles, None if moved is None else moved[..., number, :]
            )
            for number, raw in enumerate(raws)
        ]
        yield np.stack(quantiles, 2)


def _numbers(network: Forecaster, rows: int, origins: int) -> int:
    """Return how many numbers are read and written for a series of so many rows."""
    frame = network.frame
    answers = len(network.members) * frame.horizon * len(frame.quantiles)
    return rows * frame.features + origins * answers


def _chunks(
    network: Forecaster, groups: Iterable[tuple[Panel, Sequence[int]]]
) -> Iterator[list[tuple[Panel, Sequence[int]]]]:
    """Yield groups, in order, as many at once as memory has room for."""
    chunk: list[tuple[Panel, Sequence[int]]] = []
    left = _AT_ONCE
    for panel, origins in groups:
        left -= _numbers(network, len(panel), len(origins)) * len(network.frame.targets)
        if chunk and left < 0:
            yield chunk
            chunk, left = [], _AT_ONCE
        chunk.append((panel, origins))
    if chunk:
        yield chunk


class _Reading(NamedTuple):
    """A series that is read.

    Attributes:
        inputs: the series.
        numbers: the rows at which forecasts begin.
        begin: the first row that is read.
        rows: how many rows are read.
    """

    inputs: SeriesInputs
    numbers: NDArray[np.int_]
    begin: int
    rows: int


def _of_chunk(
    network: Forecaster, chunk: Sequence[tuple[Panel, Sequence[int]]]
) -> Iterator[list[RawForecasts]]:
    frame = network.frame
    inputs = [(of, origins) for panel, origins in chunk for of in inputs_of(panel, frame)]
    answers: list[RawForecasts | None] = [None] * len(inputs)
    readings: dict[int, _Reading] = {}
    for number, (of, origins) in enumerate(inputs):
        if not len(origins):
            answers[number] = RawForecasts(of, *network.raw(of, origins))
            continue
        begin = max(origins[0] - MOST_READ, 0)
        readings[number] = _Reading(of, np.array(origins, dtype=int), begin, origins[-1] - begin)
    for batch in _batches(network, readings):
        several = [readings[number] for number in batch]
        for number, one, answer in zip(batch, several, _answers(network, several), strict=True):
            raw = network.raw_of(one.inputs, one.numbers, answer)
            answers[number] = RawForecasts(one.inputs, *raw)
    count = len(frame.targets)
    whole = [answer for answer in answers if answer is not None]
    for first in range(0, len(whole), count):
        yield whole[first : first + count]


def _batches(network: Forecaster, readings: dict[int, _Reading]) -> Iterator[list[int]]:
    """Yield the numbers of series of about one length, as many as a pass has room for."""
    by_length = sorted(readings, key=lambda number: -readings[number].rows)
    batch: list[int] = []
    longest = most = 0
    for number in by_length:
        reading = readings[number]
        most = max(most, len(reading.numbers))
        padded = _numbers(network, longest, most) * (len(batch) + 1)
        if batch and (padded > _AT_ONCE or longest > _LONGER * reading.rows):
            yield batch
            batch, most = [], len(reading.numbers)
        if not batch:
            longest = reading.rows
        batch.append(number)
    if batch:
        yield batch


@torch.no_grad()
def _answers(network: Forecaster, readings: Sequence[_Reading]) -> list[Numbers]:
    """Return the answers of each member, of each series [members, origins, horizon, ...], see
    ``Member.forward``. Padding stands behind what is read, where it changes no answer before it."""
    was_training = network.training
    network.eval()
    read = [network.read(of.inputs, of.begin + of.rows, of.begin) for of in readings]
    values, beside = (
        pad_sequence([tensors[0] for tensors in parts], batch_first=True)
        for parts in zip(*read, strict=True)
    )
    steps = pad_sequence(
        [torch.from_numpy(of.numbers - 1 - of.begin) for of in readings], batch_first=True
    ).to(values.device)
    answers = (
        _smoothed(network, readings, values, beside, steps)
        if network.smooths
        else _at(network, values, beside, steps)
    )
    network.train(was_training)
    whole = answers.double().cpu().numpy()
    return [whole[:, row, : len(of.numbers)] for row, of in enumerate(readings)]


def _at(network: Forecaster, values: Tensor, beside: Tensor, steps: Tensor) -> Tensor:
    """Return the answers of each member after some steps, [members, B, K, horizon, ...]."""
    windows = network.windows(values)
    members = [member for member in network.members if isinstance(member, Member)]
    return torch.stack([member.at(windows, beside, steps) for member in members])


def _smoothed(
    network: Forecaster,
    readings: Sequence[_Reading],
    values: Tensor,
    beside: Tensor,
    steps: Tensor,
) -> Tensor:
    """Return the answers of members that smooth, [members, B, K, horizon, ...]."""
    unit = values.new_tensor([of.inputs.decomposition.change for of in readings])
    place = torch.stack([of.inputs.place(of.begin) for of in readings]).to(values.device)
    answers = network.absolute(values, beside, unit, place).answers
    rows = torch.arange(len(steps), device=steps.device)[:, None]
    return answers[:, rows, steps]
