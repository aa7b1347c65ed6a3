"""The target ``native``: torch's own LSTM, GRU and RNN, where a program is one of them.

On a GPU that is cuDNN. A program is recognised by what it computes, not by its name: its
operations are those of one of our cells that torch has, whatever its values are called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import _VF, Tensor

from conveyor.cells.cell_registry import CELLS
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Program
from conveyor.compiler.simplify import without_bias
from conveyor.compiler.trace import trace
from conveyor.kernels.kernel import InitialState, Kernel, Unrolled
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.reference import ReferenceKernel
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Placement
from conveyor.kernels.torch_order import TORCH_GATES, torch_kinds, torch_pieces

# The functions of torch, by our cells.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lstm": _VF.lstm,
    "lstm_projected": _VF.lstm,
    "gru": _VF.gru,
    "rnn": _VF.rnn_tanh,
    "rnn_relu": _VF.rnn_relu,
}


def shape_of(program: Program) -> tuple[object, tuple[str, ...]]:
    """What a program computes, without names, and its leaves in the order in which that speaks
    of them. Two programs of one shape do the same with the leaves of these orders."""
    by_name = {operation.name: operation for operation in program.operations}
    kinds = {leaf.name: leaf.kind for leaf in program.leaves}
    states = [leaf.name for leaf in program.states]
    number: dict[str, int] = {}
    axis: dict[str, int] = {}
    leaves: list[str] = []
    lines: list[object] = []

    def visit(name: str) -> int:
        if name not in number:
            axes = tuple(axis.setdefault(each, len(axis)) for each in program.axes[name])
            if name in by_name:
                own = by_name[name]
                arguments = tuple(visit(argument) for argument in own.arguments)
                lines.append((own.op, own.attribute, arguments, axes))
            else:
                which = states.index(name) if name in states else -1
                lines.append((kinds[name], which, axes))
                leaves.append(name)
            number[name] = len(lines) - 1
        return number[name]

    news, outputs = program.values_of("state"), program.values_of("output")
    results = [visit(news[state.removesuffix("'")]) for state in states]
    results += [visit(value) for value in outputs.values()]
    return (tuple(lines), tuple(results)), tuple(leaves)


@cache
def _known() -> dict[object, tuple[str, bool, tuple[str, ...]]]:
    """The shapes that torch computes: cell, whether it has biases, leaves."""
    found = {}
    for cell in TORCH_GATES:
        program = trace(CELLS[cell])
        for bias, own in ((True, program), (False, without_bias(program))):
            shape, leaves = shape_of(plan(own).program)
            found[shape] = (cell, bias, leaves)
    return found


@dataclass(frozen=True)
class _Match:
    """The cell that a program is, and the program's names of its leaves."""

    cell: str
    bias: bool
    names: Mapping[str, str]


# What programs were recognised as, by their identity: a layer asks at every call, and to compare a
# program takes longer than a small layer computes. Layers of one cell share a program.
_RECOGNISED: dict[int, tuple[Program, _Match | None]] = {}
_MOST = 256


def recognise(program: Program) -> _Match | None:
    """Return which of torch's cells a plan's program is; None if it is none of them."""
    kept = _RECOGNISED.get(id(program))
    if kept is not None and kept[0] is program:
        return kept[1]
    match = _recognised(program)
    if len(_RECOGNISED) >= _MOST:
        _RECOGNISED.clear()
    _RECOGNISED[id(program)] = program, match
    return match


def _recognised(program: Program) -> _Match | None:
    shape, leaves = shape_of(program)
    known = _known().get(shape)
    if known is None:
        return None
    cell, bias, theirs = known
    return _Match(cell, bias, dict(zip(theirs, leaves, strict=True)))


def in_one_chunk(weights: list[Tensor], *, bias: bool) -> list[Tensor]:
    """Return the weights as cuDNN wants them, behind each other in memory of their own: otherwise
    it copies them there one by one at every call, and torch warns of that. On a CPU, and where they
    stand so, they are the same tensors.

    Args:
        weights: of one layer in one direction, in torch's order.
        bias: whether there are biases among them. If not, cuDNN wants room for two all the same.
    """
    if not weights[0].is_cuda:
        return weights
    # cuDNN has matrices first, then biases; torch has the projection last.
    order = sorted(range(len(weights)), key=lambda number: weights[number].dim() < 2)
    ordered = [weights[number] for number in order]
    address, storage = ordered[0].data_ptr(), ordered[0].untyped_storage()
    room = 0 if bias else 2 * len(weights[0])
    whole = sum(each.nbytes for each in ordered) + room * weights[0].element_size()
    in_place = storage.nbytes() == whole
    for each in ordered:
        in_place = in_place and each.data_ptr() == address and each.is_contiguous()
        address += each.nbytes
    if in_place:
        return weights
    flat = torch.cat([*[each.flatten() for each in ordered], ordered[0].new_zeros(room)])
    *parts, _ = torch.split(flat, [*[each.numel() for each in ordered], room])
    moved = {
        number: part.view(each.shape)
        for number, part, each in zip(order, parts, ordered, strict=True)
    }
    return [moved[number] for number in range(len(weights))]


