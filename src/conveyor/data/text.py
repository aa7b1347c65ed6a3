"""Turns text into numbers: characters in NFC, a vocabulary, parallel streams cut into chunks."""

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.data.files import decoded, read_unpacked
from conveyor.errors import DataError, counted

# Stands for every character that the training part does not hold. It is never generated.
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
    """The characters of the training part, ordered by code point; the first is ``UNKNOWN``."""

    characters: tuple[str, ...]

    @staticmethod
    def of(text: str) -> "Vocabulary":
        """Return the vocabulary of a text."""
        return Vocabulary((UNKNOWN, *sorted(set(text) - {UNKNOWN})))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """Return the numbers of the characters, 0 for an unknown character."""
        numbers = {character: number for number, character in enumerate(self.characters)}
        return torch.tensor([numbers.get(character, 0) for character in text], dtype=torch.long)

    def decode(self, numbers: list[int]) -> str:
        """Return the characters of the numbers."""
        return "".join(self.characters[number] for number in numbers)


class Chunks(Dataset[tuple[Tensor, Tensor]]):
    """A text as B parallel streams, cut into chunks of at most L steps, in order.

    Item k is (read, next), both [L, B]. Stream b continues in chunk k + 1 where chunk k ended, so
    that the state can be carried (truncated backpropagation through time). The last chunk may
    be shorter; fewer than B characters at the end are left out.
    """

    def __init__(self, numbers: Tensor, streams: int, length: int) -> None:
        steps = (len(numbers) - 1) // streams
        if steps < 1:
            raise DataError(
                f"{counted(len(numbers), 'character')} cannot be read in "
                f"{counted(streams, 'stream')}: expected {streams + 1:,} or more."
            )
        self.read = numbers[: streams * steps].view(streams, steps).t().contiguous()
        self.next = numbers[1 : streams * steps + 1].view(streams, steps).t().contiguous()
        self.length = length

    def __len__(self) -> int:
        return math.ceil(len(self.read) / self.length)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = slice(index * self.length, (index + 1) * self.length)
        return self.read[part], self.next[part]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[index] for index in range(len(self)))
