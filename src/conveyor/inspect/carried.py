"""The way of a gradient through a state alone, and all other ways.

Of an LSTM c_t = f_t c_{t-1} + i_t g_t: the derivative of c_T by c_t is the product of the forget
gates between them, and what goes through the hidden state and the gates besides (Hochreiter &
Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000). Of any other cell it is the same with the
derivative of the new state by the old one, unit by unit, where products of matrices and sums over
units stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.compiler.carry import CARRIED
from conveyor.errors import SettingError, did_you_mean
from conveyor.inspect.traced import Place, check_layer, evaluated, steps_first, traced
from conveyor.layers.plans import carried_plan
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.traced_call import observed_call


@dataclass(frozen=True)
class StatePath:
    """The derivative of a state at the last step by itself at every step.

    Args:
        state: its name.
        total: the norm of the whole derivative, [distances], at distance 0 first.
        direct: of its part that goes through the state alone: of the product of what is carried.
        rest: of what goes all other ways.

    All are Frobenius norms over the units that were asked for, roots of means of squares over
    sequences.
    """

    state: str
    total: Tensor
    direct: Tensor
    rest: Tensor


def carried(
    layer: SequenceLayer,
    x: Tensor | Mapping[str, Tensor],
    *,
    number: int = 0,
    reverse: bool = False,
    name: str | None = None,
    state: Any = None,
) -> Tensor:
    """Return how much of each unit of a state is carried over at each step, [T, B, units]: the
    derivative of the new state by the old one, unit by unit. Of an LSTM's c it is the forget gate,
    of a GRU's h the update gate.

    Args:
        layer: any recurrent layer that has a trace.
        x: as the layer reads it, sequences of one length.
        number: of the layer, from 0.
        reverse: whether its reverse direction is meant.
        name: of the state; c, or the first, if it is left out.
        state: before the first step.

    Raises:
        SettingError: the layer has no trace, no such layer, direction or state.
        ShapeError: the input does not fit.
    """
    check_place(layer, number, reverse=reverse)
    return carried_by_place(layer, x, memory_of(layer, name), state)[number, reverse]


def carried_by_place(
    layer: SequenceLayer, x: Tensor | Mapping[str, Tensor], memory: str, state: Any
) -> dict[Place, Tensor]:
    """Return what ``carried`` does, of every layer in every direction: one run gives all.

    Args:
        layer, x, state: as of ``carried``.
        memory: the name of the state.
    """
    with torch.no_grad(), evaluated(layer):
        request = layer._read(x, state, None, None)
        observed = observed_call(layer, request, lambda plan: carried_plan(plan, memory))
    name = f"{CARRIED}{memory}"
    return {place: steps_first(layer, values[name]) for place, values in observed.items()}


def state_path(
    layer: SequenceLayer,
    x: Tensor | Mapping[str, Tensor],
    *,
    number: int = 0,
    name: str | None = None,
    units: int | None = None,
    state: Any = None,
) -> StatePath:
    """Return the derivative of a state at the last step by itself at every step, split into its
    way through the state alone and the rest.

    Args:
        layer, x, number, name, state: as of ``carried``.
        units: of so many of the state's units at the last step, evenly chosen; of all if it is left
            out. Each takes a backward pass.

    Raises:
        SettingError: as of ``carried``, or ``units`` is below 1.
        ShapeError: the input does not fit.
    """
    check_place(layer, number)
    memory = memory_of(layer, name)
    if layer._dilations:
        raise SettingError(
            "a dilated layer reads its state of some steps before: it has no such path."
        )
    if units is not None and (not isinstance(units, int) or units < 1):
        raise SettingError(f"units is {units!r}; expected a whole number from 1.")
    share = carried(layer, x, number=number, name=name, state=state)
    _, final, trace = traced(layer, x, state)
    values = trace.at(number)[memory]
    # Of the sequence's end: what the trace holds depends on no other step.
    row = layer._directions * number
    last = final[memory][row].reshape(-1, values.shape[-1])
    width = last.shape[-1]
    count = width if units is None else min(units, width)
    chosen = torch.linspace(0, width - 1, count).round().long().tolist()
    # The product of what was carried at all later steps.
    direct = share[1:].flip(0).cumprod(0).flip(0)
    direct = torch.cat([direct, torch.ones_like(share[:1])])
    totals, directs, rests = (torch.zeros(len(share), dtype=torch.float64) for _ in range(3))
    for unit in chosen:
        with torch.enable_grad():
            answer = last[:, unit].sum()
        (gradient,) = torch.autograd.grad(answer, [values], retain_graph=True)
        whole = steps_first(layer, gradient).double().cpu()
        own = direct[..., unit].double().cpu()
        rest = whole.clone()
        rest[..., unit] -= own
        totals += (whole**2).sum(-1).mean(1)
        directs += (own**2).mean(1)
        rests += (rest**2).sum(-1).mean(1)
    return StatePath(memory, *(each.sqrt().flip(0) for each in (totals, directs, rests)))


def time_constants(
    layer: SequenceLayer,
    x: Tensor | Mapping[str, Tensor],
    *,
    number: int = 0,
    name: str | None = None,
    state: Any = None,
) -> Tensor:
    """Return for each unit of a state after how many steps 1/e of it is left, [units]: -1 / log of
    the geometric mean of what is carried over, over all steps and sequences (Tallec & Ollivier
    2018). It is 0 of a unit that keeps nothing, infinite of one that loses nothing.

    Args:
        layer, x, number, name, state: as of ``carried``.

    Raises:
        SettingError: as of ``carried``.
        ShapeError: the input does not fit.
    """
    share = carried(layer, x, number=number, name=name, state=state)
    return time_constants_of(share.flatten(0, 1))


def time_constants_of(share: Tensor) -> Tensor:
    """Return the time constants of units, [units], of what is carried over, [steps, units]."""
    logarithm = share.abs().double().log().mean(0)
    return torch.where(logarithm < 0, -1 / logarithm, torch.inf)


def check_place(layer: SequenceLayer, number: int, *, reverse: bool = False) -> None:
    """Check that something is a layer that has a trace, and that it has such a layer in it.

    Raises:
        SettingError: it is not, or has not.
    """
    check_layer(layer)
    if not isinstance(number, int) or not 0 <= number < layer.num_layers:
        raise SettingError(f"number is {number!r}; the layers are 0 to {layer.num_layers - 1}.")
    if reverse and not layer.bidirectional:
        raise SettingError("the layer has no reverse direction.")


def memory_of(layer: SequenceLayer, name: str | None) -> str:
    """Return the name of the state that is the memory: the one given, or c, or the first.

    Raises:
        SettingError: the layer has no such state.
    """
    program = layer.plan.program
    names = [leaf.name.removesuffix("'") for leaf in program.states if leaf.axes]
    if name is None:
        return "c" if "c" in names else names[0]
    if name not in names:
        raise SettingError(f"{program.name} has no state {name!r}. {did_you_mean(name, names)}")
    return name
