"""Reads strokes of a pen from XML as a whiteboard of the IAM On-Line Handwriting Database stores it
(Liwicki & Bunke 2005, IAM-OnDB)."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from conveyor.data.files import decoded, read_bytes
from conveyor.errors import DataError

ENDING = ".xml"
# The line of a transcription after which its corrected text follows.
_CORRECTED = "CSR:"
# Folders of the database: the strokes of each line, and texts of pages.
_STROKES, _PAGES = "lineStrokes", "ascii"
_NUMBERED = re.compile(r"(.+)-([0-9]+)")


@dataclass
class _Session:
    """What was read of a file so far."""

    where: str
    parser: expat.XMLParserType
    strokes: list[list[list[float]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def doctype(self, *about: object) -> None:
        # A document type may define entities, which unfold without a bound.
        raise DataError(
            f"{self.where}, line {self.parser.CurrentLineNumber:,}: a document type (DOCTYPE) is "
            "not read. Take it out."
        )

    def element(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Stroke":
            self.strokes.append([])
        elif name == "TextLine":
            self.texts.append(attributes.get("text", ""))
        elif name == "Point":
            where = f"{self.where}, line {self.parser.CurrentLineNumber:,}"
            if not self.strokes:
                raise DataError(f"{where}: the point is in no stroke; expected it in a <Stroke>.")
            try:
                self.strokes[-1].append([float(attributes[axis]) for axis in ("x", "y")])
            except (KeyError, ValueError) as error:
                raise DataError(
                    f'{where}: expected the x and y of a point, numbers, as <Point x="3" y="8"/>.'
                ) from error


def stroke_files(folder: Path) -> list[Path]:
    """Return the XML files of a folder and of the folders in it, in the order of their paths.

    Raises:
        DataError: there is none.
    """
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() == ENDING and not path.is_dir()
    )
    if not files:
        raise DataError(
            f"{folder}: there is no {ENDING} file in this folder, nor in the folders in it. "
            "Expected strokes of a whiteboard, a file for each line."
        )
    return files


def read_stroke_xml(path: Path) -> tuple[str, list[list[list[float]]]]:
    """Return the text of a file and its strokes, which are lists of points [x, y].

    The strokes are ``StrokeSet/Stroke/Point``. The text is that of the lines ``TextLine`` in the
    file. Without any, it is that of ``a01-000u-01.txt`` in the folder of ``a01-000u-01.xml``, or
    else line 1 of ``a01-000u.txt``, after the line ``CSR:`` if it has one. That file is in the same
    folder, or in ``ascii`` if the strokes are in ``lineStrokes``.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read, is no such file, or has no text.
    """
    data = read_bytes(path)
    parser = expat.ParserCreate()
    session = _Session(str(path), parser)
    parser.StartDoctypeDeclHandler = session.doctype
    parser.StartElementHandler = session.element
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DataError(f"{path}: this is no XML: {error}. Is it whole?") from error
    except (LookupError, ValueError) as error:  # of the encoding that it states
        raise DataError(f"{path}: this is no XML that can be read: {error}.") from error
    strokes = [stroke for stroke in session.strokes if stroke]
    if not strokes:
        raise DataError(f"{path}: there is no stroke. Expected <StrokeSet>, <Stroke> and <Point>.")
    return " ".join(" ".join(session.texts).split()) or _text_of_neighbours(path), strokes


def _text_of_neighbours(path: Path) -> str:
    places = [path.with_suffix(".txt")]
    if places[0].exists():
        return " ".join(_lines(places[0]))
    line = _NUMBERED.fullmatch(path.stem)
    if line is not None:
        page_here = path.with_name(f"{line[1]}.txt")
        parts = [_PAGES if part == _STROKES else part for part in page_here.parts]
        places += dict.fromkeys((page_here, Path(*parts)))
        for page in places[1:]:
            if page.exists():
                return _line(page, int(line[2]), path)
    raise DataError(
        f"{path} has no text: there is no TextLine in it, and no {' or '.join(map(str, places))}."
    )


def _line(page: Path, number: int, path: Path) -> str:
    lines = _lines(page)
    if _CORRECTED in lines:
        lines = lines[lines.index(_CORRECTED) + 1 :]
    if not 1 <= number <= len(lines):
        raise DataError(
            f"{path} is line {number:,} of {page}, which has {len(lines):,} lines of text. Add the "
            "line, or take the file out."
        )
    return lines[number - 1]


def _lines(path: Path) -> list[str]:
    lines = (line.strip() for line in decoded(path, read_bytes(path)).splitlines())
    return [line for line in lines if line]
