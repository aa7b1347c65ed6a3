"""How a layer would be run, for people."""

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from conveyor.compiler.cost import cost
from conveyor.errors import ShapeError
from conveyor.kernels.select import select
from conveyor.kernels.steps import Steps
from conveyor.layers.lengths import Packing
from conveyor.layers.request import check_same_kind, check_tensor

if TYPE_CHECKING:
    from conveyor.layers.sequence import SequenceLayer


def explained(layer: "SequenceLayer", x: Tensor | PackedSequence) -> str:
    """See ``SequenceLayer.explain``."""
    data = x.data if isinstance(x, PackedSequence) else x
    check_tensor("input", data)
    check_same_kind("input", data, layer._weight())
    if data.shape[-1:] != (layer.input_size,):
        raise ShapeError(
            f"the input is {list(data.shape)}; this layer reads {layer.input_size} features."
        )
    choice = select(layer.plan, layer._placement(data))
    if isinstance(x, PackedSequence):
        steps = Packing.of(x).steps
    elif x.dim() == 3:
        steps = Steps.dense(*(x.shape[1::-1] if layer.batch_first else x.shape[:2]))
    else:
        steps = Steps.dense(x.numel() // layer.input_size, 1)
    costs = [cost(each.plan) for each in layer._planned]
    directions = 2 if layer.bidirectional else 1
    multiply_adds = kept = 0
    how: list[str] = []
    for number in range(layer.num_layers):
        sizes = {**layer._sizes(), "I": layer.input_size if number == 0 else layer._width_between}
        own = costs[min(number, len(costs) - 1)]
        multiply_adds += own.multiply_adds.at(sizes) * directions
        kept += own.kept.at(sizes) * directions
        mark = f"  layer {number}: " if layer.num_layers > 1 else "  "
        level = layer._planned[min(number, len(layer._planned) - 1)]
        kernel = layer._kernel(layer._placement(data), level.plan)
        how += [mark + line for line in kernel.explain(sizes, steps)]
    lines = [
        f"{layer.plan.program.name}: {layer.num_layers} layer(s), {directions} direction(s), "
        f"{data.dtype}, {data.device}",
        f"target: {choice.target.name}",
        *(f"  not {name}: {reason}" for name, reason in choice.refusals.items()),
        f"forward: {multiply_adds * steps.rows:,} multiply-adds in matrix products",
        *how,
        f"kept for the backward pass: {kept * steps.rows * data.element_size():,} bytes by the "
        "plan" + ("; autograd keeps more" if not choice.target.in_graphs else ""),
    ]
    return "\n".join(lines)
