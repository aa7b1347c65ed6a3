"""Turns text into numbers: characters in NFC, a vocabulary, parallel streams cut into chunks."""

import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.files import decoded, read_unpacked
from conveyor.errors import DataError, counted

# Stands for every character that the training set does not hold. It is never generated.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def read_text(path: Path) -> str:
    """Read a text file (also ``.gz``) as Unicode in normal form C, so that ế is one character
    however it was typed.

    Raises:
        DataError: there is no such file, or it is empty or no text.
    """
    text = decoded(path, read_unpacked(path))
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected text.")
    return normal(text)


def normal(text: str) -> str:
    """Return a text in normal form C, with every line end (also a lone CR) as one character."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def spelled(text: str) -> str:
    """Return a text as a reader sees it: a space and a line end have no form of their own.

    >>> spelled("a b\\n")
    'a␣b⏎'
    """
    return text.translate(str.maketrans(" \n\t", "␣⏎⇥"))


@dataclass(frozen=True)
class Vocabulary:
    """The characters of the training set, ordered by code point; the first is ``UNKNOWN``."""

    characters: tuple[str, ...]

    @staticmethod
    def of(text: str) -> "Vocabulary":
        """Return the vocabulary of a text."""
        return Vocabulary.of_blocks([text])

    @staticmethod
    def of_blocks(blocks: Iterable[str]) -> "Vocabulary":
        """Return the vocabulary of a text in blocks, read once."""
        characters: set[str] = set()
        for block in blocks:
            characters.update(block)
        return Vocabulary((UNKNOWN, *sorted(characters - {UNKNOWN})))

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def unit(self) -> str:
        """What a symbol is."""
        return "char"

    @property
    def unit_name(self) -> str:
        """What messages call a symbol, in the singular."""
        return "character"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The characters."""
        return self.characters

    def written(self, numbers: Iterable[int], *, after: int | None = None) -> Iterator[str]:
        """Yield what each symbol adds to the text, whatever stands before it.

        Args:
            numbers: of the characters.
            after: the character before them.
        """
        del after
        return (self.characters[number] for number in numbers)

    def labels(self, text: str) -> list[str]:
        """Return what each symbol stands for in a text: its characters."""
        return list(text)

    def description(self) -> list[str]:
        """Return the characters as JSON holds them."""
        return list(self.characters)

    def encode(self, text: str) -> Tensor:
        """Return the numbers of the characters, 0 for an unknown character."""
        codes = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4")
        numbers = self._numbers
        return torch.from_numpy(numbers[codes.clip(max=len(numbers) - 1)])

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """The number of each character, by code point; the last is of all that are larger."""
        codes = [ord(character) for character in self.characters]
        numbers = np.zeros(max(codes) + 2, np.int64)
        numbers[codes] = np.arange(len(self))
        return numbers

    def decode(self, numbers: list[int]) -> str:
        """Return the characters of the numbers."""
        return "".join(self.characters[number] for number in numbers)


class Numbers(Protocol):
    """Whole numbers, of which stretches are read: a tensor [N], or a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Tensor: ...


class Chunks(Dataset[tuple[Tensor, Tensor]]):
    """A text as B parallel streams, cut into chunks of at most L steps, in order.

    Item k is (read, next), both [L, B]. Stream b continues in chunk k + 1 where chunk k ended, so
    that the state can be carried (truncated backpropagation through time). The last chunk may
    be shorter; fewer than B symbols at the end are left out.

    Args:
        numbers: of the symbols, whole numbers [N]: a tensor, or what gives a tensor for a slice.
        streams: B.
        length: L.
        unit_name: what a symbol is, in the singular.

    Raises:
        DataError: there are fewer symbols than streams.
    """

    def __init__(
        self, numbers: Numbers, streams: int, length: int, unit_name: str = "character"
    ) -> None:
        steps = (len(numbers) - 1) // streams
        if steps < 1:
            raise DataError(
                f"{counted(len(numbers), unit_name)} cannot be read in "
                f"{counted(streams, 'stream')}: expected {streams + 1:,} or more."
            )
        self._numbers, self._streams, self._steps, self.length = numbers, streams, steps, length

    @property
    def predicted(self) -> int:
        """How many symbols are predicted."""
        return self._streams * self._steps

    def __len__(self) -> int:
        return math.ceil(self._steps / self.length)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.between(index * self.length, min((index + 1) * self.length, self._steps))

    @property
    def steps(self) -> int:
        """How many symbols of each stream are predicted."""
        return self._steps

    def between(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Return (read, next) of all streams from one step to another, the first of which counts
        and the last does not, both [last - first, B]."""
        starts = range(0, self.predicted, self._steps)
        rows = [self._numbers[start + first : start + last + 1] for start in starts]
        block = torch.stack(rows, 1).long()
        return block[:-1], block[1:]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[index] for index in range(len(self)))