@dataclass(frozen=True)
class NativeKernel(Kernel):
    """A plan, run by torch's function for its cell."""

    plan: Plan
    match: _Match

    def _weights(self, parameters: Parameters) -> list[Tensor]:
        """Return the weights as torch stores them: the very tensors, where they stand so."""
        cell, bias = self.match.cell, self.match.bias

        def rows(name: str) -> int:
            return sum(piece.rows for piece in parameters.pieces[self.match.names[name]])

        hidden = rows(f"U.{TORCH_GATES[cell][0]}".rstrip("."))
        projected = rows("R") if "R" in self.match.names else 0
        pieces = torch_pieces(cell, hidden, projected, bias)
        if parameters.pieces is pieces:
            return list(parameters.tensors)
        own = parameters.by_name
        weights: list[Tensor] = []
        for number, _ in enumerate(torch_kinds(bias=bias, projected=projected > 0)):
            parts = []
            for gate in range(len(TORCH_GATES[cell])):
                parts += [
                    # Of two biases that are added the second is zero.
                    own[self.match.names[name]] * (place == 0)
                    for name, where in pieces.items()
                    for place, piece in enumerate(where)
                    if piece.tensor == number and piece.first == gate * hidden
                ]
            weights.append(torch.cat(parts) if len(parts) > 1 else parts[0])
        return weights

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        assert not observe  # refused, see Native
        if steps.rows == 0:  # torch's functions need one step at least
            return ReferenceKernel(self.plan).sequence(
                inputs, start, parameters, steps=steps, observe=observe
            )
        (given,) = inputs.values()
        x = given.flatten(0, -2)
        before = start.tensors(steps.batch, x)
        turn = steps.turned if steps.reverse else None
        if turn is not None:
            turn = turn.to(x.device)
            x = x.index_select(0, turn)
        first = int(steps.in_time[1][0]) if steps.steps else 0
        begin = [each[:, :first] for each in before.values()]
        hx = begin if len(begin) > 1 else begin[0]
        weights = in_one_chunk(self._weights(parameters), bias=self.match.bias)
        function, grad = FUNCTIONS[self.match.cell], torch.is_grad_enabled()
        if steps.counts is None:
            x = x.view(steps.steps, steps.batch, -1)
            results = function(x, hx, weights, self.match.bias, 1, 0.0, grad, False, False)
        else:
            sizes = torch.tensor([count for count in steps.counts if count])
            results = function(x, sizes, hx, weights, self.match.bias, 1, 0.0, grad, False)
        output = results[0].flatten(0, -2)
        if turn is not None:
            output = output.index_select(0, turn)
        output = output.view(*given.shape[:-1], output.shape[1])
        final = {
            name: new if first == steps.batch else torch.cat([new, old[:, first:]], 1)
            for (name, old), new in zip(before.items(), results[1:], strict=True)
        }
        (name,) = self.plan.program.values_of("output")
        return Unrolled({name: output}, final, {})


@dataclass(frozen=True)
class Native:
    """Where a program is torch's own, torch runs it."""

    name: str = "native"

    def refuses(self, plan: Plan, placement: Placement) -> str | None:
        if placement.device.type not in ("cpu", "cuda"):
            return f"torch's own cells run on CPUs and NVIDIA GPUs, not on {placement.device}."
        if not placement.dtype.is_floating_point or (
            placement.device.type == "cpu" and placement.dtype not in (torch.float32, torch.float64)
        ):
            return f"torch's own cells do not compute in {placement.dtype} there."
        if placement.observed:
            return "torch's own cells do not show their gates."
        if placement.transformed:
            return "torch.func and forward-mode differentiation must see every operation."
        if recognise(plan.program) is None:
            return "torch has no such cell of its own."
        return None

    def compile(self, plan: Plan, dtype: torch.dtype) -> Kernel:
        match = recognise(plan.program)
        assert match is not None  # refused otherwise
        return NativeKernel(plan, match)
