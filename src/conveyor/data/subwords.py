"""Sub-words: pieces of words, chosen so that few of them make up a text."""

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from conveyor.data.records import shown
from conveyor.data.tokens import Tokenizer
from conveyor.data.turns import TurnTokenizer
from conveyor.errors import RunError, SettingError, counted, named

# Stands for a space in a piece, and before the first word.
SPACE = "▁"

# What a character that is no piece costs besides the worst piece: sentencepiece's own figure, by
# which both cut a text with such characters alike.
_UNKNOWN = 10.0

# Words whose pieces are kept in mind. English has fewer common ones.
_KNOWN_WORDS = 100_000

# A line that sentencepiece learns from, in bytes: longer ones it leaves out, so all are cut.
_LINE = 4_000


@dataclass(frozen=True)
class Subwords(Tokenizer):
    """Cuts texts into pieces of words, so that the product of their probabilities is largest
    (unigram pieces: Kudo 2018, "Subword Regularization", section 3.2).

    Every word begins with ``SPACE``, and so the pieces of a text, put together, are the text, with
    single spaces for blanks. A character that is no piece is a token by itself.

        >>> cut = Subwords(pieces=("▁re", "run", "▁"), scores=(-1.0, -2.0, -2.0))
        >>> cut.tokens("rerun run")
        ['▁re', 'run', '▁', 'run']
        >>> cut.text(cut.tokens("rerun run"))
        'rerun run'

    Args:
        unit: always ``"subword"``.
        lower: whether capitals become small letters.
        pieces: the pieces, each once.
        scores: the logarithm of the probability of each.

    Raises:
        SettingError: a piece has no score or stands twice, or a score is no number.
    """

    unit: str = "subword"
    pieces: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    _cut: dict[str, tuple[str, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.unit != "subword":
            raise SettingError(f"{named('unit')} of pieces is {self.unit!r}; expected 'subword'.")
        if len(self.pieces) != len(self.scores) or not self.pieces:
            raise SettingError(
                f"there are {counted(len(self.pieces), 'piece')} with "
                f"{counted(len(self.scores), 'score')}; expected one score for each."
            )
        if len(set(self.pieces)) < len(self.pieces) or "" in self.pieces:
            raise SettingError("a piece is empty, or stands twice.")
        if not all(math.isfinite(score) for score in self.scores):
            raise SettingError("a score of a piece is not finite.")

    @staticmethod
    def of(texts: Iterable[str], number: int, *, lower: bool = False) -> "Subwords":
        """Return pieces learned from texts, by the library ``sentencepiece``.

        Args:
            texts: the texts, read once.
            number: of pieces, at most; texts of few words have fewer.
            lower: whether capitals become small letters.

        Raises:
            SettingError: the library is not installed, the texts are blank, or have more characters
                than there may be pieces.
        """
        try:
            import sentencepiece  # noqa: PLC0415  (an extra, and slow)
        except ImportError as error:
            raise SettingError(
                f"{named('unit')} is subword, whose pieces the library sentencepiece chooses. "
                "Install it with: pip install 'conveyor[text]'"
            ) from error
        normal = Tokenizer("char", lower).normal
        lines = [line for text in texts for line in _lines(normal(text))]
        characters = len(set().union(*lines) | {SPACE}) if lines else 0
        if not lines:
            raise SettingError("there is no text to choose sub-words from.")
        if number <= characters:
            raise SettingError(
                f"{named('vocabulary')} is {number:,}; the text has {characters:,} characters, "
                f"each of which is a piece. Give {characters + 1:,} or more, 4,000 say."
            )
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="unigram",
            # One more for <unk>, which is no piece.
            vocab_size=number + 1,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=2 * _LINE,
            num_threads=1,  # sums in one order: the same pieces each time
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
        learned = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        kept = [
            number
            for number in range(learned.get_piece_size())
            if not (learned.is_unknown(number) or learned.is_control(number))
        ]
        return Subwords(
            lower=lower,
            pieces=tuple(learned.id_to_piece(number) for number in kept),
            scores=tuple(float(learned.get_score(number)) for number in kept),
        )

    @property
    def every(self) -> tuple[str, ...]:
        """The pieces."""
        return self.pieces

    def description(self) -> dict[str, Any]:
        """Return the pieces as JSON holds them."""
        return {
            "unit": self.unit,
            "lower": self.lower,
            "pieces": list(self.pieces),
            "scores": list(self.scores),
        }

    @cached_property
    def _score_of(self) -> dict[str, float]:
        return dict(zip(self.pieces, self.scores, strict=True))

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.pieces))

    def tokens(self, text: str) -> list[str]:
        """Return the pieces of a text; none of one that is blank."""
        return [piece for word in self.normal(text).split() for piece in self.pieces_of(word)]

    def pieces_of(self, word: str) -> tuple[str, ...]:
        """Return the pieces of a word, which stands behind a space.

        Args:
            word: in normal form, without blanks.
        """
        if word not in self._cut:
            if len(self._cut) >= _KNOWN_WORDS:
                self._cut.clear()
            self._cut[word] = tuple(self._best(SPACE + word))
        return self._cut[word]

    def _best(self, text: str) -> list[str]:
        """Return the pieces of the largest sum of scores; of equal ones that with the longer last
        piece."""
        scores, unknown = self._score_of, min(self.scores) - _UNKNOWN
        best = [0.0] + [-math.inf] * len(text)
        start = [0] * (len(text) + 1)
        for end in range(1, len(text) + 1):
            for begin in range(max(0, end - self._longest), end):
                score = scores.get(text[begin:end])
                if score is None:
                    if end - begin > 1:
                        continue
                    score = unknown
                if best[begin] + score > best[end]:
                    best[end], start[end] = best[begin] + score, begin
        pieces, end = [], len(text)
        while end:
            pieces.append(text[start[end] : end])
            end = start[end]
        return pieces[::-1]

    @staticmethod
    def text(tokens: Iterable[str]) -> str:
        """Return the text that pieces make up, with single spaces between words."""
        return "".join(tokens).replace(SPACE, " ").strip(" ")


def _lines(text: str) -> Iterator[str]:
    """Yield the words of a text in lines that are not too long for sentencepiece."""
    words: list[str] = []
    length = 0
    for word in text.split():
        # UTF-8 has at most four bytes for a character.
        parts = [word[begin : begin + _LINE // 4] for begin in range(0, len(word), _LINE // 4)]
        for part in parts:
            size = len(part.encode(errors="surrogatepass")) + 1
            if words and length + size > _LINE:
                yield " ".join(words)
                words, length = [], 0
            words.append(part)
            length += size
    if words:
        yield " ".join(words)


def described_tokenizer(described: Mapping[str, Any], where: str) -> Tokenizer:
    """Return the tokenizer of a description.

    Args:
        described: what ``description`` of a tokenizer gave, read from a file.
        where: the file, for errors.

    Raises:
        RunError: the description is none.
        SettingError: there is no such unit.
    """
    if described.get("turns"):
        return TurnTokenizer.of(described_tokenizer({**described, "turns": False}, where))
    unit, lower = described.get("unit"), bool(described.get("lower"))
    if unit != "subword":
        return Tokenizer(str(unit), lower)
    pieces, scores = described.get("pieces"), described.get("scores")
    if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
        raise RunError(f"{where}: pieces is {shown(pieces)}; expected texts.")
    if not isinstance(scores, list) or not all(isinstance(score, int | float) for score in scores):
        raise RunError(f"{where}: scores is {shown(scores)}; expected numbers.")
    return Subwords(lower=lower, pieces=tuple(pieces), scores=tuple(map(float, scores)))
