"""Sequences whose steps are drawn from latent values: what every such network can do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from conveyor.networks.random_numbers import normal

# Draws of the latent values that are computed together, at most, times sequences.
_ROWS_AT_ONCE = 512


class DensityHead(Protocol):
    """A head that gives a step a density, and draws one."""

    def __call__(self, features: Tensor, /) -> Tensor: ...

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the nats of each step, [...]."""

    def draw(self, outputs: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return a step drawn from each output, [..., width]."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a network says of sequences, for one draw of their latent values; 0 behind their ends.

    Attributes:
        losses: minus the logarithm of the density of each step, given its latent values, [T, B].
        divergence: of the recognised distribution of the latent values from their prior, [T, B].
        ratio: the logarithm of the ratio of both densities at what was drawn, whose expectation is
            the divergence, [T, B].
    """

    losses: Tensor
    divergence: Tensor
    ratio: Tensor

    @property
    def bound(self) -> Tensor:
        """What the nats of each step are at most, in expectation, summed over the sequence, [T,
        B]."""
        return self.losses + self.divergence

    @property
    def log_weight(self) -> Tensor:
        """The logarithm of the importance weight of each sequence, float64 [B]."""
        return -(self.losses.double() + self.ratio.double()).sum(0)


class LatentSequences(nn.Module, ABC):
    """A network of sequences [T, B, inputs] with ``latent`` latent values at each step.

    ``begin`` or ``follow``, then ``answer`` and ``read`` draw a sequence step by step, from the
    prior.
    """

    inputs: int
    latent: int
    head: Any

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def outputs(
        self, x: Tensor, noise: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the head says of each step, [T, B, outputs], and the divergences and ratios
        of its latent values, [T, B, latent]; see ``forward``."""

    @abstractmethod
    def begin(self, count: int) -> Any:
        """Return the state of so many sequences before their first step."""

    @abstractmethod
    def follow(self, x: Tensor, noise: Tensor) -> Any:
        """Return the state after a beginning that is known, whose latent values are recognised.

        Args:
            x: one step or more, [T, B, inputs].
            noise: by which latent values are drawn, [T, B, latent].
        """

    @abstractmethod
    def answer(self, state: Any, noise: Tensor) -> tuple[Tensor, Any]:
        """Return what the head says of the next step, [B, outputs], whose latent values are drawn
        from their prior by noise [B, latent], and what ``read`` needs besides the step."""

    @abstractmethod
    def read(self, kept: Any, x: Tensor) -> Any:
        """Return the state after a step [B, inputs], which was drawn, or is known."""

    def forward(self, x: Tensor, noise: Tensor, lengths: Tensor | None = None) -> Drawn:
        """Return what the network says of sequences for one draw of their latent values.

        Args:
            x: the sequences, [T, B, inputs].
            noise: normal noise by which latent values are drawn, [T, B, latent].
            lengths: how many steps of each count, [B]; None for all.
        """
        outputs, divergences, ratios = self.outputs(x, noise, lengths)
        parts = (self.head.losses(outputs.to(x.dtype), x), divergences.sum(-1), ratios.sum(-1))
        if lengths is not None:
            counted = torch.arange(len(x), device=x.device)[:, None] < lengths.to(x.device)
            parts = tuple(part.masked_fill(~counted, 0) for part in parts)  # type: ignore[assignment]
        return Drawn(*parts)

    @torch.no_grad()
    def log_density(self, x: Tensor, *, draws: int = 50, seed: int = 0) -> float:
        """Return the logarithm of the density of a sequence, estimated with importance weights: in
        expectation no more than it is, and the nearer the more draws (Burda, Grosse & Salakhutdinov
        2016, Importance weighted autoencoders, equation 8), without dropout.

        Args:
            x: the sequence, [T, inputs].
            draws: of its latent values.
            seed: of the noise.
        """
        was_training = self.training
        self.eval()
        noise = self.noise(len(x), draws, seed).to(x)
        weights = []
        try:
            for part in torch.split(noise, _ROWS_AT_ONCE, 1):
                weights.append(self(x.unsqueeze(1).expand(-1, part.shape[1], -1), part).log_weight)
        finally:
            self.train(was_training)
        return float(torch.cat(weights).logsumexp(0)) - log(draws)

    def noise(self, steps: int, count: int, seed: int) -> Tensor:
        """Return the noise of so many draws, [steps, count, latent]. The same sizes and the same
        seed give the same noise, on the CPU; with another count, that of a draw is another."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(steps, count, self.latent, generator=generator)

    @torch.no_grad()
    def sample(
        self, count: int, steps: int, *, seed: int = 0, prime: Tensor | None = None
    ) -> Tensor:
        """Return sequences that are drawn, [steps, count, inputs], without dropout.

        Args:
            count: how many.
            steps: of each.
            seed: the same seed gives the same sequences.
            prime: steps that all of them go on from, [t, inputs], and that are not counted; None
                for none.
        """
        was_training = self.training
        self.eval()
        generator, like = torch.Generator().manual_seed(seed), next(self.parameters())
        if prime is None or not len(prime):
            state = self.begin(count)
        else:
            noise = normal((len(prime), count, self.latent), like, generator)
            state = self.follow(prime.unsqueeze(1).expand(-1, count, -1), noise)
        drawn = []
        for _ in range(steps):
            noise = normal((count, self.latent), like, generator)
            outputs, kept = self.answer(state, noise)
            drawn.append(self.head.draw(outputs, generator=generator))
            state = self.read(kept, drawn[-1])
        self.train(was_training)
        return torch.stack(drawn) if drawn else like.new_zeros(0, count, self.inputs)
