"""How sources and targets become numbers, and numbers the text of a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.written_tokens import written
from conveyor.errors import RunError


@dataclass(frozen=True)
class PairReader:
    """Reads sources and targets.

    Args:
        source: the tokens of sources that it knows.
        target: those of targets; the same object where both share them.
        longest: tokens of a source that it reads, at most.
        from_end: whether these are the last of a longer source; else the first.
    """

    source: TokenVocabulary
    target: TokenVocabulary
    longest: int
    from_end: bool = False

    @property
    def shared(self) -> bool:
        """Whether sources and targets have the same tokens."""
        return self.source is self.target

    @property
    def begin(self) -> int:
        """The symbol that begins a target."""
        return len(self.target)

    @property
    def end(self) -> int:
        """The symbol that ends a target."""
        return len(self.target) + 1

    @property
    def symbols(self) -> int:
        """How many symbols a target is made of, with those that begin and end it."""
        return len(self.target) + 2

    def kept(self, tokens: list[str]) -> list[str]:
        """Return those tokens of a source that are read."""
        return tokens[-self.longest :] if self.from_end else tokens[: self.longest]

    def source_tokens(self, text: str) -> list[str]:
        """Return the tokens of a source that are read."""
        return self.kept(self.source.tokenizer.tokens(text))

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a source's tokens, int64 [S]."""
        return self.source.numbers(self.source_tokens(text))

    def encode_target(self, tokens: Sequence[str]) -> Tensor:
        """Return the numbers of a target's tokens with the symbols that begin and end it, int64
        [T]."""
        numbers = self.target.numbers(tokens)
        edges = torch.tensor([self.begin, self.end])
        return torch.cat([edges[:1], numbers, edges[1:]])

    def target_tokens(self, numbers: Sequence[int]) -> list[str]:
        """Return the tokens of numbers, without the symbols that begin and end a target."""
        return [self.target.token(number) for number in numbers if number < self.begin]

    def text_of(self, tokens: Sequence[str]) -> str:
        """Return the text of a target's tokens."""
        return written(tokens, self.target.tokenizer.unit)

    def plain(self, text: str) -> str:
        """Return a target as it would be written if it were made of its tokens: what is compared
        where not a space may differ."""
        return self.text_of(self.target.tokenizer.tokens(text))

    def description(self) -> dict[str, Any]:
        """Return the reader as JSON holds it."""
        target = None if self.shared else self.target.description()
        described = {"longest": self.longest, "source": self.source.description(), "target": target}
        return {**described, "from_end": True} if self.from_end else described

    @staticmethod
    def described(described: Mapping[str, Any], where: str) -> "PairReader":
        """Return the reader of a description; see ``TokenVocabulary.described``.

        Raises:
            RunError: the description is none.
        """
        longest = described.get("longest")
        if not isinstance(longest, int) or longest < 1:
            raise RunError(f"{where}: longest is {longest!r:.80}; expected 1 or more.")
        source = TokenVocabulary.described(described.get("source"), where)
        target, from_end = described.get("target"), bool(described.get("from_end"))
        if target is None:
            return PairReader(source, source, longest, from_end)
        return PairReader(source, TokenVocabulary.described(target, where), longest, from_end)
