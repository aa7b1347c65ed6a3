"""The reference target: a plan run with plain torch operations.

It is the meaning of "right": any device and dtype, differentiable any number of times, under
``torch.func`` and autocast. Every other target is compared with it. ``evaluate`` is a program
word for word; ``sequence`` follows the plan, which does the same in another order.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import linear

from conveyor.cells.operations import Axes
from conveyor.compiler.delays import DELAY
from conveyor.compiler.phases import CONSTANTS
from conveyor.compiler.plan import Plan, Pointwise, Product, Stage, produced
from conveyor.compiler.program import Operation, Program, Role
from conveyor.kernels.kernel import InitialState, Kernel, Memory, Unrolled, Values
from conveyor.kernels.pieces import Parameters
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Placement

# A number per example is kept as [..., 1], so that it meets vectors by broadcasting.
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "greater": lambda a, b: (a > b).to(torch.result_type(a, b)),
    "equal": lambda a, b: (a == b).to(torch.result_type(a, b)),
    "floor": torch.floor,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "total": lambda a: a.sum(-1, keepdim=True),
    "largest": lambda a: a.amax(-1, keepdim=True).detach(),
    "matmul": lambda matrix, vector: linear(vector, matrix),
    "matmul_t": lambda matrix, vector: linear(vector, matrix.transpose(0, 1)),
    "outer": lambda left, right: left.unsqueeze(-1) * right.unsqueeze(-2),
    # [..., L] and [..., L, width].
    "weighted_sum": lambda numbers, vectors: (numbers.unsqueeze(-2) @ vectors).squeeze(-2),
    "total_of_places": lambda vectors: vectors.sum(-2),
    "outer_of_places": lambda left, right: left.transpose(-1, -2) @ right,
}

# The number of places of each sequence, [B, 1], stands among values by this and their axis; where
# it does not, all sequences have as many as the axis is long.
_COUNT = "@"


def widths(program: Program, values: Mapping[str, Tensor]) -> dict[str, int]:
    """How wide each axis is, read off the tensors given for the leaves."""
    found: dict[str, int] = {}
    for leaf in program.leaves:
        if leaf.name in values and leaf.axes:
            found.update(zip(leaf.axes, values[leaf.name].shape[-len(leaf.axes) :], strict=True))
    return found


def evaluate(
    operations: Iterable[Operation], values: Values, axes: Mapping[str, int], like: Tensor
) -> None:
    """Do the operations in order, reading from and adding to ``values``.

    ``axes`` gives the widths; numbers get the type and the place of ``like``.
    """
    for operation in operations:
        arguments = [values[name] for name in operation.arguments]
        match operation.op:
            case "width" if f"{_COUNT}{operation.attribute}" in values:
                values[operation.name] = values[f"{_COUNT}{operation.attribute}"].to(like.dtype)
            case "places":
                count = axes[str(operation.attribute)]
                values[operation.name] = torch.arange(count, dtype=like.dtype, device=like.device)
            case "total" if operation.axes:  # of the vector at each place
                values[operation.name] = arguments[0].sum(-1)
            case "to_places":
                (vector,) = arguments
                count = axes[str(operation.attribute)]
                whole = vector.unsqueeze(-2)
                values[operation.name] = whole.expand(*vector.shape[:-1], count, vector.shape[-1])
            case "to_units":
                (numbers,) = arguments
                width = axes[str(operation.attribute)]
                values[operation.name] = numbers.unsqueeze(-1).expand(*numbers.shape, width)
            case "present":
                (value,) = arguments
                number = operation.attribute
                assert isinstance(number, float | int)  # see RULES
                values[operation.name] = _present(value, values, operation.axes, float(number))
            case "constant" | "width":
                number = operation.attribute
                values[operation.name] = torch.tensor(
                    axes[number] if isinstance(number, str) else number,
                    dtype=like.dtype,
                    device=like.device,
                )
            case "spread":
                (number_each,) = arguments
                width = axes[str(operation.attribute)]
                values[operation.name] = number_each.expand(*number_each.shape[:-1], width)
            case _:
                values[operation.name] = _FUNCTIONS[operation.op](*arguments)


def _present(value: Tensor, values: Values, axes: Axes, instead: float) -> Tensor:
    """Return a value of places with a number at those that are padding."""
    count = values.get(f"{_COUNT}{axes[0]}")
    if count is None:
        return value
    padding = torch.arange(value.shape[-len(axes)], device=value.device) >= count
    instead = max(instead, torch.finfo(value.dtype).min)
    return value.masked_fill(padding if len(axes) == 1 else padding.unsqueeze(-1), instead)


def _there(value: Tensor, memories: Values, axes: Axes, steps: Steps) -> Tensor:
    """Return an observed value, with 0 at places that are padding."""
    counts = memories.get(f"{_COUNT}{axes[0]}") if axes else None
    if counts is None:
        return value
    of_rows = counts.index_select(0, steps.sequences.to(value.device))
    rows = value.reshape(steps.rows, value.shape[-1])
    return _present(rows, {f"{_COUNT}{axes[0]}": of_rows}, axes, 0.0).view_as(value)


def _looked_at(program: Program, memories: Mapping[str, Memory]) -> Values:
    """Return memories by the names of a program, and how many places sequences have."""
    values: Values = {}
    for leaf in program.memories:
        memory = memories[leaf.name]
        values[leaf.name] = memory.values
        if memory.counts is not None:
            values[f"{_COUNT}{leaf.axes[0]}"] = memory.counts.unsqueeze(-1)
    return values


def _width(program: Program, axes: Mapping[str, int], name: str) -> int:
    """How wide a value is; a number per example is one wide."""
    own = program.axes[name]
    return axes[own[0]] if own else 1


def _rows_of(states: Values) -> Values:
    """States as rows, [B, width]."""
    return {name: each.squeeze(0) for name, each in states.items()}


def _first(state: Tensor, rows: int) -> Tensor:
    return state if rows == len(state) else state[:rows]


def _read(stages: Iterable[Stage]) -> set[str]:
    return {
        name
        for stage in stages
        for name in (
            (*stage.matrices, *stage.vectors)
            if isinstance(stage, Product)
            else [a for operation in stage.operations for a in operation.arguments]
        )
    }


@dataclass(frozen=True)
class _Runner:
    """Runs stages with one call's parameters; joined matrices are joined once."""

    program: Program
    parameters: Mapping[str, Tensor]
    axes: Mapping[str, int]
    like: Tensor
    joined: dict[tuple[str, ...], Tensor]
    # Gives a value of all rows one step late, by its name then.
    delay: Callable[[str, Tensor], Tensor]

    def run(self, stages: Iterable[Stage], values: Values) -> None:
        for stage in stages:
            if isinstance(stage, Pointwise):
                for late, operations in groupby(stage.operations, lambda o: o.op == DELAY):
                    if late:
                        for name, (of,) in ((o.name, o.arguments) for o in operations):
                            values[name] = self.delay(name, values[of])
                    else:
                        evaluate(operations, values, self.axes, self.like)
                continue
            # A cell's own plan holds no other products; gradients are autograd's here.
            assert stage.kind == "matmul"
            if stage.matrices not in self.joined:
                matrices = [self.parameters[name] for name in stage.matrices]
                self.joined[stage.matrices] = torch.cat(matrices)
            rows = [self.axes[self.program.axes[name][0]] for name in stage.matrices]
            product = linear(values[stage.vectors[0]], self.joined[stage.matrices])
            values.update(zip(stage.results, torch.split(product, rows, -1), strict=True))


