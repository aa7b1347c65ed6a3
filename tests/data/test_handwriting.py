"""Strokes with their texts, read from lines of JSON and from arrays."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conveyor.data.handwriting import read_handwriting
from conveyor.errors import DataError

STROKES = [[[0, 0], [3, 8], [3, 8], [5, 2]], [[9, 1]], [[9, 6], [9, 7]]]
POINTS = [[0, 0, 0], [3, 8, 0], [5, 2, 1], [9, 1, 1], [9, 6, 0], [9, 7, 1]]


def lines(path: Path, *records: Any) -> Path:
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in records)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def test_lines_of_json(tmp_path: Path) -> None:
    # The vowel as two code points, which become one.
    records = [
        {"text": " che\u0302 ", "strokes": STROKES},
        "",
        {"text": "o", "strokes": [[[1, 1], [2, 2]]]},
    ]
    read = read_handwriting(lines(tmp_path / "mine.jsonl", *records))
    assert read.texts == ["chê", "o"]
    np.testing.assert_array_equal(read.strokes[0], POINTS)
    assert read.places[1].endswith("mine.jsonl, line 3")
    assert read.notes == [
        "1 point at the place of the one before left out: a pen that does not move says nothing"
    ]
    packed = tmp_path / "mine.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "mine.jsonl").read_bytes()))
    assert read_handwriting(packed).texts == read.texts


def arrays(path: Path, **changed: Any) -> Path:
    held = {
        "xy": [[0, 0], [3, 8], [5, 2], [5, 2], [9, 1], [9, 1], [1, 1], [2, 2]],
        "pen": [1, 1, 1, 0, 1, 0, 1, 1],
        "offsets": [0, 6, 8],
        "texts": ["tà", "o"],
        **changed,
    }
    kept: Any = {name: np.array(each) for name, each in held.items() if each is not None}
    np.savez(path, **kept)
    return path


def test_arrays_with_their_texts(tmp_path: Path) -> None:
    read = read_handwriting(arrays(tmp_path / "a.npz"))
    assert read.texts == ["tà", "o"]
    np.testing.assert_array_equal(read.strokes[0], [[0, 0, 0], [3, 8, 0], [5, 2, 1], [9, 1, 1]])
    np.testing.assert_array_equal(read.strokes[1], [[1, 1, 0], [2, 2, 1]])
    (tmp_path / "text.txt").write_text("ab\ncd\n", encoding="utf-8")
    assert read_handwriting(arrays(tmp_path / "b.npz", texts=None)).texts == ["ab", "cd"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "line 2: this is no JSON"),
        ([1], "line 2: expected a text and its strokes, as in"),
        ({"text": "a"}, "line 2: expected a text and its strokes"),
        ({"text": "  ", "strokes": STROKES}, "line 2: the text is empty"),
        ({"text": "a", "strokes": []}, "line 2: there are 0 points; expected two or more"),
        ({"text": "a", "strokes": [[[1, 2], [1, 2]]]}, "line 2: there is 1 point; expected two"),
        ({"text": "a", "strokes": [[[1, 2]], [[3]]]}, r"line 2, stroke 2 is \[1, 1\]; expected"),
        ({"text": "a", "strokes": [[[1, 2], [3]]]}, r"stroke 1: expected points \[x, y\], numbers"),
        (
            {"text": "a", "strokes": [[[10**400, 2]]]},
            r"stroke 1: expected points \[x, y\], numbers",
        ),
        ({"text": "a", "strokes": [[["b", "c"]]]}, r"stroke 1: expected points \[x, y\], numbers"),
        (
            '{"text": "a", "strokes": [[[1, 2], [NaN, 0]]]}',
            r"line 2, stroke 1, point 2 is \[nan, 0.0\]; expected finite numbers",
        ),
    ],
)
def test_what_is_no_handwriting_is_named_by_its_line(tmp_path: Path, line: Any, error: str) -> None:
    file = lines(tmp_path / "mine.jsonl", {"text": "o", "strokes": STROKES}, line)
    with pytest.raises(DataError, match=error):
        read_handwriting(file)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"pen": None}, "has no pen; it has xy, offsets, texts"),
        ({"xy": [1, 2]}, r"xy \[2\], pen \[8\], offsets \[3\]; expected numbers"),
        ({"offsets": [0, 9, 8]}, "offsets do not rise from 0 to 8"),
        ({"offsets": [0, 8]}, "has 2 texts, and .* has strokes of 1"),
        ({"texts": None}, "has no array texts, and there is no .*text.txt"),
        ({"texts": ["a", " "]}, "text 2: the text is empty"),
        ({"texts": [b"a", b"b"]}, r"the array texts of .* is of \|S1; expected texts in Unicode"),
        ({"xy": [[0, 0]] * 8}, "text 2: there is 1 point"),
    ],
)
def test_arrays_that_are_no_handwriting(
    tmp_path: Path, changed: dict[str, Any], error: str
) -> None:
    with pytest.raises(DataError, match=error):
        read_handwriting(arrays(tmp_path / "a.npz", **changed))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(DataError, match=r"this is no \.npz of numbers"):
        read_handwriting(tmp_path / "a.npz")
    np.save(tmp_path / "alone.npy", np.zeros(3))
    (tmp_path / "alone.npy").rename(tmp_path / "alone.npz")
    with pytest.raises(DataError, match=r"this is no \.npz of numbers"):
        read_handwriting(tmp_path / "alone.npz")
    np.savez_compressed(tmp_path / "b.npz", xy=np.arange(4000.0))
    damaged = bytearray((tmp_path / "b.npz").read_bytes())
    damaged[200:240] = bytes(40)
    (tmp_path / "b.npz").write_bytes(damaged)
    with pytest.raises(DataError, match=r"this is no \.npz of numbers"):
        read_handwriting(tmp_path / "b.npz")
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"there is no text\. A line holds one"):
        read_handwriting(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="there is no such file"):
        read_handwriting(tmp_path / "b.jsonl")
