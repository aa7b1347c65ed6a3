"""The tokens that a network knows, numbered, and texts as numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from conveyor.data.records import shown
from conveyor.data.subwords import described_tokenizer
from conveyor.data.tokens import Tokenizer
from conveyor.errors import RunError

# The numbers of padding, which is no token, and of every token that is not known.
PAD, UNK = 0, 1
SPECIALS = ("<pad>", "<unk>")


def unknown_counts(sequences: Sequence[Tensor]) -> Tensor:
    """Return how many tokens of each text are not known, int64 [N].

    Args:
        sequences: the numbers of the tokens of each, [T].
    """
    counts = [int((sequence == UNK).sum()) for sequence in sequences]
    return torch.tensor(counts, dtype=torch.long)


@dataclass(frozen=True)
class TokenVocabulary:
    """Tokens by number: ``<pad>``, ``<unk>``, then those of the training texts, the commonest
    first, equally common ones in the order of Unicode.

    Args:
        tokenizer: cuts a text into tokens.
        known: the tokens after the specials. A text's own ``<unk>`` is a token like any other.
        common: how many of ``known`` were seen more than once. They stand first, so that the
            numbers of all others begin at ``rare_from``.
    """

    tokenizer: Tokenizer
    known: tuple[str, ...]
    common: int

    @staticmethod
    def of(
        texts: Iterable[list[str]],
        tokenizer: Tokenizer,
        most: int | None = None,
        *,
        least: int = 1,
    ) -> "TokenVocabulary":
        """Return the vocabulary of texts.

        Args:
            texts: the tokens of each.
            tokenizer: that cut them. Where it knows all its tokens, they are all known.
            most: how many tokens are kept, the commonest; None for all.
            least: how often a token must be seen to be kept.
        """
        counts = Counter(token for tokens in texts for token in tokens)
        if tokenizer.every:
            counts, least = Counter({token: counts[token] for token in tokenizer.every}), 0
        often = [token for token in counts if counts[token] >= least]
        ordered = sorted(often, key=lambda token: (-counts[token], token))[:most]
        common = sum(counts[token] > 1 for token in ordered)
        return TokenVocabulary(tokenizer, tuple(ordered), common)

    def __len__(self) -> int:
        return len(SPECIALS) + len(self.known)

    @property
    def rare_from(self) -> int:
        """The number of the first token that was seen once; as large as the vocabulary without."""
        return len(SPECIALS) + self.common

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.known, len(SPECIALS))}

    def numbers(self, tokens: Iterable[str]) -> Tensor:
        """Return the numbers of tokens, int64 [T]; ``UNK`` for those that are not known."""
        known = self._numbers
        return torch.tensor([known.get(token, UNK) for token in tokens], dtype=torch.long)

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a text's tokens, int64 [T]."""
        return self.numbers(self.tokenizer.tokens(text))

    def token(self, number: int) -> str:
        """Return the token of a number, as ``<unk>`` where that is none of the known."""
        specials = len(SPECIALS)
        return SPECIALS[number] if number < specials else self.known[number - specials]

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    def description(self) -> dict[str, Any]:
        """Return the vocabulary as JSON holds it."""
        return {
            **self.tokenizer.description(),
            "common": self.common,
            "known": list(self.known),
        }

    @staticmethod
    def described(described: Any, where: str) -> "TokenVocabulary":
        """Return the vocabulary of a description.

        Args:
            described: what ``description`` gave, read from a file that may hold anything.
            where: the file, for errors.

        Raises:
            RunError: the description is none.
        """
        if not isinstance(described, Mapping):
            raise RunError(f"{where}: the vocabulary is {shown(described)}.")
        known, common = described.get("known"), described.get("common")
        if not isinstance(known, list) or not all(isinstance(token, str) for token in known):
            raise RunError(f"{where}: the vocabulary is not a list of tokens.")
        if len(set(known)) < len(known):
            raise RunError(f"{where}: a token stands twice in the vocabulary.")
        if not isinstance(common, int) or not 0 <= common <= len(known):
            raise RunError(f"{where}: common is {shown(common)}; expected 0 to {len(known):,}.")
        return TokenVocabulary(described_tokenizer(described, where), tuple(known), common)
