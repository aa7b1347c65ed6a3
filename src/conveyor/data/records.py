"""Makes records, that is frozen data classes, from the dictionaries of files, with every key and
type checked."""

import dataclasses
import reprlib
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from conveyor.errors import SettingError, did_you_mean

Record = TypeVar("Record")


_SCALARS = frozenset({float, int, str, bool, NoneType})
_KINDS: dict[Any, frozenset[type]] = {
    float: frozenset({float}),
    float | None: frozenset({float, NoneType}),
}


def fits(value: object, annotation: Any) -> bool:
    """Return whether a value has the type that an annotation says. A list may stand for a tuple,
    and a whole number for a float."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in get_args(annotation))
    if origin is tuple:
        item = get_args(annotation)[0]
        if not isinstance(value, list | tuple):
            return False
        # Long rows of numbers are looked at by the kinds that occur in them.
        kinds = _KINDS.get(item)
        return (kinds is not None and kinds.issuperset(map(type, value))) or all(
            fits(v, item) for v in value
        )
    if annotation is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and _is_float(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return annotation is Any or isinstance(value, annotation)


def _is_float(value: Any) -> bool:
    """Return whether a number is in the range of a float: files may hold whole numbers of any
    size."""
    try:
        float(value)
    except OverflowError:
        return False
    return True


def shown(value: object) -> str:
    """Return a value of a file as errors show it: shortened if it is long or deep."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to write whole numbers of more than 4,300 digits
        return f"a {type(value).__name__} of very many digits"


def _tuples(value: object) -> object:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def to_record(kind: type[Record], data: object, where: str) -> Record:
    """Make a record from a dictionary.

    Args:
        kind: the record's class.
        data: the dictionary as it was read from a file.
        where: what errors name as the origin, for example the file.

    Raises:
        SettingError: a key is unknown (the text gives the nearest one) or missing, a value has
            another type, or the record itself finds a value out of its range.
    """
    if not isinstance(data, Mapping):
        raise SettingError(f"{where}: expected names with values, got {type(data).__name__}.")
    as_key: Any = kind
    hints = _hints(as_key)
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
        required = field.default is dataclasses.MISSING
        if name not in data and required and field.default_factory is dataclasses.MISSING:
            raise SettingError(f"{where}: {name} is missing.")
    return kind(**{key: _tuples(value) for key, value in data.items()})


def from_record(record: Any) -> dict[str, Any]:
    """Return a record as a dictionary, without its fields that are None, which TOML cannot hold."""
    plain: dict[str, Any] = _plain(record)
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return a value with its records as dictionaries. ``dataclasses.asdict`` copies every number
    of a table, too."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {key: _plain(of_key) for key, of_key in value.items()}
    if isinstance(value, tuple | list) and not _SCALARS.issuperset(map(type, value)):
        return type(value)(_plain(item) for item in value)
    return value
