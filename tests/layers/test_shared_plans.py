"""Layers of one cell share its plan, and those of another cell do not."""

from dataclasses import replace

import pytest
import torch

import conveyor
from conveyor.cells import Input, Matrix, State, Value, cell
from conveyor.compiler.plan import Plan
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from conveyor.layers import plans


@cell
def ended(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
    """A cell with a number that is 0."""
    return 1 / (0.0 * (W @ x + U @ h))


def test_a_plan_is_made_once_for_all_layers_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    first = conveyor.Recurrent("gru", 2, 3, 2, bidirectional=True)

    def refuse(program: Program) -> Plan:
        raise AssertionError(f"{program.name} is planned once more")

    monkeypatch.setattr(plans, "plan", refuse)
    assert conveyor.Recurrent("gru", 5, 7).plan is first.plan
    with pytest.raises(AssertionError, match="ended is planned"):
        conveyor.Recurrent(replace(trace(ended), doc="Another."), 2, 3)


def test_programs_that_are_equal_and_not_the_same_have_plans_of_their_own() -> None:
    """0.0 == -0.0, and 1 / 0.0 is not 1 / -0.0."""
    program = trace(ended)
    other = replace(
        program,
        operations=tuple(
            replace(each, attribute=-0.0) if each.attribute == 0 else each
            for each in program.operations
        ),
    )
    assert program == other
    signs = []
    for own in (program, other):
        layer = conveyor.Recurrent(own, 2, 1)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.fill_(1.0)
        signs.append(float(layer(torch.ones(1, 1, 2))[0].detach()))
    assert signs == [float("inf"), float("-inf")]
