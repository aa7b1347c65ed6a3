"""The forecasts after the ends of many series, made together."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.tasks.forecast.forecast_frame import MOST_READ
from conveyor.tasks.forecast.forecaster import Forecaster, widened
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import SeriesInputs, inputs_of
from conveyor.tasks.forecast.tail import end_of

Numbers = NDArray[np.float64]

# So many numbers are read by a recurrent layer at once: 64 MB of float32.
_AT_ONCE = 2**24


def latest_forecasts(network: Forecaster, panels: Sequence[Panel]) -> list[Numbers]:
    """Return quantiles [horizon, N, quantiles] of the steps after the end of each panel, as
    ``Forecaster.forecasts`` does but for rounding: those of panels of one length are made together.

    Args:
        network: the forecaster.
        panels: of several groups.
    """
    frame = network.frame
    # Of long series no more than is read: what comes before would only take memory.
    most = MOST_READ + frame.history - 1
    ends = [panel if len(panel) <= most else end_of(panel, most) for panel in panels]
    together: dict[int, list[int]] = {}
    for number, panel in enumerate(ends):
        together.setdefault(len(panel), []).append(number)
    answers: dict[int, Numbers] = {}
    count = len(frame.targets)
    for rows, of_length in together.items():
        at_once = max(_AT_ONCE // (rows * frame.features * count), 1)
        for begin in range(0, len(of_length), at_once):
            numbers = of_length[begin : begin + at_once]
            inputs = [of for number in numbers for of in inputs_of(ends[number], frame)]
            quantiles = [
                _quantiles(network, of, answer)
                for of, answer in zip(inputs, _answers(network, inputs, rows), strict=True)
            ]
            for place, number in enumerate(numbers):
                answers[number] = np.stack(quantiles[place * count : (place + 1) * count], 1)
    return [answers[number] for number in range(len(panels))]


@torch.no_grad()
def _answers(network: Forecaster, inputs: Sequence[SeriesInputs], rows: int) -> Numbers:
    """Return the answers of each member after the last of so many rows, [series, members, horizon,
    ...], see ``Member.forward``."""
    was_training = network.training
    network.eval()
    read = [network.read(of_series, rows) for of_series in inputs]
    values, beside = (torch.cat(list(tensors)) for tensors in zip(*read, strict=True))
    if network.smooths:
        unit = values.new_tensor([of.decomposition.change for of in inputs])
        place = torch.stack([of.place(max(rows - MOST_READ, 0)) for of in inputs])
        all_steps = network.absolute(values, beside, unit, place.to(unit.device)).answers
        answers = all_steps[:, :, -1]
    else:
        windows = network.windows(values)
        of_members = [
            member.last(windows, beside) for member in network.members if isinstance(member, Member)
        ]
        answers = torch.stack(of_members)
    network.train(was_training)
    return answers.double().cpu().numpy().swapaxes(0, 1)


def _quantiles(network: Forecaster, inputs: SeriesInputs, answers: Numbers) -> Numbers:
    """Return quantiles [horizon, quantiles] of the steps after the end of a series.

    Args:
        network: the forecaster.
        inputs: the series.
        answers: of each member, [members, horizon, ...].
    """
    panel, series, frame = inputs.panel, inputs.decomposition, network.frame
    rows = len(panel)
    expected = inputs.expected[rows : rows + frame.horizon]
    reference = np.zeros(1) if network.smooths else inputs.reference(np.array([rows]))
    level = (series.centre + expected)[None]
    quantiles = network.quantiles_of(answers[:, None], reference, level, series)[0]
    moved = frame.moved(panel.group)
    if moved is not None:
        quantiles = widened(quantiles, np.array(moved[inputs.target]))
    return network.restored(quantiles, expected, series)
