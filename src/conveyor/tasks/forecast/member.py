"""One network of a forecaster: what it reads, and how it answers."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.state import main_output
from conveyor.networks.network import Sizes
from conveyor.networks.output_heads import NumberHead, QuantileHead
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecast_settings import COUNTS, LOSSES, MOST_MEMBERS
from conveyor.tasks.forecast.smoothing import Smoothed, Smoothing

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ForecasterSizes(Sizes):
    """The sizes of a forecaster: whether it has a linear part, how many members, and by which of
    ``LOSSES`` it is fitted, and whether level and season are smoothed."""

    linear: bool = True
    members: int = 1
    loss: str = LOSSES[0]
    es_rnn: bool = False

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise SettingError(f"loss is {self.loss!r}. {did_you_mean(str(self.loss), LOSSES)}")
        if not 1 <= self.members <= MOST_MEMBERS:
            raise SettingError(
                f"members is {self.members}; expected a number from 1 to {MOST_MEMBERS}."
            )


class Member(nn.Module):
    """One network of a forecaster: a recurrent layer, a linear autoregression, and a head."""

    def __init__(
        self, cell: str | Cell | Program, frame: ForecastFrame, sizes: ForecasterSizes
    ) -> None:
        super().__init__()
        self.recurrent = sizes.recurrent(
            cell, frame.features, batch_first=True, dilation=frame.pace
        )
        self.read, self.history = frame.read, frame.history
        self.smoothing = (
            Smoothing(len(frame.series), frame.season, frame.horizon) if sizes.es_rnn else None
        )
        self.linear = nn.Linear(frame.history, frame.horizon) if sizes.linear else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.bias)
            with torch.no_grad():
                self.linear.weight.copy_(torch.from_numpy(_simple_forecast(frame)))
        width, self.quantiles = self.recurrent.output_size, len(frame.quantiles)
        self.horizon, self.of_counts = frame.horizon, sizes.loss == COUNTS
        self.head: QuantileHead | NumberHead = (
            QuantileHead(width, frame.horizon, frame.quantiles)
            if sizes.loss == LOSSES[0]
            else NumberHead(width, frame.horizon * (2 if self.of_counts else 1))
        )

    def forward(self, windows: Tensor, beside: Tensor) -> Tensor:
        """Return answers [B, T, horizon, quantiles], as distances from what windows are measured
        from: the quantiles; where the mean is learned, the mean for all of them; of counts
        [B, T, horizon, 2] the location, so measured, and the shape, see ``mean_and_shape``.

        Args:
            windows: see ``Forecaster.windows``, [B, T, history].
            beside: the other columns, [B, T, features - frame.read].
        """
        output = main_output(self.recurrent(self.inputs(windows, beside))[0])
        return self.answers_of(output, None if self.linear is None else self.linear(windows))

    def smoothed(
        self, values: Tensor, unit: Tensor, place: Tensor, farthest: float
    ) -> tuple[Tensor, Smoothed]:
        """Return windows of what smoothing leaves of series, [B, T, history], each beyond the level
        at its end, and what it finds.

        Args:
            values, unit, place: see ``Smoothing.forward``.
            farthest: see ``Forecaster.farthest``.
        """
        assert self.smoothing is not None
        smoothed: Smoothed = self.smoothing(values, unit, place)
        back = self.history - 1
        level = smoothed.level[:, back:, None]
        return (smoothed.rest.unfold(1, back + 1, 1) - level).clamp(-farthest, farthest), smoothed

    def at(self, windows: Tensor, beside: Tensor, steps: Tensor) -> Tensor:
        """Return the answers after some steps alone, [B, K, horizon, ...], see ``forward``.

        Args:
            windows, beside: as in ``forward``.
            steps: their numbers, [B, K].
        """
        output = main_output(self.recurrent(self.inputs(windows, beside))[0])
        rows = torch.arange(len(steps), device=steps.device)[:, None]
        shift = None if self.linear is None else self.linear(windows[rows, steps])
        return self.answers_of(output[rows, steps], shift)

    def inputs(self, windows: Tensor, beside: Tensor) -> Tensor:
        """Return what the recurrent layer reads, [B, T, features].

        Args:
            windows, beside: as in ``forward``.
        """
        return torch.cat([windows[..., -self.read :], beside], -1)

    def answers_of(self, output: Tensor, shift: Tensor | None = None) -> Tensor:
        """Return answers, see ``forward``, to what the recurrent layer gave.

        Args:
            output: [..., hidden].
            shift: what is added to all quantiles of a step, or to its location, [..., horizon].
        """
        if isinstance(self.head, QuantileHead):
            quantiles: Tensor = self.head(output, shift)
            return quantiles
        answer: Tensor = self.head(output)
        if self.of_counts:
            location, shape = answer.view(*answer.shape[:-1], self.horizon, 2).unbind(-1)
            return torch.stack([location if shift is None else location + shift, shape], -1)
        mean = answer if shift is None else answer + shift
        return mean.unsqueeze(-1).expand(*mean.shape, self.quantiles)


def _simple_forecast(frame: ForecastFrame) -> Numbers:
    """Return the weights of a linear autoregression that says what a baseline says, [horizon,
    history]: as the last value, which is what values are measured from; or, where the network
    learns the season, as the mean of the same steps of the seasons that a window holds, of the
    longest that it holds."""
    weights = np.zeros((frame.horizon, frame.history))
    if frame.by_season:
        cycles = frame.step.cycles if frame.step else ()
        held = [round(cycle) for cycle in cycles if cycle % 1 == 0 and cycle <= frame.history]
        longest = max([frame.season, *held])
        for ahead, of_step in enumerate(weights):
            same = np.arange(frame.history + ahead - longest, -1, -longest)
            same = same[same < frame.history]
            of_step[same] = 1 / len(same)
    return weights
