"""Every error that conveyor raises on purpose.

    ConveyorError
    ├── CellError          a cell's equations are wrong: the user's line, a caret, the fix
    ├── UnknownCellError   no cell has that name
    ├── ProgramError       a program (a cell as data) breaks a rule of the checker
    ├── TargetError        no target can run this, or no target has that name
    ├── ShapeError         a tensor given to a layer has the wrong size, dtype or device
    ├── SettingError       an argument or a setting is out of its range
    │   ├── DivergedError  training diverged: every loss became infinite
    │   └── TooLargeError  a network or its batches do not fit into memory
    ├── DataError          a table or a text cannot be used: file, line and column are named
    ├── RunError           a run folder or a saved model cannot be used
    └── SaveError          a file could not be written; the file before it is unchanged

``ShapeError`` is also a ``RuntimeError`` and a ``ValueError``, and ``SettingError`` a
``ValueError``, because these are the classes that torch.nn raises in the same places.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# Characters that move a terminal's cursor, change its colours or title, or turn the direction of
# writing.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _Voice:
    """How errors name a setting: as an option of the command line, or as a keyword argument."""

    options = False


@contextmanager
def speaking_of_options() -> Iterator[None]:
    """Make errors name settings as options of the command line while the block runs."""
    yield from _speaking(options=True)


@contextmanager
def speaking_of_keys() -> Iterator[None]:
    """Make errors name settings as Python and JSON do while the block runs, within one in which
    they are options, too."""
    yield from _speaking(options=False)


def _speaking(*, options: bool) -> Iterator[None]:
    before = _Voice.options
    _Voice.options = options
    try:
        yield
    finally:
        _Voice.options = before


def named(setting: str, value: object = None) -> str:
    """Return a setting in the form in which the reader of an error passes it.

    Args:
        setting: the setting's name in Python.
        value: the value to pass; None for no particular value.

    Returns:
        ``horizon`` or ``horizon=12`` in Python, ``--horizon`` or ``--horizon 12`` on the command
        line. Flags are ``all_rows=True`` and ``--all-rows``. What has an underscore at its end,
        because Python keeps the word for itself, has none there: ``from_`` is ``--from``.
    """
    if not _Voice.options:
        return setting if value is None else f"{setting}={value!r}"
    option = setting.removesuffix("_").replace("_", "-")
    if value is False:
        return f"--no-{option}"
    return f"--{option}" if value is None or value is True else f"--{option} {value}"


def visible(text: str) -> str:
    r"""Return the text with control characters escaped, as ``\x1b``; line ends and tabs stay."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class ConveyorError(Exception):
    """The base class of all errors above. Its text is written for people and can be shown as it is:
    control characters that it quotes from a file are escaped, so that they reach no terminal."""

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
    """A tensor given to a layer has the wrong size, dtype or device."""


class SettingError(ConveyorError, ValueError):
    """An argument or a setting is out of its range."""


class DivergedError(SettingError):
    """Training diverged: every loss became infinite."""


class TooLargeError(SettingError):
    """A network or its batches do not fit into memory."""


class DataError(ConveyorError):
    """A table or a text cannot be used."""


class RunError(ConveyorError):
    """A run folder or a saved model cannot be used."""


class SaveError(ConveyorError):
    """A file could not be written; the file that was there before is unchanged."""


def near_names(name: str, known: Iterable[str]) -> str:
    """Return a question after a wrong name with the nearest known names; empty where none is
    near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not near:
        lowered = {candidate.lower(): candidate for candidate in names}
        near = [lowered[n] for n in difflib.get_close_matches(name.lower(), lowered, n=3)]
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that helps after a wrong name. It gives the nearest known names, or all of
    them where none is near.

    >>> did_you_mean("lstn", ["gru", "lstm"])
    "Did you mean 'lstm'?"
    """
    names = sorted(known)
    if near := near_names(name, names):
        return near
    return "There are: " + ", ".join(names) + "." if names else "There are none."


def counted(number: float, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular or the plural.

    >>> counted(1, "row"), counted(2000, "row"), counted(0.5, "second")
    ('1 row', '2,000 rows', '0.5 seconds')
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun if number == 1 else plural or noun + 's'}"
