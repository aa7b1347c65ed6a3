"""Kinds of cells: what layers and kernels can tell apart in a cell, and one witness of each.

Laws that do not look into equations (lengths, resets, steps, traces, fences, ...) hold for a cell
if they hold for another of its kind, so the short run tries them on one witness of each kind. What
does look into equations (oracles, gradients, plans) runs on every cell. CONVEYOR_LONG_TESTS=1 runs
everything on every cell.
"""

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import pytest

from conveyor.cells import CELLS
from conveyor.cells.operations import REDUCTIONS
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.plan import Pass, Plan, Pointwise, Product, plan
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from tests.table import MIDDLING, Case

LONG = os.environ.get("CONVEYOR_LONG_TESTS") == "1"

Part = Literal["before", "loop", "after"]
Row = TypeVar("Row", bound=tuple[Any, ...])


@dataclass(frozen=True)
class StepKind:
    """What layers and kernels can tell apart in one step of a cell.

    ``states`` and ``inputs`` are given by the axis of each, every axis besides I and H by "other";
    a state whose first value is not 0 is marked "≠0". ``outputs`` says of each whether it is a
    state or computed besides. ``sums`` are the parts of the forward pass that add up units.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Literal["state", "computed"], ...]
    products_before: int
    products_in_loop: int
    sums: tuple[Part, ...]


@dataclass(frozen=True)
class Kind:
    """The kind of the step of the first layer, and of the layers above where it is another."""

    first: StepKind
    above: StepKind | None


def _axis(axes: tuple[str, ...]) -> str:
    if not axes:
        return "number"
    (axis,) = axes
    return axis if axis in ("I", "H") else "other"


def _products(forward: Pass, part: Part) -> int:
    return sum(isinstance(stage, Product) for stage in getattr(forward, part))


def _adds_units(forward: Pass, part: Part) -> bool:
    return any(
        operation.op in REDUCTIONS
        for stage in getattr(forward, part)
        if isinstance(stage, Pointwise)
        for operation in stage.operations
    )


def step_kind(planned: Plan) -> StepKind:
    """Return the kind of a planned step."""
    program, forward = planned.program, planned.forward
    begin = program.start_states
    new_states = set(program.values_of("state").values())
    parts: tuple[Part, ...] = ("before", "loop", "after")
    return StepKind(
        states=tuple(
            _axis(state.axes) + ("≠0" if state.name.removesuffix("'") in begin else "")
            for state in program.states
        ),
        inputs=tuple(_axis(leaf.axes) for leaf in program.leaves_of("input")),
        outputs=tuple(
            "state" if value in new_states else "computed"
            for value in program.values_of("output").values()
        ),
        products_before=_products(forward, "before"),
        products_in_loop=_products(forward, "loop"),
        sums=tuple(part for part in parts if _adds_units(forward, part)),
    )


def kind_of(program: Program) -> Kind:
    """Return the kind of a cell's program."""
    above = step_kind(plan(program)) if links(program) else None
    return Kind(step_kind(plan(first_layer(program))), above)


@cache
def kind_of_cell(name: str) -> Kind:
    """Return the kind of a built-in cell."""
    return kind_of(trace(CELLS[name]))


# One cell of each kind, that with most letters where there are several. tests/cells/test_kinds.py
# says which kind lacks its witness.
WITNESSES = (
    "gru",
    "lstm_peephole",
    "lstm_projected_peephole",
    "lstm_1997",
    "lstm_full_recurrence",
    "lstm_peephole_full",
    "gru_reset_before",
    "mut3",
    "minimal_rnn",
    "indrnn",
    "sru",
    "para_lstm",
    "qrnn_f",
    "qrnn_fo",
    "qrnn_ifo",
    "lstm_layer_norm",
    "gru_layer_norm",
    "slstm",
    "lstm_depth_gated",
    "grid_lstm",
)

# The reference target has no memory to lay out and no phases. What it can get wrong for one kind
# and not for another: a projection, a first state that is not 0, and other equations above with
# outputs that are no states.
REFERENCE_WITNESSES = ("lstm_projected_peephole", "slstm", "grid_lstm")

# The cells that laws run on which do not look into equations.
LAW_CELLS: tuple[str, ...] = tuple(CELLS) if LONG else WITNESSES
LAW_CASES = [case for case in MIDDLING if case.cell in LAW_CELLS]


def every_law_case(cases: Iterable[Case] = LAW_CASES) -> pytest.MarkDecorator:
    """Run a test on a case of every kind of cell, as ``case``."""
    return pytest.mark.parametrize("case", list(cases), ids=lambda case: case.cell)


# For tests that use ``each_target`` of what is decided before a target is asked, such as refused
# arguments.
before_any_target = pytest.mark.parametrize(
    "each_target",
    [None, "reference"] if LONG else [None],
    ids=["chosen", "reference"] if LONG else ["chosen"],
    indirect=True,
)


def by_turns(rows: Iterable[Row], turn: int, of: int) -> list[Row]:
    """Return some rows of a product; in the long run all.

    Turns 0 to ``of - 1`` share the rows out. Each row goes where rows have least in common with it,
    so that a turn has rows of many values of each axis.

    Args:
        rows: the product.
        turn: whose rows. Beyond the last turn the first begins anew.
        of: how many turns there are.
    """
    listed = list(rows)
    if LONG:
        return listed
    random.Random(0).shuffle(listed)
    shares: list[list[Row]] = [[] for _ in range(of)]
    for row in listed:
        fewest = min(map(len, shares))
        open_to_it = [share for share in shares if len(share) == fewest]
        min(open_to_it, key=lambda share: _in_common(row, share)).append(row)
    return shares[turn % of]


def _in_common(row: tuple[Any, ...], others: Iterable[tuple[Any, ...]]) -> int:
    """How often a row has a value where another row has it."""
    return sum(one == other for each in others for one, other in zip(row, each, strict=True))


def _on_targets(names: Sequence[str]) -> list[tuple[str | None, str]]:
    on_reference = names if LONG else REFERENCE_WITNESSES
    return [
        *[(None, name) for name in names],
        *[("reference", name) for name in names if name in on_reference],
    ]


def every_law_case_and_target() -> pytest.MarkDecorator:
    """Run a test that uses ``each_target`` on a case of every kind of cell, as ``case``: on the
    target that conveyor chooses, and some on the reference."""
    by_cell = {case.cell: case for case in LAW_CASES}
    pairs = _on_targets(list(by_cell))
    return pytest.mark.parametrize(
        ("each_target", "case"),
        [(target, by_cell[name]) for target, name in pairs],
        ids=[f"{target or 'chosen'}-{name}" for target, name in pairs],
        indirect=["each_target"],
    )


def every_law_case_and_target_with(name: str, values: Mapping[str, Any]) -> pytest.MarkDecorator:
    """As ``every_law_case_and_target``, with an argument more.

    In the short run each case has the last of the values, which shall be the hardest, and one of
    the others by turns; in the long run all.

    Args:
        name: of the argument.
        values: what it is, by what it is called.
    """
    by_cell = {case.cell: case for case in LAW_CASES}
    *others, last = values
    rows: list[tuple[str | None, str, str]] = []
    for number, (target, cell) in enumerate(_on_targets(list(by_cell))):
        called = list(values) if LONG else [others[number % len(others)], last]
        rows += [(target, cell, each) for each in called]
    return pytest.mark.parametrize(
        ("each_target", "case", name),
        [(target, by_cell[cell], values[called]) for target, cell, called in rows],
        ids=[f"{target or 'chosen'}-{cell}-{called}" for target, cell, called in rows],
        indirect=["each_target"],
    )
