"""A layer's run in one direction as an operator of torch, for torch.compile and torch.export.

Torch knows the operators by ``exported.py``. ``conveyor::unroll`` takes nothing but tensors,
texts and numbers, so that a compiled or an exported program holds one node for it, whatever the
lengths are, and runs where no layer exists. It takes padded batches: how many rows there are
without padding depends on the numbers in ``lengths`` and ``reset``, and shapes of a compiled
program must not.

What it is given may come from a file. The program goes through the checker, and every shape and
place is compared with it before an address is handed to machine code.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn.functional import pad

import conveyor.layers.exported  # noqa: F401  (the operators whose functions are here)
from conveyor.compiler.check import check_cell
from conveyor.compiler.observe import MARK
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import Leaf, Program
from conveyor.compiler.program_json import from_json
from conveyor.errors import ProgramError, ShapeError, TargetError, counted
from conveyor.kernels.compiled_kernel import Call, CompiledKernel
from conveyor.kernels.function import Computed, differentiated
from conveyor.kernels.pieces import Parameters, Piece
from conveyor.kernels.select import compiled_kernel_for
from conveyor.kernels.steps import Steps
from conveyor.kernels.target import Placement
from conveyor.layers.lengths import Ragged
from conveyor.version import VERSION

MADE_BY = f"conveyor {VERSION}"


def encoded(parameters: Parameters, program: Program) -> tuple[int, ...]:
    """The pieces of a program's parameters as the operators take them: four numbers for each,
    the place of the parameter in the program and the fields of ``Piece``."""
    return tuple(
        number
        for place, leaf in enumerate(program.stored)
        for piece in parameters.pieces[leaf.name]
        for number in (place, piece.tensor, piece.first, piece.rows)
    )


# What is known of a call before any number is looked at ----------------------------------------


def _refuse(what: str) -> NoReturn:
    raise ShapeError(f"conveyor::unroll: {what}")


@dataclass(frozen=True)
class _Form:
    """All of a call that its meaning depends on; what is known of it is kept."""

    program: str
    pieces: tuple[int, ...]
    widths: tuple[int, ...]
    observe: bool
    device: str
    dtype: torch.dtype
    features: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Shape:
    """A stored tensor of which nothing else is known."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Known:
    """What a form means. ``states`` and ``outputs`` are widths by name; behind the outputs stand
    local names, if they are observed."""

    kernel: CompiledKernel
    form: _Form
    inputs: tuple[str, ...]
    states: dict[str, int]
    pieces: dict[str, tuple[Piece, ...]]
    outputs: dict[str, int]

    def call(self, steps: Steps, start: Sequence[Tensor]) -> Call:
        """As the kernel takes it."""
        names = tuple(self.states) if start else ()
        return Call(steps, self.inputs, names, self.states, self.pieces)

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """How many numbers a row has of each tensor that is kept for the backward pass."""
        stored = tuple([_Shape(shape) for shape in self.form.shapes])
        widths = (*self.form.features, *self.states.values())
        return tuple(self.kernel.kept_widths(widths, stored, self.pieces))


@lru_cache(maxsize=256)
def _known(form: _Form) -> _Known:
    try:
        data = json.loads(form.program)
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"this is not a program: {error}.") from error
    planned = plan(check_cell(from_json(data)))
    if form.observe:
        planned = planned.observed
    program = planned.program
    inputs, states = program.leaves_of("input"), program.states
    if len(inputs) != len(form.features) or len(form.widths) != len(states):
        _refuse(f"{program.name} reads {len(inputs)} inputs and has {len(states)} states.")
    axes: dict[str, int] = {}
    for leaf, features in zip(inputs, form.features, strict=True):
        _take(axes, leaf, (features,))
    for state, width in zip(states, form.widths, strict=True):
        _take(axes, state, (width,) if state.axes or width != 1 else ())
    pieces = _pieces(program, form, axes)
    values = program.values_of("output")
    width_of = {
        name: axes[program.axes[value][0]] if program.axes[value] else 1
        for name, value in values.items()
    }
    return _Known(
        _kernel(planned, form),
        form,
        tuple([leaf.name for leaf in inputs]),
        {s.name.removesuffix("'"): axes[s.axes[0]] if s.axes else 1 for s in states},
        pieces,
        width_of,
    )


def _kernel(plan: Plan, form: _Form) -> CompiledKernel:
    try:
        return compiled_kernel_for(plan, Placement(torch.device(form.device), form.dtype))
    except TargetError as error:
        _refuse(str(error))


