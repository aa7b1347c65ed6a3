"""Every kind of cell has a witness, so that a law tried on witnesses is tried on every kind."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest

from conveyor.cells import CELLS
from conveyor.compiler.trace import trace
from tests.kernels.odd_cells import ODD
from tests.kinds import (
    LONG,
    REFERENCE_WITNESSES,
    WITNESSES,
    Kind,
    by_turns,
    every_law_case_and_target_with,
    kind_of,
    kind_of_cell,
)


def without_witness(names: tuple[str, ...], witnesses: tuple[str, ...]) -> dict[str, Kind]:
    """Return the cells whose kind no witness has."""
    kinds = {kind_of_cell(name) for name in witnesses}
    return {name: kind_of_cell(name) for name in names if kind_of_cell(name) not in kinds}


def test_every_kind_of_built_in_cell_has_a_witness() -> None:
    missing = without_witness(tuple(CELLS), WITNESSES)
    assert not missing, (
        "cells of a kind that no witness has. Add one of each kind to WITNESSES in "
        f"tests/kinds.py: {missing}"
    )


def test_a_kind_has_one_witness() -> None:
    kinds = Counter(kind_of_cell(name) for name in WITNESSES)
    twice = [name for name in WITNESSES if kinds[kind_of_cell(name)] > 1]
    assert not twice, f"witnesses of one kind: {twice}"
    assert set(REFERENCE_WITNESSES) <= set(WITNESSES)


@pytest.mark.parametrize("name", WITNESSES)
def test_a_witness_that_is_taken_away_is_missed(name: str) -> None:
    others = tuple(other for other in WITNESSES if other != name)
    assert name in without_witness(tuple(CELLS), others)


def test_what_makes_a_kind() -> None:
    """Names and functions do not; states, outputs, first values, products and sums do."""
    lstm = trace(CELLS["lstm"])
    assert kind_of(replace(lstm, name="another")) == kind_of(lstm)
    assert kind_of_cell("rnn") == kind_of_cell("rnn_relu")
    assert kind_of(replace(lstm, start=(*lstm.start, ("c", 1.0)))) != kind_of(lstm)
    depth = kind_of_cell("lstm_depth_gated")
    assert depth.above is not None
    assert depth.above != depth.first
    assert kind_of_cell("lstm").above is None
    elman = kind_of_cell("rnn")
    for name in ("delay", "read_out", "feed_through", "normalised", "leak"):
        assert kind_of(trace(ODD[name][0])) != elman, name


@pytest.mark.parametrize("of", [2, 3, 4])
def test_turns_share_out_all_rows(of: int) -> None:
    rows = list(itertools.product((1, 2), (True, False), (5, 6), "ab"))
    shares = [by_turns(rows, turn, of) for turn in range(of)]
    if LONG:
        assert shares == [rows] * of
        return
    assert sorted(itertools.chain(*shares)) == sorted(rows)
    assert by_turns(rows, of, of) == shares[0]
    for share in shares:  # has every value of each axis
        assert list(map(set, zip(*share, strict=True))) == [{1, 2}, {True, False}, {5, 6}, {*"ab"}]


def test_every_target_has_every_value_and_every_case_the_hardest() -> None:
    values = {"easy": 1, "middling": 2, "hard": 3}
    _, rows = every_law_case_and_target_with("value", values).args
    for target in (None, "reference"):
        assert {value for on, _, value in rows if on == target} == {1, 2, 3}
    cases = {(target, case) for target, case, _ in rows}
    assert cases == {(target, case) for target, case, value in rows if value == 3}
    assert len(rows) == len(cases) * (3 if LONG else 2)
