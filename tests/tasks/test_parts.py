"""The parts of a table."""

import pytest

from conveyor.errors import DataError
from conveyor.tasks.forecast.parts import Parts


def test_parts_of_fractions_and_of_rows() -> None:
    assert Parts.of(100, (0.7, 0.1, 0.2)) == Parts(70, 80, 100)
    assert Parts.of(17420, (8640, 2880, 2880)) == Parts(8640, 11520, 14400)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="split asks for 110 rows; the table has 100"):
        Parts.of(100, (90, 10, 10))
