"""How a layer runs inside torch.compile and torch.export: one operator for each layer and
direction. Loaded only there, for it loads torch's compiler.

torch's compiler follows Python, but not everywhere: what it cannot follow is worked out before,
by ``_describe``, and is a constant to it.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.compiler.program_json import dumps
from conveyor.errors import ShapeError, TargetError
from conveyor.kernels.compiled_kernel import CompiledKernel
from conveyor.kernels.kernel import InitialState, Values
from conveyor.layers.block_matrices import BlockMatrix
from conveyor.layers.eager import Eager
from conveyor.layers.exported import saved_outputs_type, saved_state_type
from conveyor.layers.layer_trace import traced
from conveyor.layers.operator import MADE_BY, encoded
from conveyor.layers.plans import Plans
from conveyor.layers.request import read_state
from conveyor.layers.stack import dropped
from conveyor.layers.walk import TENSORS, joined_states, outputs_on_top, walk

if TYPE_CHECKING:
    from conveyor.layers.grid import GridLSTM
    from conveyor.layers.sequence import SequenceLayer

# What is returned from a compiled function must be found by name, and a dictionary is read once for
# a whole function: the named tuples that layers give their states as become attributes of this.
_HERE: Any = sys.modules[__name__]

# Where a tensor is in a module.
Path = tuple[str, ...]


@dataclass(frozen=True)
class _Stored:
    """The parameters of one layer in one direction: where the tensors are, and ``pieces`` as the
    operator takes them; ``forms`` says which are stored as blocks, empty if none is."""

    tensors: tuple[Path, ...]
    pieces: tuple[int, ...]
    forms: tuple[BlockMatrix | None, ...]


@dataclass(frozen=True)
class _Layer:
    """A layer: its program as text, the inputs besides the main one, each with the output of the
    layer below that it is, or with nothing where all layers read it; and its parameters in each
    direction."""

    program: str
    others: tuple[tuple[str, str], ...]
    stored: tuple[_Stored, ...]


@dataclass(frozen=True)
class _Description:
    """What does not depend on any tensor's numbers. ``operator`` says whether the operator runs
    the layer: its target is machine code and its parameters have the shapes that its sizes say;
    ``begin`` what each state starts at, ``named`` where the named tuple stands that states are
    given as, if they are; ``outputs`` those of each layer, ``handed_out`` those of a call, and
    ``named_outputs`` where their named tuple stands, if they are several."""

    operator: bool
    weight: Path
    states: tuple[str, ...]
    widths: tuple[int, ...]
    begin: tuple[float, ...]
    local: tuple[str, ...]
    layers: tuple[_Layer, ...]
    named: str | None
    outputs: tuple[str, ...]
    handed_out: tuple[str, ...]
    named_outputs: str | None


_NOT_BY_OPERATOR = _Description(False, (), (), (), (), (), (), None, (), (), None)


def _describe(layer: "SequenceLayer", *_: object) -> _Description:
    if layer._dilations:
        return _NOT_BY_OPERATOR
    try:
        layer._check_stored(layer._stack_parameters())
    except ShapeError:  # the layer says so itself, where the compiler does not wrap the error
        return _NOT_BY_OPERATOR
    weight, plan = layer._weight(), layer.plan
    names = tuple(layer._state_widths)
    nothing: Any = dict.fromkeys(names)
    named = None
    if hasattr(layer._state_of(nothing), "_fields"):
        named = "_state_of_" + "_".join(names)
        setattr(_HERE, named, saved_state_type(names))
    paths = layer._stack_paths()
    named_outputs = None
    if len(layer._output_names) > 1:
        named_outputs = "_outputs_of_" + "_".join(layer._output_names)
        setattr(_HERE, named_outputs, saved_outputs_type(layer._output_names))
    layers = tuple(
        _Layer(
            dumps(plans.inference.program),
            _others(plans),
            tuple(
                _Stored(
                    tuple(tensors),
                    encoded(parameters, plans.inference.program),
                    layer._forms[number] if layer._forms else (),
                )
                for tensors, parameters in zip(*directions, strict=True)
            ),
        )
        for number, (plans, *directions) in enumerate(
            zip(layer._plans, paths, layer._stack_parameters(), strict=True)
        )
    )
    # Without parameters there is no weight to read dtype and device from; the buffer has them.
    where = next(iter(paths[0][0]), ("_nowhere",))
    return _Description(
        isinstance(layer._kernel(layer._placement(weight)), CompiledKernel),
        where,
        names,
        tuple(layer._state_widths.values()),
        tuple(plan.program.start_states.get(name, 0.0) for name in names),
        tuple(plan.program.values_of("local")),
        layers,
        named,
        tuple(plan.program.values_of("output")),
        layer._output_names,
        named_outputs,
    )


def _others(plans: Plans) -> tuple[tuple[str, str], ...]:
    """Return the inputs besides the main one, see ``_Layer``."""
    below = dict(plans.reads.below)
    _, *others = [leaf.name for leaf in plans.inference.program.leaves_of("input")]
    return tuple([(name, below.get(name, "")) for name in others])


_compiler: Any = torch.compiler
Eager.mark(_compiler.assume_constant_result(_describe), _compiler.disable)


def _run_grid(grid: "GridLSTM", x: Tensor) -> Tensor:
    return grid._run(x)


# A grid breaks the graph: the compiler would unroll it block by block.
run_grid: Any = _compiler.disable(_run_grid)


def _described(layer: Any) -> _Description:
    # All that the description depends on. What is read here is compared before a compiled program
    # runs, so that layers of one shape share it.
    description: _Description = layer._describe(
        layer._text,
        *_numbers(layer.input_size),
        layer.num_layers,
        layer.bidirectional,
        layer.dilation,
        *layer._sizes().values(),
    )
    return description


def _numbers(input_size: int | dict[str, int]) -> list[int]:
    return [input_size] if isinstance(input_size, int) else list(input_size.values())


def _tensors_of(layer: "SequenceLayer", stored: _Stored) -> list[Tensor]:
    tensors = [_at(layer, path) for path in stored.tensors]
    if not stored.forms:
        return tensors
    return [
        tensor if form is None else form.whole(tensor)
        for tensor, form in zip(tensors, stored.forms, strict=True)
    ]


def _at(layer: "SequenceLayer", path: Path) -> Tensor:
    place: Any = layer
    for name in path:
        place = getattr(place, name)
    tensor: Tensor = place
    return tensor


def run(
    layer: "SequenceLayer",
    input: Any,
    state: Any,
    *,
    lengths: Tensor | list[int] | None,
    reset: Tensor | None,
    trace: bool | Literal["gradient"],
) -> tuple[Any, ...]:
    """Run sequences as ``SequenceLayer._run`` does."""
    if trace == "gradient" or _not_by_operator(layer, resets=reset is not None):
        if torch.compiler.is_exporting():
            raise TargetError(
                f"{layer.plan.program.name} cannot be exported as it is: it draws masks (call "
                "layer.eval() first), a reset goes back to a learned start state, or gradients by "
                "a trace are asked for."
            )
        return layer._uncompiled_sequence(input, state, lengths, reset, trace)
    about = _described(layer)
    if not about.operator or _is_packed(input):
        return layer._uncompiled_sequence(input, state, lengths, reset, trace)
    weight = _at(layer, about.weight)
    main, others = layer._named_inputs(input)
    x, _, batched = layer._read_input(main, weight)
    shared = layer._read_shared(others, x, weight, packing=None, batched=batched)
    start = _start(layer, about, state, like=x, batch=x.shape[1], batched=batched)
    counted = None if lengths is None else _tensor_of(lengths).to(x.device)
    restart = None if reset is None else layer._read_reset(reset, x, batched)
    outputs, final, observed = _stack(
        layer, about, x, shared, start, lengths=counted, reset=restart, trace=bool(trace)
    )

    def laid_out(values: Tensor) -> Tensor:
        if not batched:
            return values.squeeze(1)
        return values.transpose(0, 1) if layer.batch_first else values

    laid = {name: laid_out(values) for name, values in outputs.items()}
    results = _outputs_of(about, laid), _state_of(layer, about, final, batched)
    return (*results, traced(observed, laid_out)) if trace else results


def _not_by_operator(layer: "SequenceLayer", resets: bool = False) -> bool:
    """Return whether something inside the cell or for all steps is drawn, or resets go back to a
    learned state: the operator does neither."""
    locked = layer.locked_dropout and layer.dropout != 0
    drawn = layer._draws or (layer.training and (layer.weight_dropout != 0 or locked))
    return drawn or (resets and layer.learn_start)


def _is_packed(input: Any) -> bool:
    values = list(input.values()) if isinstance(input, Mapping) else [input]
    return any(isinstance(value, PackedSequence) for value in values)


def _outputs_of(about: _Description, outputs: Values) -> Any:
    if about.named_outputs is None:
        return outputs[about.handed_out[0]]
    return getattr(_HERE, about.named_outputs)(**outputs)


def step(layer: "SequenceLayer", x_t: Any, state: Any) -> tuple[Any, Any]:
    """Run a step as ``SequenceLayer.step`` does: a sequence of one step."""
    if _not_by_operator(layer):
        return layer._uncompiled_step(x_t, state)
    about = _described(layer)
    if not about.operator:
        return layer._uncompiled_step(x_t, state)
    layer._check_one_direction()
    x, shared, batched = layer._read_step(x_t, _at(layer, about.weight))
    before = _start(layer, about, state, like=x, batch=x.shape[0], batched=batched)
    one_step = {name: values.unsqueeze(0) for name, values in shared.items()}
    outputs, after, _ = _stack(layer, about, x.unsqueeze(0), one_step, before)
    outputs = {name: values.squeeze(0) for name, values in outputs.items()}
    if not batched:
        outputs = {name: values.squeeze(0) for name, values in outputs.items()}
    return _outputs_of(about, outputs), _state_of(layer, about, after, batched)


def _start(
    layer: "SequenceLayer",
    about: _Description,
    state: Any,
    *,
    like: Tensor,
    batch: int,
    batched: bool,
) -> InitialState:
    widths = dict(zip(about.states, about.widths, strict=True))
    if state is None and layer.learn_start:
        return InitialState(widths, layer._fresh(like, batch))
    if state is None and not any(about.begin):
        return InitialState(widths)
    if state is None:
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        begin = zip(about.states, about.widths, about.begin, strict=True)
        least = torch.finfo(like.dtype).min
        return InitialState(
            widths, {n: like.new_full((rows, batch, w), max(v, least)) for n, w, v in begin}
        )
    tensors = tuple(state) if isinstance(state, tuple | list) else (state,)
    if len(tensors) != len(widths) or not all(isinstance(each, Tensor) for each in tensors):
        layer._values_of(state)  # says what is wrong
    values = dict(zip(about.states, tensors, strict=True))
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    return read_state(values, widths, rows=rows, batch=batch, like=like, batched=batched)


def _tensor_of(lengths: Tensor | list[int]) -> Tensor:
    if isinstance(lengths, list | tuple):
        for number in lengths:
            if not isinstance(number, int) or isinstance(number, bool):
                raise ShapeError(f"lengths is {lengths!r}; expected whole numbers.")
        return torch.tensor(lengths, dtype=torch.int64)
    return torch.as_tensor(lengths)


def _state_of(layer: "SequenceLayer", about: _Description, final: Values, batched: bool) -> Any:
    if not batched:
        final = {name: each.squeeze(1) for name, each in final.items()}
    if about.named is not None:
        return getattr(_HERE, about.named)(**final)
    return layer._state_of(final)


def _stack(
    layer: "SequenceLayer",
    about: _Description,
    x: Tensor,
    shared: Values,
    start: InitialState,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    trace: bool = False,
) -> tuple[Values, Values, dict[tuple[int, bool], Values]]:
    """Run all layers as ``Stack.sequence`` does, on a padded batch [T, B, I]. Dropout draws a
    number for padding too, which is zero before and after."""
    finals: dict[str, list[Tensor]] = {name: [] for name in about.states}
    observed: dict[tuple[int, bool], Values] = {}
    directions = len(about.layers[0].stored)
    below: list[Values] = [{} for _ in range(directions)]

    def run(number: int, direction: int, read: Tensor) -> Tensor:
        of_layer = about.layers[number]
        row, stored = directions * number + direction, of_layer.stored[direction]
        others = [
            below[direction][output] if output else shared[name] for name, output in of_layer.others
        ]
        begin = [] if start.values is None else [each[row] for each in start.values.values()]
        results = torch.ops.conveyor.unroll(
            [read, *others],
            begin,
            _tensors_of(layer, stored),
            lengths,
            reset,
            of_layer.program,
            stored.pieces,
            about.widths,
            direction > 0,
            trace,
            MADE_BY,
        )
        below[direction] = dict(zip(about.outputs, results, strict=False))
        output: Tensor = below[direction][about.outputs[0]]
        last = results[len(results) - len(about.states) :]
        if trace:
            seen = results[len(about.outputs) : len(results) - len(about.states)]
            observed[number, direction > 0] = dict(zip(about.local, seen, strict=True))
        for name, each in zip(about.states, last, strict=True):
            finals[name].append(each.unsqueeze(0))
        return output

    def between(reads: list[Tensor]) -> list[Tensor]:
        return reads if layer.dropout == 0 else dropped(reads, layer.dropout, layer.training)

    output = walk(
        x,
        run,
        layers=len(about.layers),
        directions=directions,
        merge=layer.merge,
        between=between,
    )
    outputs = outputs_on_top(output, below, about.handed_out, layer.merge, TENSORS)
    return outputs, joined_states(finals), observed