def _take(axes: dict[str, int], leaf: Leaf, sizes: Sequence[int]) -> None:
    """Note the widths of a leaf's axes."""
    for axis, size in zip(leaf.axes, sizes, strict=True):
        if size < 1 or axes.setdefault(axis, size) != size:
            _refuse(f"{leaf.name} is of {list(sizes)}; axis {axis} is {axes.get(axis)}.")


def _pieces(program: Program, form: _Form, axes: dict[str, int]) -> dict[str, tuple[Piece, ...]]:
    """Where each parameter is, within the tensors that are given."""
    found: dict[str, tuple[Piece, ...]] = {leaf.name: () for leaf in program.stored}
    if len(form.pieces) % 4:
        _refuse("a piece is four numbers.")
    for at in range(0, len(form.pieces), 4):
        place, tensor, first, rows = form.pieces[at : at + 4]
        if not 0 <= place < len(found) or not 0 <= tensor < len(form.shapes):
            _refuse(f"there is no parameter {place} or no stored tensor {tensor}.")
        leaf, shape = program.stored[place], form.shapes[tensor]
        if len(shape) != len(leaf.axes) or not 0 <= first < first + rows <= shape[0]:
            _refuse(f"{leaf.name} is not in rows {first} to {first + rows} of {list(shape)}.")
        _take(axes, leaf, (rows, *shape[1:]))
        found[leaf.name] += (Piece(tensor, first, rows),)
    for leaf in program.stored:
        if not 1 <= len(found[leaf.name]) <= (1 if leaf.kind == "matrix" else 2):
            _refuse(f"{leaf.name} is in {len(found[leaf.name])} pieces.")
    return found


# Both passes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """What an operator is given. ``inputs`` are [T, B, width], padded; ``start`` holds the states
    before the first step, [B, width], or nothing where they are zeros; ``lengths`` [B] and
    ``reset`` [T, B] are as for a layer. ``made_by`` is read by nobody: it keeps torch from taking
    what it compiled for another version out of its cache, where other shapes are kept for the
    backward pass."""

    inputs: Sequence[Tensor]
    start: Sequence[Tensor]
    stored: Sequence[Tensor]
    lengths: Tensor | None
    reset: Tensor | None
    program: str
    pieces: Sequence[int]
    widths: Sequence[int]
    reverse: bool
    observe: bool
    made_by: str

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @cached_property
    def known(self) -> _Known:
        """What is known of it, once all fits together. T and B may be symbols; whole numbers are
        made of all other sizes."""
        if not self.inputs or self.x.dim() != 3:
            dimensions = counted(self.x.dim(), "dimension") if self.inputs else "nothing in it"
            _refuse(f"the input has {dimensions}; expected 3 dimensions.")
        for each in (*self.inputs[1:], *self.start, *self.stored):
            self._check_kind(each)
        for each in self.inputs[1:]:
            if each.shape[:-1] != self.x.shape[:2]:
                _refuse(f"an input is {list(each.shape)}; the first is {list(self.x.shape)}.")
        shapes = [tuple([int(size) for size in each.shape]) for each in self.stored]
        features = tuple([int(each.shape[2]) for each in self.inputs])
        pieces, widths = tuple(self.pieces), tuple(self.widths)
        known = _known(
            _Form(
                self.program,
                pieces,
                widths,
                self.observe,
                # Shapes of tensors without memory are those of a CPU's.
                "cpu" if self.x.is_meta else self.x.device.type,
                self.x.dtype,
                features,
                tuple(shapes),
            )
        )
        if self.start and len(self.start) != len(widths):
            _refuse(f"there are {len(self.start)} states; expected {len(widths)}.")
        for each, width in zip(self.start, widths, strict=False):
            _fit("a state", each, (self.x.shape[1], width))
        return known

    def _check_kind(self, each: Tensor) -> None:
        if each.dtype != self.x.dtype or each.device != self.x.device:
            _refuse(f"one tensor is of {each.dtype} on {each.device}, the input of {self.x.dtype}.")

    @cached_property
    def ragged(self) -> Ragged | None:
        """How the batch becomes rows without padding; None if there is none."""
        if self.reset is not None:
            _fit("reset", self.reset, tuple(self.x.shape[:2]))
        again = None if self.reset is None else self.reset.bool()
        return Ragged.of_batch(self.x, self.lengths, again)

    def rows(self) -> tuple[Call, list[Tensor]]:
        """The call of the kernel, and its tensors."""
        ragged, start = self.ragged, [each.unsqueeze(0) for each in self.start]
        if ragged is None:
            rows = [each.flatten(0, 1) for each in self.inputs]
            steps = Steps.dense(self.x.shape[0], self.x.shape[1])
        else:
            rows, steps = [ragged.pack(each) for each in self.inputs], ragged.steps
            given = dict(zip(self.known.states, start, strict=False))
            fresh = None
            if self.reset is not None:
                begin = self.known.kernel.plan.program.start_states
                fresh = {n: torch.full_like(each, begin.get(n, 0.0)) for n, each in given.items()}
            start = list(ragged.begin(given, fresh, self.reverse).values())
        call = self.known.call(steps.reversed if self.reverse else steps, start)
        read = self.known.kernel.as_read
        return call, [read(tensor) for tensor in (*rows, *start, *self.stored)]

    def padded(self, rows: Tensor) -> Tensor:
        """Rows as [T, B, width]."""
        steps, batch = self.x.shape[:2]
        if self.ragged is None:
            return rows.view(steps, batch, rows.shape[1])
        return self.ragged.unpack(rows, steps, batch)

    def shapes(self) -> list[tuple[int, ...]]:
        """Of the outputs and the final states."""
        steps, batch = self.x.shape[:2]
        outputs = [(steps, batch, width) for width in self.known.outputs.values()]
        return [*outputs, *[(batch, width) for width in self.known.states.values()]]

    def kept_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of what is kept for the backward pass: as many rows as with padding."""
        return [(self.x.shape[0] * self.x.shape[1], each) for each in self.known.kept]


