"""Whether a decoder computes what its equations say, so that machine code of these may take the
place of its steps."""

from typing import Any

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

from conveyor.layers.drop_in import GRU, LSTM, RNN
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.attention import Attention

_LAYERS = (Recurrent, LSTM, GRU, RNN)


def is_plain(
    decoder: Any,
    kind: type[nn.Module],
    feeds: nn.Linear | None = None,
    gates: nn.Linear | None = None,
) -> bool:
    """Return whether a decoder's steps do what those of its class do, and nobody looks on.

    It is where the decoder, its layer, its attention and their linear maps are of exactly the
    known types (a subclass may compute otherwise; so may what ``parametrize`` makes of a module),
    none of their methods is replaced on the object, the maps have the shapes and biases that they
    were made with, and there are no hooks, forward or backward, on a part or on all modules.
    Everything else is not plain. A method that is replaced on a class is not noticed.

    Args:
        decoder: with ``layer`` and ``attention``.
        kind: the class whose steps are known.
        feeds, gates: see ``StepsAtOnce``.
    """
    layer, attention = decoder.layer, decoder.attention
    if type(decoder) is not kind or type(layer) not in _LAYERS or type(attention) is not Attention:
        return False
    queries, seen = attention.query_size, attention.memory_size
    parts: list[nn.Module] = [layer, attention]
    # Each map, what it is made of, and whether it has a bias.
    maps = [(feeds, (decoder.fed_size, seen + queries), False), (gates, (1, queries), True)]
    if attention.scoring == "concat":
        maps.append((attention.of_query, (attention.width, queries), False))
        if attention.v.shape != (attention.width,):
            return False
    for each, shape, with_bias in maps:
        if each is not None:
            if type(each) is not nn.Linear or each.weight.shape != shape:
                return False
            if (each.bias is not None) != with_bias:
                return False
            parts.append(each)
    hooked = _has_any_global_hook()  # type: ignore[no-untyped-call]
    if hooked or any(_is_hooked(each) for each in parts):
        return False
    return not any(_is_patched(each) for each in (decoder, *parts))


def _is_hooked(part: nn.Module) -> bool:
    """Return whether somebody sees or changes what a module reads, gives or hands back."""
    return bool(
        part._forward_hooks
        or part._forward_pre_hooks
        or part._backward_hooks
        or part._backward_pre_hooks
    )


def _is_patched(part: nn.Module) -> bool:
    """Return whether a method is replaced on an object."""
    kind = type(part)
    return any(callable(getattr(kind, name, None)) for name in vars(part))
