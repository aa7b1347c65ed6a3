"""Layers under ``torch.fx.symbolic_trace``: one node each, as the layers of torch.nn are."""

from typing import Any

from torch import nn
from torch.fx import Proxy

from conveyor.errors import TargetError


def is_symbolic(x: Any) -> bool:
    """Return whether ``x`` stands for a tensor of a trace."""
    return isinstance(x, Proxy)


def recorded(layer: nn.Module, x: Any, *state: Any, **options: Any) -> Any:
    """Return what a tracer puts in place of a call of the layer: a node that calls the module.

    Args:
        layer: a module of the traced model.
        x: what stands for the layer's input.
        state: further arguments.
        options: those given by name; what is None or False is the default and left out.

    Raises:
        TargetError: the layer is the whole of what is traced.
    """
    path = x.tracer.path_of_module(layer)
    if not path:
        raise TargetError(
            "torch.fx.symbolic_trace records a layer of conveyor as one node of a model and does "
            "not look into it. Trace the model that holds the layer."
        )
    given = {
        name: value for name, value in options.items() if value is not None and value is not False
    }
    return x.tracer.create_proxy("call_module", path, (x, *state), given)
