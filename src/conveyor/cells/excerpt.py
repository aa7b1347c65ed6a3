"""The user's own line, with a caret under what is meant. Errors about cells show it."""

import linecache
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FrameType, TracebackType


@dataclass(frozen=True)
class Place:
    """A stretch of source text. Columns count from 0; ``end`` is one past the last."""

    file: str
    line: int
    column: int | None
    end: int | None


def _place(code: CodeType, instruction: int, line: int) -> Place:
    positions = next(islice(code.co_positions(), instruction // 2, None), None)
    first, last, column, end = positions or (None, None, None, None)
    if first is None:
        return Place(code.co_filename, line, None, None)
    return Place(code.co_filename, first, column, end if first == last else None)


def place_of_frame(frame: FrameType) -> Place:
    """Where ``frame`` stands now."""
    return _place(frame.f_code, frame.f_lasti, frame.f_lineno)


def place_of_traceback(traceback: TracebackType) -> Place:
    """Where the frame of ``traceback`` stood when the exception passed through it."""
    return _place(traceback.tb_frame.f_code, traceback.tb_lasti, traceback.tb_lineno)


def excerpt(place: Place) -> str:
    """``  file:line   source`` and a line of carets; only the first where no source is known."""
    head = f"  {place.file}:{place.line}   "
    source = linecache.getline(place.file, place.line).rstrip("\n")
    if not source.strip():
        return head.rstrip()
    text = source.lstrip()
    if place.column is None:
        return head + text
    # Columns are bytes of UTF-8; a caret must stand under a character.
    before = len(source.encode()[: place.column].decode(errors="replace"))
    before -= len(source) - len(text)
    if place.end is None:
        width = len(text) - before
    else:
        width = len(source.encode()[place.column : place.end].decode(errors="replace"))
    return f"{head}{text}\n{' ' * (len(head) + before)}{'^' * max(width, 1)}"
