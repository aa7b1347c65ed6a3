"""A clockwork network written as a cell is what the layer ``conveyor.Clockwork`` computes.

The layer takes any number of modules, and runs each over its own ticks only. The cell says the
equations: it computes every module at every step and keeps what does not tick.
"""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells.clockwork_cell import clockwork
from conveyor.compiler.cost import cost
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace

PERIODS = (1, 2, 4)
INPUTS = 3
# Shared out evenly, the rest to the fastest.
UNITS = (3, 2, 2)


def by_the_names_of_the_cell(of_modules: Sequence[Tensor]) -> dict[str, Tensor]:
    """The parameters of the layer, or their gradients, as those of the cell: W, U and b of each
    module, the fastest first. Columns of W are the input's features, then the units of the slower
    modules."""
    named: dict[str, Tensor] = {}
    for place in range(len(PERIODS)):
        number = place + 1
        W, U, b = of_modules[3 * place : 3 * number]
        of_x, *of_slower = torch.split(W, [INPUTS, *UNITS[number:]], 1)
        named |= {f"W{number}": of_x, f"U{number}.h{number}": U, f"b{number}": b}
        named |= {f"U{number}.h{more}": part for more, part in enumerate(of_slower, number + 1)}
    return named


def both() -> tuple[conveyor.Clockwork, conveyor.Recurrent]:
    """The layer, and the cell's with the same parameters."""
    torch.manual_seed(0)
    layer = conveyor.Clockwork(INPUTS, sum(UNITS), PERIODS, dtype=torch.float64)
    sizes = dict(zip("ABC", UNITS, strict=True))
    own = conveyor.Recurrent(clockwork, INPUTS, sum(UNITS), sizes=sizes, dtype=torch.float64)
    with torch.no_grad():
        for each in layer.parameters():
            each.normal_(std=0.5)
        named = by_the_names_of_the_cell(list(layer.parameters()))
        assert {f"l0.{name}" for name in named} == {name for name, _ in own.named_parameters()}
        for name, numbers in named.items():
            own.get_parameter(f"l0.{name}").copy_(numbers)
    return layer, own


@pytest.mark.parametrize("target", ["reference", "llvm"])
def test_outputs_and_gradients_are_those_of_the_layer(target: str) -> None:
    layer, own = both()
    x = torch.randn(11, 3, INPUTS, dtype=torch.float64)
    upstream = torch.randn(11, 3, sum(UNITS), dtype=torch.float64)
    with conveyor.use_target(target):
        given = [x.clone().requires_grad_() for _ in range(2)]
        want, _ = layer(given[0])
        got = torch.cat(list(own(given[1])[0]), -1)
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)
        x_of_layer, *of_layer = torch.autograd.grad(want, [given[0], *layer.parameters()], upstream)
        x_of_cell, *of_cell = torch.autograd.grad(got, [given[1], *own.parameters()], upstream)
    torch.testing.assert_close(x_of_cell, x_of_layer, rtol=1e-11, atol=1e-12)
    expected = by_the_names_of_the_cell(of_layer)
    for (name, _), gradient in zip(own.named_parameters(), of_cell, strict=True):
        each = expected[name.removeprefix("l0.")]
        torch.testing.assert_close(gradient, each, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("target", ["reference", "llvm"])
def test_parts_of_a_sequence_and_lengths(target: str) -> None:
    layer, own = both()
    x = torch.randn(11, 3, INPUTS, dtype=torch.float64)
    with conveyor.use_target(target), torch.no_grad():
        first, clock = layer(x[:5])
        second, _ = layer(x[5:], clock)
        our_first, state = own(x[:5])
        our_second, _ = own(x[5:], state)
        for want, got in ((first, our_first), (second, our_second)):
            torch.testing.assert_close(torch.cat(list(got), -1), want, rtol=1e-12, atol=1e-13)
        want, _ = layer(x, lengths=[11, 0, 6])
        got, _ = own(x, lengths=[11, 0, 6])
        torch.testing.assert_close(torch.cat(list(got), -1), want, rtol=1e-12, atol=1e-13)


def test_it_has_the_parameters_of_the_paper() -> None:
    """(H² + H·k)/2 of the state, for modules of k units; H·I and H besides."""
    parameters = cost(plan(trace(clockwork))).parameters
    k, inputs = 5, 7
    hidden = 3 * k
    sizes = {"A": k, "B": k, "C": k, "I": inputs}
    assert parameters.at(sizes) == (hidden**2 + hidden * k) // 2 + hidden * inputs + hidden
