"""Pairs of texts: what is read, and what is said of files that cannot be."""

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from conveyor.data.paired_texts import lines_of, read_pairs, target_beside
from conveyor.errors import DataError


def write(path: Path, text: str) -> Path:
    """Write a file as it is, without changing line ends."""
    path.write_bytes(text.encode())
    return path


def test_a_table_gives_its_first_two_columns_or_those_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'en\tde\tvi\nred "dog\trot\tđỏ\n')
    read = read_pairs(path)
    assert (read.sources, read.targets, read.columns) == (['red "dog'], ["rot"], ("en", "de"))
    assert "from column en to column de" in read.notes[0]
    named = read_pairs(path, columns=(None, "vi"))
    assert (named.targets, named.columns) == (["đỏ"], ("en", "vi"))
    turned = read_pairs(path, columns=("vi", "en"))
    assert (turned.sources, turned.targets, turned.notes) == (["đỏ"], ['red "dog'], [])
    frame = pl.DataFrame({"a": ["x"], "b": ["y"]})
    assert read_pairs(frame).targets == ["y"]
    with pytest.raises(DataError, match=r"no column 'fr'. There are: de, en, vi"):
        read_pairs(path, columns=("en", "fr"))
    with pytest.raises(DataError, match="column en cannot be the source and its target"):
        read_pairs(path, columns=("en", "en"))
    with pytest.raises(DataError, match="there is one column; expected one of sources"):
        read_pairs(write(tmp_path / "b.csv", "en\nred\nblue\n"))


def test_two_files_are_read_line_by_line_whatever_else_ends_a_line(tmp_path: Path) -> None:
    first = write(tmp_path / "a.en", "one\u2028still one\r\ntwo\n")
    second = tmp_path / "a.de.gz"
    second.write_bytes(gzip.compress(b"eins\nzwei\tZWEI\n"))
    read = read_pairs(first, target=second)
    assert read.sources == ["one\u2028still one", "two"]
    assert read.targets == ["eins", "zwei\tZWEI"]
    assert read.places == ["line 1", "line 2"]
    assert (
        "a.de.gz: 1 line holds a TAB, which is read as a space, the first line 2" in read.notes[0]
    )


def test_unequal_numbers_of_lines_name_both_files(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.en", "1\n2\n3\n"), write(tmp_path / "a.de", "1\n2\n")
    with pytest.raises(DataError, match=r"a\.en has 3 lines and .*a\.de 2; line by line"):
        read_pairs(first, target=second)


def test_a_wrong_byte_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.en"
    path.write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"a\.en, line 2: byte 3 \(0xe9\) is not UTF-8"):
        lines_of(path)
    with pytest.raises(DataError, match="the file is empty; expected lines"):
        lines_of(write(tmp_path / "b.en", " \n"))


def test_lines_of_scan_are_commands_and_actions(tmp_path: Path) -> None:
    """Made up in the form of Lake & Baroni 2018."""
    lines = ["IN: jump left OUT: I_TURN_LEFT I_JUMP", "IN: walk OUT: I_WALK ", ""]
    read = read_pairs(write(tmp_path / "tasks.txt", "\n".join(lines)))
    assert read.sources == ["jump left", "walk"]
    assert read.targets == ["I_TURN_LEFT I_JUMP", "I_WALK"]
    with pytest.raises(DataError, match=r"tasks\.txt, line 2: expected IN: … OUT: …, as in line 1"):
        read_pairs(write(tmp_path / "tasks.txt", lines[0] + "\nIN: jump\n"))


def test_lines_with_a_tab_are_pairs_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Run!\tChạy!\tCC-BY 2.0\n\nHi.\tChào.\n")
    read = read_pairs(path)
    assert (read.sources, read.targets) == (["Run!", "Hi."], ["Chạy!", "Chào."])
    assert read.places == ["line 1", "line 3"]
    with pytest.raises(DataError, match="line 2: there is no TAB between a source and its target"):
        read_pairs(write(path, "Run!\tChạy!\nHi.\n"))
    with pytest.raises(DataError, match=r"line 1: there is no TAB.*targets='FILE'"):
        read_pairs(write(path, "Run!\nHi.\n"))
    assert read_pairs(write(path, "Run!\n\nHi.\n"), paired=False).sources == ["Run!", "", "Hi."]


def test_texts_are_in_normal_form(tmp_path: Path) -> None:
    read = read_pairs([(" Hue\u0302\u0301 ", "Hu\u1ebf")])
    assert read.sources == read.targets == ["Hu\u1ebf"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the list is empty; expected pairs of texts"),
        (["a", "b c"], "the list holds 'a'; expected pairs of texts"),
        ([("a", 3)], "the list holds 3; expected pairs of texts"),
    ],
)
def test_a_list_that_holds_no_pairs_is_refused(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs(source)


def test_targets_of_other_files_are_found_by_their_names() -> None:
    assert target_beside("train.en", "train.de", "x/test_2016.en") == "x/test_2016.de"
    assert target_beside("a/en.train.gz", "b/de.train.gz", "en.val.gz") == "de.val.gz"
    # en stands in "train", "ten" and "enen" too, which are other words.
    assert target_beside("ten_train.en", "ten_train.de", "ten_val.en") == "ten_val.de"
    with pytest.raises(DataError, match=r"val\.src: its name does not say which file holds its"):
        target_beside("train.en", "train.de", "val.src")
    with pytest.raises(DataError, match="its name does not say"):
        target_beside("english.txt", "german-new.txt", "val.txt")
