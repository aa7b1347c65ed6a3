"""The characters that a writer knows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

import torch
from torch import Tensor

from conveyor.errors import DataError, RunError

# The number of the place behind the last character.
END = 0


@dataclass(frozen=True)
class Alphabet:
    """Characters by number, from 1; 0 is the end of a text."""

    characters: tuple[str, ...]

    @staticmethod
    def of(texts: Iterable[str]) -> "Alphabet":
        """Return all characters of texts."""
        return Alphabet(tuple(sorted({character for text in texts for character in text})))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.characters) + 1

    def unknown(self, text: str) -> list[str]:
        """Return the characters of a text that are not known, each once."""
        known = set(self.characters)
        return [each for each in dict.fromkeys(normalize("NFC", text)) if each not in known]

    def encode(self, text: str, where: str = "") -> Tensor:
        """Return the numbers of a text, and of its end, [U + 1].

        Args:
            text: one character or more.
            where: it stands, for errors.

        Raises:
            DataError: it is empty, or holds a character that is not known.
        """
        begin = f"{where}: " if where else ""
        text = normalize("NFC", text.strip())
        if not text:
            raise DataError(f"{begin}there is nothing to write: the text is empty.")
        unknown = self.unknown(text)
        if unknown:
            raise DataError(
                f"{begin}the run has never seen {', '.join(map(repr, unknown))} written. It can "
                f"write {''.join(self.characters)}"
            )
        numbers = {character: number for number, character in enumerate(self.characters, 1)}
        return torch.tensor([*(numbers[each] for each in text), END])

    def description(self) -> list[str]:
        """Return what ``described`` reads."""
        return list(self.characters)

    @staticmethod
    def described(data: Any, where: str) -> "Alphabet":
        """Return the alphabet of a description, read from a file that may hold anything.

        Raises:
            RunError: it is none.
        """
        single = isinstance(data, list) and all(isinstance(c, str) and len(c) == 1 for c in data)
        if not single or len(set(data)) != len(data) or not data:
            raise RunError(f"{where} is corrupt: the alphabet is no list of characters.")
        return Alphabet(tuple(data))
