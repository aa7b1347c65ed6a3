"""Dilated recurrence (Chang et al. 2017, Dilated recurrent neural networks): a layer of dilation d
reads its state of d steps before.

That is d sequences between each other, each of every d-th step, and is run as such: fewer steps of
more rows. So its state has d rows: the first is read by the next step, the second by the step after
that, and so on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from conveyor.compiler.plan import Plan
from conveyor.errors import SettingError, counted
from conveyor.kernels.kernel import (
    Array,
    FrozenKernel,
    InitialState,
    Kernel,
    StepKernel,
    Unrolled,
    Values,
)
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps
from conveyor.layers.checks import check_whole
from conveyor.layers.dilated_stream import DilatedStepKernel
from conveyor.layers.lengths import permuted

# Of layer after layer, as it is given: a number for all of them.
Dilation = int | Sequence[int]


def check_dilation(dilation: object, layers: int) -> None:
    """Check a dilation.

    Args:
        dilation: a whole number from 1, or one for each layer.
        layers: how many there are.

    Raises:
        SettingError: it is neither.
    """
    if isinstance(dilation, int):
        check_whole(dilation=dilation)
        return
    several = isinstance(dilation, Sequence) and not isinstance(dilation, str)
    if not several or len(dilation) != layers:  # type: ignore[arg-type]
        raise SettingError(
            f"dilation is {dilation!r}; expected a whole number, or one for each of "
            f"{counted(layers, 'layer')}."
        )
    for layer, number in enumerate(dilation):  # type: ignore[var-annotated, arg-type]
        check_whole(**{f"dilation of layer {layer}": number})


def dilations(dilation: Dilation, layers: int) -> tuple[int, ...]:
    """Return the dilation of each layer."""
    return (dilation,) * layers if isinstance(dilation, int) else tuple(dilation)


@dataclass(frozen=True)
class Interleaved:
    """Steps as those of ``dilation`` sequences between each other.

    ``steps`` are theirs. ``rows`` says which row each of their rows is, ``back`` the other way
    round; None if all stay where they are. ``begins`` says for each of their sequences which row of
    the states is its start, ``ends`` for each row of the states which of their sequences ends
    there; rows of states are counted [dilation * batch].
    """

    steps: Steps
    rows: tuple[Tensor, Tensor] | None
    begins: Tensor
    ends: Tensor

    @staticmethod
    @lru_cache(maxsize=256)
    def of(steps: Steps, dilation: int) -> "Interleaved":
        """Return how steps are interleaved. Of the n-th step that a sequence does, n modulo the
        dilation says of which it is."""
        batch, lengths = steps.batch, steps.lengths
        turn = np.arange(dilation)[:, None]
        parts = ((lengths - turn + dilation - 1) // dilation).ravel()
        # Sequences that are equally long stay in order, and with them all rows of most batches.
        order = np.argsort(-parts, kind="stable")
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        inner = Steps.of_lengths(parts[order])
        if inner.counts == (inner.batch,) * inner.steps:
            inner = Steps.dense(inner.steps, inner.batch)
        first_row, row_count = inner.in_time
        step_of_part = np.repeat(np.arange(inner.steps), row_count)
        of_turn, sequence = np.divmod(
            order[np.arange(inner.rows) - np.repeat(first_row, row_count)], max(batch, 1)
        )
        done = step_of_part * dilation + of_turn
        first, _ = steps.in_time
        step = lengths[sequence] - 1 - done if steps.reverse else done
        rows = first[step] + sequence
        back = np.empty_like(rows)
        back[rows] = np.arange(len(rows))
        stay = bool((rows == back).all() and (rows == np.arange(len(rows))).all())
        last = (lengths + turn) % dilation * batch + np.arange(batch)
        return Interleaved(
            inner,
            None if stay else (torch.from_numpy(rows), torch.from_numpy(back)),
            torch.from_numpy(order),
            torch.from_numpy(position[last.ravel()]),
        )

    def taken(self, values: Tensor) -> Tensor:
        """Return rows [..., width] of the steps as rows of the interleaved ones."""
        flat = values.flatten(0, -2)
        if self.rows is not None:
            rows, back = (each.to(values.device) for each in self.rows)
            flat = permuted(flat, rows, back)
        if self.steps.counts is None:
            return flat.view(self.steps.steps, self.steps.batch, flat.shape[-1])
        return flat

    def given_back(self, values: Tensor, like: Tensor) -> Tensor:
        """Return rows of the interleaved steps as rows of the steps, with the leading dimensions of
        ``like``."""
        flat = values.flatten(0, -2)
        if self.rows is not None:
            rows, back = (each.to(values.device) for each in self.rows)
            flat = permuted(flat, back, rows)
        return flat.view(*like.shape[:-1], flat.shape[-1])

    def taken_array(self, values: Array) -> Array:
        """Return what ``taken`` does of an array."""
        flat = values.reshape(-1, values.shape[-1])
        if self.rows is not None:
            flat = flat[self.rows[0].numpy()]
        if self.steps.counts is None:
            return flat.reshape(self.steps.steps, self.steps.batch, -1)
        return flat

    def given_back_array(self, values: Array, like: Array) -> Array:
        """Return what ``given_back`` does of an array."""
        flat = values.reshape(-1, values.shape[-1])
        if self.rows is not None:
            flat = flat[self.rows[1].numpy()]
        return flat.reshape(*like.shape[:-1], -1)


@dataclass(frozen=True)
class FrozenDilatedKernel:
    """A dilated layer of one direction on arrays; see ``kernel.FrozenKernel``. Its states are
    [dilation, B, width], the first of which the next step reads."""

    kernel: FrozenKernel
    dilation: int

    def __call__(
        self, inputs: Mapping[str, Array], begin: Mapping[str, Array] | None, steps: Steps
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run all steps; see ``kernel.FrozenKernel``."""
        interleaved = Interleaved.of(steps, self.dilation)
        like = next(iter(inputs.values()))
        begins, ends = interleaved.begins.numpy(), interleaved.ends.numpy()
        if begin is not None:
            begin = {name: each.reshape(-1, each.shape[-1])[begins] for name, each in begin.items()}
        outputs, last = self.kernel(
            {name: interleaved.taken_array(each) for name, each in inputs.items()},
            begin,
            interleaved.steps,
        )
        return (
            {name: interleaved.given_back_array(each, like) for name, each in outputs.items()},
            {
                name: each[ends].reshape(self.dilation, steps.batch, -1)
                for name, each in last.items()
            },
        )


