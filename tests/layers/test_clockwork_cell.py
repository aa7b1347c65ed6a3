"""A clockwork network written as a cell is what the layer ``conveyor.Clockwork`` computes.

The layer runs each module over its own ticks only. The cell says the equations: it computes every
module at every step and keeps what does not tick.
"""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import Blocks, Shared
from conveyor.cells.clockwork_cell import clockwork
from conveyor.compiler.cost import cost
from conveyor.compiler.plan import plan
from conveyor.compiler.trace import trace

INPUTS, UNITS = 3, 2
PERIODS = pytest.mark.parametrize("periods", [(1, 2, 4), (3,), (1, 2, 3, 4, 8)], ids=str)
TARGETS = pytest.mark.parametrize("target", ["reference", "llvm"])


def by_the_names_of_the_cell(of_modules: Sequence[Tensor], modules: int) -> dict[str, Tensor]:
    """The parameters of the layer, or their gradients, as those of the cell: W, U and b of each
    module, the fastest first. Columns of a module's W are the input's features, then the units of
    the slower modules."""
    blocks: list[Tensor] = []
    for place in range(modules):
        W, U, _ = of_modules[3 * place : 3 * place + 3]
        blocks += [U, *W[:, INPUTS:].reshape(UNITS, modules - place - 1, UNITS).unbind(1)]
    # The order of a matrix's blocks: row by row, from the diagonal on.
    assert len(blocks) == len(Blocks("N", upper=True).places(modules))
    return {
        "l0.W": torch.cat([W[:, :INPUTS] for W in of_modules[::3]]),
        "l0.U": torch.stack(blocks),
        "l0.b": torch.cat(list(of_modules[2::3])),
    }


def both(periods: tuple[int, ...]) -> tuple[conveyor.Clockwork, conveyor.Recurrent]:
    """The layer, and the cell's with the same parameters."""
    torch.manual_seed(0)
    hidden = UNITS * len(periods)
    layer = conveyor.Clockwork(INPUTS, hidden, periods, dtype=torch.float64)
    own = conveyor.Recurrent(
        clockwork,
        INPUTS,
        hidden,
        sizes={"N": len(periods)},
        constants={"T": Shared(periods)},
        dtype=torch.float64,
    )
    with torch.no_grad():
        for each in layer.parameters():
            each.normal_(std=0.5)
    named = by_the_names_of_the_cell(list(layer.parameters()), len(periods))
    own.load_state_dict({**own.state_dict(), **named})
    return layer, own


@TARGETS
@PERIODS
def test_outputs_and_gradients_are_those_of_the_layer(
    periods: tuple[int, ...], target: str
) -> None:
    layer, own = both(periods)
    x = torch.randn(11, 3, INPUTS, dtype=torch.float64)
    upstream = torch.randn(11, 3, layer.hidden_size, dtype=torch.float64)
    with conveyor.use_target(target):
        given = [x.clone().requires_grad_() for _ in range(2)]
        want, _ = layer(given[0])
        got, _ = own(given[1])
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)
        x_of_layer, *of_layer = torch.autograd.grad(want, [given[0], *layer.parameters()], upstream)
        x_of_cell, *of_cell = torch.autograd.grad(got, [given[1], *own.parameters()], upstream)
    torch.testing.assert_close(x_of_cell, x_of_layer, rtol=1e-11, atol=1e-12)
    expected = by_the_names_of_the_cell(of_layer, len(periods))
    for (name, _), gradient in zip(own.named_parameters(), of_cell, strict=True):
        torch.testing.assert_close(gradient, expected[name], rtol=1e-11, atol=1e-12)


@TARGETS
def test_parts_of_a_sequence_and_lengths(target: str) -> None:
    layer, own = both((1, 2, 4))
    x = torch.randn(11, 3, INPUTS, dtype=torch.float64)
    with conveyor.use_target(target), torch.no_grad():
        first, clock = layer(x[:5])
        second, _ = layer(x[5:], clock)
        our_first, state = own(x[:5])
        our_second, _ = own(x[5:], state)
        torch.testing.assert_close(our_first, first, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(our_second, second, rtol=1e-12, atol=1e-13)
        want, _ = layer(x, lengths=[11, 0, 6])
        got, _ = own(x, lengths=[11, 0, 6])
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


def test_it_has_the_parameters_of_the_paper() -> None:
    """(H² + H·k)/2 of the state, for modules of k units; H·I and H besides."""
    parameters = cost(plan(trace(clockwork))).parameters
    k, inputs = 5, 7
    for modules in (1, 3, 4):
        hidden = modules * k
        expected = (hidden**2 + hidden * k) // 2 + hidden * inputs + hidden
        assert parameters.at({"H": hidden, "I": inputs, "N": modules}) == expected
