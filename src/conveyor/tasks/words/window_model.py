"""Vectors of words that learn to tell true neighbours from noise: skip-gram and CBOW with negative
sampling."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adagrad, Optimizer

from conveyor.data.records import shown, to_record
from conveyor.errors import RunError
from conveyor.networks.network import Loss, Network
from conveyor.tasks.words.windows import Blocks, blocks_of, drawn, kept_shares, noise_shares
from conveyor.tasks.words.word_list import WordList
from conveyor.tasks.words.words_settings import CBOW, SKIP_GRAM

# Noise words that are drawn for a block, all of which stand for the noise of each of its words.
NOISE = 64

# The seed of what is drawn where a model is scored.
SCORING_SEED = 1


@dataclass(frozen=True, kw_only=True)
class WindowSizes:
    """The sizes of a model, as a saved model's description holds them."""

    model: str
    dim: int
    window: int
    negative: int
    subsample: float


class WindowModel(Network):
    """Two vectors for each word: v of the word itself, which is the one that others use, and u of
    the word as a neighbour (Mikolov et al. 2013).

    Skip-gram: of a word w, a true neighbour c and k noise words n, the loss is
    −log σ(u_c·v_w) − Σ_n log σ(−u_n·v_w). CBOW: the same of the mean of the v of all words in the
    window, and the u of the word in its middle. The mean over noise words times k stands for their
    sum; ``NOISE`` of them are drawn for each block of words, which makes the whole a few products
    of matrices. Noise that happens to be the true word is not left out.

    Args:
        words: the words.
        model: ``"skip-gram"`` or ``"cbow"``.
        dim: numbers of a vector.
        window: C: words to either side.
        negative: k.
        subsample: see ``kept_shares``.
    """

    def __init__(
        self,
        words: WordList,
        *,
        model: str = SKIP_GRAM,
        dim: int = 100,
        window: int = 5,
        negative: int = 5,
        subsample: float = 1e-3,
    ) -> None:
        super().__init__()
        self.words = words
        self.sizes = WindowSizes(
            model=model, dim=dim, window=window, negative=negative, subsample=subsample
        )
        self.vectors = nn.Embedding(len(words), dim, sparse=True)
        self.contexts = nn.Embedding(len(words), dim, sparse=True)
        nn.init.uniform_(self.vectors.weight, -0.5 / dim, 0.5 / dim)
        nn.init.zeros_(self.contexts.weight)

    @property
    def program(self) -> None:
        """None: there is no cell."""
        return

    @property
    def title(self) -> str:
        """The name of the model."""
        return self.sizes.model

    @property
    def step_weights(self) -> int:
        """None that several threads would share."""
        return 0

    def optimizer(self, learning_rate: float) -> Optimizer:
        """Return Adagrad, which changes only the vectors of the words of a batch.

        Args:
            learning_rate: at the start.
        """
        return Adagrad(self.parameters(), lr=learning_rate)

    @cached_property
    def _counts(self) -> Tensor:
        return torch.tensor(self.words.counts, device="cpu")

    @cached_property
    def kept(self) -> Tensor:
        """The share of each word's places that training keeps, float32 [V]."""
        return kept_shares(self._counts, self.sizes.subsample)

    @cached_property
    def noise(self) -> Tensor:
        """The probability of each word as noise, float64 [V]."""
        return noise_shares(self._counts)

    @cached_property
    def _noise_up_to(self) -> Tensor:
        return self.noise.cumsum(0)

    def loss(self, batch: Tensor, state: Any = None) -> Loss:
        """Return the nats per pair of a stretch of text: what is told of a true neighbour and of
        k noise words. In training places, windows and noise are drawn anew each time; else always
        the same.

        Args:
            batch: the numbers of the words, int64 [N].
            state: is not read.
        """
        draw = None if self.training else torch.Generator().manual_seed(SCORING_SEED)
        blocks = self._blocks(batch, draw)
        noise = drawn(self._noise_up_to, (len(blocks.numbers), NOISE), draw)
        return self.loss_of(blocks, noise)

    def _blocks(self, batch: Tensor, draw: torch.Generator | None) -> Blocks:
        return blocks_of(batch.cpu(), self.kept, window=self.sizes.window, draw=draw)

    def scored_blocks(self, batch: Tensor) -> Blocks:
        """Return which words are neighbours where a stretch of text is scored.

        Args:
            batch: the numbers of the words, int64 [N].
        """
        return self._blocks(batch, torch.Generator().manual_seed(SCORING_SEED))

    def loss_of(self, blocks: Blocks, noise: Tensor) -> Loss:
        """Return the nats per pair of blocks of words.

        Args:
            blocks: the words, and which of them are neighbours.
            noise: the numbers of noise words of each block, int64 [R, M].
        """
        device = self.vectors.weight.device
        near, numbers, noise = (each.to(device) for each in (blocks.near, blocks.numbers, noise))
        neighbours = near.sum(-1)  # [R, L]
        if self.sizes.model == CBOW:
            means = near.to(self.vectors.weight.dtype) @ self.vectors(numbers)
            means = means / neighbours.clamp(min=1).unsqueeze(-1)
            asked = self.contexts(torch.cat([blocks.centres.to(device), noise], 1))
            true, false = asked.split([blocks.centres.shape[1], noise.shape[1]], 1)
            has_any = neighbours > 0
            told = softplus(-(means * true).sum(-1)[has_any]).sum()
            weights = has_any.to(means.dtype)
            scores = means @ false.mT
        else:
            centres = self.vectors(blocks.centres.to(device))
            asked = self.contexts(torch.cat([numbers, noise], 1))
            scores = centres @ asked.mT
            true, scores = scores.split([numbers.shape[1], noise.shape[1]], 2)
            told = softplus(-true[near]).sum()
            weights = neighbours.to(centres.dtype)
        refused = (softplus(scores).mean(-1) * weights).sum() * self.sizes.negative
        pairs = weights.sum()
        return Loss((told + refused) / pairs.clamp(min=1), int(pairs))

    def scores(self, words: Tensor, contexts: Tensor) -> Tensor:
        """Return how surely words are told as neighbours, u_c·v_w, float32 [N].

        Args:
            words: the numbers of w, int64 [N].
            contexts: the numbers of c, int64 [N].
        """
        vectors, others = self.table()[words], self.contexts.weight.detach().float()[contexts]
        return (vectors * others).sum(-1)

    def table(self) -> Tensor:
        """Return the vectors, float32 [V, dim]."""
        return self.vectors.weight.detach().float()

    def description(self) -> dict[str, Any]:
        """Return the sizes and the words."""
        return {"network": asdict(self.sizes), "vocabulary": self.words.description()}

    @classmethod
    def described(cls, program: None, description: Mapping[str, Any], where: str) -> "WindowModel":
        """Return the unfitted model of a description.

        Raises:
            RunError, SettingError: the description is none.
        """
        sizes = to_record(WindowSizes, description.get("network"), f"{where}: network")
        if sizes.model not in (SKIP_GRAM, CBOW) or min(sizes.dim, sizes.window, sizes.negative) < 1:
            raise RunError(f"{where}: network is {shown(asdict(sizes))}, which is no model.")
        words = WordList.described(dict(description.get("vocabulary") or {}), where)
        return cls(words, **asdict(sizes))
