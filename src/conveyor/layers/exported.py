"""What torch must know before it loads a program that ``torch.export`` saved: the operators in it,
and the named tuples that it hands out.

This is loaded with the package, and is light. What the operators do is in ``operator.py``, which is
loaded when one of them runs.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch.utils import _pytree

from conveyor.layers.state import outputs_type, state_type

# What both operators are given: the fields of ``operator._Given``, which says more. ``unroll``
# gives the outputs, with ``observe`` every local name, the final states, and with ``training``,
# which is for autograd to set, what the backward pass reads. ``unroll_backward`` gives the
# gradients of those of (inputs, start, stored) that ``needed`` says. Saved programs hold these
# schemas: one that changes needs another name. ``sequence`` is in programs that were exported when
# a cell had one input and gave its first output.
_MORE = (
    "Tensor[] start, Tensor[] stored, Tensor? lengths, Tensor? reset, "
    "str program, int[] pieces, int[] widths, bool reverse, bool observe, str made_by"
)
_GIVEN = f"Tensor[] inputs, {_MORE}"
_SCHEMAS = (
    f"unroll({_GIVEN}, bool training=False) -> Tensor[]",
    f"unroll_backward({_GIVEN}, Tensor?[] gradients, Tensor[] kept, bool[] needed) -> Tensor[]",
    f"sequence(Tensor input, {_MORE}, bool training=False) -> Tensor[]",
)
# A device for which some target has kernels with passes of their own.
_DEVICES = ("CPU", "CUDA")


@cache
def saved_state_type(names: tuple[str, ...]) -> Any:
    """Return the named tuple of these state names, known to torch.export by a name of its own. A
    saved program that hands it out can be loaded where this was called with the same names."""
    return _registered(state_type(names), f"conveyor.State({', '.join(names)})")


@cache
def saved_outputs_type(names: tuple[str, ...]) -> Any:
    """Return the named tuple of these output names, as ``saved_state_type`` does of states."""
    return _registered(outputs_type(names), f"conveyor.Outputs({', '.join(names)})")


def _registered(tuple_type: Any, name: str) -> Any:
    _pytree._register_namedtuple(tuple_type, serialized_type_name=name)
    return tuple_type


def _on_use(name: str) -> Callable[..., Any]:
    """Return a function of ``operator.py``, which is loaded when it is called."""

    def run(*arguments: Any) -> Any:
        return getattr(import_module("conveyor.layers.operator"), name)(*arguments)

    return run


def _library() -> Any:
    """Return the operators, defined and registered."""
    library: Any = torch.library.Library("conveyor", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    for device in _DEVICES:
        library.impl("unroll", _on_use("run_unrolled"), device)
        library.impl("unroll_backward", _on_use("run_backward"), device)
    library.impl("unroll", _on_use("run_with_gradients"), "Autograd")
    library.impl("sequence", _on_use("run_first_output"), "CompositeImplicitAutograd")
    for operator, shapes in (
        ("unroll", "shapes_of_unrolled"),
        ("unroll_backward", "shapes_of_backward"),
    ):
        torch.library.register_fake(f"conveyor::{operator}", _on_use(shapes), lib=library)
    return library


# Kept alive: the operators go when it does.
_LIBRARY = _library()

for _names in (("h",), ("h", "c")):  # those of all built-in cells
    saved_state_type(_names)
