"""Rows of a table as a forecaster reads them, for ``inspect``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conveyor.data.time_text import write_time
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words, same
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.group_choice import chosen_group
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.model_table import groups_for
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import SeriesInputs
from conveyor.tasks.forecast.unseen_rows import placed, stored_rows
from conveyor.tasks.read_sequence import MOST_LINES, ReadSequence
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say

# A page shows so many windows of rows: more could not be distinguished.
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


def rows_to_read(
    network: Forecaster,
    source: Any,
    *,
    fitted_on: Mapping[str, Any] | None,
    options: Any,
    say: Say,
) -> ReadSequence:
    """Return rows as the forecaster reads them: those of a table up to ``options.row``, or to its
    end; without a table the end of the run's own.

    Args:
        network: the run's forecaster.
        source: the table; None for the run's rows.
        fitted_on: the record of the rows of training and validation.
        options: which rows of which series.
        say: called with each note on the data.

    Raises:
        DataError, RunError, SettingError: there are no such rows.
    """
    frame = network.frame
    if source is None:
        if not network.tails:
            raise RunError(f"the run holds no data to look at. Give {named('data')}.")
        if options.row is not None:
            raise SettingError(f"{named('row')} is of a table. Give {named('data')}, too.")
        tail = network.tails[
            chosen_group(frame, options.series, [of.group for of in network.tails])
        ]
        times = network.past_times(tail.last_time, len(tail.panel))
        return read_rows(network, tail.panel, times)
    _, rows, notes = groups_for(frame, source, time=options.time, fill_gaps=options.fill_gaps)
    for note in notes:
        say(note)
    table, panel = rows[chosen_group(frame, options.series, [panel.group for _, panel in rows])]
    if not table.times:
        panel = placed(frame, stored_rows(fitted_on, panel.group), panel)
    # Rows before the first in which every column has a value are not read.
    skipped = len(table) - len(panel)
    end = len(table) if options.row is None else check_row(options.row, len(table), "row") + 1
    if end - skipped < frame.history:
        raise DataError(
            f"{table.name}: up to row {end:,} there are {counted(end - skipped, 'row')} to "
            f"read; this model reads {frame.history:,}. Give a later row, from "
            f"{frame.history + skipped:,}."
        )
    times = [write_time(time, table.time_format) for time in (table.times or [])[skipped:end]]
    return read_rows(network, panel.rows(0, end - skipped), times)
