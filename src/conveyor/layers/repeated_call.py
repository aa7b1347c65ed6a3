"""Repeated calls: what a layer does for a call without gradients whose like it has answered before.

``SequenceLayer`` reads a call, gathers parameters and asks whether it can be replayed. For a small
network that takes longer than to compute. All of it follows from the shapes of the arguments and
from what is looked at here, so a call like one before goes to the kernel's replay at once. What
that finds changed, as tensors of another kind, goes the long way, and so does every error.
"""

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from conveyor.kernels.kernel import InitialState
from conveyor.kernels.select import how_chosen
from conveyor.layers.cache import Cache, cache_of
from conveyor.layers.stack_replay import MOST, StackReplay

if TYPE_CHECKING:
    from conveyor.layers.sequence import SequenceLayer

Door = Literal["sequence", "step"]


class Stored(NamedTuple):
    """Where the parameters of a single layer of one direction are: the modules that hold them, each
    a path from the layer, and for each parameter the number of its module and its name there."""

    holders: tuple[tuple[str, ...], ...]
    names: tuple[tuple[int, str], ...]

    @staticmethod
    def at(paths: Sequence[tuple[str, ...]]) -> "Stored":
        """Return where the parameters at these paths are."""
        holders = tuple(dict.fromkeys(path[:-1] for path in paths))
        return Stored(holders, tuple((holders.index(path[:-1]), path[-1]) for path in paths))

    def tensors(self, layer: Any) -> list[Any]:
        """Return the parameters as they are now; None for one in whose place pruning or
        parametrisation put something else."""
        holding = []
        for path in self.holders:
            holder = layer
            for name in path:
                holder = holder._modules[name]
            holding.append(holder._parameters)
        return [holding[number].get(name) for number, name in self.names]


class RepeatedCall(NamedTuple):
    """What was found out in a call.

    Args:
        replay: of all layers and directions.
        how_chosen: the target that was asked for, and the number of threads.
        batch_first: of the layer.
        axis: where the input lacks the dimension of the batch; None where it has it.
        states: the shapes of the states given, by name.
        state_of: makes a state as the layer hands it out, of its tensors in order.
        stored: of a single layer of one direction; None for several, and where matrices are
            stored as blocks.
    """

    replay: StackReplay
    how_chosen: tuple[str | None, int]
    batch_first: bool
    axis: int | None
    states: dict[str, torch.Size]
    state_of: Callable[[list[Tensor]], Any]
    stored: Stored | None

    def run(
        self, layer: "SequenceLayer", door: Door, x: Tensor, begin: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]] | None:
        """Return the output and the final states; None if a tensor is not as it was."""
        if x.layout is not torch.strided:
            return None
        turned = self.batch_first and door == "sequence"
        if self.stored is not None and self.axis is None and not turned:
            try:
                stored = self.stored.tensors(layer)
            except (AttributeError, KeyError):  # a module is no longer there
                return None
            x = x if x.is_contiguous() else x.contiguous()
            known = self.replay.replays[0][0]([x, *begin, *stored])
            return None if known is None else (known[0][0], known[1])
        for each, shape in zip(begin, self.states.values(), strict=True):
            if type(each) is not Tensor or each.is_nested or each.layout is not torch.strided:
                return None
            if each.shape != shape:
                return None
        if self.axis is not None:
            x, begin = x.unsqueeze(self.axis), [each.unsqueeze(1) for each in begin]
        x = (x.transpose(0, 1) if turned else x).contiguous()
        values = dict(zip(self.states, begin, strict=True)) if begin else None
        start = InitialState(layer._state_widths, values)
        computed = self.replay.run(x, {}, start, layer._stack_parameters())
        if computed is None:
            return None
        (output,), final = computed[0].values(), list(computed[1].values())
        output = output.transpose(0, 1) if turned else output
        if self.axis is not None:
            output, final = output.squeeze(self.axis), [each.squeeze(1) for each in final]
        return output, final


def repeated(layer: "SequenceLayer", door: Door, x: Any, state: Any) -> tuple[Tensor, Any] | None:
    """Return the output and the final state, if such a call was remembered; otherwise None.

    Args:
        layer: which is called.
        door: how.
        x: the input, as the caller gave it, and so the state.
    """
    calls: Cache[Hashable, RepeatedCall] | None = layer.__dict__.get("_repeated")
    if calls is None or type(x) is not Tensor or torch.is_grad_enabled():
        return None
    try:
        call = calls.get((door, x.shape, state is None))
    except RuntimeError:  # of a nested tensor, which has no shape
        return None
    if call is None or call.how_chosen != how_chosen() or call.batch_first != layer.batch_first:
        return None
    if layer.training and (layer.dropout or layer.weight_dropout or layer._draws):
        return None
    if (  # whoever must see every operation
        torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or torch._C._is_tracing()
        or forward_ad._current_level >= 0
    ):
        return None
    begin: Sequence[Tensor] = ()
    if state is not None:
        begin = state if isinstance(state, tuple | list) else (state,)
        if len(begin) != len(call.states):
            return None
    computed = call.run(layer, door, x, begin)
    return None if computed is None else (computed[0], call.state_of(computed[1]))


def remember(
    layer: "SequenceLayer",
    door: Door,
    x: Any,
    state: Any,
    *,
    rows: Tensor,
    start: InitialState,
    final: Any,
) -> None:
    """Remember a call that was replayed, if a tensor and a state went in and came out.

    Args:
        layer: which was called.
        door: how.
        x: the input, as the caller gave it, and so the state.
        rows: the input as it was read, and so ``start``.
        final: the state that the caller gets.
    """
    single = type(x) is Tensor and len(layer._output_names) == 1
    if not single or (state is None and layer._begins_elsewhere):
        return
    key = StackReplay.key(rows, start, layer.dropout if layer.training else 0.0)
    replay: StackReplay = cache_of(layer, "_replays")[key]
    batched = x.dim() == (3 if door == "sequence" else 2)
    axis = 1 if door == "sequence" and not layer.batch_first else 0
    states = () if state is None else state if isinstance(state, tuple | list) else (state,)
    at_once = layer.num_layers == 1 and not layer.bidirectional and not layer._forms
    calls: Cache[Hashable, RepeatedCall] = cache_of(layer, "_repeated")
    if len(calls) >= MOST:
        calls.clear()
    calls[door, x.shape, state is None] = RepeatedCall(
        replay,
        how_chosen(),
        layer.batch_first,
        None if batched else axis,
        {name: each.shape for name, each in zip(layer._state_widths, states, strict=False)},
        _maker_of(final),
        Stored.at(layer._stack_paths()[0][0]) if at_once else None,
    )


def _maker_of(state: Any) -> Callable[[list[Tensor]], Any]:
    """Return what makes a state like this one of its tensors in order."""
    if isinstance(state, Tensor):
        return itemgetter(0)
    return type(state)._make if hasattr(state, "_make") else tuple
