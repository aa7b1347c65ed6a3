"""Networks of tasks read one input: what reads more is refused before anything is read."""

from typing import Annotated

import pytest

from conveyor.cells import CELLS, Cell, Input, Matrix, State, Value, bahdanau, cell, tanh
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError
from conveyor.networks.network import check_one_input


@cell
def steered(
    x: Input, u: Annotated[Input, "J"], h: State, W: Matrix, V: Annotated[Matrix, "H", "J"]
) -> Value:
    """It reads another input."""
    return tanh(W @ x + V @ u + h)


@pytest.mark.parametrize("name", CELLS)
def test_the_cells_that_are_listed_read_one_input(name: str) -> None:
    program = trace(CELLS[name])
    assert check_one_input(program) is program


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (steered, "steered reads u besides x, and the networks of tasks have one input"),
        (bahdanau, "bahdanau looks at memory besides y, and the networks of tasks have one"),
    ],
    ids=["inputs", "memory"],
)
def test_what_reads_more_is_refused(of: Cell, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        check_one_input(trace(of))
