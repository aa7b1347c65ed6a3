"""How a tagger reads a sentence: as the numbers of its words, of their syllables and characters."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from conveyor.data.records import shown
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.tokens import Tokenizer
from conveyor.errors import RunError

# Syllables of a word stand between blanks or under lines.
_BETWEEN = re.compile(r"[\s_]+")

# A spelling is read up to so many characters: nobody's words are longer, addresses in the web are.
LONGEST = 40

_VOCABULARIES = ("words", "syllables", "characters")


class Spelled(NamedTuple):
    """Different words as a network reads them: the number of each [N], the numbers of its syllables
    [S, N] and of its characters [C, N], 0 after the last of them."""

    words: Tensor
    syllables: Tensor
    characters: Tensor


def normal(word: str) -> str:
    """Return a word in Unicode's normal form C, so that ế is one character however it was typed."""
    return unicodedata.normalize("NFC", word)


def syllables_of(word: str) -> list[str]:
    """Return the syllables of a word, in small letters: the word itself where it has one."""
    return [each for each in _BETWEEN.split(word.lower()) if each] or [word]


@dataclass(frozen=True)
class SentenceReader:
    """Reads words.

    Args:
        words: the words that it knows.
        syllables: the syllables that it knows.
        characters: the characters that it knows.
    """

    words: TokenVocabulary
    syllables: TokenVocabulary
    characters: TokenVocabulary

    @staticmethod
    def of(sentences: Iterable[Sequence[str]], *, lower: bool) -> "SentenceReader":
        """Return the reader of the words of a training set.

        Args:
            sentences: their words, in normal form.
            lower: whether words are known in small letters; characters keep their capitals.
        """
        words = [word for sentence in sentences for word in sentence]
        plain = Tokenizer()  # cuts nothing here
        return SentenceReader(
            TokenVocabulary.of(
                [[w.lower() if lower else w for w in words]], Tokenizer(lower=lower)
            ),
            TokenVocabulary.of((syllables_of(word) for word in words), plain),
            TokenVocabulary.of((list(word) for word in words), plain),
        )

    def key(self, word: str) -> str:
        """Return a word, in normal form, as the vocabulary holds it."""
        return word.lower() if self.words.tokenizer.lower else word

    def knows(self, word: str) -> bool:
        """Return whether the training set held a word, in normal form."""
        return self.key(word) in self.words

    def spelled(self, words: Sequence[str]) -> Spelled:
        """Return words, in normal form, as a network reads them; one or more."""
        syllables = [self.syllables.numbers(syllables_of(word)) for word in words]
        characters = [self.characters.numbers(word[:LONGEST]) for word in words]
        return Spelled(
            self.words.numbers(map(self.key, words)),
            pad_sequence(syllables),
            pad_sequence(characters),
        )

    def description(self) -> dict[str, Any]:
        """Return the reader as JSON holds it."""
        return {name: getattr(self, name).description() for name in _VOCABULARIES}

    @staticmethod
    def described(described: Any, where: str) -> "SentenceReader":
        """Return the reader of a description; see ``TokenVocabulary.described``.

        Raises:
            RunError: the description is none.
        """
        if not isinstance(described, Mapping):
            raise RunError(f"{where}: reader is {shown(described)}.")
        known = {
            name: TokenVocabulary.described(described.get(name), f"{where}, {name}")
            for name in _VOCABULARIES
        }
        return SentenceReader(**known)


class Spellings:
    """Words with their numbers, kept so that each is spelled once.

    Args:
        reader: spells them.
        sentences: the words of all sentences, in normal form.
    """

    def __init__(self, reader: SentenceReader, sentences: Sequence[Sequence[str]]) -> None:
        every = list(dict.fromkeys(word for sentence in sentences for word in sentence))
        self._numbers = {word: number for number, word in enumerate(every)}
        self._all = reader.spelled(every) if every else None

    def numbers(self, words: Sequence[str]) -> Tensor:
        """Return the numbers under which words are kept, int64 [T]."""
        return torch.tensor([self._numbers[word] for word in words], dtype=torch.long)

    def batch(self, sentences: Sequence[Tensor]) -> tuple[Spelled, Tensor]:
        """Return the different words of sentences, and which of them stands where, [T, B]; padding
        is the first of them.

        Args:
            sentences: the numbers of the words of each.
        """
        assert self._all is not None
        together = pad_sequence(list(sentences), padding_value=int(sentences[0][0]))
        numbers, places = torch.unique(together, return_inverse=True)
        words, syllables, characters = (each[..., numbers] for each in self._all)
        return Spelled(words, _cut(syllables), _cut(characters)), places


def _cut(padded: Tensor) -> Tensor:
    """Return numbers [T, N] without the last rows that are padding only."""
    longest = int((padded != 0).sum(0).max())
    return padded[:longest]
