"""Reads pictures and videos, and what is to be said of them: a table that lists files, or a
folder."""

from collections.abc import Sequence
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
from conveyor.data.picture_file import PICTURES
from conveyor.data.raw_table import RawTable
from conveyor.data.video_file import MOVING, OTHER_FILMS, VIDEOS, frame_files
from conveyor.errors import DataError, named

# What people call the columns.
_IMAGE = (
    "image",
    "picture",
    "video",
    "clip",
    "file",
    "path",
    "filename",
    "file_name",
    "image_path",
    "video_path",
    "img",
)
_CAPTION = ("caption", "text", "sentence", "description", "title", "label")
_PART_WORDS = ("training", "validation", "test")


@dataclass(frozen=True)
class CaptionedPictures:
    """Pictures and videos in the order in which their source first names them.

    Attributes:
        name: of the source.
        files: of each; as they are named where ``stored`` is true.
        captions: of each, in normal form C without blanks around them, one or more; None where
            nothing captions them.
        places: how errors name each.
        parts: the part of each, 0 to 2 as in ``labelled_texts.PARTS``; None where nothing names
            parts.
        frame: the table, None where there is none.
        rows: which picture each row of the table is of.
        notes: for the user.
    """

    name: str
    files: list[Path]
    captions: list[list[str]] | None
    places: list[str]
    parts: list[int] | None = None
    frame: pl.DataFrame | None = None
    rows: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_captioned(
    source: Any,
    *,
    image: str | None = None,
    caption: str | None = None,
    part: str | None = None,
    captioned: bool = True,
    there: bool = True,
    clips: bool = False,
) -> CaptionedPictures:
    """Read which pictures there are, and what is said of them.

    Args:
        source: a table (any file or data frame that ``read_raw`` reads; lines of JSON, too) with a
            row for each caption, whose paths begin at its folder; a folder with ``a.png`` and
            ``a.txt``, a caption in each line; a single picture; or a list of files. In place of a
            picture may be a video, see ``read_video``; a folder of its frames is one where a table
            names it, or ``a.txt`` stands beside the folder ``a``.
        image, caption, part: columns of a table; None looks for the names that people give them.
        captioned: whether there must be captions.
        there: whether the files must be there.
        clips: whether folders of pictures, where nothing captions them, are taken for videos.

    Raises:
        DataError: the source cannot be read, has no such column, or names a file that is not there.
    """
    if isinstance(source, list | tuple):
        files = [
            listed_file(Path(), str(each), f"picture {number}", "picture", folders=True)
            for number, each in enumerate(source, 1)
        ]
        return CaptionedPictures("the list", files, None, [str(file) for file in files])
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return _of_folder(path, captioned=captioned, clips=clips)
        if path.suffix.lower() in (*PICTURES, *VIDEOS):
            if captioned:
                kind = "picture" if path.suffix.lower() in PICTURES else "video"
                raise DataError(
                    f"{path}: this is one {kind}; expected a table of {kind}s and captions, or a "
                    "folder."
                )
            if not path.exists():
                read_bytes(path)  # raises what says which files there are
            return CaptionedPictures(str(path), [path], None, [str(path)])
        if path.suffix.lower() in OTHER_FILMS:
            raise DataError(
                f"{path}: films of this kind are not read. Videos are read of {', '.join(VIDEOS)}."
            )
    return _of_table(source, (image, caption, part), captioned=captioned, there=there)


def _of_table(
    source: Any,
    asked: tuple[str | None, str | None, str | None],
    *,
    captioned: bool,
    there: bool,
) -> CaptionedPictures:
    raw, folder = read_listing(source)
    raw = raw.with_names([name for name in asked if name])
    image = column_called(raw, asked[0], _IMAGE)
    caption = column_called(raw, asked[1], _CAPTION)
    part = column_called(raw, asked[2], PART_COLUMNS) if captioned else None
    for name, column, setting in (("pictures", image, "image"), ("captions", caption, "caption")):
        if column is None and (setting == "image" or captioned):
            known = ", ".join(column for column in raw.frame.columns if column)
            raise DataError(
                f"{raw.name}: which column holds the {name}? There are: {known}. Say "
                f"{named(setting, 'NAME')}."
            )
    assert image is not None
    if not len(raw.frame):
        raise DataError(f"{raw.name}: the table has no row.")
    files: dict[Path, int] = {}
    rows, first = [], []
    for row, value in enumerate(as_texts(raw.column(image))):
        where = f"{raw.name}, {raw.position(row)}"
        file = listed_file(folder, value, where, "picture", there=there, folders=True)
        if file not in files:
            files[file] = len(files)
            first.append(row)
        rows.append(files[file])
    said: list[list[str]] | None = None
    if caption is not None:
        said = [[] for _ in files]
        for number, text in zip(rows, as_texts(raw.column(caption)), strict=True):
            if plain := normalize("NFC", text).strip():
                said[number].append(plain)
    notes = list(raw.notes)
    if captioned:
        chosen = [("pictures", image), ("captions", caption), ("parts", part)]
        notes.append(", ".join(f"{name}: column {column}" for name, column in chosen if column))
    return CaptionedPictures(
        raw.name,
        list(files),
        said,
        [f"{file.name} ({raw.position(row)})" for file, row in zip(files, first, strict=True)],
        None if part is None else _parts(raw, part, rows, first),
        raw.frame,
        rows,
        notes,
    )


def _parts(raw: RawTable, part: str, rows: Sequence[int], first: Sequence[int]) -> list[int]:
    """Return the part of each picture.

    Raises:
        DataError: a picture stands in two.
    """
    given = parts_of(raw, part)
    parts = [given[row] for row in first]
    for row, number in enumerate(rows):
        if given[row] != parts[number]:
            raise DataError(
                f"{raw.name}, {raw.position(row)}: this picture is of the "
                f"{_PART_WORDS[given[row]]} set here, and of the {_PART_WORDS[parts[number]]} "
                f"part at {raw.position(first[number])}. A picture can be of one part."
            )
    return parts


def _of_folder(folder: Path, *, captioned: bool, clips: bool) -> CaptionedPictures:
    within = sorted(path for path in (folder, *folder.rglob("*")) if path.is_dir())
    if captioned:
        videos = [path for path in within if path != folder and path.with_suffix(".txt").exists()]
    else:
        videos = [path for path in within if clips and _holds_frames(path)]
    single = [] if folder in videos else files_of(folder, (*PICTURES, *VIDEOS), "picture")
    files = sorted({*videos, *(file for file in single if not {*file.parents} & {*videos})})
    places = [str(file.relative_to(folder)) if file != folder else str(folder) for file in files]
    said: list[list[str]] = []
    for file in files if captioned else ():
        text = file.with_suffix(".txt")
        if not text.exists():
            raise DataError(f"{file}: there is no {text.name} that says what the picture shows.")
        lines = normalize("NFC", decoded(text, read_bytes(text))).splitlines()
        said.append([line.strip() for line in lines if line.strip()])
    captions = said if captioned else None
    return CaptionedPictures(str(folder), files, captions, places, folder_parts(places))


def _holds_frames(folder: Path) -> bool:
    """Return whether a folder holds pictures that do not move, and nothing else that is seen."""
    frames = frame_files(folder)
    still = all(file.suffix.lower() not in MOVING for file in frames)
    return still and bool(frames) and not any(path.is_dir() for path in folder.iterdir())
