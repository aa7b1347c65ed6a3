"""Tables and folders that list files beside what is known of each, such as recordings or pictures
with texts."""

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import polars as pl

from conveyor.data.files import decoded, read_bytes
from conveyor.data.raw_table import RawTable, read_raw
from conveyor.errors import DataError

# What people call the column of parts.
PART_COLUMNS = ("part", "split")

# Folders of these names are parts.
_FOLDERS = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2}


def read_listing(source: Any) -> tuple[RawTable, Path]:
    """Return a table that lists files, and the folder that its paths begin at.

    Args:
        source: any file or data frame that ``read_raw`` reads, or a file of lines of JSON.

    Raises:
        DataError: it cannot be read.
    """
    if not isinstance(source, str | Path):
        return read_raw(source, prose=True), Path()
    path = Path(source)
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return read_raw(source, prose=True), path.parent
    text = decoded(path, read_bytes(path))
    try:
        frame = pl.read_ndjson(text.encode())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: these are no lines of JSON: {error}.") from error
    lines = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return RawTable(str(path), frame, lines if len(lines) == len(frame) else None), path.parent


def column_called(raw: RawTable, asked: str | None, names: Sequence[str]) -> str | None:
    """Return the column that is asked for, or the one of the names that people give it; None if
    there is none.

    Raises:
        DataError: there is no such column as is asked for.
    """
    if asked is not None:
        raw.column(asked)
        return asked
    by_name = {column.strip().lower(): column for column in reversed(raw.frame.columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def listed_file(
    folder: Path,
    value: str,
    where: str,
    noun: str,
    *,
    there: bool = True,
    folders: bool = False,
) -> Path:
    """Return the path of a file that a table names.

    Args:
        folder: that paths begin at.
        value: what the table says.
        where: the table and the line, for errors.
        noun: what the file should be, such as "recording".
        there: whether the file must be there.
        folders: whether it may be a folder.

    Raises:
        DataError: it names none, or none that is there.
    """
    if not value.strip():
        raise DataError(f"{where}: no {noun} is named.")
    path = folder / value
    if not there:
        return path
    if not path.exists() and "\\" in value:
        path = folder / PureWindowsPath(value).as_posix()
    if not path.exists():
        raise DataError(f"{where}: there is no file {path}.")
    if path.is_dir() and not folders:
        raise DataError(f"{where}: {path} is a folder; expected a {noun}.")
    return path


def files_of(folder: Path, endings: Sequence[str], noun: str) -> list[Path]:
    """Return the files of a folder and of its folders, in order, but for hidden ones.

    Args:
        folder: the folder.
        endings: of the files, in small letters.
        noun: what they are, such as "recording".

    Raises:
        DataError: there is none.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise DataError(
            f"{folder}: there is no {noun} in this folder; expected {', '.join(endings[:3])} and "
            "so on."
        )
    return files


def folder_parts(places: Sequence[str]) -> list[int] | None:
    """Return the part of each file by the names of its folders, 0 to 2 as in
    ``labelled_texts.PARTS``; None if no folder is called as a part is.

    Args:
        places: paths of files, from the folder that holds them all.
    """
    parts = [
        next(
            (_FOLDERS[name] for name in map(str.lower, Path(p).parts[:-1]) if name in _FOLDERS),
            None,
        )
        for p in places
    ]
    return [part or 0 for part in parts] if any(part is not None for part in parts) else None
