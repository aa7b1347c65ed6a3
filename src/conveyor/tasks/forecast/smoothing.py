"""The exponential smoothing of an ES-RNN: level and season of each series, by weights that are
learned together with the network.

Smyl 2020, A hybrid method of exponential smoothing and recurrent neural networks for time series
forecasting: a network common to all series reads what smoothing leaves of each, and smoothing has a
few parameters of each series, fitted by the gradient of the network's loss.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from conveyor.cells.holt_winters import level_and_season_with
from conveyor.layers.recurrent import Recurrent

# The weights begin at the sigmoid of these: a level's as in the paper; a season's lower, as the
# season that is taken out beforehand is a good one to begin with.
_LEVEL, _SEASON = 0.5, -2.0

# They are learned so much faster than the network, which sees all series where they see one (in the
# paper they have a separate optimiser).
_FASTER = 10.0

# Exponents are bounded so, in which float32 is finite.
_FARTHEST = 60.0

# How much a level that wiggles adds to the loss, both of logarithms: what the paper takes for the
# months of the M4 competition (its loss is the pinball loss near the median, ours the mean of those
# of all quantiles, which is less). For the squared error, which the paper has not, it is the same.
WIGGLING = 50.0


class Smoothed(NamedTuple):
    """What smoothing finds in a batch of series, in the units of each and of its logarithm.

    Attributes:
        rest: the series without its season, [B, T].
        level: after each step, [B, T].
        ahead: the season of the steps ahead of each, as it is known then, [B, T, horizon].
    """

    rest: Tensor
    level: Tensor
    ahead: Tensor


class Smoothing(nn.Module):
    """Level and season of many series.

    Args:
        series: how many.
        season: in steps; 1 for none.
        horizon: how many steps ahead the season is said.
    """

    def __init__(self, series: int, season: int, horizon: int) -> None:
        super().__init__()
        self.season, self.horizon = season, horizon
        names = {"y": 1, "a": 1, "b": 1} if season > 1 else {"y": 1, "a": 1}
        self.cell = Recurrent(level_and_season_with(season), names, 1, batch_first=True)
        self.level_weight = nn.Parameter(torch.zeros(series))
        self.season_weight = nn.Parameter(torch.zeros(series))
        # Of each step of the season, the logarithm of what multiplies the one taken out beforehand.
        self.first = nn.Parameter(torch.zeros(series, season))

    def forward(self, values: Tensor, unit: Tensor, place: Tensor) -> Smoothed:
        """Return level and season of a batch of series.

        Args:
            values: logarithms in units of the series, [B, T], without missing values.
            unit: of the logarithm, [B].
            place: of each series its number, the number of the step of the first value, and how
                many of the first values stand before the series, [B, 3].
        """
        number, begin, before = place.unbind(1)
        steps = values.shape[1]
        scaled = (values * unit[:, None]).clamp(-_FARTHEST, _FARTHEST)
        count = torch.arange(steps, device=values.device) - before[:, None]
        # Nothing moves before the series; its first value is its level.
        weight = (_LEVEL + _FASTER * self.level_weight[number]).sigmoid()[:, None].expand(-1, steps)
        weight = torch.where(count > 0, weight, (count == 0).to(weight.dtype))
        inputs = {"y": scaled.exp()[..., None], "a": weight[..., None]}
        state = [torch.ones_like(values[None, :, :1])]
        if self.season == 1:
            level = self.cell(inputs, tuple(state))[0]
            flat = torch.zeros(*values.shape, self.horizon, device=values.device)
            return Smoothed(values, level[..., 0].log() / unit[:, None], flat.to(values.dtype))
        of_season = (
            (_SEASON + _FASTER * self.season_weight[number]).sigmoid()[:, None].expand(-1, steps)
        )
        inputs["b"] = (of_season * (count >= 0))[..., None]
        back = torch.arange(1, self.season + 1, device=values.device)
        # Those of the steps before the first one, the last first.
        figures = self.first[number].gather(1, (begin[:, None] - back) % self.season).exp()
        state += [figures[None, :, place, None] for place in range(self.season)]
        outputs, _ = self.cell(inputs, tuple(state))
        # At each step stands the season that was known for it a season before.
        known = torch.cat([figures.flip(1), outputs.s[..., 0]], 1).log() / unit[:, None]
        ahead = known.unfold(1, self.season, 1)[:, 1:]
        repeated = torch.arange(self.horizon, device=values.device) % self.season
        level = outputs.h[..., 0].log() / unit[:, None]
        return Smoothed(values - known[:, :steps], level, ahead[..., repeated])

    def wiggling(self, level: Tensor, unit: Tensor, counted: Tensor) -> Tensor:
        """Return the mean square of the second differences of the logarithm of a level, [B].

        Args:
            level: see ``Smoothed``.
            unit: of the logarithm, [B].
            counted: where something is learned, 1 or 0, [B, T]: what comes after the last such step
                of a series is none of it.
        """
        within = counted.flip(1).cummax(1).values.flip(1)[:, 2:]
        squares = (level.diff(dim=1, n=2) * unit[:, None]).square() * within
        return squares.sum(1) / within.sum(1).clamp(min=1)
