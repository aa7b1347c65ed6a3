"""What every target must answer: why not, and how.

A target runs programs somewhere: ``llvm`` with machine code for CPUs, ``native`` with torch's own
recurrent layers, ``reference`` with plain torch operations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from conveyor.compiler.plan import Plan
from conveyor.kernels.steps import Steps

Values = dict[str, Tensor]


# Every call makes a few of these: as tuples they cost a third of what frozen dataclasses cost.
class Place(NamedTuple):
    """Where and how a program is to run. ``transformed`` is True under ``torch.func`` and
    forward-mode differentiation, which must see every operation; ``observed`` where every local
    name is asked for."""

    device: torch.device
    dtype: torch.dtype
    transformed: bool = False
    observed: bool = False


class Start(NamedTuple):
    """The states before the first step, [1, B, width] by name without primes; zeros if ``values``
    is None. ``widths`` are their widths."""

    widths: Mapping[str, int]
    values: Mapping[str, Tensor] | None = None

    @staticmethod
    def of(values: Mapping[str, Tensor]) -> "Start":
        """These states."""
        return Start({name: each.shape[-1] for name, each in values.items()}, values)

    def tensors(self, batch: int, like: Tensor) -> Values:
        """The states as tensors, of the type and in the place of ``like``."""
        if self.values is not None:
            return dict(self.values)
        return {name: like.new_zeros(1, batch, width) for name, width in self.widths.items()}


@dataclass(frozen=True)
class Piece:
    """Some rows of a stored tensor."""

    tensor: int
    first: int
    rows: int


# Of which rows of which tensors each parameter is the sum.
Pieces = Mapping[str, tuple[Piece, ...]]


@dataclass(frozen=True)
class Parameters:
    """A cell's parameters as they are stored.

    ``tensors`` are what is learned; ``pieces`` says of which rows of which tensors each of the
    cell's parameters is the sum. torch.nn.LSTM stores all gates in one tensor, and two biases
    that are added.
    """

    tensors: tuple[Tensor, ...]
    pieces: Pieces

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> "Parameters":
        """A tensor for each parameter."""
        pieces = {
            name: (Piece(number, 0, len(tensor)),)
            for number, (name, tensor) in enumerate(tensors.items())
        }
        return Parameters(tuple(tensors.values()), pieces)

    @cached_property
    def by_name(self) -> Values:
        """Each parameter as a tensor, differentiable."""

        def piece(piece: Piece) -> Tensor:
            stored = self.tensors[piece.tensor]
            return (
                stored if piece.rows == len(stored) else stored.narrow(0, piece.first, piece.rows)
            )

        found = {}
        for name, pieces in self.pieces.items():
            found[name] = piece(pieces[0])
            for other in pieces[1:]:
                found[name] = found[name] + piece(other)
        return found


def is_plain(parameters: Parameters) -> bool:
    """Whether every row of every stored tensor is a row of just one parameter, matrices are one
    piece each, and biases and vectors at most two, not both of one tensor."""
    covered: dict[int, list[tuple[int, int]]] = {}
    for pieces in parameters.pieces.values():
        matrix = parameters.tensors[pieces[0].tensor].dim() > 1
        if len(pieces) > (1 if matrix else 2) or len({p.tensor for p in pieces}) < len(pieces):
            return False
        if len({piece.rows for piece in pieces}) > 1:
            return False
        for piece in pieces:
            covered.setdefault(piece.tensor, []).append((piece.first, piece.first + piece.rows))
    for number, tensor in enumerate(parameters.tensors):
        end = 0
        for first, stop in sorted(covered.get(number, [])):
            if first != end:
                return False
            end = stop
        if end != len(tensor):
            return False
    return True


class Unrolled(NamedTuple):
    """What one way through a sequence gives.

    ``outputs`` and ``observed`` are [..., width] by name, with the leading dimensions of the
    inputs; ``final`` is [1, B, width] by state, as it was after each sequence's last step.
    """

    outputs: Values
    final: Values
    observed: Values


class Kernel(Protocol):
    """A program made ready to run."""

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: Start,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        """Run all steps. ``inputs`` are [..., width] by name: rows as ``Steps`` orders them, in
        any leading dimensions, as [T, B, width] if no sequence is shorter. ``observe`` asks for
        every local name of the cell over time."""

    def step(
        self, inputs: Mapping[str, Tensor], state: Start, parameters: Parameters
    ) -> tuple[Values, Values]:
        """Run one step on inputs [B, width]. Returns the outputs, [B, width], and the new state,
        [1, B, width]."""

    def explain(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        """How such a sequence would be run, and what the machine could do at best: lines for
        people. ``widths`` are those of all axes."""


class Target(Protocol):
    """A way to run programs."""

    @property
    def name(self) -> str:
        """What ``use_target`` calls it."""

    def refuses(self, plan: Plan, place: Place) -> str | None:
        """A sentence that says why this target cannot run that there; None if it can."""

    def compile(self, plan: Plan, dtype: torch.dtype) -> Kernel:
        """Make a plan ready to run on numbers of a type."""
