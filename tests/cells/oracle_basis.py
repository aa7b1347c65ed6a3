"""What all oracles share: the kinds of values, and the logistic sigmoid."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

NDArray: TypeAlias = npt.NDArray[np.float64]
Parameters: TypeAlias = Mapping[str, NDArray]
State: TypeAlias = Mapping[str, NDArray]
Oracle: TypeAlias = Callable[[NDArray, State, Parameters], dict[str, NDArray]]


def sigmoid(a: NDArray) -> NDArray:
    """Logistic sigmoid s(a) = 1 / (1 + exp(-a)).

    Only exp of a number <= 0 is taken, so nothing overflows:
    for a >= 0, s(a) = 1 / (1 + exp(-a)); for a < 0, s(a) = exp(a) / (1 + exp(a)).
    """
    e: NDArray = np.exp(-np.abs(a))
    result: NDArray = np.where(a >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))
    return result
