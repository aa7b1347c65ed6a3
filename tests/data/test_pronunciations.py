"""Dictionaries of pronunciations."""

from pathlib import Path

import pytest

from conveyor.data.pronunciations import read_pronunciations, without_stress
from conveyor.errors import DataError

# Made up in CMUdict's form: comments, a variant, a word with an apostrophe, TABs.
LINES = """;;; a comment of its own
read R IY1 D
read(2) R EH1 D # past
'em\tAH0 M
record R EH1 K ER0 D
record(2) R AH0 K AO1 R D

record(3) R EH0 K ER1 D
"""


def test_variants_are_pronunciations_of_one_word_and_comments_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text(LINES)
    read = read_pronunciations(path)
    assert read.sources == ["read", "read", "'em", "record", "record", "record"]
    assert read.targets is not None
    assert read.targets[:3] == ["R IY1 D", "R EH1 D", "AH0 M"]
    assert read.places[:3] == ["line 2", "line 3", "line 4"]
    assert "1 comment behind a # not read" in read.notes[0]


def test_without_stress_what_is_the_same_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text(LINES)
    read = read_pronunciations(path, stress=False)
    assert read.sources == ["read", "read", "'em", "record", "record"]
    assert read.targets == ["R IY D", "R EH D", "AH M", "R EH K ER D", "R AH K AO R D"]
    assert "1 line says what an earlier one says" in read.notes[1]
    assert without_stress("AH0 EY2 K 5 B3") == "AH EY K 5 B3"  # 3 is no stress


def test_a_word_without_phonemes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_text("read R EH D\nlead\n")
    with pytest.raises(DataError, match=r"words\.dict, line 2: 'lead' has no phonemes; expected a"):
        read_pronunciations(path)
    path.write_text(";;; nothing\n")
    with pytest.raises(DataError, match="there is no word"):
        read_pronunciations(path)


def test_tables_lists_and_bare_words_are_read_too(tmp_path: Path) -> None:
    assert read_pronunciations([("a(2)", "AH0"), ("a", "AH0")]).sources == ["a"]
    path = tmp_path / "words.tsv"
    path.write_text("word\tsaid\nread\tR IY1 D\n")
    assert read_pronunciations(path, stress=False).targets == ["R IY D"]
    words = tmp_path / "words.txt"
    words.write_text("read\nlead\n")
    assert read_pronunciations(words, paired=False).sources == ["read", "lead"]
