"""A conditional random field on features that people have thought of: the tagger without a network
that one with a network has to beat (Lafferty, McCallum & Pereira 2001)."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.kept_arrays import array_of
from conveyor.tasks.known_keys import FITTED_ON, long_hash
from conveyor.tasks.tag.sentence_reader import syllables_of

# How it is fitted: passes over the training set, sentences in a batch, the rate at the start.
_EPOCHS, _BATCH, _RATE = 10, 16, 0.1

# The strength of the penalty |weights|² / 2, for a sentence.
_PENALTY = 1e-2

# Letters of the ends of a word that are features.
_ENDS = 4

# A run keeps so many weights of a field at most, which are 32 MB.
MOST_KEPT = 4_000_000

# What answers at once.
_SENTENCES_AT_ONCE = 256


def _shape(word: str) -> str:
    """Return a word with X for capitals, x for other letters, 9 for digits, repeats left out."""
    letters = "".join(
        "9" if sign.isdigit() else "X" if sign.isupper() else "x" if sign.isalpha() else sign
        for sign in word
    )
    return re.sub(r"(.)\1+", r"\1", letters)[:8]


def features_of(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the features of each word of a sentence: the same number for all words."""
    small = [word.lower() for word in words]
    shapes = [_shape(word) for word in words]

    def at(values: Sequence[str], place: int) -> str:
        return values[place] if 0 <= place < len(values) else "|"

    for place, word in enumerate(small):
        syllables = syllables_of(word)
        before, after = at(small, place - 1), at(small, place + 1)
        yield [
            "any",
            f"word {words[place]}",
            f"small {word}",
            f"before {before}",
            f"after {after}",
            f"before 2 {at(small, place - 2)}",
            f"after 2 {at(small, place + 2)}",
            f"pair before {before} {word}",
            f"pair after {word} {after}",
            f"around {before} {after}",
            f"shape {shapes[place]}",
            f"shape before {at(shapes, place - 1)}",
            f"shape after {at(shapes, place + 1)}",
            f"syllables {len(syllables)}",
            f"first syllable {syllables[0]}",
            f"last syllable {syllables[-1]}",
            *(f"begins {word[:length]} {length}" for length in range(1, _ENDS + 1)),
            *(f"ends {word[-length:]} {length}" for length in range(1, _ENDS + 1)),
        ]


def _hashes_of(words: Sequence[str]) -> list[list[int]]:
    """Return the hashes of the features of each word of a sentence."""
    return [[long_hash(name) for name in names] for names in features_of(words)]


