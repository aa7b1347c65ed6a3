"""How a layer would be run, for people."""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.compiler.cost import cost
from conveyor.compiler.observe import ONE, taps
from conveyor.compiler.plan import Plan
from conveyor.errors import ShapeError
from conveyor.kernels.select import select
from conveyor.kernels.steps import Steps
from conveyor.layers.lengths import Packing
from conveyor.layers.places import Places, number_of_places
from conveyor.layers.request import check_same_kind, check_tensor

if TYPE_CHECKING:
    from conveyor.layers.sequence import SequenceLayer


def explained(
    layer: "SequenceLayer",
    x: Tensor | PackedSequence | Mapping[str, Tensor | PackedSequence | Places],
) -> str:
    """Return what ``SequenceLayer.explain`` does."""
    rest, looked_at = layer._without_memories(x)
    main, _ = layer._named_inputs(rest)
    data = main.data if isinstance(main, PackedSequence) else main
    check_tensor("input", data)
    check_same_kind("input", data, layer._weight())
    if data.shape[-1:] != (layer._features,):
        raise ShapeError(
            f"the input is {list(data.shape)}; this layer reads {layer._features} features."
        )
    choice = select(layer.plan, layer._placement(data))
    if isinstance(main, PackedSequence):
        steps = Packing.of(main).steps
    elif main.dim() == 3:
        steps = Steps.dense(*(main.shape[1::-1] if layer.batch_first else main.shape[:2]))
    else:
        steps = Steps.dense(main.numel() // layer._features, 1)
    memories = layer._read_memories(
        looked_at,
        layer._weight(),
        batch=steps.batch,
        batched=isinstance(main, PackedSequence) or main.dim() == 3,
    )
    places = number_of_places(memories, layer.plan.program)
    once = 0
    costs = [cost(plans.inference) for plans in layer._plans]
    multiply_adds = kept = seen = tapped = 0
    planned: Plan | None = None
    how: list[str] = []

    for number, width in enumerate(layer._widths_read()):
        sizes = {**layer._sizes(), **places, "I": width}
        plan = layer._plans[number].inference
        of_trace, of_gradients = _traced(plan, sizes)
        seen += layer._directions * of_trace
        tapped += layer._directions * of_gradients
        once += layer._directions * costs[number].once.at(sizes)
        multiply_adds += layer._directions * costs[number].multiply_adds.at(sizes)
        planned = layer._kernel(layer._placement(data), plan).planned
        of_plan = costs[number] if planned is None or planned is plan else cost(planned)
        kept += layer._directions * of_plan.kept.at({**sizes, ONE: 1})
        mark = f"  layer {number}: " if layer.num_layers > 1 else "  "
        kernel = layer._layer_kernel(number, layer._placement(data), plan)
        how.extend([mark + line for line in kernel.explain(sizes, steps)])
    lines = [
        f"{layer.plan.program.name}: {layer.num_layers} layer(s), "
        f"{layer._directions} direction(s), {data.dtype}, {data.device}",
        f"target: {choice.target.name}",
        *(f"  not {name}: {reason}" for name, reason in choice.refusals.items()),
        f"forward: {multiply_adds * steps.rows + once * steps.batch:,} multiply-adds in matrix "
        "products",
        *how,
        *_read_whole(layer),
        _kept(
            kept * steps.rows * data.element_size(),
            compiled=planned is not None,
            planned=planned is not None or not memories,
        ),
        f"kept besides by a trace: {seen * steps.rows * data.element_size():,} bytes, by "
        f"trace='gradient' {tapped * steps.rows * data.element_size():,}",
    ]
    return "\n".join(lines)


def _kept(numbers: int, *, compiled: bool, planned: bool) -> str:
    """Return what is said of the backward pass, for which so many bytes are kept."""
    if not planned:
        return "the backward pass, and what is kept for it, is left to autograd"
    more = "" if compiled else "; autograd keeps more"
    return f"kept for the backward pass: {numbers:,} bytes by the plan{more}"


def _traced(plan: Plan, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Return how many numbers a trace keeps of each row: its values; and with gradients also what
    the backward pass needs more to give them."""
    program = plan.program
    local = program.values_of("local")
    values = {local[name] for name in taps(program)}
    seen = sum(prod(sizes[axis] for axis in program.axes[value]) for value in values)
    more = cost(plan.tapped).kept.at(sizes) - cost(plan).kept.at(sizes)
    return seen, seen + more


def _read_whole(layer: "SequenceLayer") -> list[str]:
    """Say which matrices are stored as blocks."""
    names = [name for name, _ in layer.plan.program.blocks]
    if not names:
        return []
    return [f"stored as blocks, read as whole matrices: {', '.join(names)}"]
