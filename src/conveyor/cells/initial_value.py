"""What parameters, constants and states start at, where a cell says so."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Shared:
    """Numbers that the units share: the first units have the first number, the last the last. Each
    number is that of as many units; of those that are left over, each of the first numbers has one
    more.

    Args:
        numbers: as in ``Shared((1, 2, 4, 8))``: of 10 units, three have 1, three 2, two 4, two 8.
    """

    numbers: tuple[float, ...]

    def over(self, units: int) -> list[float]:
        """Return the number of each unit."""
        least, more = divmod(units, len(self.numbers))
        return [
            number
            for place, number in enumerate(self.numbers)
            for _ in range(least + (place < more))
        ]


# A number; or the range that numbers are drawn from, uniformly; or numbers that units share; or
# GATES.
Start = float | tuple[float, float] | Shared | str

# Numbers whose sigmoid is uniform in 1/H to 1 - 1/H: gates for all spans of time (Gu et al. 2020).
GATES = "gates"

# What a ``Step`` is before the first step, whose number is 0.
BEFORE_THE_FIRST_STEP = -1.0

# What a state that is a logarithm starts at where nothing has been seen: minus infinity is no
# number that saved models may hold. From here down a start counts as that.
NOTHING_SEEN = -1e30


def is_start(value: object) -> bool:
    """Whether this is a start value."""
    if isinstance(value, str):
        return value == GATES
    if isinstance(value, Shared):
        numbers = value.numbers
        return isinstance(numbers, tuple) and len(numbers) > 0 and all(map(_is_number, numbers))
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(map(_is_number, numbers)):
        return False
    return len(numbers) == 1 or (len(numbers) == 2 and numbers[0] < numbers[1])


def _is_number(value: object) -> bool:
    return finite(value) and not isinstance(value, bool)


def finite(number: object) -> bool:
    """Whether this is a number that a float can hold."""
    try:
        return isinstance(number, int | float) and math.isfinite(number)
    except OverflowError:
        return False