class FeatureCRF(nn.Module):
    """A linear-chain CRF whose emissions are sums of weights of features.

    Args:
        features: that it knows, by their ``long_hash``, so that a saved run holds none of its
            texts.
        count: how many tags there are.
        allowed: which may follow each other in an answer; None for all.
    """

    def __init__(
        self, features: Iterable[int], count: int, allowed: Transitions | None = None
    ) -> None:
        super().__init__()
        self.places = {feature: place for place, feature in enumerate(features, 1)}
        self.weights = nn.EmbeddingBag(
            len(self.places) + 1, count, mode="sum", padding_idx=0, sparse=True
        )
        nn.init.zeros_(self.weights.weight)
        self.crf = CRF(count, allowed)

    @staticmethod
    def fit(
        sentences: Sequence[Sequence[str]],
        tags: Sequence[Tensor],
        count: int,
        *,
        allowed: Transitions | None = None,
        seed: int = 0,
    ) -> "FeatureCRF":
        """Return a field that has learned from sentences, by Adagrad (Duchi, Hazan & Singer 2011,
        Adaptive subgradient methods), in which rare features learn as fast as common ones.

        Args:
            sentences: their words, each of one or more.
            tags: numbers of their tags, each [T].
            count: how many tags there are.
            allowed: which may follow each other in an answer; None for all.
            seed: of the order in which it reads sentences.
        """
        read = [_hashes_of(words) for words in sentences]
        every = dict.fromkeys(key for words in read for keys in words for key in keys)
        field = FeatureCRF(every, count, allowed)
        # Sparse gradients are made of checked numbers; torch warns of their checks unless told.
        with torch.sparse.check_sparse_tensor_invariants(enable=False):  # type: ignore[no-untyped-call]
            field._fit([field._numbers(words) for words in read], tags, seed)
        return field

    def _numbers(self, features: Sequence[Sequence[int]]) -> Tensor:
        """Return the numbers of features, [T, features], 0 for those that are not known."""
        rows = [[self.places.get(key, 0) for key in keys] for keys in features]
        return torch.tensor(rows, dtype=torch.long)

    def _scores(self, numbers: Tensor) -> Tensor:
        """Return the scores of tags [T, B, tags] of the features [T, B, features] of words."""
        scores: Tensor = self.weights(numbers.flatten(0, 1))
        return scores.view(*numbers.shape[:2], -1)

    def _fit(self, numbers: list[Tensor], tags: Sequence[Tensor], seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        sparse = torch.optim.Adagrad(self.weights.parameters(), lr=_RATE)
        dense = torch.optim.Adagrad(self.crf.parameters(), lr=_RATE)
        steps, step = _EPOCHS * math.ceil(len(numbers) / _BATCH), 0
        for _ in range(_EPOCHS):
            order = torch.randperm(len(numbers), generator=draw).tolist()
            for first in range(0, len(order), _BATCH):
                batch = order[first : first + _BATCH]
                lengths = torch.tensor([len(numbers[number]) for number in batch])
                features = pad_sequence([numbers[number] for number in batch])
                scores = self._scores(features)
                gold = pad_sequence([tags[number] for number in batch])
                nats = -self.crf.log_likelihood(scores, gold, lengths=lengths).sum()
                for optimiser in (sparse, dense):
                    optimiser.zero_grad()
                    for group in optimiser.param_groups:
                        group["lr"] = _RATE * (1 - step / steps)
                nats.backward()  # type: ignore[no-untyped-call]
                self._shrink()
                sparse.step()
                dense.step()
                step += 1

    def _shrink(self) -> None:
        """Add the gradient of the penalty, to the weights that the batch has touched."""
        gradient = self.weights.weight.grad
        assert gradient is not None
        touched = gradient.coalesce()
        rows = touched.indices()[0]
        with torch.no_grad():
            values = touched.values() + _PENALTY * self.weights.weight[rows]
        self.weights.weight.grad = torch.sparse_coo_tensor(
            touched.indices(), values, touched.shape, is_coalesced=True
        )

    @torch.no_grad()
    def answer(self, sentences: Sequence[Sequence[str]]) -> list[list[int]]:
        """Return the numbers of the tags of sentences, each of one word or more."""
        order = sorted(range(len(sentences)), key=lambda number: len(sentences[number]))
        answers: list[list[int]] = [[] for _ in sentences]
        for first in range(0, len(order), _SENTENCES_AT_ONCE):
            batch = order[first : first + _SENTENCES_AT_ONCE]
            numbers = [self._numbers(_hashes_of(sentences[number])) for number in batch]
            lengths = torch.tensor([len(each) for each in numbers])
            tags, _ = self.crf(self._scores(pad_sequence(numbers)), lengths=lengths)
            for row, number in enumerate(batch):
                answers[number] = tags[: lengths[row], row].tolist()
        return answers

    def description(self) -> dict[str, Any] | None:
        """Return what ``described`` reads: arrays, and no text; None for a field that is too large
        to be kept."""
        if self.weights.weight.numel() > MOST_KEPT:
            return None
        tensors = {"weights": self.weights.weight, **dict(self.crf.named_parameters())}
        return {
            "features": np.fromiter(self.places, np.int64, len(self.places)),
            **{name: each.detach().double().numpy() for name, each in tensors.items()},
        }

    @staticmethod
    def described(
        described: Mapping[str, Any], count: int, allowed: Transitions | None
    ) -> "FeatureCRF":
        """Return the field of a description.

        Args:
            described: see ``description``.
            count: how many tags there are.
            allowed: which may follow each other in an answer; None for all.

        Raises:
            RunError: the description is none.
        """
        features = array_of(described, "features", (None,), np.int64, FITTED_ON)
        field = FeatureCRF(features.tolist(), count, allowed)
        tensors = {"weights": field.weights.weight, **dict(field.crf.named_parameters())}
        with torch.no_grad():
            for name, parameter in tensors.items():
                array = array_of(described, name, tuple(parameter.shape), np.float64, FITTED_ON)
                parameter.copy_(torch.from_numpy(array))
        return field
