"""How a layer runs inside torch.compile and torch.export: one operator for each layer and
direction. Loaded only there, for it loads torch's compiler.

torch's compiler follows Python, but not everywhere: what it cannot follow is worked out before,
by ``_describe``, and is a constant to it.
"""

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.errors import ShapeError, TargetError
from conveyor.kernels.kernel import InitialState, Values
from conveyor.kernels.select import target_for
from conveyor.layers.grid import GridLSTM
from conveyor.layers.layer_trace import traced
from conveyor.layers.operator import MADE_BY, encoded, saved_state_type
from conveyor.layers.request import read_state, read_step
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stack import dropped, merged, stacked

# What is returned from a compiled function must be found by name, and a dictionary is read once for
# a whole function: the named tuples that layers give their states as become attributes of this.
_HERE: Any = sys.modules[__name__]

# Where a tensor is in a module.
Path = tuple[str, ...]


@dataclass(frozen=True)
class _Own:
    """One layer in one direction; ``pieces`` as the operator takes them."""

    stored: tuple[Path, ...]
    pieces: tuple[int, ...]


@dataclass(frozen=True)
class _Description:
    """What does not depend on any tensor's numbers. ``operator`` says whether the operator runs
    the layer: its target is machine code and its parameters have the shapes that its sizes say;
    ``begin`` what each state starts at, ``named`` where the named tuple stands that states are
    given as, if they are."""

    operator: bool
    weight: Path
    states: tuple[str, ...]
    widths: tuple[int, ...]
    begin: tuple[float, ...]
    local: tuple[str, ...]
    layers: tuple[tuple[_Own, ...], ...]
    named: str | None


_NOT_BY_OPERATOR = _Description(False, (), (), (), (), (), (), None)


def _describe(layer: SequenceLayer, *_: object) -> _Description:
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
    places = layer._stack_paths()
    layers = tuple(
        tuple(
            _Own(tuple(paths), encoded(own, plan.program)) for paths, own in zip(*both, strict=True)
        )
        for both in zip(places, layer._stack_parameters(), strict=True)
    )
    # A cell without parameters is where its layer is.
    where = next(iter(places[0][0]), ("_nowhere",))
    return _Description(
        target_for(plan, layer._placement(weight)).in_graphs,
        where,
        names,
        tuple(layer._state_widths.values()),
        tuple(plan.program.start_states.get(name, 0.0) for name in names),
        tuple(plan.program.values_of("local")),
        layers,
        named,
    )


# From here on, for loading this module means that the compiler is at work. It calls ``_describe``
# as a method of a layer and takes the answer for a constant. And it must not follow what is not
# to be compiled: it would unroll the time loop step by step.
_compiler: Any = torch.compiler
for _name, _method in {
    "_describe": _compiler.assume_constant_result(_describe),
    "_run_as_it_is": _compiler.disable(SequenceLayer._run_as_it_is),
    "_step_as_it_is": _compiler.disable(SequenceLayer._step_as_it_is),
}.items():
    setattr(SequenceLayer, _name, _method)


# A grid breaks the graph: the compiler would unroll it block by block.
run_grid: Any = _compiler.disable(GridLSTM._run)


def _described(layer: Any) -> _Description:
    # All that the description depends on. What is read here is compared before a compiled program
    # runs, so that layers of one shape share it.
    description: _Description = layer._describe(
        layer._text,
        layer.input_size,
        layer.num_layers,
        layer.bidirectional,
        *layer._sizes().values(),
    )
    return description


def _at(layer: SequenceLayer, path: Path) -> Tensor:
    found: Any = layer
    for name in path:
        found = getattr(found, name)
    tensor: Tensor = found
    return tensor


def run(
    layer: SequenceLayer,
    input: Tensor | PackedSequence,
    state: Any,
    *,
    lengths: Tensor | list[int] | None,
    reset: Tensor | None,
    trace: bool,
) -> tuple[Any, ...]:
    """As ``SequenceLayer._run``."""
    if _not_by_operator(layer, again=reset is not None):
        if torch.compiler.is_exporting():
            raise TargetError(
                f"{layer.plan.program.name} cannot be exported as it is: it draws masks (call "
                "layer.eval() first), layers above the first read more of the layer below, or a "
                "reset goes back to a learned start state."
            )
        return layer._run_as_it_is(input, state, lengths, reset, trace)
    about = _described(layer)
    if not about.operator or isinstance(input, PackedSequence):
        return layer._run_as_it_is(input, state, lengths, reset, trace)
    x, _, batched = layer._read_input(input, _at(layer, about.weight))
    start = _start(layer, about, state, like=x, batch=x.shape[1], batched=batched)
    counted = None if lengths is None else _tensor_of(lengths).to(x.device)
    again = None if reset is None else layer._read_reset(reset, x, batched)
    output, final, observed = _stack(
        layer, about, x, start, lengths=counted, reset=again, trace=trace
    )

    def laid_out(values: Tensor) -> Tensor:
        if not batched:
            return values.squeeze(1)
        return values.transpose(0, 1) if layer.batch_first else values

    results = laid_out(output), _state_of(layer, about, final, batched)
    return (*results, traced(observed, laid_out)) if trace else results


