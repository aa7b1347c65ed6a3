"""Two languages by characters: sums to be worked out, and tags to be closed (Jozefowicz, Zaremba &
Sutskever 2015)."""

import string

import torch

from conveyor.errors import SettingError

ARITHMETIC_SYMBOLS = string.ascii_lowercase + string.digits + "+-=."
# A tag has 2 to 10 letters; after 50 turns tags are only closed.
TAG_LENGTHS, TURNS = (2, 10), 50
# As many as a whole number of torch holds.
MOST_DIGITS = 18


def _number(high: int, draw: torch.Generator) -> int:
    return int(torch.randint(0, high, (), generator=draw))


def arithmetic(draw: torch.Generator, *, digits: int = 8) -> tuple[str, str]:
    """A sum or difference of two signed whole numbers, letters strewn between its characters, up to
    ``=``; and the answer, which ends in ``.``: as ``3e36d9-h1h39f94eeh43keg3c=`` and
    ``-13991064.``.

    Args:
        digits: of each number, at most, 1 to 18; how many is drawn.

    Raises:
        SettingError: ``digits`` is out of its range.
    """
    if not isinstance(digits, int) or not 1 <= digits <= MOST_DIGITS:
        raise SettingError(
            f"digits is {digits!r}; expected a whole number from 1 to {MOST_DIGITS}."
        )

    def operand() -> int:
        size = 1 + _number(digits, draw)
        return _number(10**size, draw) * (1 - 2 * _number(2, draw))

    left, right, minus = operand(), operand(), bool(_number(2, draw))
    answer = left - right if minus else left + right
    problem = f"{left}{'-' if minus else '+'}{right}"
    strewn = ""
    for character in problem:
        strewn += character
        while _number(2, draw):
            strewn += string.ascii_lowercase[_number(26, draw)]
    return f"{strewn}=", f"{answer}."


def xml(draw: torch.Generator) -> str:
    """Nested tags: at each turn, with one half, or after 50 turns, the last opened tag is closed,
    and all ends where none is open; else a tag of 2 to 10 letters is opened. The first turn opens
    one, or half of all texts were empty."""
    text, turns = "", 0
    opened: list[str] = []
    while True:
        if turns and (turns >= TURNS or _number(2, draw)):
            if not opened:
                return text
            text += f"</{opened.pop()}>"
        else:
            low, high = TAG_LENGTHS
            size = low + _number(high - low + 1, draw)
            name = "".join(string.ascii_lowercase[_number(26, draw)] for _ in range(size))
            opened.append(name)
            text += f"<{name}>"
        turns += 1
