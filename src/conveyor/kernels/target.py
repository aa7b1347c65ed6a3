"""What every target must answer: why not, and how.

A target runs programs somewhere: ``reference`` with plain torch operations, later ones with
machine code for CPUs and GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from conveyor.compiler.plan import Plan

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Place:
    """Where a program is to run."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Unrolled:
    """What one way through a sequence gives.

    ``outputs`` and ``observed`` are [T, B, width] by name, exact zeros at padded steps;
    ``final`` is [B, width] by state, as it was after each sequence's last step.
    """

    outputs: Values
    final: Values
    observed: Values


@dataclass(frozen=True)
class Steps:
    """Which steps of a batch count. ``valid`` is False at padding; before a step where
    ``restart`` is True the state is ``fresh`` again. All [T, B] of bool; ``fresh`` is [B, width]
    by state and given where ``restart`` is."""

    valid: Tensor | None = None
    restart: Tensor | None = None
    fresh: Mapping[str, Tensor] | None = None


class Kernel(Protocol):
    """A program made ready to run."""

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        """Run T steps. ``inputs`` are [T, B, width], ``start`` is [B, width], by name without
        primes; ``observe`` asks for every local name of the cell over time."""

    def step(
        self,
        inputs: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
    ) -> tuple[Values, Values]:
        """Run one step on [B, width]. Returns the outputs and the new state."""


class Target(Protocol):
    """A way to run programs."""

    @property
    def name(self) -> str:
        """What ``use_target`` calls it."""

    def refuses(self, plan: Plan, place: Place) -> str | None:
        """A sentence that says why this target cannot run that there; None if it can."""

    def compile(self, plan: Plan) -> Kernel:
        """Make a plan ready to run."""
