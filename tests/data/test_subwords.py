"""Sub-words: the cut against enumeration and sentencepiece, and the text that comes back."""

import io
import itertools
import random

import pytest

from conveyor.data.subwords import Subwords, described_tokenizer
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.errors import RunError, SettingError

VERSES = [
    "Trăm năm trong cõi người ta,",
    "Chữ tài chữ mệnh khéo là ghét nhau.",
    "Trải qua một cuộc bể dâu,",
    "Những điều trông thấy mà đau đớn lòng.",
    "Lạ gì bỉ sắc tư phong,",
    "Trời xanh quen thói má hồng đánh ghen.",
]  # Nguyễn Du, Truyện Kiều


def test_the_cut_is_the_best_of_all() -> None:
    draw = random.Random(0)
    pieces = ["▁", "a", "b", "ab", "ba", "▁a", "aab", "▁ba", "bb"]
    for _ in range(40):
        cut = Subwords(pieces=tuple(pieces), scores=tuple(draw.uniform(-9, -1) for _ in pieces))
        scores = dict(zip(cut.pieces, cut.scores, strict=True))
        word = "▁" + "".join(draw.choices("ab", k=6))

        def value(parts: list[str], scores: dict[str, float] = scores) -> float:
            return sum(scores.get(part, -1e9) for part in parts)

        every = []
        for cuts in itertools.product((False, True), repeat=len(word) - 1):
            ends = [0, *[n for n, end in enumerate(cuts, 1) if end], len(word)]
            every.append([word[a:b] for a, b in itertools.pairwise(ends)])
        best = list(cut.pieces_of(word[1:]))
        assert best in every
        assert value(best) == pytest.approx(max(map(value, every)))


def test_an_unknown_character_is_a_token_by_itself() -> None:
    cut = Subwords(pieces=("▁a", "b"), scores=(-1.0, -2.0))
    assert cut.tokens("a€b  €") == ["▁a", "€", "b", "▁", "€"]
    assert cut.text(cut.tokens("a€b  €")) == "a€b €"
    assert cut.tokens(" \n") == []
    # It costs so much that a worse cut without one is taken.
    cut = Subwords(pieces=("▁", "▁a", "a€", "b"), scores=(-4.0, -1.0, -4.0, -1.0))
    assert cut.tokens("a€b") == ["▁", "a€", "b"]


def test_pieces_are_the_same_as_those_of_sentencepiece() -> None:
    sentencepiece = pytest.importorskip("sentencepiece", reason="the extra text is not installed")
    cut = Subwords.of(VERSES * 3, 90)
    assert len(cut.pieces) <= 90
    assert cut == Subwords.of(VERSES * 3, 90)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(VERSES * 3), model_writer=model, vocab_size=91, minloglevel=2,
        model_type="unigram", normalization_rule_name="identity", character_coverage=1.0,
        hard_vocab_limit=False, bos_id=-1, eos_id=-1, num_threads=1,
    )  # fmt: skip
    library = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    for verse in [*VERSES, "Trăm trải, nhau nhau.", "ghen  thói", "lòng"]:
        assert cut.tokens(verse) == library.encode(verse, out_type=str)
        assert cut.text(cut.tokens(verse)) == " ".join(verse.split())


def test_long_lines_are_learned_from_too() -> None:
    pytest.importorskip("sentencepiece", reason="the extra text is not installed")
    line = " ".join(VERSES * 50)  # 9,000 characters, of which sentencepiece reads no line
    assert len(Subwords.of([line], 90).pieces) > 60
    assert Subwords.of(["x" * 5000 + "yz"], 10).tokens("yz")[-1].endswith("z")


def test_small_letters() -> None:
    cut = Subwords(lower=True, pieces=("▁a",), scores=(-1.0,))
    assert cut.tokens("A a") == ["▁a", "▁a"]


def test_a_vocabulary_knows_every_piece_also_those_that_no_text_has() -> None:
    cut = Subwords(pieces=("▁a", "b", "▁ab"), scores=(-1.0, -2.0, -1.5))
    vocabulary = TokenVocabulary.of([cut.tokens("ab ab a€")], cut)
    assert vocabulary.known == ("▁ab", "▁a", "b")
    assert vocabulary.rare_from == 3  # only ▁ab stands there twice
    assert vocabulary.encode("a€b").tolist() == [3, 1, 4]
    assert TokenVocabulary.described(vocabulary.description(), "model.json") == vocabulary


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"pieces": "ab"}, RunError, "pieces is"),
        ({"pieces": [1]}, RunError, "pieces is"),
        ({"scores": None}, RunError, "scores is None"),
        ({"scores": [1.0]}, SettingError, "2 pieces with 1 score"),
        ({"scores": [1.0, float("inf")]}, SettingError, "not finite"),
        ({"pieces": ["a", "a"]}, SettingError, "stands twice"),
    ],
)
def test_a_broken_description(change: dict[str, object], error: type[Exception], text: str) -> None:
    described = Subwords(pieces=("a", "b"), scores=(-1.0, -2.0)).description()
    with pytest.raises(error, match=text):
        described_tokenizer({**described, **change}, "model.json")


def test_what_no_pieces_can_be_learned_from() -> None:
    pytest.importorskip("sentencepiece", reason="the extra text is not installed")
    with pytest.raises(SettingError, match="no text"):
        Subwords.of(["", " \n"], 100)
    with pytest.raises(SettingError, match=r"vocabulary is 3; the text has 4 characters.*Give 5"):
        Subwords.of(["abc"], 3)