def _not_by_operator(layer: SequenceLayer, again: bool = False) -> bool:
    """Whether something inside the cell is drawn, layers above read more of those below, or the
    state starts ``again`` at what was learned: the operator does none of these."""
    more = len(layer._planned) > 1 and layer.num_layers > 1
    drawn = layer._draws or (layer.training and layer.weight_dropout != 0)
    return more or drawn or (again and layer.learn_start)


def step(layer: SequenceLayer, x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
    """As ``SequenceLayer.step``: a sequence of one step."""
    if _not_by_operator(layer):
        return layer._step_as_it_is(x_t, state)
    about = _described(layer)
    if not about.operator:
        return layer._step_as_it_is(x_t, state)
    layer._check_one_direction()
    x, batched = read_step(x_t, _at(layer, about.weight), features=layer.input_size)
    before = _start(layer, about, state, like=x, batch=x.shape[0], batched=batched)
    output, after, _ = _stack(layer, about, x.unsqueeze(0), before)
    output = output.squeeze(0)
    return output if batched else output.squeeze(0), _state_of(layer, about, after, batched)


def _start(
    layer: SequenceLayer,
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
    given = tuple(state) if isinstance(state, tuple | list) else (state,)
    if len(given) != len(widths) or not all(isinstance(each, Tensor) for each in given):
        layer._values_of(state)  # says what is wrong
    values = dict(zip(about.states, given, strict=True))
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    return read_state(values, widths, rows=rows, batch=batch, like=like, batched=batched)


def _tensor_of(lengths: Tensor | list[int]) -> Tensor:
    if isinstance(lengths, list | tuple):
        for number in lengths:
            if not isinstance(number, int) or isinstance(number, bool):
                raise ShapeError(f"lengths is {lengths!r}; expected whole numbers.")
        return torch.tensor(lengths, dtype=torch.int64)
    return torch.as_tensor(lengths)


def _state_of(layer: SequenceLayer, about: _Description, final: Values, batched: bool) -> Any:
    if not batched:
        final = {name: each.squeeze(1) for name, each in final.items()}
    if about.named is not None:
        return getattr(_HERE, about.named)(**final)
    return layer._state_of(final)


def _stack(
    layer: SequenceLayer,
    about: _Description,
    x: Tensor,
    start: InitialState,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    trace: bool = False,
) -> tuple[Tensor, Values, dict[tuple[int, bool], Values]]:
    """As ``Stack.sequence``, on a padded batch [T, B, I]. Dropout draws a number for padding
    too, which is zero before and after."""
    finals: dict[str, list[Tensor]] = {name: [] for name in about.states}
    observed: dict[tuple[int, bool], Values] = {}
    row = 0
    reads = [x] * len(about.layers[0])
    for number, directions in enumerate(about.layers):
        outputs = []
        for place, own in enumerate(directions):
            given = [] if start.values is None else [each[row] for each in start.values.values()]
            results = torch.ops.conveyor.sequence(
                reads[place],
                given,
                [_at(layer, path) for path in own.stored],
                lengths,
                reset,
                layer._text,
                own.pieces,
                about.widths,
                place > 0,
                trace,
                MADE_BY,
            )
            first, last = results[0], results[len(results) - len(about.states) :]
            outputs.append(first)
            if trace:
                seen = results[1 : len(results) - len(about.states)]
                observed[number, place > 0] = dict(zip(about.local, seen, strict=True))
            for name, each in zip(about.states, last, strict=True):
                finals[name].append(each.unsqueeze(0))
            row += 1
        top = number == len(about.layers) - 1
        reads = merged(outputs, layer.merge, top=top)
        if layer.dropout != 0 and not top:
            reads = dropped(reads, layer.dropout, layer.training)
    return reads[0], stacked(finals), observed
