"""How a classifier reads a text: as the numbers of its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.errors import RunError


@dataclass(frozen=True)
class TextReader:
    """Reads texts.

    Args:
        vocabulary: the tokens that it knows.
        longest: tokens of a text that it reads, at most.
    """

    reads: ClassVar[str] = "tokens"

    vocabulary: TokenVocabulary
    longest: int

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text that are read."""
        return self.vocabulary.tokenizer.tokens(text)[: self.longest]

    def encode(self, text: str) -> Tensor:
        """Return the numbers of these tokens, int64 [T]."""
        return self.numbers(self.vocabulary.tokenizer.tokens(text))

    def numbers(self, tokens: list[str]) -> Tensor:
        """Return the numbers of those tokens of a text that are read, int64 [T]."""
        return self.vocabulary.numbers(tokens[: self.longest])

    def description(self) -> dict[str, Any]:
        """Return the reader as JSON holds it."""
        return {"reads": self.reads, "longest": self.longest, **self.vocabulary.description()}

    @staticmethod
    def described(described: Mapping[str, Any], where: str) -> "TextReader":
        """Return the reader of a description; see ``TokenVocabulary.described``.

        Raises:
            RunError: the description is none.
        """
        longest = described.get("longest")
        if not isinstance(longest, int) or longest < 1:
            raise RunError(f"{where}: longest is {longest!r:.80}; expected 1 or more.")
        return TextReader(TokenVocabulary.described(described, where), longest)
