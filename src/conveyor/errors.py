"""Every error that conveyor raises on purpose.

    ConveyorError
    ├── CellError          a cell's equations are wrong: the user's line, a caret, the mend
    ├── UnknownCellError   no cell has that name
    ├── ProgramError       a program (a cell as data) breaks a rule of the checker
    ├── TargetError        no target can run this, or no target has that name
    ├── ShapeError         a tensor given to a layer has the wrong size, type or place
    ├── SettingError       an argument or a setting is out of its range
    │   ├── DivergedError  training lost its way: every loss became infinite
    │   └── TooLargeError  a network or its batches do not fit into memory
    ├── DataError          a table or a text cannot be used: file, line and column are named
    ├── RunError           a run folder or a saved model cannot be used
    └── SaveError          a file could not be written; what was there before is whole

``ShapeError`` is also a ``RuntimeError`` and a ``ValueError``, and ``SettingError`` a
``ValueError``, because these are the classes that torch.nn raises in the same places.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# What moves a terminal's cursor, changes its colours or title, or turns the direction of writing.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _Voice:
    """Whether errors speak of options, as on the command line, or of keyword arguments."""

    options = False


@contextmanager
def speaking_of_options() -> Iterator[None]:
    """Inside the block errors name settings as the command line does."""
    _Voice.options = True
    try:
        yield
    finally:
        _Voice.options = False


def named(setting: str, value: object = None) -> str:
    """Return a setting as whoever reads the text can give it.

    Args:
        setting: its name in Python.
        value: what to give it; None for no value in particular.

    Returns:
        In Python ``horizon`` or ``horizon=12``, on the command line ``--horizon`` or
        ``--horizon 12``; flags are ``all_rows=True`` and ``--all-rows``.
    """
    if not _Voice.options:
        return setting if value is None else f"{setting}={value!r}"
    option = setting.replace("_", "-")
    if value is False:
        return f"--no-{option}"
    return f"--{option}" if value is None or value is True else f"--{option} {value}"


def visible(text: str) -> str:
    r"""Return the text with control characters spelled, as ``\x1b``; line ends and tabs stay."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class ConveyorError(Exception):
    """The base of all errors above. Its text is meant for people: show it as it is. What it quotes
    of a file can move no terminal."""

    def __str__(self) -> str:
        return visible(super().__str__())


class CellError(ConveyorError):
    """A cell's equations are wrong."""


class UnknownCellError(ConveyorError):
    """No cell has that name."""


class ProgramError(ConveyorError):
    """A program breaks a rule of ``conveyor.compiler.check``."""


class TargetError(ConveyorError):
    """No target can run this program here, or no target has that name."""


class ShapeError(ConveyorError, RuntimeError, ValueError):
    """A tensor given to a layer has the wrong size, type or place."""


class SettingError(ConveyorError, ValueError):
    """An argument or a setting is out of its range."""


class DivergedError(SettingError):
    """Training lost its way: every loss became infinite."""


class TooLargeError(SettingError):
    """A network or its batches do not fit into memory."""


class DataError(ConveyorError):
    """A table or a text cannot be used."""


class RunError(ConveyorError):
    """A run folder or a saved model cannot be used."""


class SaveError(ConveyorError):
    """A file could not be written; the file that was there before is whole."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence that helps after a wrong name: the nearest known names, else all of them.

    >>> did_you_mean("lstn", ["gru", "lstm"])
    "Did you mean 'lstm'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not near:
        lowered = {candidate.lower(): candidate for candidate in names}
        near = [lowered[n] for n in difflib.get_close_matches(name.lower(), lowered, n=3)]
    if near:
        return "Did you mean " + " or ".join(repr(candidate) for candidate in near) + "?"
    return "There are: " + ", ".join(names) + "." if names else "There are none."


def counted(number: float, noun: str, plural: str = "") -> str:
    """The number and its noun, one or many.

    >>> counted(1, "row"), counted(2000, "row"), counted(0.5, "second")
    ('1 row', '2,000 rows', '0.5 seconds')
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun if number == 1 else plural or noun + 's'}"
