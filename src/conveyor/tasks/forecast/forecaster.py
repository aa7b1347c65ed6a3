"""The forecaster: a recurrent network that reads a history and predicts quantiles of the future."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.bounds import LARGEST
from conveyor.data.records import from_record, shown, to_record
from conveyor.data.time_text import read_time, write_time, zone_of
from conveyor.data.timeline import Step
from conveyor.errors import ConveyorError, DataError, RunError, SettingError, counted, named
from conveyor.layers.state import main_output
from conveyor.networks.network import Loss, Network, Sizes
from conveyor.networks.output_heads import QuantileHead, pinball_losses
from conveyor.pages.words import Words, same
from conveyor.tasks.forecast.scale import Scale
from conveyor.tasks.forecast.window_shape import WindowShape
from conveyor.tasks.read_sequence import MOST_LINES, ReadSequence

Numbers = NDArray[np.float64]

QUANTILES = (0.1, 0.5, 0.9)

# A year of minutes is half of this. It bounds what a hostile file can ask for.
MOST_SEASON = 1_000_000


@dataclass(frozen=True)
class ForecastFrame:
    """What a forecaster reads and writes: the columns, the windows, the units.

    ``columns`` are the targets, then the past covariates. ``season`` is in steps and serves
    the baseline. ``naive_error`` is what MASE divides by, per target. ``time`` is the column of
    times, ``fill_gaps`` whether its missing rows are missing values. ``time_format`` and ``zone``
    are those of ``write_time`` and ``zone_of``; both are empty where there are none.
    """

    targets: tuple[str, ...]
    columns: tuple[str, ...]
    history: int
    horizon: int
    season: int
    scale: Scale
    naive_error: tuple[float, ...]
    step: Step | None = None
    time_format: str = ""
    time: str = "none"
    fill_gaps: bool = False
    zone: str = ""

    def __post_init__(self) -> None:
        zone_of(self.zone)
        count, scale = len(self.targets), self.scale
        lengths = (len(scale.centre), len(scale.spread), len(scale.change), len(self.naive_error))
        if (
            min(count, self.history, self.horizon, self.season) < 1
            or self.season > MOST_SEASON
            or self.columns[:count] != self.targets
            or lengths != (len(self.columns), len(self.columns), count, count)
        ):
            raise SettingError("the targets, columns, sizes and scales do not fit each other.")

    @property
    def layout(self) -> WindowShape:
        """The shape of the windows."""
        return WindowShape(len(self.targets), self.history, self.horizon, self.season)


@dataclass(frozen=True)
class Tail:
    """The end of the data that a forecaster was fitted on: from here it forecasts on."""

    values: tuple[tuple[float, ...], ...]
    last_time: str

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.values}
        if len(widths) != 1 or not all(abs(each) < LARGEST for row in self.values for each in row):
            raise SettingError("the kept history is no rectangle of usable numbers.")


@dataclass(frozen=True, kw_only=True)
class ForecasterSizes(Sizes):
    """The sizes of a forecaster: whether it has a linear part."""

    linear: bool = False


class Forecaster(Network):
    """Direct forecasts of all steps ahead at once, as quantiles that never cross.

    The net reads each target as its distance from its last value, in units of how far the
    series moves within a horizon, and each covariate standardised; it answers in the same
    units. So a level or a trend beyond what was trained on does no harm. Beside the recurrent
    network stands a linear autoregression of each target, one for all, whose forecast is added
    (Lai et al. 2018, Modeling long- and short-term temporal patterns, section 3.6): what is
    linear need not be learned by gates.

    Args:
        cell: see ``conveyor.Recurrent``.
        frame: what is read and written.
        hidden, layers, dropout: of the recurrent network.
        projection: units of axis P, for cells that have it; 0 for those that have not.
        linear: False leaves out the linear autoregression.
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
    ) -> None:
        super().__init__()
        self.frame = frame
        self.tail: Tail | None = None
        sizes = Sizes(hidden=hidden, layers=layers, dropout=dropout, projection=projection)
        self.recurrent = sizes.recurrent(cell, len(frame.columns), batch_first=True)
        self.linear = nn.Linear(frame.history, frame.horizon) if linear else None
        if self.linear is not None:  # begins as the naive forecast
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        self.head = QuantileHead(
            self.recurrent.output_size, frame.horizon * len(frame.targets), QUANTILES
        )

    @property
    def title(self) -> str:
        """What tables call it: the cell, and whether a linear part is added."""
        return self.recurrent.program.name + " + linear" * (self.linear is not None)

    def forward(self, history: Tensor) -> Tensor:
        """Quantiles [B, horizon, targets, 3] of histories [B, history, columns].

        Both are in the units of the data less ``scale.centre``, so that float32 is exact enough
        for a series that moves little around a large number.
        """
        frame = self.frame
        count = len(frame.targets)
        last = history[:, -1:, :count]
        change = history.new_tensor(frame.scale.change)
        scaled = self._scaled(history)
        targets = scaled[:, :, :count]
        output = main_output(self.recurrent(scaled)[0])
        shift = None
        if self.linear is not None:
            shift = self.linear(targets.transpose(1, 2)).transpose(1, 2).flatten(1)
        shape = (len(history), frame.horizon, count, len(QUANTILES))
        quantiles: Tensor = self.head(output[:, -1], shift).view(shape)
        return last.unsqueeze(-1) + quantiles.to(history.dtype) * change.unsqueeze(-1)

    def _scaled(self, history: Tensor) -> Tensor:
        """Return what the recurrent network reads of histories, see the class."""
        scale, count = self.frame.scale, len(self.frame.targets)
        change = history.new_tensor(scale.change)
        targets = (history[:, :, :count] - history[:, -1:, :count]) / change
        covariates = history[:, :, count:] / history.new_tensor(scale.spread[count:])
        return torch.cat([targets, covariates], -1)

    @torch.no_grad()
    def read(self, history: Numbers, times: Sequence[str]) -> ReadSequence:
        """Return a history as the recurrent network reads it.

        Args:
            history: [history, columns], in the units of the data.
            times: of its steps; empty where rows have no times.
        """
        frame = self.frame
        steps = len(history)
        centred = torch.from_numpy(history - np.array(frame.scale.centre)).float()
        labels = tuple(times or map(str, range(1, steps + 1)))
        target, change = frame.targets[0], frame.scale.change[0]
        place = QUANTILES.index(0.5)

        def answer(output: Tensor) -> Tensor:
            shape = (len(output), frame.horizon, len(frame.targets), len(QUANTILES))
            median: Tensor = self.head(output[:, -1], None).view(shape)[:, 0, 0, place] * change
            return median

        linear = self.linear is not None
        end = f" up to {times[-1]}" if times else ""
        until = f" đến {times[-1]}" if times else ""
        return ReadSequence(
            title=Words(
                f"{', '.join(frame.targets)}, {counted(steps, 'step')}{end}",
                f"{', '.join(frame.targets)}, {steps} bước{until}",
            ),
            inputs=self._scaled(centred[None]),
            labels=labels,
            answer=answer,
            asked=Words(
                "the network's part of " * linear
                + f"the change of {target} that is forecast one step ahead",
                "phần của mạng trong " * linear
                + f"mức thay đổi của {target} được dự báo cho bước kế tiếp",
            ),
            features={
                same(name): tuple(history[:, column].tolist())
                for column, name in enumerate(frame.columns)
                if len(frame.columns) <= MOST_LINES
            },
        )

    def loss(self, batch: Sequence[Tensor], state: Any = None) -> Loss:
        """Return the pinball loss of the quantiles, in units of ``change``; a missing future counts
        not.

        Args:
            batch: histories and futures, less the centre, as in ``forward``.
            state: none; windows come in any order.
        """
        history, future = batch
        pinball = pinball_losses(self(history), future, QUANTILES)
        pinball = pinball / history.new_tensor(self.frame.scale.change).unsqueeze(-1)
        return Loss(pinball[~future.isnan()].mean(), len(history))

    def description(self) -> dict[str, Any]:
        """Return the sizes, the frame and the end of the data."""
        return {
            "network": ForecasterSizes.of(self.recurrent, linear=self.linear is not None),
            "frame": from_record(self.frame),
            "tail": None if self.tail is None else from_record(self.tail),
        }

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "Forecaster":
        """Return the forecaster of a description; see ``Network.described``."""
        # Older versions wrote the sizes of all tasks' networks.
        sizes = {k: v for k, v in dict(description["network"]).items() if k != "embedding"}
        network = to_record(ForecasterSizes, sizes, where)
        model = cls(program, _frame(description["frame"], where), **asdict(network))
        if description["tail"] is not None:
            model.tail = to_record(Tail, description["tail"], where)
            expected = (model.frame.history, len(model.frame.columns))
            if (len(model.tail.values), len(model.tail.values[0])) != expected:
                raise RunError(f"{where}: the kept history does not fit the model.")
        _check_times(model, where)
        return model

    @torch.no_grad()
    def predict(self, histories: Numbers) -> Numbers:
        """Quantiles [N, horizon, targets, 3] of histories [N, history, columns], in the units of
        the data.

        Raises:
            DataError: the histories have another shape.
        """
        wanted = (self.frame.history, len(self.frame.columns))
        if histories.ndim != 3 or histories.shape[1:] != wanted:
            raise DataError(
                f"histories are {list(histories.shape)}; expected [N, {wanted[0]}, {wanted[1]}]: "
                f"steps, and the columns {', '.join(self.frame.columns)}."
            )
        unusable = ~(np.abs(histories) < LARGEST)
        if unusable.any():
            number, step, column = map(int, np.argwhere(unusable)[0])
            value = float(histories[number, step, column])
            what = "missing" if np.isnan(value) else f"{value:g}"
            raise DataError(
                f"histories[{number}, {step}], column {self.frame.columns[column]}, is {what}; "
                f"expected numbers below {LARGEST:g}."
            )
        was_training = self.training
        self.eval()
        device = self.head.weight.device
        centre = np.array(self.frame.scale.centre)
        centred = torch.from_numpy(histories - centre).float()
        batches = torch.split(centred, 512)  # bounds memory, not results
        parts = [self(batch.to(device)).cpu().double().numpy() for batch in batches]
        self.train(was_training)
        forecast: Numbers = np.concatenate(parts) + centre[: len(self.frame.targets), None]
        return forecast

    def past_times(self, last: str) -> list[str]:
        """Return the times of the steps of a history that ends at ``last``; nothing without times.

        Args:
            last: as the frame writes times.
        """
        frame = self.frame
        if frame.step is None or not last:
            return []
        end = read_time(last, frame.time_format, frame.zone)
        return [
            write_time(frame.step.after(end, -back), frame.time_format)
            for back in range(frame.history - 1, -1, -1)
        ]

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
            begin = read_time(last, frame.time_format, frame.zone)
            times = [frame.step.after(begin, number) for number in range(1, count + 1)]
            return [write_time(time, frame.time_format) for time in times]
        except (ValueError, OverflowError) as error:
            raise DataError(
                f"there is no time {counted(count, 'step')} of {frame.step} after {last!r}, the "
                f"end of the table. Give a table that ends earlier, or {named('time', 'none')}."
            ) from error


def _frame(data: Any, where: str) -> ForecastFrame:
    parts = dict(data)
    parts["scale"] = to_record(Scale, parts.get("scale"), where)
    if parts.get("step") is not None:
        parts["step"] = to_record(Step, parts["step"], where)
    return to_record(ForecastFrame, parts, where)


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
        if model.tail is not None:
            model.future_times(model.tail.last_time, 0)
    except (ConveyorError, ValueError, OverflowError) as error:
        raise RunError(
            f"{where} is corrupt: times are written as {shown(frame.time_format)}: {error}."
        ) from error
