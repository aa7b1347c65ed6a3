"""A network of a forecaster that takes step after step without tensors."""

import numpy as np
from numpy.typing import NDArray

from conveyor.networks.output_heads import QuantileHead
from conveyor.tasks.forecast.member import Member

Numbers = NDArray[np.float64]
Floats = NDArray[np.float32]


class FrozenMember:
    """A member with the weights that it has now, bound to its state: NumPy in, NumPy out.

    Args:
        member: on a CPU.
    """

    def __init__(self, member: Member) -> None:
        self._stream = member.recurrent.stream()
        self._read = member.read
        self._linear = None if member.linear is None else _weights(member.linear)
        self._head, self._levels = _weights(member.head), member.quantiles
        self._of_counts = member.of_counts
        self._by_quantiles = isinstance(member.head, QuantileHead)

    def step(self, window: Floats, beside: Floats) -> None:
        """Take one step.

        Args:
            window: see ``Forecaster.windows``, [history].
            beside: the other columns, [features - frame.read].
        """
        row = self._stream.input[0]
        row[: self._read] = window[-self._read :]
        row[self._read :] = beside
        self._stream.advance()

    def answers(self, window: Floats) -> Floats:
        """Return what ``Member.answers_of`` returns after the last step, [horizon, quantiles].

        Args:
            window: of this step.
        """
        weight, bias = self._head
        answer = weight @ self._stream.output[0] + bias
        shift: Floats | float = 0.0
        if self._linear is not None:
            shift = self._linear[0] @ window + self._linear[1]
        if self._of_counts:
            location, shape = answer.reshape(-1, 2).T
            return np.stack([location + shift, shape], -1)
        if not self._by_quantiles:
            return np.repeat((answer + shift)[:, None], self._levels, 1)
        raw = answer.reshape(-1, self._levels)
        middle = self._levels // 2
        quantiles: Floats = np.logaddexp(0, raw, dtype=np.float32)  # softplus
        quantiles[:, middle] = raw[:, middle] + shift
        for level in range(middle + 1, self._levels):
            quantiles[:, level] += quantiles[:, level - 1]
        for level in range(middle - 1, -1, -1):
            quantiles[:, level] = quantiles[:, level + 1] - quantiles[:, level]
        return quantiles


def _weights(linear: object) -> tuple[Floats, Floats]:
    """Return the weights and the bias of a linear map, copies."""
    weight, bias = (getattr(linear, name).detach().cpu().numpy() for name in ("weight", "bias"))
    return weight.astype(np.float32), bias.astype(np.float32)
