"""Reads what was written with a pen: the points of its strokes, and the text that they are."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from conveyor.data.broken_arrays import BROKEN_ARRAYS, reason_of
from conveyor.data.files import decoded, read_bytes, read_unpacked
from conveyor.data.stroke_xml import ENDING, read_stroke_xml, stroke_files
from conveyor.errors import DataError, counted

# The file beside arrays of strokes that holds their texts, a line each.
TEXTS = "text.txt"
_EXAMPLE = '{"text": "hello", "strokes": [[[0, 0], [3, 8], [5, 2]], [[9, 1], [9, 6]]]}'

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Handwriting:
    """Texts that were written with a pen.

    Attributes:
        name: of the source.
        strokes: of each text: points [T, 3], x, y (which grows downwards), and 1 at the last point
            of a stroke, else 0. No point stands where the one before it does.
        texts: what was written, in normal form C.
        places: how errors name each.
        notes: for the user.
    """

    name: str
    strokes: list[Points]
    texts: list[str]
    places: list[str]
    notes: list[str] = field(default_factory=list)


def read_handwriting(path: Path | str) -> Handwriting:
    """Read a file of texts and their strokes.

    JSON lines hold one text each: ``{"text": "hi", "strokes": [[[x, y], …], …]}``. An ``.npz``
    holds the points of all, ``xy`` [N, 2], ``pen`` [N] with 0 at the last point of a stroke, and
    ``offsets``, where each text begins and the last ends; the texts are its array ``texts``, or the
    lines of ``text.txt`` in the same folder. A folder holds XML files of a whiteboard, one text in
    each, see ``read_stroke_xml``.

    Args:
        path: a file that ends in ``.jsonl``, ``.ndjson`` (also ``.gz``), ``.npz`` or ``.xml``, or a
            folder of the last.

    Raises:
        DataError: it cannot be read, or something in it is no handwriting; the text says where.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        return _of_arrays(path)
    read: list[tuple[str, Points, str]] = []
    repeated = 0
    if path.is_dir() or path.suffix.lower() == ENDING:
        for file in stroke_files(path) if path.is_dir() else [path]:
            text, strokes = read_stroke_xml(file)
            points, dropped = _joined(strokes, str(file))
            repeated += dropped
            read.append((_text(text, str(file)), points, str(file)))
        return _whole(path, read, repeated)
    # Other ends of lines than these may stand in a text.
    for number, line in enumerate(decoded(path, read_unpacked(path)).split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number:,}"
            text, strokes = _of_line(line, where)
            points, dropped = _joined(strokes, where)
            repeated += dropped
            read.append((text, points, where))
    if not read:
        raise DataError(f"{path}: there is no text. A line holds one: {_EXAMPLE}")
    return _whole(path, read, repeated)


def _whole(path: Path, read: list[tuple[str, Points, str]], repeated: int) -> Handwriting:
    texts, strokes, places = ([each[n] for each in read] for n in range(3))
    notes = []
    if repeated:
        notes.append(
            f"{counted(repeated, 'point')} at the place of the one before left out: a pen that "
            "does not move says nothing"
        )
    return Handwriting(str(path), strokes, texts, places, notes)  # type: ignore[arg-type]


