"""Errors are shown as they are: nothing that they quote moves a terminal."""

from conveyor import errors
from conveyor.errors import ConveyorError, visible


def test_what_an_error_quotes_moves_no_terminal() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    for kind in kinds:
        if issubclass(kind, ConveyorError):
            error = kind("column \x1b]0;x\x07\u202e: \x9b5m is no number.\n  ^")
            expected = "column \\x1b]0;x\\x07\\u202e: \\x9b5m is no number.\n  ^"
            assert str(error) == expected, kind


def test_what_is_read_stays() -> None:
    text = "Trăm năm trong cõi người ta,\t≤ 5 °C\n\N{BLACK STAR}"
    assert visible(text) == text
