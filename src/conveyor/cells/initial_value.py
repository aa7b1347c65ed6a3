"""What parameters and states start at, where a cell says so."""

import math

# A number; or the range that numbers are drawn from, uniformly; or GATES.
Start = float | tuple[float, float] | str

# Numbers whose sigmoid is uniform in 1/H to 1 - 1/H: gates for all spans of time (Gu et al. 2020).
GATES = "gates"

# What a state that is a logarithm starts at where nothing has been seen: minus infinity is no
# number that saved models may hold. From here down a start counts as that.
NOTHING_SEEN = -1e30


def is_start(value: object) -> bool:
    """Whether this is a start value."""
    if isinstance(value, str):
        return value == GATES
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(finite(number) and not isinstance(number, bool) for number in numbers):
        return False
    return len(numbers) == 1 or (len(numbers) == 2 and numbers[0] < numbers[1])


def finite(number: object) -> bool:
    """Whether this is a number that a float can hold."""
    try:
        return isinstance(number, int | float) and math.isfinite(number)
    except OverflowError:
        return False
