"""Arguments of constructors as data: read from modules, and checked when they come from a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from conveyor.cells.initial_value import finite
from conveyor.compiler.program import Program
from conveyor.data.records import shown
from conveyor.errors import SettingError, counted, did_you_mean
from conveyor.networks.stored import DTYPES

# A network of so many modules, layers counted each, is built in some seconds.
MOST_MODULES = 10_000

# Of the programs of all layers together: 4,000 LSTMs, or 40 cells of the most operations.
MOST_OPERATIONS = 200_000

# Containers inside containers: a description is read by a function that calls itself.
MOST_DEPTH = 50


@dataclass(frozen=True)
class Kind:
    """What values an argument may have, and how an error says it."""

    expected: str
    fits: Callable[[Any], bool]


def _is_whole(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and abs(value) < 2**63  # what torch has room for


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and finite(value))


def _are_wholes(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_whole, value))


def _is_by_name(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


WHOLE = Kind("a whole number", _is_whole)
NUMBER = Kind("a finite number", _is_number)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a text", lambda value: isinstance(value, str))
NUMBERS = Kind(
    "a list of numbers", lambda value: isinstance(value, list) and all(map(_is_number, value))
)
WHOLES = Kind("a list of whole numbers", _are_wholes)
SIZE = Kind("a whole number or several", lambda value: _is_whole(value) or _are_wholes(value))
STEPS = Kind("true, false or a whole number", lambda v: isinstance(v, bool) or _is_whole(v))
RATES = Kind("null or numbers by name", lambda v: v is None or _is_by_name(v, _is_number))
RATE = Kind("a number, or several by name", lambda v: _is_number(v) or _is_by_name(v, _is_number))
SIZES = Kind("whole numbers by name", lambda value: _is_by_name(value, _is_whole))
FEATURES = Kind(
    "a whole number, or several by name", lambda v: _is_whole(v) or _is_by_name(v, _is_whole)
)
DTYPE = Kind(f"one of {', '.join(DTYPES)}", lambda v: isinstance(v, str) and v in DTYPES)
LIST = Kind("a list", lambda value: isinstance(value, list))
RECORD = Kind("names with values", lambda value: isinstance(value, dict))


def optional(kind: Kind) -> Kind:
    """Return the kind of an argument that may also be left open."""
    return Kind(f"null or {kind.expected}", lambda value: value is None or kind.fits(value))


Kinds = Mapping[str, Kind]

# The arguments of a constructor, as JSON holds them.
Arguments = dict[str, Any]


def as_data(value: Any) -> Any:
    """Return what JSON holds for a value: lists for tuples, numbers of Python for those of NumPy.
    What it cannot hold stays, and no kind allows it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): as_data(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(each) for each in value]
    return value


def checked(data: Mapping[str, Any], kinds: Kinds, where: str) -> dict[str, Any]:
    """Return the arguments that a description holds.

    Args:
        data: the description, all of whose keys are arguments.
        kinds: what the arguments are called, and what they may be.
        where: what is described, for errors.

    Raises:
        SettingError: one is missing, unknown or of another kind.
    """
    for name in data.keys() - kinds.keys():
        raise SettingError(f"{where}: unknown key {shown(name)}. {did_you_mean(name, kinds)}")
    for name, kind in kinds.items():
        if name not in data:
            raise SettingError(f"{where}: {name} is missing.")
        if not kind.fits(data[name]):
            raise SettingError(f"{where}: {name} is {shown(data[name])}; expected {kind.expected}.")
    return {name: data[name] for name in kinds}


class Programs:
    """The programs of a description, each once; and what of modules and operations may still be
    built, so that a short file cannot ask for hours of work."""

    def __init__(self, programs: list[Program]) -> None:
        self.programs = programs
        self._numbers = {program: number for number, program in enumerate(programs)}
        self._modules = self._operations = 0

    def number(self, program: Program) -> int:
        """Return the number of a program, which is added if it is new."""
        if program not in self._numbers:
            self._numbers[program] = len(self.programs)
            self.programs.append(program)
        return self._numbers[program]

    def of(self, number: int, where: str) -> Program:
        """Return the program of a number.

        Raises:
            SettingError: there is none.
        """
        if not 0 <= number < len(self.programs):
            have = counted(len(self.programs), "program")
            raise SettingError(f"{where}: cell is {shown(number)}; the file has {have}.")
        return self.programs[number]

    def count(self, modules: int, operations: int, where: str) -> None:
        """Count what is about to be built.

        Args:
            modules: modules, or layers.
            operations: operations and letters of each one's program.
            where: what is described, for errors.

        Raises:
            SettingError: it is too much.
        """
        self._modules += modules
        self._operations += modules * operations
        if self._modules > MOST_MODULES or self._operations > MOST_OPERATIONS:
            raise SettingError(
                f"{where}: with it the network has more than {MOST_MODULES:,} modules and layers, "
                f"or its cells more than {MOST_OPERATIONS:,} operations and letters together. "
                "Save it in parts."
            )
