"""Reads recordings and what is said in them: a table that lists files, or a folder."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import polars as pl

from conveyor.data.files import decoded, read_bytes
from conveyor.data.labelled_texts import as_texts, parts_of
from conveyor.data.listed_files import (
    PART_COLUMNS,
    column_called,
    files_of,
    folder_parts,
    listed_file,
    read_listing,
)
from conveyor.data.sound_files import SOUNDS
from conveyor.errors import DataError, counted, named

# What people call the columns.
_AUDIO = ("audio", "audio_filepath", "audio_path", "wav", "file", "path", "filename", "recording")
_TEXT = ("text", "transcript", "transcription", "sentence", "words", "label")
_SPEAKER = ("speaker", "speaker_id", "client_id")


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

    def only(self, row: int) -> "Recordings":
        """Return one of them, by its index."""
        return Recordings(
            self.name,
            [self.files[row]],
            None if self.texts is None else [self.texts[row]],
            [self.places[row]],
            None,
            None if self.speakers is None else [self.speakers[row]],
            None if self.frame is None else self.frame[row : row + 1],
        )


def read_recordings(
    source: Any,
    *,
    audio: str | None = None,
    text: str | None = None,
    part: str | None = None,
    speaker: str | None = None,
    texts: bool = True,
    parts: bool = True,
) -> Recordings:
    """Read which recordings there are, and what is said in them.

    Args:
        source: a table (any file or data frame that ``read_raw`` reads; lines of JSON, too) whose
            paths begin at its folder; a folder with ``a.wav`` and ``a.txt``, or with
            ``hello_1.wav``, in which "hello" is said; a single sound file.
        audio, text, part, speaker: columns of a table; None looks for the names that people give
            them.
        texts: whether there must be texts.
        parts: whether it is read which part each belongs to.

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
    return _of_table(source, (audio, text, part, speaker), texts=texts, parts=parts)


def _of_table(
    source: Any,
    asked: tuple[str | None, str | None, str | None, str | None],
    *,
    texts: bool,
    parts: bool,
) -> Recordings:
    raw, folder = read_listing(source)
    raw = raw.with_names([name for name in asked if name])
    audio = column_called(raw, asked[0], _AUDIO)
    text = column_called(raw, asked[1], _TEXT)
    part = column_called(raw, asked[2], PART_COLUMNS)
    speaker = column_called(raw, asked[3], _SPEAKER)
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
        listed_file(folder, value, f"{raw.name}, {place}", "recording")
        for value, place in zip(as_texts(raw.column(audio)), places, strict=True)
    ]
    twice = [file for file, count in Counter(files).items() if count > 1]
    if twice and parts:
        at = [place for file, place in zip(files, places, strict=True) if file == twice[0]]
        raise DataError(
            f"{raw.name}: {counted(len(twice), 'file is', 'files are')} listed more than once, the "
            f"first {twice[0]} at {at[0]} and {at[1]}. List each once."
        )
    notes = list(raw.notes)
    if parts:
        chosen = [("recordings", audio), ("texts", text), ("parts", part), ("speakers", speaker)]
        words = ", ".join(f"{name}: column {column}" for name, column in chosen if column)
        notes.append(words)
    return Recordings(
        raw.name,
        files,
        None if text is None else [_plain(value) for value in as_texts(raw.column(text))],
        [f"{file.name} ({place})" for file, place in zip(files, places, strict=True)],
        None if part is None or not parts else parts_of(raw, part),
        None if speaker is None else as_texts(raw.column(speaker)),
        raw.frame,
        notes,
    )


def _plain(text: str) -> str:
    return normalize("NFC", text).strip()


def _of_folder(folder: Path, *, texts: bool) -> Recordings:
    files = files_of(folder, SOUNDS, "recording")
    places = [str(file.relative_to(folder)) for file in files]
    beside = [file.with_suffix(".txt") for file in files]
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
    return Recordings(
        str(folder),
        files,
        said,
        places,
        folder_parts(places),
        None,
        None,
        notes,
    )
