"""The search for units that track properties of a text."""

import random

import pytest
import torch

from conveyor.data.text import Vocabulary
from conveyor.errors import DataError
from conveyor.tasks.text import unit_search
from conveyor.tasks.text.language_model import LanguageModel
from conveyor.tasks.text.text_properties import PROPERTIES
from conveyor.tasks.text.unit_search import search_units

TEXT = 'Anh nói: "đi đi" rồi thôi.\nMưa (rất to) rơi 12 giờ.\n'


def of(name: str, text: str) -> list[float]:
    (found,) = [each for each in PROPERTIES if each.name.en == name]
    return found.of(text)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("inside quotes", 'a"b"c', [0, 1, 1, 0, 0]),
        ("inside quotes", "«b» “c”", [1, 1, 0, 0, 1, 1, 0]),
        ("inside quotes", '"a\n\nb', [1, 1, 0, 0, 0]),
        ("inside brackets", "(a]b)c", [1, 1, 1, 1, 0, 0]),
        ("characters since the line began", "ab\nc", [1, 2, 0, 1]),
        ("words of the line so far", "a bc\nd", [1, 1, 2, 2, 0, 1]),
        ("letters since the word began", "ab, c", [1, 2, 0, 0, 1]),
        ("characters since the sentence ended", "a. b", [1, 0, 1, 2]),
        ("a capital letter", "aBÁ", [0, 1, 1]),
        ("a digit", "a1", [0, 1]),
        ("between words", "a, b", [0, 1, 1, 0]),
        ("the end of a line", "a\n", [0, 1]),
        ("a vowel", "bốy", [0, 1, 1]),
        ("tone sắc (á)", "bống bông", [0, 1, 1, 1, 0, 0, 0, 0, 0]),
        ("tone nặng (ạ)", "nhiệm", [0, 0, 0, 1, 1]),
        ("tone huyền (à)", "ề", [1]),
        ("tone hỏi (ả)", "ử", [1]),
        ("tone ngã (ã)", "ẵ", [1]),
    ],
)
def test_a_property_is_told_of_every_character(name: str, text: str, values: list[float]) -> None:
    assert of(name, text) == values


def test_every_property_is_told_of_every_character() -> None:
    for one in PROPERTIES:
        assert len(one.of(TEXT)) == len(TEXT)
        assert one.of("") == []
        assert all(one.name)


def a_text(sentences: int = 30) -> str:
    """A text that does not come again, as controls are the text itself, shifted."""
    draw = random.Random(0)
    words = TEXT.split()
    lines = (" ".join(draw.choices(words, k=draw.randint(2, 9))) for _ in range(sentences))
    return ".\n".join(lines)


def a_model(layers: int = 1) -> LanguageModel:
    torch.manual_seed(0)
    vocabulary = Vocabulary.of(TEXT)
    return LanguageModel("lstm", vocabulary, hidden=12, layers=layers, embedding=8).eval()


def test_the_input_itself_is_found_in_a_fresh_network() -> None:
    """Whether a letter stands between words shows in the state at once; it never says digits."""
    said: list[str] = []
    text = a_text()
    search = search_units(a_model(), text, said.append)
    by_name = {one.name.en: one for one in search.tracked}
    assert by_name["between words"].tracking.tracks
    assert abs(by_name["between words"].tracking.score) > 0.2
    scores = [abs(one.tracking.score) for one in search.tracked]
    assert scores == sorted(scores, reverse=True)
    assert search.units == 24
    assert said == []
    assert "tone ngã (ã)" in {name.en for name in search.skipped}
    for one in search.tracked:
        begin = text.index("\n", len(text) // 2) + 1  # with a line of the half that is scored
        assert "".join(one.symbols) == text[begin:][: unit_search.SHOWN]
        assert max(map(abs, one.values)) <= 1
        assert 0 <= one.tracking.unit < 12


def test_the_layer_is_named_where_there_are_several() -> None:
    search = search_units(a_model(layers=2), TEXT * 10, print)
    assert search.units == 48
    assert all(", layer " in one.place.en and ", tầng " in one.place.vi for one in search.tracked)
    assert {one.unit.en.split(",")[0] for one in search.tracked} <= {"c", "h"}


def test_a_long_text_is_cut_and_a_short_one_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(unit_search, "MOST_CHARACTERS", 300)
    assert search_units(a_model(), TEXT * 20, said.append).steps == 300
    assert "the first 300 are read" in said[0]
    with pytest.raises(DataError, match="expected 200 or more"):
        search_units(a_model(), "a" * 199, said.append)
