"""The settings of a run as a TOML file: written, and read again, also from older files."""

import tomllib
from pathlib import Path
from typing import Any

from conveyor.data.files import read_limited
from conveyor.data.records import from_record, shown, to_record
from conveyor.errors import RunError, SettingError, did_you_mean
from conveyor.tasks.settings import (
    REQUIRED,
    Setting,
    TaskSettings,
    converted,
    parts_of,
    settings_of,
)
from conveyor.tasks.task_registry import find

# The largest file of settings that is read. conveyor writes a few hundred bytes, but names of
# columns may be long.
MOST_BYTES = 10_000_000


def to_toml(settings: TaskSettings) -> str:
    """Return all settings as TOML text."""
    import tomli_w  # noqa: PLC0415 - belongs to the extra train, and reading does not need it

    tables: dict[str, Any] = {"task": settings.task}
    for part in parts_of(type(settings)):
        tables[part] = from_record(getattr(settings, part))
    return tomli_w.dumps(tables)


def read_toml(path: Path) -> TaskSettings:
    """Return the settings that ``to_toml`` wrote, also from older files with former names.

    Raises:
        RunError: there is no such file, or it is no TOML.
        SettingError: a key is unknown or a value is out of its range.
    """
    try:
        tables = tomllib.loads(read_limited(path, MOST_BYTES).decode())
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no such file.") from error
    except (ValueError, OSError, RecursionError) as error:  # ValueError: no TOML, or no UTF-8
        raise RunError(f"{path} is corrupt: {error}. Restore it, or begin a new run.") from error
    task = tables.pop("task", None)
    kind = find(task, f"{path}: task").settings
    parts = parts_of(kind)
    for key in tables:
        if key not in parts:
            known = ("task", *parts)
            raise SettingError(f"{path}: unknown key {shown(key)}. {did_you_mean(key, known)}")
    known_settings = settings_of(kind)
    tables = _with_new_names(tables, known_settings, path)
    records: dict[str, Any] = {}
    for part, record in parts.items():
        table = tables.get(part, {})
        if isinstance(table, dict):
            members = [setting for setting in known_settings if setting.part == part]
            table = {s.name: s.default for s in members if s.default is not REQUIRED} | table
            for setting in members:
                name = setting.name
                if name in table:
                    table[name] = converted(setting.kind, table[name], setting.option)
        records[part] = to_record(record, table, f"{path}, [{part}]")
    return kind(**records)


def _with_new_names(
    tables: dict[str, Any], known: tuple[Setting, ...], path: Path
) -> dict[str, Any]:
    """Return the tables of a file with every key under its present name.

    Raises:
        SettingError: the file has a setting under both names.
    """
    renamed = {
        part: dict(table) if isinstance(table, dict) else table for part, table in tables.items()
    }
    for setting in known:
        if setting.former is None:
            continue
        part, key = setting.former
        old, new = renamed.get(part), renamed.setdefault(setting.part, {})
        if not isinstance(old, dict) or not isinstance(new, dict) or key not in old:
            continue
        if setting.name in new:
            raise SettingError(f"{path}: {key} is called {setting.name} now, and both are given.")
        new[setting.name] = old.pop(key)
    return renamed
