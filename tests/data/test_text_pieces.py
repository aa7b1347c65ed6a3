"""Texts as words, syllables and sub-words, and back."""

import random
from typing import Any

import pytest
import torch

from conveyor.data.subwords import SPACE, Subwords
from conveyor.data.text import UNKNOWN, Vocabulary, normal
from conveyor.data.text_pieces import Pieces
from conveyor.errors import RunError, SettingError
from tests.series import VERSES

TEXT = VERSES * 2 + "“Mai sau dầu có bao giờ,”\n\n  Đốt lò hương ấy - so tơ  phím này.\n" * 2


def pieces(unit: str, text: str = TEXT, most: int | None = None) -> Pieces:
    return Pieces.of([text], unit, 80 if unit == "subword" and most is None else most)


@pytest.mark.parametrize("unit", ["char", "syllable", "subword"])
def test_what_is_written_of_the_numbers_of_a_text_is_the_text(unit: str) -> None:
    """The law of units that spell everything, on the training text and on any order of its
    characters."""
    vocabulary = Vocabulary.of(TEXT) if unit == "char" else pieces(unit)
    draw = random.Random(0)
    drawn = (normal("".join(draw.choices(TEXT, k=12))) for _ in range(300))
    for text in (TEXT, "", " ", "a", *drawn):
        assert set(text) <= set(TEXT)
        numbers = vocabulary.encode(text).tolist()
        assert vocabulary.decode(numbers) == text
        assert "".join(vocabulary.labels(text)) == text


def test_words_that_are_not_known_are_the_only_ones_that_are_lost() -> None:
    words = pieces("word", "một hai một hai ba\n")
    assert words.symbols == (UNKNOWN, "\n", " ", SPACE + "hai", SPACE + "một")
    assert words.decode(words.encode("hai một\nmột  hai").tolist()) == "hai một\nmột  hai"
    assert words.encode("một ba bốn").tolist() == [4, 0, 0]
    assert words.labels("một ba,\nbốn") == ["một", " ba", ",", "\n", "bốn"]


def test_a_word_is_one_symbol_where_a_line_begins_and_in_it() -> None:
    words = pieces("word", "ta ta\nta ta")
    number = words.symbols.index(SPACE + "ta")
    line = words.symbols.index("\n")
    assert words.encode("ta ta\nta").tolist() == [number, number, line, number]


def test_a_syllable_that_is_not_known_is_spelled() -> None:
    syllables = pieces("syllable", "ta ta nghe ngan")
    known = [syllables.symbols[number] for number in syllables.encode("ta nghe ta").tolist()]
    assert known == [SPACE + "ta", SPACE, *"nghe", SPACE + "ta"]
    assert (syllables.encode("ngheo") == 0).sum() == 1
    assert syllables.labels("ta ngo") == ["ta", " ", "n", "g", "o"]


def test_the_commonest_are_kept() -> None:
    text = "c c c b b a a d"
    assert pieces("word", text, 2).symbols[2:] == (SPACE + "c", SPACE + "a")
    assert pieces("word", text, 9).symbols[2:] == (SPACE + "c", SPACE + "a", SPACE + "b")


@pytest.mark.parametrize("unit", ["word", "syllable", "subword"])
def test_a_text_in_blocks_is_the_text(unit: str) -> None:
    whole = pieces(unit)
    blocks = ["Trăm năm trong", " cõi người\nta,", "\nChữ", " tài  chữ", "  mệnh"]
    numbers = [n for k, block in enumerate(blocks) for n in whole.cut(block, begins=k == 0)]
    assert numbers == whole.encode("".join(blocks)).tolist()


def test_a_sub_word_is_what_the_library_of_sub_words_cuts() -> None:
    whole = pieces("subword")
    assert isinstance(whole.tokenizer, Subwords)
    written = [whole.symbols[number] for number in whole.encode("chữ tài").tolist()]
    assert written == whole.tokenizer.tokens("chữ tài")


def test_the_sign_of_a_space_is_no_character_of_a_text() -> None:
    for unit in ("syllable", "subword"):
        numbers = pieces(unit).encode(f"ta{SPACE}ta")
        assert (numbers == 0).sum() == 1
        assert pieces(unit).decode(numbers.tolist()) == f"ta{UNKNOWN}ta"


def test_what_is_written_goes_on_after_what_was_read() -> None:
    syllables = pieces("syllable", "ta ta\nta ta,")
    ta, line = syllables.encode("ta\n").tolist()
    assert list(syllables.written([ta, line, ta], after=ta)) == [" ta", "\n", "ta"]
    assert list(syllables.written([ta])) == ["ta"]


@pytest.mark.parametrize("unit", ["word", "syllable", "subword"])
def test_pieces_come_back_from_their_description(unit: str) -> None:
    whole = pieces(unit)
    again = Pieces.described(whole.description(), "a file")
    assert again == whole
    assert torch.equal(again.encode(TEXT), whole.encode(TEXT))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"symbols": None}, "symbols is None; expected texts"),
        ({"symbols": [UNKNOWN, "a", "a"]}, "the vocabulary is none"),
        ({"symbols": ["a", UNKNOWN]}, "the vocabulary is none"),
        ({"symbols": [UNKNOWN, ""]}, "the vocabulary is none"),
        ({"unit": "char"}, "unit is 'char'"),
        ({"unit": "letter"}, "unit is 'letter'"),
    ],
)
def test_a_description_that_is_none(change: dict[str, Any], text: str) -> None:
    with pytest.raises((RunError, SettingError), match=text):
        Pieces.described({**pieces("word").description(), **change}, "a file")


def test_too_few_sub_words_are_refused() -> None:
    with pytest.raises(SettingError, match=r"vocabulary is 5; the text has \d+ characters"):
        pieces("subword", most=5)
