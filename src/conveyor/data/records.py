"""Records, that is frozen data classes, from dictionaries of files: closed and typed."""

import dataclasses
import reprlib
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from conveyor.errors import SettingError, did_you_mean

Record = TypeVar("Record")


def fits(value: object, wanted: Any) -> bool:
    """Return whether a value is of the type that an annotation says. A list may stand for a tuple,
    and a whole number for a float."""
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in get_args(wanted))
    if origin is tuple:
        return isinstance(value, list | tuple) and all(fits(v, get_args(wanted)[0]) for v in value)
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and _is_float(value)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return wanted is Any or isinstance(value, wanted)


def _is_float(value: Any) -> bool:
    """Whether a number has a float that stands for it: files may hold whole numbers of any size."""
    try:
        float(value)
    except OverflowError:
        return False
    return True


def shown(value: object) -> str:
    """A value of a file as an error shows it: in part, where it is long or deep."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than some thousand digits
        return f"a {type(value).__name__} of very many digits"


def _tuples(value: object) -> object:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def to_record(kind: type[Record], data: object, where: str) -> Record:
    """The record of class ``kind`` that a dictionary holds.

    Args:
        where: named in errors, a file for example.

    Raises:
        SettingError: a key is unknown (the nearest is named) or missing, or a value has
            another type; and whatever SettingError the record itself raises.
    """
    if not isinstance(data, Mapping):
        raise SettingError(f"{where}: expected names with values, got {type(data).__name__}.")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key, value in data.items():
        if key not in fields:
            raise SettingError(
                f"{where}: unknown key {shown(key)}. {did_you_mean(str(key), fields)}"
            )
        if not fits(value, hints[key]):
            hint = hints[key]
            expected = hint.__name__ if isinstance(hint, type) else hint
            raise SettingError(f"{where}: {key} is {shown(value)}, expected {expected}.")
    for name, field in fields.items():
        given = field.default is not dataclasses.MISSING
        if name not in data and not given and field.default_factory is dataclasses.MISSING:
            raise SettingError(f"{where}: {name} is missing.")
    return kind(**{key: _tuples(value) for key, value in data.items()})


def from_record(record: Any) -> dict[str, Any]:
    """The dictionary of a record, without what is None (files of TOML cannot hold that)."""
    return {key: value for key, value in dataclasses.asdict(record).items() if value is not None}