_FIELDS = len(fields(_Given))


def _given(arguments: Sequence[Any]) -> _Given:
    """Return an operator's arguments by name."""
    inputs, start, stored, *rest = arguments[:_FIELDS]
    # A package compiled ahead of time hands an empty list of tensors over as None.
    return _Given(inputs or [], start or [], stored or [], *rest)


def _fit(what: str, values: Tensor, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        _refuse(f"{what} is {list(values.shape)}; expected {list(shape)}.")


def run_unrolled(*arguments: Any) -> list[Tensor]:
    """Return the results of ``conveyor::unroll``, without gradients."""
    given, training = _given(arguments), any(arguments[_FIELDS:])
    known, (call, tensors) = given.known, given.rows()
    if call.steps.rows == 0:  # nothing to compute, but shapes there must be
        shapes = [*given.shapes(), *(given.kept_shapes() if training else ())]
        results = [given.x.new_zeros(shape) for shape in shapes]
        for number, each in enumerate(given.start):
            results[len(known.outputs) + number] = each.clone()
        return results
    made, last, kept = known.kernel.forward(call, tensors, training=training)
    by_name = dict(zip(known.kernel.plan.program.values_of("output"), made, strict=True))
    outputs = [given.padded(by_name[name]) for name in known.outputs]
    if given.ragged is not None:
        final = dict(zip(known.states, last, strict=True))
        last = list(given.ragged.end(final, given.reverse).values())
        missing = given.x.shape[0] * given.x.shape[1] - call.steps.rows
        kept = [pad(each, (0, 0, 0, missing)) for each in kept]
    return [*outputs, *[each.squeeze(0) for each in last], *kept]


def shapes_of_unrolled(*arguments: Any) -> list[Tensor]:
    """Return tensors of the shapes of ``conveyor::unroll``'s results."""
    given, training = _given(arguments), any(arguments[_FIELDS:])
    shapes = [*given.shapes(), *(given.kept_shapes() if training else ())]
    return [given.x.new_empty(shape) for shape in shapes]


def run_backward(*arguments: Any) -> list[Tensor]:
    """Return the results of ``conveyor::unroll_backward``."""
    given, (gradients, kept, needed) = _given(arguments), arguments[_FIELDS:]
    known, ragged, (call, tensors) = given.known, given.ragged, given.rows()
    shapes = given.shapes() + given.kept_shapes()
    if len(gradients) + len(kept) != len(shapes) or len(kept) != len(known.kept):
        _refuse(f"{len(gradients)} gradients and {len(kept)} kept; expected {len(shapes)}.")
    for each, shape in zip((*gradients, *kept), shapes, strict=True):
        if each is not None:
            given._check_kind(each)
            _fit("a gradient, or what was kept,", each, shape)
    of_final = list(gradients[len(known.outputs) :])
    if call.steps.rows == 0:  # states pass through
        found = [torch.zeros_like(each) for each in (*given.inputs, *given.start, *given.stored)]
        for number, gradient in enumerate(of_final[: len(given.start)], len(given.inputs)):
            found[number] = found[number] if gradient is None else gradient.clone()
        return _needed(found, needed)
    of_outputs = {
        name: each if each is None else each.flatten(0, 1) if ragged is None else ragged.pack(each)
        for name, each in zip(known.outputs, gradients, strict=False)
    }
    if ragged is not None:
        ends, pieces = ragged.ends[given.reverse], call.steps.batch
        of_final = [each if each is None else _added(each, ends, pieces) for each in of_final]
    names = known.kernel.plan.program.values_of("output")
    results = known.kernel.backward(
        call,
        tensors,
        [each[: call.steps.rows].contiguous() for each in kept],
        [*[of_outputs.get(name) for name in names], *of_final],
        needed,
    )
    count = len(given.inputs)
    results[:count] = [None if each is None else given.padded(each) for each in results[:count]]
    for number, each in enumerate(results[count : count + len(given.start)], count):
        if each is None:
            continue
        results[number] = each.squeeze(0)
        if ragged is not None:  # behind the batch's states are those of fresh ones
            begins, batch = ragged.begins[given.reverse], given.x.shape[1]
            results[number] = _added(each.squeeze(0), begins, 2 * batch)[:batch].clone()
    return _needed(results, needed)


def _added(values: Tensor, where: Tensor, rows: int) -> Tensor:
    """Backward of ``index_select``: add each row to the row it came from."""
    return values.new_zeros(rows, values.shape[1]).index_add(0, where, values)


def _needed(found: Sequence[Tensor | None], needed: Sequence[bool]) -> list[Tensor]:
    return [each for each, need in zip(found, needed, strict=True) if need and each is not None]


def shapes_of_backward(*arguments: Any) -> list[Tensor]:
    """Return tensors of the shapes of ``conveyor::unroll_backward``'s results."""
    given, needed = _given(arguments), arguments[-1]
    sources = (*given.inputs, *given.start, *given.stored)
    return _needed([each.new_empty(each.shape) for each in sources], needed)


@dataclass(frozen=True)
class _Call:
    """A call of the operator, for autograd: what is kept is asked for here, where a gradient is
    wanted. Its tensors are the inputs, the initial states, the stored parameters, and then the
    lengths and the resets. ``training`` asks for what is kept among the results."""

    how: tuple[Any, ...]
    inputs: int
    states: int
    results: int
    training: bool

    def _split(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        one, two = self.inputs, self.inputs + self.states
        return tensors[:one], tensors[one:two], tensors[two:-2], tensors[-2], tensors[-1]

    def forward(self, tensors: Sequence[Any]) -> Computed:
        results = torch.ops.conveyor.unroll(*self._split(tensors), *self.how, True)
        kept = results[self.results :]
        if self.training:
            return Computed(results, kept, constant=kept)
        return Computed(results[: self.results], kept)

    def backward(
        self,
        tensors: Sequence[Any],
        kept: Sequence[Tensor],
        note: None,
        gradients: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "a compiled or exported layer has no second gradients (create_graph=True); a layer "
                "that is not compiled has."
            )
        needed = needed[:-2]
        of_tensors = iter(
            torch.ops.conveyor.unroll_backward(
                *self._split(tensors), *self.how, gradients[: self.results], kept, needed
            )
        )
        return [*[next(of_tensors) if need else None for need in needed], None, None]


def run_with_gradients(*arguments: Any) -> list[Tensor]:
    """Return the results of ``conveyor::unroll``, which autograd can go back from."""
    given, training = _given(arguments), any(arguments[_FIELDS:])
    tensors = (*given.inputs, *given.start, *given.stored)
    how = tuple([getattr(given, field.name) for field in fields(_Given)[5:]])
    if torch.is_grad_enabled() and any(each.requires_grad for each in tensors):
        count = len(given.known.outputs) + len(given.widths)
        call = _Call(how, len(given.inputs), len(given.start), count, training)
        return list(differentiated(call, (*tensors, given.lengths, given.reset)))
    with torch._C._AutoDispatchBelowAutograd():
        five = (given.inputs, given.start, given.stored, given.lengths, given.reset)
        return list(torch.ops.conveyor.unroll(*five, *how, training))


def run_first_output(x: Tensor, *arguments: Any) -> list[Tensor]:
    """Return the results of ``conveyor::sequence``: what ``unroll`` gives of one input, but of the
    cell's outputs only the first."""
    outputs = [name for name in _given(([x], *arguments)).known.outputs if MARK not in name]
    results: list[Tensor] = list(torch.ops.conveyor.unroll([x], *arguments))
    del results[1 : len(outputs)]
    return results
