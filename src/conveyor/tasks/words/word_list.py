"""The words that get a vector, with how often they stand in the training set."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from conveyor.data.records import shown
from conveyor.data.subwords import Subwords, described_tokenizer
from conveyor.data.text_pieces import MOST_LEARNED_FROM
from conveyor.data.tokens import UNIT_NAMES, Tokenizer
from conveyor.errors import RunError

# Words that are known, at most, and sub-words that are learned, where nothing else is said.
MOST_WORDS, MOST_SUBWORDS = 200_000, 4_000

# Tokens of which counts are kept while a long text is counted; the rarest are then forgotten.
_MOST_COUNTED = 5_000_000


@dataclass(frozen=True)
class WordList:
    """Words, numbered from the most frequent to the rarest.

    In a text as numbers, ``boundary`` stands between paragraphs, and words without a number are
    left out, as word2vec does: windows reach over them.

    Args:
        tokenizer: cuts texts.
        words: each once.
        counts: how often each stands in the training set.
    """

    tokenizer: Tokenizer
    words: tuple[str, ...]
    counts: tuple[int, ...]

    @staticmethod
    def of(
        blocks: Iterable[str], unit: str, *, lower: bool, least: int, most: int | None
    ) -> "WordList":
        """Return the words of a text.

        Args:
            blocks: the text in parts, read once (sub-words: twice).
            unit: see ``Tokenizer``, or ``"subword"``.
            lower: whether capitals become small letters.
            least: how often a word must occur.
            most: how many words there are, at most; None for what is usual.

        Raises:
            SettingError: see ``Subwords.of``.
        """
        tokenizer: Tokenizer
        if unit == "subword":
            learned = islice(blocks, MOST_LEARNED_FROM)
            tokenizer = Subwords.of(learned, most or MOST_SUBWORDS, lower=lower)
        else:
            tokenizer = Tokenizer(unit, lower)
        counts: Counter[str] = Counter()
        floor = 0
        for block in blocks:
            counts.update(tokenizer.tokens(block))
            while len(counts) > _MOST_COUNTED:
                floor += 1
                counts = Counter({word: count for word, count in counts.items() if count > floor})
        kept = [(word, count) for word, count in counts.items() if count >= least]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        kept = kept[: most or MOST_WORDS]
        return WordList(
            tokenizer, tuple(word for word, _ in kept), tuple(count for _, count in kept)
        )

    def __len__(self) -> int:
        return len(self.words)

    @property
    def unit_name(self) -> str:
        """What messages call a word, in the singular."""
        return UNIT_NAMES[self.tokenizer.unit]

    @property
    def boundary(self) -> int:
        """The number that stands between paragraphs."""
        return len(self)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, text: str) -> tuple[Tensor, int]:
        """Return a text as numbers, int64 [N], and how many of its words have none.

        Args:
            text: in normal form C, with single line ends.
        """
        numbers: list[int] = []
        known, unknown = self.numbers, 0
        for paragraph in text.split("\n\n"):
            tokens = self.tokenizer.tokens(paragraph)
            before = len(numbers)
            numbers += [known[token] for token in tokens if token in known]
            unknown += len(tokens) - (len(numbers) - before)
            if len(numbers) > before:
                numbers.append(self.boundary)
        if numbers and not text.endswith("\n\n"):
            numbers.pop()  # the paragraph goes on in the next block
        return torch.tensor(numbers, dtype=torch.long), unknown

    def description(self) -> dict[str, Any]:
        """Return the words as JSON holds them."""
        return {
            **self.tokenizer.description(),
            "words": list(self.words),
            "counts": list(self.counts),
        }

    @staticmethod
    def described(described: Mapping[str, Any], where: str) -> "WordList":
        """Return the words of a description.

        Args:
            described: what ``description`` gave, read from a file that may hold anything.
            where: the file, for errors.

        Raises:
            RunError, SettingError: the description is none.
        """
        words, counts = described.get("words"), described.get("counts")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise RunError(f"{where}: words is {shown(words)}; expected texts.")
        if (
            not isinstance(counts, list)
            or len(counts) != len(words)
            or not all(type(count) is int and 0 < count < 2**62 for count in counts)
        ):
            raise RunError(f"{where}: counts is {shown(counts)}; expected a number for each word.")
        if len(set(words)) < len(words) or not words:
            raise RunError(f"{where}: the vocabulary is none: expected words, each once.")
        return WordList(described_tokenizer(described, where), tuple(words), tuple(counts))