@dataclass(frozen=True)
class DilatedKernel(Kernel):
    """A kernel that reads its state of ``dilation`` steps before. States are [dilation, B,
    width]."""

    kernel: Kernel
    dilation: int

    @cached_property
    def plan(self) -> Plan:  # type: ignore[override]
        """What is computed."""
        return self.kernel.plan

    @property
    def state_rows(self) -> int:
        return self.dilation

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        interleaved = Interleaved.of(steps, self.dilation)
        like = next(iter(inputs.values()))
        begin = start.values
        if begin is not None:
            begin = {
                name: each.reshape(1, -1, each.shape[-1]).index_select(
                    1, interleaved.begins.to(each.device)
                )
                for name, each in begin.items()
            }
        unrolled = self.kernel.sequence(
            {name: interleaved.taken(each) for name, each in inputs.items()},
            InitialState(start.widths, begin),
            parameters,
            steps=interleaved.steps,
            observe=observe,
        )

        def given_back(values: Values) -> Values:
            return {name: interleaved.given_back(each, like) for name, each in values.items()}

        final = {
            name: each.index_select(1, interleaved.ends.to(each.device)).view(
                self.dilation, steps.batch, each.shape[-1]
            )
            for name, each in unrolled.final.items()
        }
        return Unrolled(given_back(unrolled.outputs), final, given_back(unrolled.observed))

    def bind(
        self,
        parameters: Parameters,
        *,
        batch: int,
        input_size: int,
        shared: Mapping[str, int],
        states: Mapping[str, int],
        begin: Mapping[str, float | Array],
        source: StepKernel | None = None,
        below: Mapping[str, str] | None = None,
        first: StepKernel | None = None,
    ) -> StepKernel | None:
        kernels = [
            self.kernel.bind(
                parameters,
                batch=batch,
                input_size=input_size,
                shared=shared,
                states=states,
                begin={
                    name: each if isinstance(each, float) else each[number]
                    for name, each in begin.items()
                },
                source=source,
                below=below,
                # Whose memory is the layer's.
                first=first.kernels[0] if isinstance(first, DilatedStepKernel) else first,
            )
            for number in range(self.dilation)
        ]
        bound = [kernel for kernel in kernels if kernel is not None]
        if len(bound) < len(kernels):
            return None
        return DilatedStepKernel(bound, lowest=source is None)

    def freeze(
        self, parameters: Parameters, states: Mapping[str, int]
    ) -> FrozenDilatedKernel | None:
        kernel = self.kernel.freeze(parameters, states)
        return None if kernel is None else FrozenDilatedKernel(kernel, self.dilation)

    def explain(self, widths: Mapping[str, int], steps: Steps) -> list[str]:
        inner = Interleaved.of(steps, self.dilation).steps
        return [
            f"dilation {self.dilation}: {inner.steps} steps of {inner.batch} sequences",
            *self.kernel.explain(widths, inner),
        ]
