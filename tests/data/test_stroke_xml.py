"""Strokes of a whiteboard, read from XML, with their texts."""

from pathlib import Path

import numpy as np
import pytest

import conveyor
from conveyor.data.handwriting import read_handwriting
from conveyor.errors import DataError
from conveyor.tasks.write.writer import Writer
from tests.heard import Heard

HEAD = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
STROKES = """<StrokeSet>
<Stroke colour="black" start_time="1.5" end_time="1.9">
<Point x="0" y="0" time="1.50"/><Point x="3" y="8" time="1.51"/><Point x="3" y="8" time="1.6"/>
<Point x="5" y="2" time="1.9"/></Stroke>
<Stroke colour="black" start_time="2" end_time="2"></Stroke>
<Stroke colour="black" start_time="2" end_time="2"><Point x="9.5" y="-1" time="2"/></Stroke>
</StrokeSet>"""
POINTS = [[0, 0, 0], [3, 8, 0], [5, 2, 1], [9.5, -1, 1]]


def session(path: Path, *, strokes: str = STROKES, before: str = "", head: str = HEAD) -> Path:
    """Write a file of a whiteboard, with the elements that stand around the strokes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = '<WhiteboardDescription><SensorLocation corner="top_left"/></WhiteboardDescription>'
    path.write_bytes(
        f"{head}<WhiteboardCaptureSession>{before}{about}{strokes}"
        "</WhiteboardCaptureSession>".encode("latin-1")
    )
    return path


def test_a_folder_of_lines_and_the_texts_of_pages(tmp_path: Path) -> None:
    """Laid out as the database is."""
    strokes, pages = tmp_path / "lineStrokes", tmp_path / "ascii"
    for number in (2, 1):
        session(strokes / "a01" / "a01-000" / f"a01-000u-{number:02}.xml")
    session(strokes / "b02" / "b02-001-01.xml")
    (pages / "a01" / "a01-000").mkdir(parents=True)
    page = "OCR:\n\nA M0VE\nto\n\nCSR:\n\nA MOVE\n to stop\n"
    (pages / "a01" / "a01-000" / "a01-000u.txt").write_text(page)
    (strokes / "b02" / "b02-001.txt").write_text("che\u0302\n", encoding="utf-8")
    read = read_handwriting(strokes)
    assert read.texts == ["A MOVE", "to stop", "chê"]
    assert [Path(place).stem for place in read.places] == [
        "a01-000u-01", "a01-000u-02", "b02-001-01",
    ]  # fmt: skip
    for points in read.strokes:
        np.testing.assert_array_equal(points, POINTS)
    assert read.notes == [
        "3 points at the place of the one before left out: a pen that does not move says nothing"
    ]
    (pages / "a01" / "a01-000" / "a01-000u.txt").write_text("CSR:\nA MOVE\n")
    with pytest.raises(DataError, match=r"a01-000u-02\.xml is line 2 of .*000u\.txt, which has 1"):
        read_handwriting(strokes)


def test_texts_in_the_file_and_beside_it(tmp_path: Path) -> None:
    lines = '<Transcription><TextLine id="1" text="A MOVE "/><TextLine text="à l&amp;a"/>'
    inside = session(tmp_path / "x.xml", before=f"{lines}</Transcription>")
    assert read_handwriting(inside).texts == ["A MOVE à l&a"]
    beside = session(tmp_path / "y-03.xml")
    (tmp_path / "y-03.txt").write_text("stop\n")
    assert read_handwriting(beside).texts == ["stop"]
    (tmp_path / "y-03.txt").unlink()
    with pytest.raises(DataError, match=r"y-03\.xml has no text: there is no TextLine.*y\.txt"):
        read_handwriting(beside)


@pytest.mark.parametrize(
    ("strokes", "error"),
    [
        ("", r"a\.xml: there is no stroke"),
        ('<Stroke><Point x="1" y="2"/>\n<Point x="1"/></Stroke>', "line 3: expected the x and y"),
        ('<Stroke><Point x="1" y="b"/></Stroke>', "line 2: expected the x and y of a point"),
        ('<Point x="1" y="2"/>', "line 2: the point is in no stroke"),
        ('<Stroke><Point x="1" y="2"/></Stroke>', "there is 1 point; expected two or more"),
        ('<Stroke><Point x="nan" y="2"/></Stroke>', r"a\.xml, stroke 1, point 1 is \[nan, 2.0\]"),
        ("<Stroke>", r"a\.xml: this is no XML: mismatched tag"),
    ],
)
def test_what_is_no_handwriting_is_named(tmp_path: Path, strokes: str, error: str) -> None:
    (tmp_path / "a.txt").write_text("stop")
    session(tmp_path / "a.xml", strokes=strokes)
    with pytest.raises(DataError, match=error):
        read_handwriting(tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no \.xml file in this folder"):
        read_handwriting(tmp_path)
    bomb = (
        HEAD + '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "/etc/hosts">]>'
    )
    line = '<TextLine text="&b;"/>'
    with pytest.raises(DataError, match=r"a\.xml, line 2: a document type \(DOCTYPE\) is not read"):
        read_handwriting(session(tmp_path / "a.xml", head=bomb, before=line))
    whole = session(tmp_path / "b.xml").read_bytes()
    for content in (whole[:-40], b"", b"\x00\xff", whole.replace(b"ISO-8859-1", b"EBCDIC-9")):
        (tmp_path / "b.xml").write_bytes(content)
        with pytest.raises(DataError, match=r"b\.xml: this is no XML"):
            read_handwriting(tmp_path / "b.xml")


def test_a_writer_learns_from_a_folder(tmp_path: Path) -> None:
    line = '<Transcription><TextLine text="lo"/></Transcription>'
    for number in range(6):
        session(tmp_path / "pages" / f"p-{number}.xml", before=line)
    run = conveyor.fit(
        "write", tmp_path / "pages", out=tmp_path / "run", say=Heard(), hidden=4, layers=2,
        window=2, components=2, batch=4, epochs=1,
    )  # fmt: skip
    assert isinstance(run.model, Writer)
    heard = Heard()
    assert run.evaluate(tmp_path / "pages", say=heard).scores
    assert "this is the data of the run" in heard.text
