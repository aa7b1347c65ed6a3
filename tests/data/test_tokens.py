"""Texts as tokens, tokens as numbers, and padding."""

import pytest
import torch

from conveyor.data.padded import padded, padded_batches
from conveyor.data.token_vocabulary import PAD, UNK, TokenVocabulary
from conveyor.data.tokens import Tokenizer
from conveyor.errors import RunError, SettingError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A well-kept secret, isn't it?", "A|well-kept|secret|,|isn't|it|?"),
        ("3.5 stars at 10:30, 1,200 km", "3.5|stars|at|10:30|,|1,200|km"),
        ("Phim hay quá!  Rất\nhay…", "Phim|hay|quá|!|Rất|hay|…"),
        ("हिन्दी में", "हिन्दी|में"),  # marks that Python counts as no letters
        ("我很喜欢 it", "我|很|喜|欢|it"),
        ("<unk> :-) 👍👍", "<|unk|>|:|-|)|👍|👍"),
        (" \t\n", ""),
    ],
)
def test_words(text: str, tokens: str) -> None:
    assert Tokenizer().tokens(text) == [token for token in tokens.split("|") if token]


def test_a_text_has_the_same_tokens_however_it_was_typed() -> None:
    spelled = "e\u0302\u0301", "\u00ea\u0301", "\u1ebf"  # ế in three, two and one code points
    assert {tuple(Tokenizer().tokens(text)) for text in spelled} == {("ế",)}
    assert {tuple(Tokenizer("char").tokens(text)) for text in spelled} == {("ế",)}
    assert Tokenizer().tokens("hoà") != Tokenizer().tokens("hòa")  # two spellings stay two


def test_small_letters_come_after_the_normal_form_and_keep_sharp_s() -> None:
    assert Tokenizer(lower=True).tokens("STRASSE Straße E\u0301") == ["strasse", "straße", "é"]


def test_characters() -> None:
    assert Tokenizer("char").tokens(" a  b\n") == ["a", " ", "b"]
    with pytest.raises(SettingError, match="unit is 'letter'"):
        Tokenizer("letter")


TEXTS = [["b", "a", "b"], ["c", "a", "d"]]


def test_a_vocabulary_is_ordered_by_count_then_by_unicode() -> None:
    vocabulary = TokenVocabulary.of(TEXTS, Tokenizer())
    assert vocabulary.known == ("a", "b", "c", "d")
    assert vocabulary == TokenVocabulary.of(TEXTS[::-1], Tokenizer())
    assert (len(vocabulary), vocabulary.rare_from) == (6, 4)  # c and d were seen once
    assert vocabulary.numbers(["a", "d", "e", "<unk>"]).tolist() == [2, 5, UNK, UNK]
    assert "c" in vocabulary
    assert "e" not in vocabulary
    kept = TokenVocabulary.of(TEXTS, Tokenizer(), 1)
    assert (kept.known, kept.rare_from) == (("a",), 3)


def test_a_vocabulary_is_what_its_description_says() -> None:
    vocabulary = TokenVocabulary.of(TEXTS, Tokenizer("char", lower=True))
    described = vocabulary.description()
    assert TokenVocabulary.described(described, "model.json") == vocabulary
    for wrong, says in (
        ({"known": ["a", "a"]}, "a token stands twice"),
        ({"known": [1]}, "not a list of tokens"),
        ({"common": 9}, "common is 9; expected 0 to 4"),
    ):
        with pytest.raises(RunError, match=f"model.json: .*{says}"):
            TokenVocabulary.described({**described, **wrong}, "model.json")
    with pytest.raises(RunError, match="the vocabulary is 3"):
        TokenVocabulary.described(3, "model.json")


def test_padding_comes_after_the_end() -> None:
    sequences, lengths = padded([torch.tensor([3, 4]), torch.tensor([], dtype=torch.long)])
    assert sequences.tolist() == [[3, PAD], [4, PAD]]
    assert lengths.tolist() == [2, 0]


def test_a_hyphen_joins_words_and_parts_syllables() -> None:
    text = "Ly cà-phê, don't"
    assert Tokenizer().tokens(text) == ["Ly", "cà-phê", ",", "don't"]
    assert Tokenizer("syllable").tokens(text) == ["Ly", "cà", "-", "phê", ",", "don't"]
    with pytest.raises(SettingError, match=r"Subwords\.of"):
        Tokenizer("subword")


def test_batches_that_are_padded_together_are_small_and_hold_every_sequence_once() -> None:
    lengths = [5, 0, 1, 9, 40, 2, 2, 0, 7]
    batches = list(padded_batches(lengths, 3, 20))
    assert sorted(number for batch in batches for number in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= 3
        assert len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= 20
    full = list(padded_batches(lengths, 3, 20, empty=False))
    assert sorted(number for batch in full for number in batch) == [0, 2, 3, 4, 5, 6, 8]
    assert list(padded_batches([], 3, 20)) == []