def _of_line(line: str, where: str) -> tuple[str, list[Any]]:
    """Return the text and the strokes of a line of JSON."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: this is no JSON: {error}. A line is like {_EXAMPLE}") from error
    text = data.get("text") if isinstance(data, dict) else None
    strokes = data.get("strokes") if isinstance(data, dict) else None
    if not isinstance(text, str) or not isinstance(strokes, list):
        raise DataError(f"{where}: expected a text and its strokes, as in {_EXAMPLE}")
    return _text(text, where), strokes


def _text(text: str, where: str) -> str:
    if not text.strip():
        raise DataError(
            f"{where}: the text is empty. Take the line out, or write what was written."
        )
    return normalize("NFC", text.strip())


def _joined(strokes: list[Any], where: str) -> tuple[Points, int]:
    """Return the points of strokes, and how many were left out for standing where the one before
    does."""
    parts, dropped = [], 0
    for number, stroke in enumerate(strokes, 1):
        what = f"{where}, stroke {number}"
        try:
            points = np.asarray(stroke, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{what}: expected points [x, y], numbers each.") from error
        if points.ndim != 2 or points.shape[1:] != (2,):
            raise DataError(f"{what} is {list(points.shape)}; expected points [x, y], one or more.")
        bad = ~np.isfinite(points).all(1)
        if bad.any():
            raise DataError(
                f"{what}, point {bad.argmax() + 1} is {points[bad.argmax()].tolist()}; expected "
                "finite numbers. Take the point out."
            )
        stays = np.zeros(len(points), dtype=bool)
        stays[1:] = (points[1:] == points[:-1]).all(1)
        dropped += int(stays.sum())
        points = points[~stays]
        lifted = np.zeros((len(points), 1))
        lifted[-1] = 1
        parts.append(np.concatenate([points, lifted], 1))
    whole = np.concatenate(parts) if parts else np.zeros((0, 3))
    if len(whole) < 2:
        raise DataError(f"{where}: there {_are(len(whole))}; expected two or more.")
    return whole, dropped


def _are(points: int) -> str:
    return f"{'is' if points == 1 else 'are'} {counted(points, 'point')}"


def _of_arrays(path: Path) -> Handwriting:
    """Return the texts of an ``.npz``."""
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except BROKEN_ARRAYS as error:
        raise DataError(f"{path}: this is no .npz of numbers: {reason_of(error)}.") from error
    missing = [name for name in ("xy", "pen", "offsets") if name not in held]
    if missing:
        raise DataError(
            f"{path} has no {', '.join(missing)}; it has {', '.join(held) or 'nothing'}. Expected "
            "xy [N, 2], pen [N] and offsets, where each text begins and the last ends."
        )
    xy, pen, offsets = held["xy"], held["pen"], held["offsets"]
    shaped = xy.ndim == 2 and xy.shape[1] == 2 and pen.shape == xy.shape[:1] and offsets.ndim == 1
    numbers = all(each.dtype.kind in "iuf" for each in (xy, pen)) and offsets.dtype.kind in "iu"
    if not (shaped and numbers):
        shapes = ", ".join(f"{n} {list(held[n].shape)}" for n in ("xy", "pen", "offsets"))
        raise DataError(
            f"{path}: {shapes}; expected numbers, xy [N, 2], pen [N], offsets [texts + 1]."
        )
    ends = offsets.astype(np.int64)
    if len(ends) < 2 or ends[0] != 0 or ends[-1] != len(xy) or (np.diff(ends) < 0).any():
        raise DataError(f"{path}: offsets do not rise from 0 to {len(xy):,}, the number of points.")
    texts = _texts_beside(path, held.get("texts"), len(ends) - 1)
    read, repeated = [], 0
    for number, text in enumerate(texts):
        where = f"{path}, text {number + 1:,}"
        points, ended = (
            xy[ends[number] : ends[number + 1]],
            pen[ends[number] : ends[number + 1]] == 0,
        )
        cuts = np.flatnonzero(ended[:-1]) + 1
        strokes, dropped = _joined([each for each in np.split(points, cuts) if len(each)], where)
        repeated += dropped
        read.append((_text(text, where), strokes, where))
    return _whole(path, read, repeated)


def _texts_beside(path: Path, held: Any, count: int) -> list[str]:
    """Return the texts of an ``.npz``."""
    if held is not None:
        where = f"the array texts of {path}"
        if held.dtype.kind != "U":
            raise DataError(f"{where} is of {held.dtype}; expected texts in Unicode.")
        texts = list(map(str, held.ravel()))
    else:
        beside = path.with_name(TEXTS)
        if not beside.exists():
            raise DataError(
                f"{path} has no array texts, and there is no {beside} with a line of each."
            )
        texts, where = decoded(beside, read_bytes(beside)).splitlines(), str(beside)
    if len(texts) != count:
        raise DataError(
            f"{where} has {counted(len(texts), 'text')}, and {path} has strokes of {count:,}. Each "
            "text needs a line."
        )
    return texts
