"""Units that track a property of the input, as the inside of quotes (Karpathy, Johnson & Fei-Fei
2016, section 4.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError


@dataclass(frozen=True)
class Tracking:
    """The unit that tracks a property best.

    Args:
        unit: its number.
        score: the correlation of the unit with the property, on the half of the steps that it was
            not chosen by.
        control: the largest absolute score of properties that were shifted in time by a random
            number of steps, each with the unit that is best for it.
    """

    unit: int
    score: float
    control: float

    @property
    def tracks(self) -> bool:
        """Whether the unit does better than every control."""
        return abs(self.score) > self.control


def unit_that_tracks(
    values: Tensor, target: Tensor, *, shifts: int = 20, seed: int = 0
) -> Tracking | None:
    """Return the unit whose value goes with a property best, None where the property or all units
    stand still in one half of the steps.

    The unit is chosen by the first half of the steps and scored on the second, so that the choice
    among many units does not raise the score. Controls are the property itself, shifted: that
    keeps how often and how long it holds, and takes away where.

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
    best = _best(halves, target, half)
    if best is None:
        return None
    draw = torch.Generator().manual_seed(seed)
    # At least a tenth of the steps away from where it is.
    least = max(1, len(target) // 10)
    offsets = torch.randint(least, len(target) - least, (shifts,), generator=draw).tolist()
    scored = [_best(halves, target.roll(offset), half) for offset in offsets]
    control = max((abs(score) for _, score in filter(None, scored)), default=0.0)
    return Tracking(*best, control)


def _standard(values: Tensor) -> Tensor:
    """Return columns of mean 0 and norm 1; a column that stands still is 0."""
    centred = values - values.mean(0)
    norm = centred.norm(dim=0)
    # What is left of a column that stands still is the rounding of its mean.
    still = norm <= 1e-9 * (1 + values.abs().amax(0)) * len(values) ** 0.5
    return torch.where(still, torch.zeros_like(centred), centred / norm)


def _best(halves: tuple[Tensor, Tensor], target: Tensor, half: int) -> tuple[int, float] | None:
    """Return the unit that is best in the first half, and its correlation in the second."""
    asked = [_standard(part[:, None])[:, 0] for part in (target[:half], target[half:])]
    if not (asked[0].any() and asked[1].any()):
        return None
    correlations = halves[0].T @ asked[0]
    unit = int(correlations.abs().argmax())
    return unit, float(halves[1][:, unit] @ asked[1])
