"""Errors are shown as they are: nothing that they quote moves a terminal."""

import pytest

from conveyor import errors
from conveyor.errors import ConveyorError, visible

ALL = [each for each in vars(errors).values() if isinstance(each, type)]


@pytest.mark.parametrize("kind", [each for each in ALL if issubclass(each, ConveyorError)])
def test_what_an_error_quotes_moves_no_terminal(kind: type[ConveyorError]) -> None:
    error = kind("column \x1b]0;x\x07\u202e: \x9b5m is no number.\n  ^")
    assert str(error) == "column \\x1b]0;x\\x07\\u202e: \\x9b5m is no number.\n  ^"


def test_what_is_read_stays() -> None:
    text = "Trăm năm trong cõi người ta,\t≤ 5 °C\n\N{BLACK STAR}"
    assert visible(text) == text
