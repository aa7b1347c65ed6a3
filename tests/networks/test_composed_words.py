"""Words composed of syllables and characters, and a CRF that is given one step after the other,
each against what it is defined by."""

from pathlib import Path

import pytest
import torch

import conveyor
from conveyor import networks
from conveyor.errors import SettingError, ShapeError
from conveyor.networks import CRF, ComposedWords, CRFStream, Encoder, Transitions, WordEmbedding

WORDS = torch.tensor([3, 1, 2])
SYLLABLES = torch.tensor([[2, 3, 4], [5, 0, 1], [0, 0, 4]])
CHARACTERS = torch.tensor([[2, 3, 4], [5, 0, 1]])


def composed() -> ComposedWords:
    """Return words of all three parts, in evaluation mode; padding has odd vectors."""
    torch.manual_seed(0)
    spelling = Encoder(conveyor.LSTM(3, 2, bidirectional=True), WordEmbedding(6, 3), pooling="last")
    words = ComposedWords(WordEmbedding(4, 5), WordEmbedding(6, 2), spelling).eval()
    with torch.no_grad():
        for parameter in words.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return words


def test_a_vector_is_the_words_own_the_mean_of_syllables_and_the_spelling() -> None:
    words = composed()
    assert words.features == 5 + 2 + 4
    with torch.no_grad():
        vectors = words(WORDS, syllables=SYLLABLES, characters=CHARACTERS)
        assert words.words is not None
        assert words.syllables is not None
        assert words.characters is not None
        torch.testing.assert_close(vectors[:, :5], words.words.weight[WORDS])
        for number in range(3):
            of_word = SYLLABLES[:, number][SYLLABLES[:, number] > 0]
            mean = words.syllables.weight[of_word].mean(0)
            torch.testing.assert_close(vectors[number, 5:7], mean)
            spelled = CHARACTERS[:, number][CHARACTERS[:, number] > 0]
            alone, _ = words.characters(spelled[:, None])
            torch.testing.assert_close(vectors[number, 7:], alone[0])


def test_neither_padding_nor_other_words_change_a_vector() -> None:
    words = composed()
    with torch.no_grad():
        vectors = words(WORDS, syllables=SYLLABLES, characters=CHARACTERS)
        zeros = torch.zeros(50, 3, dtype=torch.long)
        longer = words(
            WORDS,
            syllables=torch.cat([SYLLABLES, zeros]),
            characters=torch.cat([CHARACTERS, zeros]),
        )
        alone = words(WORDS[1:2], syllables=SYLLABLES[:1, 1:2], characters=CHARACTERS[:1, 1:2])
    assert torch.equal(longer, vectors)
    torch.testing.assert_close(alone[0], vectors[1])


def test_what_is_missing_is_said() -> None:
    with pytest.raises(SettingError, match="words, syllables and characters are all None"):
        ComposedWords()
    with pytest.raises(SettingError, match="needs an embedding and pooling"):
        ComposedWords(characters=Encoder(conveyor.LSTM(3, 2)))
    with pytest.raises(ShapeError, match="characters is None; vectors are made of it"):
        composed()(WORDS, syllables=SYLLABLES)


@pytest.mark.parametrize("left_out", ["", "words", "syllables", "characters"])
def test_it_is_saved_and_loaded(left_out: str, tmp_path: Path) -> None:
    words = composed()
    if left_out:
        setattr(words, left_out, None)
    conveyor.save(words, tmp_path / "words")
    loaded = conveyor.load(tmp_path / "words")
    inputs = {"syllables": SYLLABLES, "characters": CHARACTERS}
    assert loaded.features == words.features
    assert torch.equal(loaded(WORDS, **inputs), words(WORDS, **inputs))


@pytest.mark.parametrize("constrained", [True, False])
def test_a_stream_gives_what_the_field_gives_to_the_sequence_so_far(constrained: bool) -> None:
    torch.manual_seed(1)
    allowed = Transitions.iob2(["O", "B-x", "I-x"]) if constrained else None
    crf = CRF(3, allowed).requires_grad_(False)
    for scores in (crf.start, crf.transitions, crf.end):
        scores.normal_()
    emissions = torch.randn(7, 3)
    stream = CRFStream(crf)
    assert stream.tags == []
    for step in range(7):
        stream.add(emissions[step])
        whole = emissions[: step + 1, None]
        assert stream.tags == crf(whole)[0][:, 0].tolist()
        assert stream.tag == stream.tags[-1]
        torch.testing.assert_close(stream.chances, crf.marginals(whole)[-1, 0])
    assert networks.CRFStream is CRFStream
