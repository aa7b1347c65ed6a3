"""Texts, chunks, counting models and drawing."""

import math
import unicodedata
from pathlib import Path

import pytest
import torch

from conveyor.data.text import UNKNOWN, Chunks, Vocabulary, normal, read_text
from conveyor.errors import DataError
from conveyor.tasks.text.language_model import LanguageModel
from conveyor.tasks.text.ngram import Ngram
from tests.series import VERSES


def test_vietnamese_is_one_character_however_it_was_typed() -> None:
    assert normal("Truyê\u0323n Kiê\u0300u") == normal("Truy\u1ec7n Ki\u1ec1u")
    assert len(normal("e\u0302\u0301")) == 1


def test_line_ends_are_one_character(tmp_path: Path) -> None:
    for number, end in enumerate(("\n", "\r\n", "\r")):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(VERSES.replace("\n", end).encode())
        assert read_text(path) == VERSES


def test_combining_marks_make_the_same_text(tmp_path: Path) -> None:
    (tmp_path / "nfd.txt").write_text(unicodedata.normalize("NFD", VERSES), encoding="utf-8")
    assert read_text(tmp_path / "nfd.txt") == VERSES


def test_a_vocabulary_gives_back_what_it_took() -> None:
    vocabulary = Vocabulary.of(VERSES)
    assert vocabulary.decode(vocabulary.encode(VERSES).tolist()) == VERSES
    assert vocabulary.encode("漢").tolist() == [0]
    assert vocabulary.characters[0] == UNKNOWN


def test_streams_go_on_from_chunk_to_chunk() -> None:
    chunks = Chunks(torch.arange(23), streams=2, length=4)
    assert len(chunks) == 3
    read = torch.cat([item[0] for item in chunks])
    following = torch.cat([item[1] for item in chunks])
    torch.testing.assert_close(read.t(), torch.stack([torch.arange(11), torch.arange(11, 22)]))
    torch.testing.assert_close(following, read + 1)
    assert [len(item[0]) for item in chunks] == [4, 4, 3]
    with pytest.raises(
        DataError, match="3 characters cannot be read in 3 streams: expected 4 or more"
    ):
        Chunks(torch.arange(3), streams=3, length=4)


def test_the_carried_state_makes_chunks_equal_to_the_whole() -> None:
    torch.manual_seed(0)
    model = LanguageModel("gru", Vocabulary.of(VERSES), hidden=7, embedding=5)
    numbers = model.vocabulary.encode(VERSES)
    whole = model.nats(Chunks(numbers, 2, 1000))
    assert model.nats(Chunks(numbers, 2, 9)) == pytest.approx(whole, abs=1e-6)


def test_truncation_cuts_the_gradient_and_not_the_state() -> None:
    torch.manual_seed(0)
    model = LanguageModel("lstm", Vocabulary.of(VERSES), hidden=7, embedding=5)
    read, following = Chunks(model.vocabulary.encode(VERSES), 2, 9)[0]
    state = model.loss((read, following)).state
    assert all(not each.requires_grad for each in state)
    assert any(bool(each.abs().max() > 0) for each in state)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_ngram_model_is_a_distribution_in_every_context(order: int) -> None:
    numbers = [1, 2, 3, 1, 2, 2, 3, 3, 1]
    model = Ngram(numbers, order, vocabulary=5)
    for context in [(), (1,), (1, 2), (3, 3), (4, 4), (2, 4)]:
        total = sum(model.probability(context, character) for character in range(5))
        assert total == pytest.approx(1)


def test_unigram_by_hand() -> None:
    # 3 of 4 characters are 1, two kinds, five characters: (3 + 2/5) / (4 + 2).
    model = Ngram([1, 1, 2, 1], 1, vocabulary=5)
    assert model.probability((), 1) == pytest.approx(3.4 / 6)
    assert model.nats([0, 1]) == pytest.approx(-math.log(3.4 / 6))


def test_trigram_by_hand() -> None:
    model = Ngram([1, 2, 1, 2, 1], 3, vocabulary=3)
    p1 = (3 + 2 / 3) / (5 + 2)
    p2 = (2 + p1) / (2 + 1)  # after 2 came 1, twice, one kind
    assert model.probability((1, 2), 1) == pytest.approx((2 + p2) / (2 + 1))


def test_unknown_is_never_written() -> None:
    torch.manual_seed(0)
    model = LanguageModel("rnn", Vocabulary.of("ab"), hidden=3, embedding=2)
    with torch.no_grad():
        model.head.bias[0] = 50.0  # the model is all for it
    written = "".join(model.generate("a", 200, seed=1))
    assert set(written) == {"a", "b"}
    assert len(written) == 200
