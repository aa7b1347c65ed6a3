"""Rows of a table as a forecaster reads them, for ``inspect``."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from conveyor.errors import counted
from conveyor.pages.words import Words, same
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import SeriesInputs
from conveyor.tasks.read_sequence import MOST_LINES, ReadSequence

# A page shows so many windows of rows: more could not be told apart.
_WINDOWS, _FEWEST_ROWS = 2, 24


@torch.no_grad()
def read_rows(network: Forecaster, panel: Panel, times: Sequence[str]) -> ReadSequence:
    """Return the last rows of a panel as the recurrent layer of the first member reads them, for
    the first series.

    Args:
        network: the forecaster.
        panel: the rows.
        times: of the rows; empty where they have none.
    """
    frame, member = network.frame, network.members[0]
    assert isinstance(member, Member)
    end = len(panel)
    begin = max(end - max(_WINDOWS * frame.history, _FEWEST_ROWS), 0)
    steps = end - begin
    inputs = SeriesInputs(panel, frame, 0)
    values, beside = inputs.read(begin, end)
    windows = network.windows_of(inputs, values[None], begin)
    target, change = frame.targets[0], inputs.decomposition.change
    unit = "" if not inputs.decomposition.logarithm else "the logarithm of "
    unit_vi = "" if not inputs.decomposition.logarithm else "lô-ga-rít của "
    # Of quantiles the median; of counts the location stands first.
    middle = 0 if member.of_counts else len(frame.quantiles) // 2

    def answer(output: Tensor) -> Tensor:
        median: Tensor = member.answers_of(output[:, -1])[:, 0, middle] * change
        return median

    labels = tuple(times[begin:end] or map(str, range(1, steps + 1)))
    linear = member.linear is not None
    until = f" up to {times[end - 1]}" if times else ""
    until_vi = f" đến {times[end - 1]}" if times else ""
    columns = np.concatenate([panel.targets, panel.past, panel.known[:end]], 1)[begin:end]
    return ReadSequence(
        title=Words(
            f"{', '.join(frame.targets)}, {counted(steps, 'step')}{until}",
            f"{', '.join(frame.targets)}, {steps} bước{until_vi}",
        ),
        inputs=member.inputs(windows, beside[None]),
        labels=labels,
        answer=answer,
        asked=Words(
            "the network's part of " * linear
            + f"the change of {unit}{target} that is forecast one step ahead",
            "phần của mạng trong " * linear
            + f"mức thay đổi của {unit_vi}{target} được dự báo cho bước kế tiếp",
        ),
        features={
            same(name): tuple(np.nan_to_num(columns[:, column]).tolist())
            for column, name in enumerate(frame.columns)
            if len(frame.columns) <= MOST_LINES
        },
    )
