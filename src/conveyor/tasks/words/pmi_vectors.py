"""Vectors of words by counting: a singular value decomposition of how much oftener than by chance
words are neighbours (Levy, Goldberg & Dagan 2015, Improving distributional similarity with lessons
learned from word embeddings)."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Besides the dimensions that are kept so many are computed, and so many rounds, so that those that
# are kept come out well (Halko, Martinsson & Tropp 2011).
_MORE, _ROUNDS = 10, 4


@dataclass(frozen=True)
class PmiVectors:
    """Vectors by counting.

    Attributes:
        vectors: of the words, float32 [V, dim].
        contexts: of the words as neighbours, float32 [V, dim].
    """

    vectors: Tensor
    contexts: Tensor

    def scores(self, words: Tensor, contexts: Tensor) -> Tensor:
        """Return about the logarithm of how much oftener c is a neighbour of w than by chance.

        Args:
            words: the numbers of w, int64 [N].
            contexts: the numbers of c, int64 [N].
        """
        return (self.vectors[words] * self.contexts[contexts]).sum(-1)


def neighbour_counts(numbers: Tensor, kept: Tensor, window: int) -> Tensor:
    """Return how often words are neighbours, on average over what training draws: places that are
    kept, and sizes of windows.

    Args:
        numbers: of the words of a text, int64 [N]; V is a boundary, over which no window reaches.
        kept: the share of each word's places that is kept, float [V].
        window: the largest window.

    Returns:
        A sparse matrix [V, V], float64, symmetric.
    """
    size = len(kept)
    is_word = numbers < size
    paragraphs = (~is_word).cumsum(0)[is_word]
    words = numbers[is_word]
    codes, weights = [], []
    for apart in range(1, min(window, len(words) - 1) + 1):
        one, other = words[:-apart], words[apart:]
        together = paragraphs[:-apart] == paragraphs[apart:]
        code, times = torch.unique((one * size + other)[together], return_counts=True)
        codes.append(code)
        weights.append(times.double() * (window - apart + 1) / window)
    if not codes:
        codes, weights = [torch.empty(0, dtype=torch.long)], [torch.empty(0, dtype=torch.double)]
    code, weight = torch.cat(codes), torch.cat(weights)
    one, other = code // size, code % size
    weight = weight * kept[one].double() * kept[other].double()
    pairs = torch.stack([torch.cat([one, other]), torch.cat([other, one])])
    return torch.sparse_coo_tensor(
        pairs, torch.cat([weight, weight]), (size, size), check_invariants=True
    ).coalesce()


def positive_pmi(counts: Tensor, noise: Tensor) -> Tensor:
    """Return log(p(c|w) / q(c)) where it is above 0, else 0: pointwise mutual information, with
    noise for chance.

    Args:
        counts: how often words are neighbours, sparse [V, V].
        noise: q, the probability of each word as noise, [V].
    """
    one, other = counts.indices()
    times = counts.values()
    totals = torch.zeros(len(noise), dtype=torch.double).index_add_(0, one, times)
    information = (times / totals[one] / noise[other]).log().clamp(min=0).nan_to_num(0.0)
    return torch.sparse_coo_tensor(
        counts.indices(), information.float(), counts.shape, check_invariants=True
    ).coalesce()


def pmi_vectors(
    numbers: Tensor, kept: Tensor, noise: Tensor, *, window: int, dim: int
) -> PmiVectors:
    """Return vectors by counting, the same each time.

    Args:
        numbers, kept, window: see ``neighbour_counts``.
        noise: the probability of each word as noise, [V].
        dim: numbers of a vector.
    """
    information = positive_pmi(neighbour_counts(numbers, kept, window), noise)
    size = len(kept)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        left, values, right = torch.svd_lowrank(
            information, q=min(dim + _MORE, size), niter=_ROUNDS
        )
    roots = values[:dim].clamp(min=0).sqrt()
    return PmiVectors(left[:, :dim] * roots, right[:, :dim] * roots)