@dataclass(frozen=True)
class ReferenceKernel(Kernel):
    """A plan, run by torch."""

    plan: Plan

    @cached_property
    def _with_tap_inputs(self) -> "ReferenceKernel":
        return ReferenceKernel(self.plan.with_tap_inputs)

    def sequence(
        self,
        inputs: Mapping[str, Tensor],
        start: InitialState,
        parameters: Parameters,
        *,
        steps: Steps,
        observe: bool,
    ) -> Unrolled:
        if self.plan.program.values_of("tap"):
            return self._with_tap_inputs.sequence(
                inputs, start, parameters, steps=steps, observe=observe
            )
        program, forward = self.plan.program, self.plan.forward
        given = next(iter(inputs.values()))
        inputs = {name: each.flatten(0, -2) for name, each in inputs.items()}
        like = next(iter(inputs.values()))
        state = _rows_of(start.tensors(steps.batch, like))
        outside: Values = {**parameters.by_name, **inputs}
        memories = _looked_at(program, start.memories)
        states = {f"{name}'": each for name, each in state.items()}
        axes = widths(program, {**outside, **states, **memories})
        new_state = program.values_of("state")
        delayed = {name: state.pop(name) for name in self.plan.delayed}

        def delay(name: str, value: Tensor) -> Tensor:
            """A value at every row as it was one step before."""
            begin = delayed[name.removesuffix("'")]
            rows = value.expand(steps.rows, begin.shape[-1])
            if steps.counts is not None:
                return torch.cat([begin, rows])[steps.rows_before.to(begin.device)]
            if steps.reverse:
                return torch.cat([rows[steps.batch :], begin])
            return torch.cat([begin, rows[: -steps.batch]]) if steps.batch else rows

        runner = _Runner(program, parameters.by_name, axes, like, {}, delay)
        of_sequences = self._once(runner, memories, steps.batch)

        def whole(name: str) -> Tensor:
            """A value at every row, [rows, width], also if it is the same at all of them."""
            if name in of_sequences:
                return of_sequences[name].index_select(0, steps.sequences.to(like.device))
            return outside[name].expand(steps.rows, _width(program, axes, name))

        for name in of_sequences.keys() & _read((*forward.before, *forward.after)):
            outside[name] = whole(name)
        runner.run(forward.before, outside)

        final = {
            name: torch.cat([begin, whole(new_state[name])])[steps.last_rows.to(begin.device)]
            for name, begin in delayed.items()
        }
        new_state = {name: value for name, value in new_state.items() if name in state}
        over_time = {*inputs, *produced(forward.before)}
        counts = steps.visited()[1].tolist()

        def by_step(name: str) -> tuple[Tensor, ...]:
            parts = torch.split(whole(name), steps.in_time[1].tolist())
            return parts[::-1] if steps.reverse else parts

        at_step = {
            name: by_step(name)
            for name in (over_time & _read(forward.loop))
            | {value for value in new_state.values() if value in outside}
        }
        observed = program.values_of("local") if observe else {}
        wanted = {*program.values_of("output").values(), *observed.values()}
        wanted |= _read(forward.after)
        wanted -= {o.name for o in program.operations if o.op in CONSTANTS}
        history: dict[str, list[Tensor]] = {name: [] for name in wanted & produced(forward.loop)}
        old_states: dict[str, list[Tensor]] = {
            f"{name}'": [] for name in state if f"{name}'" in wanted
        }
        # All sequences have a state; the first rows of it take part in a step.
        for step, rows in enumerate(counts):
            values: Values = {**parameters.by_name}
            values.update({name: _first(each, rows) for name, each in of_sequences.items()})
            values.update({name: each[step] for name, each in at_step.items()})
            values.update({f"{name}'": _first(old, rows) for name, old in state.items()})
            for name, each in old_states.items():
                each.append(values[name])
            runner.run(forward.loop, values)
            for name, each in history.items():
                each.append(values[name])
            for name, value in new_state.items():
                new = values[value].expand(rows, _width(program, axes, value))
                old = state[name]
                state[name] = new if rows == len(old) else torch.cat([new, old[rows:]])
        for name, each in (*history.items(), *old_states.items()):
            outside[name] = torch.cat(each[::-1] if steps.reverse else each)
        runner.run(forward.after, outside)

        def over_sequence(names: Mapping[str, str]) -> Values:
            return {
                name: whole(value).reshape(*given.shape[:-1], _width(program, axes, value))
                for name, value in names.items()
            }

        final |= state
        final = {name: final[name].unsqueeze(0) for name in program.values_of("state")}
        seen = {
            name: _there(each, memories, program.axes[observed[name]], steps)
            for name, each in over_sequence(observed).items()
        }
        return Unrolled(over_sequence(program.values_of("output")), final, seen)

    def once(
        self, memories: Mapping[str, Memory], parameters: Parameters, names: Iterable[str]
    ) -> Values:
        """Return what sequences compute once, [B, ...] by name.

        Args:
            memories: what they look at, by name.
            parameters: as they are stored.
            names: of the values that are asked for.
        """
        program, looked_at = self.plan.program, _looked_at(self.plan.program, memories)
        values = {**parameters.by_name, **looked_at}
        first = next(iter(memories.values())).values

        def delay(name: str, value: Tensor) -> Tensor:
            raise AssertionError(name)  # nothing is late in what is done once

        runner = _Runner(
            program, parameters.by_name, widths(program, values), first[:1, :1], {}, delay
        )
        of_sequences = self._once(runner, looked_at, len(first))
        return {name: of_sequences[name] for name in names}

    def _once(self, runner: _Runner, memories: Values, batch: int) -> Values:
        """Return what is the same at all steps of each sequence, [B, ...] by name: memories, and
        what is computed of them alone."""
        if not memories:
            return {}
        values = {**runner.parameters, **memories}
        runner.run(self.plan.forward.once, values)
        axes = self.plan.program.axes
        for name in produced(self.plan.forward.once):
            shape = [runner.axes[axis] for axis in axes[name]] or [1]
            values[name] = values[name].expand(batch, *shape)
        return {name: each for name, each in values.items() if name not in runner.parameters}

    def step(
        self,
        inputs: Mapping[str, Tensor],
        state: InitialState,
        parameters: Parameters,
    ) -> tuple[Values, Values]:
        program = self.plan.program
        like = next(iter(inputs.values()))
        values: Values = {**parameters.by_name, **inputs, **_looked_at(program, state.memories)}
        before = _rows_of(state.tensors(like.shape[0], like))
        values.update({f"{name}'": old for name, old in before.items()})
        axes = widths(program, values)
        evaluate(program.operations, values, axes, like)

        def results(role: Role) -> Values:
            return {
                name: values[value].expand(*like.shape[:-1], _width(program, axes, value))
                for name, value in program.values_of(role).items()
            }

        after = {name: each.unsqueeze(0) for name, each in results("state").items()}
        return results("output"), after


@dataclass(frozen=True)
class Reference:
    """The target ``reference``."""

    name: str = "reference"

    def refuses(self, plan: Plan, placement: Placement) -> str | None:
        if not placement.dtype.is_floating_point:
            return f"it computes with floating-point numbers, not {placement.dtype}."
        return None

    def compile(self, plan: Plan, dtype: torch.dtype) -> Kernel:
        return ReferenceKernel(plan)
