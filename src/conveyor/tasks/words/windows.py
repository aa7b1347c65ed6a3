"""Which words are neighbours: subsampling, noise, and the windows of a text, cut into blocks."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Words whose windows are computed together: their scores with each other are one product.
BLOCK = 64

# Noise words are drawn by counts to this power (Mikolov et al. 2013).
NOISE_POWER = 0.75


def kept_shares(counts: Tensor, subsample: float) -> Tensor:
    """Return the share of each word's places that training keeps: √(t/f) for a word with share f of
    the text, at most 1 (Mikolov et al. 2013, equation 5; word2vec's code has another formula).

    Args:
        counts: how often each word occurs, [V].
        subsample: t; 0 keeps all.

    Returns:
        float32 [V].
    """
    if not subsample:
        return torch.ones(len(counts))
    shares = counts.double() / counts.sum()
    return (subsample / shares).sqrt().clamp(max=1).float()


def noise_shares(counts: Tensor) -> Tensor:
    """Return the probability of each word as noise, float64 [V]: its count to the power of 3/4, by
    the sum of all.

    Args:
        counts: how often each word occurs, [V].
    """
    weights = counts.double() ** NOISE_POWER
    return weights / weights.sum()


def drawn(cumulated: Tensor, shape: tuple[int, ...], draw: torch.Generator | None) -> Tensor:
    """Return numbers drawn by cumulated probabilities, int64.

    Args:
        cumulated: float64 [V], rising to 1.
        shape: of the result.
        draw: the generator; None for torch's.
    """
    chances = torch.rand(shape, generator=draw, dtype=torch.float64)
    return torch.searchsorted(cumulated, chances, right=True).clamp(max=len(cumulated) - 1)


@dataclass(frozen=True)
class Blocks:
    """The words of a text in blocks, with the words around each block.

    Attributes:
        numbers: of the words, int64 [R, C + L + C]: L words in the middle, and C before and after.
        near: whether a word is in the window of one of the L, [R, L, C + L + C].
        window: C.
    """

    numbers: Tensor
    near: Tensor
    window: int

    @property
    def centres(self) -> Tensor:
        """The numbers of the words whose windows these are, int64 [R, L]."""
        return self.numbers[:, self.window : self.numbers.shape[1] - self.window]


def blocks_of(
    numbers: Tensor,
    kept: Tensor,
    *,
    window: int,
    length: int = BLOCK,
    draw: torch.Generator | None = None,
) -> Blocks:
    """Return the windows of a text.

    Places are dropped first, and windows reach over what was dropped, as in word2vec. The size of
    each window is drawn from 1 to C. No window reaches over a boundary.

    Args:
        numbers: of the words, int64 [N]; V is a boundary.
        kept: the share of each word's places that is kept, float [V].
        window: C.
        length: L.
        draw: the generator; None for torch's.
    """
    is_word = numbers < len(kept)
    paragraphs = (~is_word).cumsum(0)
    chances = torch.rand(len(numbers), generator=draw)
    stays = is_word & (chances < kept[numbers.clamp(max=len(kept) - 1)])
    words, paragraphs = numbers[stays], paragraphs[stays]
    rows = max(-(-len(words) // length), 1)
    filled = rows * length + 2 * window
    padded = torch.zeros(filled, dtype=torch.long)
    padded[window : window + len(words)] = words
    # What pads is in no paragraph, and each of its places in another.
    parts = -1 - torch.arange(filled)
    parts[window : window + len(words)] = paragraphs
    width = length + 2 * window
    rows_of_words, rows_of_parts = (each.unfold(0, width, length) for each in (padded, parts))
    sizes = torch.randint(1, window + 1, (rows, length, 1), generator=draw)
    apart = (torch.arange(width) - window - torch.arange(length)[:, None]).abs()
    middle = rows_of_parts[:, window : window + length, None]
    near = (apart <= sizes) & (apart > 0) & (middle == rows_of_parts[:, None])
    return Blocks(rows_of_words, near, window)
