"""Reads recordings and what is said in them: a table that lists files, or a folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any
from unicodedata import normalize

import polars as pl

from conveyor.data.audio_file import SOUNDS
from conveyor.data.files import decoded, read_bytes
from conveyor.data.labelled_texts import as_texts, parts_of
from conveyor.data.raw_table import RawTable, read_raw
from conveyor.errors import DataError, counted, named

# What people call the columns.
_AUDIO = ("audio", "audio_filepath", "audio_path", "wav", "file", "path", "filename", "recording")
_TEXT = ("text", "transcript", "transcription", "sentence", "words", "label")
_SPEAKER = ("speaker", "speaker_id", "client_id")
_PART = ("part", "split")

# Folders of these names are parts.
_FOLDERS = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2}


@dataclass(frozen=True)
class Recordings:
    """Recordings in the order of their source.

    Attributes:
        name: of the source.
        files: of each.
        texts: what is said in each, in normal form C without blanks around it; None where nothing
            says it.
        places: how errors name each.
        parts: the part of each, 0 to 2 as in ``labelled_texts.PARTS``; None where nothing names
            parts.
        speakers: of each; None where nothing names them.
        frame: the table, None where there is none.
        notes: for the user.
    """

    name: str
    files: list[Path]
    texts: list[str] | None
    places: list[str]
    parts: list[int] | None = None
    speakers: list[str] | None = None
    frame: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)


def read_recordings(
    source: Any,
    *,
    audio: str | None = None,
    text: str | None = None,
    part: str | None = None,
    speaker: str | None = None,
    texts: bool = True,
) -> Recordings:
    """Read which recordings there are, and what is said in them.

    Args:
        source: a table (any file or data frame that ``read_raw`` reads; lines of JSON, too) whose
            paths begin at its folder; a folder with ``a.wav`` and ``a.txt``, or with
            ``hello_1.wav``, in which "hello" is said; a single sound file.
        audio, text, part, speaker: columns of a table; None looks for the names that people give
            them.
        texts: whether there must be texts.

    Raises:
        DataError: the source cannot be read, has no such column, or names a file that is not there.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return _of_folder(path, texts=texts)
        if path.suffix.lower() in SOUNDS:
            if texts:
                raise DataError(
                    f"{path}: this is one recording; expected a table of recordings and texts, or "
                    "a folder."
                )
            if not path.exists():
                read_bytes(path)  # raises what says which files there are
            return Recordings(str(path), [path], None, [str(path)])
    return _of_table(source, (audio, text, part, speaker), texts=texts)


def _frame_of(source: Any) -> tuple[RawTable, Path]:
    """Return a table, and the folder that its paths begin at."""
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


def _column(raw: RawTable, asked: str | None, names: Sequence[str]) -> str | None:
    """Return the column that is asked for, or the one of the names that people give it."""
    if asked is not None:
        raw.column(asked)
        return asked
    by_name = {column.strip().lower(): column for column in reversed(raw.frame.columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def _of_table(
    source: Any, asked: tuple[str | None, str | None, str | None, str | None], *, texts: bool
) -> Recordings:
    raw, folder = _frame_of(source)
    raw = raw.with_names([name for name in asked if name])
    audio = _column(raw, asked[0], _AUDIO)
    text = _column(raw, asked[1], _TEXT)
    part = _column(raw, asked[2], _PART)
    speaker = _column(raw, asked[3], _SPEAKER)
    for name, column, setting in (("recordings", audio, "audio"), ("texts", text, "text")):
        if column is None and (setting == "audio" or texts):
            known = ", ".join(column for column in raw.frame.columns if column)
            raise DataError(
                f"{raw.name}: which column holds the {name}? There are: {known}. Say "
                f"{named(setting, 'NAME')}."
            )
    assert audio is not None
    places = [raw.position(row) for row in range(len(raw.frame))]
    files = [
        _file(folder, value, f"{raw.name}, {place}")
        for value, place in zip(as_texts(raw.column(audio)), places, strict=True)
    ]
    twice = [file for file, count in Counter(files).items() if count > 1]
    if twice and texts:
        at = [place for file, place in zip(files, places, strict=True) if file == twice[0]]
        raise DataError(
            f"{raw.name}: {counted(len(twice), 'file is', 'files are')} listed more than once, the "
            f"first {twice[0]} at {at[0]} and {at[1]}. List each once."
        )
    notes = list(raw.notes)
    if texts:
        chosen = [("recordings", audio), ("texts", text), ("parts", part), ("speakers", speaker)]
        words = ", ".join(f"{name}: column {column}" for name, column in chosen if column)
        notes.append(words)
    return Recordings(
        raw.name,
        files,
        None if text is None else [_plain(value) for value in as_texts(raw.column(text))],
        [f"{file.name} ({place})" for file, place in zip(files, places, strict=True)],
        None if part is None or not texts else parts_of(raw, part),
        None if speaker is None else as_texts(raw.column(speaker)),
        raw.frame,
        notes,
    )


def _file(folder: Path, value: str, where: str) -> Path:
    """Return the path of a recording that a table names.

    Raises:
        DataError: it names none, or none that is there.
    """
    if not value.strip():
        raise DataError(f"{where}: no recording is named.")
    path = folder / value
    if not path.exists() and "\\" in value:
        path = folder / PureWindowsPath(value).as_posix()
    if not path.exists():
        raise DataError(f"{where}: there is no file {path}.")
    if path.is_dir():
        raise DataError(f"{where}: {path} is a folder; expected a recording.")
    return path


def _plain(text: str) -> str:
    return normalize("NFC", text).strip()


def _of_folder(folder: Path, *, texts: bool) -> Recordings:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUNDS and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise DataError(
            f"{folder}: there is no recording in this folder; expected {', '.join(SOUNDS[:3])} and "
            "so on."
        )
    places = [str(file.relative_to(folder)) for file in files]
    beside = [file.with_suffix(".txt") for file in files]
    parts: list[int | None] = [
        next(
            (_FOLDERS[name] for name in map(str.lower, Path(p).parts[:-1]) if name in _FOLDERS),
            None,
        )
        for p in places
    ]
    said: list[str] | None = None
    notes = []
    if any(path.exists() for path in beside):
        said = []
        for file, path in zip(files, beside, strict=True):
            if not path.exists():
                if texts:
                    raise DataError(f"{file}: there is no {path.name} that says what is said.")
                said = None
                break
            said.append(_plain(decoded(path, read_bytes(path))))
    elif texts:
        said = [_plain(file.stem.partition("_")[0]) for file in files]
        notes.append(
            f"{folder}: there are no texts beside the recordings, so that each is called by its "
            f"name up to the first _: {files[0].name} is {said[0]!r}"
        )
    is_split = any(part is not None for part in parts)
    return Recordings(
        str(folder),
        files,
        said,
        places,
        [part or 0 for part in parts] if is_split else None,
        None,
        None,
        notes,
    )
