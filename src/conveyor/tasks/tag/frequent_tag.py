"""The most frequent tag of each word: what a tagger that sees no neighbours says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from conveyor.errors import RunError
from conveyor.tasks.known_keys import FITTED_ON
from conveyor.tasks.tag.sentence_reader import syllables_of

# Letters of the end of a word that is not known.
_LONGEST_END = 4


@dataclass(frozen=True)
class FrequentTag:
    """Says of a word the tag that it has most often in the training set; of a word that is not
    known, the most frequent one among words seen once that look like it: same last syllable, same
    longest end, or any.

    Args:
        of_word: the tag of each word.
        of_look: the tag of words that look so.
    """

    of_word: Mapping[str, str]
    of_look: Mapping[str, str]

    @staticmethod
    def of(sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> "FrequentTag":
        """Return what sentences and their tags say.

        Args:
            sentences: their words; one or more.
            tags: of each word.
        """
        of_word: dict[str, Counter[str]] = {}
        for words, of_words in zip(sentences, tags, strict=True):
            for word, tag in zip(words, of_words, strict=True):
                of_word.setdefault(word, Counter())[tag] += 1
        once = {word: counts for word, counts in of_word.items() if counts.total() == 1}
        of_look: dict[str, Counter[str]] = {}
        for word, counts in (once or of_word).items():
            for look in _looks(word):
                of_look.setdefault(look, Counter()).update(counts)
        return FrequentTag(
            {word: _commonest(counts) for word, counts in of_word.items()},
            {look: _commonest(counts) for look, counts in of_look.items()},
        )

    def tag(self, word: str) -> str:
        """Return the tag of a word."""
        known = self.of_word.get(word)
        if known is not None:
            return known
        return next(self.of_look[look] for look in _looks(word) if look in self.of_look)

    def tags(self, words: Sequence[str]) -> list[str]:
        """Return the tag of each word."""
        return [self.tag(word) for word in words]

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads, as JSON can hold it."""
        return asdict(self)

    @staticmethod
    def described(described: Any) -> "FrequentTag":
        """Return what a description says.

        Raises:
            RunError: it is none.
        """
        tables = described if isinstance(described, Mapping) else {}
        of_word, of_look = tables.get("of_word", {}), tables.get("of_look", {})
        if not _are_tags(of_word) or not _are_tags(of_look) or _ANY not in of_look:
            raise RunError(f"{FITTED_ON} is corrupt: the most frequent tags.")
        return FrequentTag(of_word, of_look)


def _are_tags(table: object) -> bool:
    return isinstance(table, dict) and all(isinstance(tag, str) for tag in table.values())


# What all words look like.
_ANY = "any"


def _commonest(counts: Counter[str]) -> str:
    """Return the commonest of tags; of several the first in the order of Unicode."""
    return min(counts, key=lambda tag: (-counts[tag], tag))


def _looks(word: str) -> list[str]:
    """Return what a word looks like, the most telling first; the last is the same for all."""
    start, syllables = "A" if word[:1].isupper() else "a", syllables_of(word)
    looks = [f"{start}… {syllables[-1]}"] if len(syllables) > 1 else []
    longest = min(_LONGEST_END, len(word) - 1)
    looks += [f"{start}…{word[-length:].lower()}" for length in range(longest, 0, -1)]
    return [*looks, f"{start}…", _ANY]
