"""Two languages to be learned by characters: sums with their answers, and nested tags (Jozefowicz,
Zaremba & Sutskever 2015)."""

import string

import torch

from conveyor.errors import SettingError

ARITHMETIC_SYMBOLS = string.ascii_lowercase + string.digits + "+-=."
# A tag has 2 to 10 letters; after 50 turns no more tags are opened.
TAG_LENGTHS, TURNS = (2, 10), 50
# torch draws whole numbers of 64 bits, which hold all numbers of 18 digits.
MOST_DIGITS = 18


def _number(high: int, draw: torch.Generator) -> int:
    return int(torch.randint(0, high, (), generator=draw))


def arithmetic(draw: torch.Generator, *, digits: int = 8) -> tuple[str, str]:
    """Draw a sum or difference of two signed whole numbers. Return the problem, with letters strewn
    between its characters, up to ``=``, and the answer, which ends in ``.``: for example
    ``3e36d9-h1h39f94eeh43keg3c=`` and ``-13991064.``.

    Args:
        draw: the random generator.
        digits: the most digits of a number, 1 to 18; the number of digits is drawn.

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
    """Draw nested tags.

    Each turn either closes the tag opened last or opens a tag of 2 to 10 letters, with probability
    1/2; after 50 turns tags are only closed. The text ends at a turn that has no tag to close. The
    first turn always opens a tag, because otherwise half of all texts would be empty.
    """
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
