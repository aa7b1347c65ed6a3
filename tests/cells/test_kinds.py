"""Every kind of cell has a witness, so that a law tried on witnesses is tried on every kind."""

from collections import Counter
from dataclasses import replace

import pytest

from conveyor.cells import CELLS
from conveyor.compiler.trace import trace
from tests.kernels.odd_cells import ODD
from tests.kinds import REFERENCE_WITNESSES, WITNESSES, Kind, kind_of, kind_of_cell


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
