"""Units that track a property of the input, as the inside of quotes (Karpathy, Johnson & Fei-Fei
2016, section 4.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError

# So many controls: of 16 properties that a text is asked for, one does better than all of them by
# chance in one search of twenty. Up to so many times as many are drawn, as some have no score.
SHIFTS, TRIES = 320, 4


@dataclass(frozen=True)
class Tracking:
    """The unit that tracks a property best.

    Args:
        unit: its number.
        score: the correlation of the unit with the property, on the half of the steps that it was
            not chosen by.
        control: the largest absolute score of controls, each with the unit that is best for it.
    """

    unit: int
    score: float
    control: float

    @property
    def tracks(self) -> bool:
        """Whether the unit does better than every control."""
        return abs(self.score) > self.control


def unit_that_tracks(
    values: Tensor, target: Tensor, *, shifts: int = SHIFTS, seed: int = 0
) -> Tracking | None:
    """Return the unit whose value goes with a property best; None where the property or all units
    stand still in one half of the steps, or it changes too seldom for its controls.

    The unit is chosen by the first half of the steps and scored on the second, so that the choice
    among many units does not raise the score. Controls are the property itself, shifted: that
    keeps how often and how long it holds, and takes away where. Of units and a property that have
    nothing to do with each other one in ``shifts + 1`` does better than all controls.

    Args:
        values: of every unit at every step, [steps, units].
        target: the property at every step, [steps].
        shifts: how many controls.
        seed: by which they are drawn.

    Raises:
        SettingError: ``shifts`` is below 1.
        ShapeError: there are fewer than 8 steps, or not as many in both.
    """
    if shifts < 1:
        raise SettingError(f"shifts is {shifts}; expected 1 or more.")
    if values.dim() != 2 or target.shape != values.shape[:1] or len(target) < 8:
        raise ShapeError(
            f"values are {list(values.shape)}, target {list(target.shape)}; expected [steps, "
            "units] and [steps], 8 steps or more."
        )
    values, target = values.double().cpu(), target.double().cpu()
    half = len(target) // 2
    halves = _standard(values[:half]), _standard(values[half:])
    unit, score = _best(halves, target[:, None], half)
    if not score.isfinite().all():
        return None
    draw = torch.Generator().manual_seed(seed)
    # At least a tenth of the steps away from where it is. A control that does not change in one
    # half has no score: so many are drawn that enough are left of a property that changes at all.
    least = max(1, len(target) // 10)
    offsets = torch.randint(least, len(target) - least, (TRIES, shifts), generator=draw).tolist()
    controls: list[Tensor] = []
    for some in offsets:
        shifted = torch.stack([target.roll(offset) for offset in some], 1)
        _, scores = _best(halves, shifted, half)
        controls += scores[scores.isfinite()].abs()
        if len(controls) >= shifts:
            control = float(torch.stack(controls[:shifts]).max())
            return Tracking(int(unit), float(score), control)
    return None


def _standard(values: Tensor) -> Tensor:
    """Return columns of mean 0 and norm 1; a column that stands still, or holds a number that is
    not finite, is 0."""
    centred = values - values.mean(0)
    norm = centred.norm(dim=0)
    # What is left of a column that stands still is the rounding of its mean.
    moves = norm > 1e-9 * (1 + values.abs().amax(0)) * len(values) ** 0.5
    return torch.where(moves, centred / norm, torch.zeros_like(centred))


def _best(halves: tuple[Tensor, Tensor], targets: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """Return for each property, a column of ``targets``, the unit that is best in the first half,
    and its correlation in the second; NaN where one of the two stands still."""
    first, second = _standard(targets[:half]), _standard(targets[half:])
    units = (halves[0].T @ first).abs().argmax(0)
    scores = (halves[1][:, units] * second).sum(0)
    moves = first.any(0) & second.any(0)
    for part in halves:
        moves &= part[:, units].any(0)
    return units, torch.where(moves, scores, torch.nan)
