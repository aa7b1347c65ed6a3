"""Phases hold all the work of a part, in an order in which it can be done unit by unit."""

from collections.abc import Iterator

import pytest
from hypothesis import given

from conveyor.cells import CELLS, Cell
from conveyor.compiler.phases import CONSTANTS, Phase, phases
from conveyor.compiler.plan import Plan, Pointwise, Product, Stage, plan
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from tests.compiler.examples import PROGRAMS, drawn_cells, drawn_examples, plan_of


def parts(planned: Plan) -> Iterator[tuple[Program, list[Stage], tuple[Phase, ...]]]:
    """Each part of the way forward and of the way back, as the code generator asks for it: with
    all constants, without gradients of matrices, which are sums over all rows."""
    for program, way in ((planned.program, planned.forward), (planned.gradient, planned.backward)):
        constants = Pointwise(tuple(o for o in program.operations if o.op in CONSTANTS))
        for part in (way.before, way.loop, way.after):
            stages: list[Stage] = [constants]
            for stage in part:
                if isinstance(stage, Pointwise):
                    stages.append(Pointwise(tuple(o for o in stage.operations if len(o.axes) < 2)))
                elif stage.kind != "outer":
                    stages.append(stage)
            yield program, stages, phases(stages, program.axes)


def made_by(stage: Stage) -> list[str]:
    """What a stage computes, constants apart."""
    if isinstance(stage, Product):
        return list(stage.results)
    return [o.name for o in stage.operations if o.op not in CONSTANTS]


def check(planned: Plan) -> None:
    """All that must hold of phases, for every part of a plan."""
    for program, stages, found in parts(planned):
        every = [name for stage in stages for name in made_by(stage)]
        got = [name for phase in found for name in phase.made]
        assert sorted(got) == sorted(every)  # nothing lost, nothing twice
        before: set[str] = set()
        for phase in found:
            axes = {program.axes[name][0] if program.axes[name] else None for name in phase.made}
            assert axes <= {phase.axis}
            own: set[str] = set()
            for product in phase.products:
                # All units of an operand are needed: it is not made in this phase.
                assert not set(product.vectors) & (set(every) - before)
                own.update(product.results)
            for operation in phase.operations:
                known = before if operation.op == "total" else before | own
                assert not set(operation.arguments) & (set(every) - known)
                own.add(operation.name)
            constants = {o.name for o in program.operations if o.op in CONSTANTS}
            read = {a for o in phase.operations for a in o.arguments}
            assert read & constants <= {o.name for o in phase.operations}
            before |= own


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_work_in_an_order_that_works(name: str) -> None:
    check(plan(PROGRAMS[name]))


@drawn_examples(100, shrink=False)
@given(drawn_cells(shared=False))
def test_of_drawn_cells_too(drawn: Cell) -> None:
    check(plan_of(trace(drawn)))


def test_how_many_walks_a_step_takes() -> None:
    """What ARCHITECTURE.md says of the LSTM, and the GRU's order: its reset gate stands before
    the product or behind it."""
    found = {}
    for name in ("lstm", "gru", "gru_reset_before"):
        planned = plan(trace(CELLS[name]))
        loops = (planned.forward.loop, planned.program), (planned.backward.loop, planned.gradient)
        found[name] = [len(phases(stages, program.axes)) for stages, program in loops]
    assert found["lstm"] == [1, 2]
    assert found["gru"][0] == 1
    assert found["gru_reset_before"][0] == 2


def test_joined_products_of_different_width_part() -> None:
    program = trace(CELLS["lstm_projected"])
    axes = {**program.axes, "wide": ("H",), "narrow": ("P",), "A": ("H", "P"), "B": ("P", "P")}
    joined = Product("matmul", ("wide", "narrow"), ("A", "B"), ("h'",))
    found = phases([joined], axes)
    assert [(phase.axis, phase.made) for phase in found] == [("H", ("wide",)), ("P", ("narrow",))]


def test_copies_stand_in_one_phase_of_their_axis() -> None:
    program = trace(CELLS["lstm_projected"])
    planned = plan(program)
    elsewhere = ["c'", "h'"]
    found = phases(planned.forward.loop, program.axes, elsewhere)
    for name in elsewhere:
        (holder,) = [phase for phase in found if name in phase.copies]
        assert (holder.axis,) == program.axes[name]
    (first, *rest) = phases(planned.forward.loop, program.axes, (), ["h'"])
    assert first.copies == ("h'",)
    assert not any(phase.copies for phase in rest)
    assert all(not set(product.vectors) & {"h'"} for product in first.products)


def test_nothing_makes_no_phase() -> None:
    assert phases([], {}) == ()
