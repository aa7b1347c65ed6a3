"""What networks of pictures with latent values share: DRAW, and the autoencoder beside it."""

from abc import abstractmethod
from math import log
from typing import Any

import torch
from torch import Tensor

from conveyor.networks.draw import Glimpses
from conveyor.networks.latent_sequences import Drawn
from conveyor.networks.network import Loss
from conveyor.tasks.latent.latent_examples import SequenceBatch, SequenceExamples
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.picture_kind import PictureKind

# Pictures that are scored together, at most, times draws of their latent values.
_ROWS_AT_ONCE = 1024


def _drawn(glimpses: Glimpses, x: Tensor) -> Drawn:
    """Return what a network says of pictures [batch, rows, columns], a step for each glimpse. All
    pixels are drawn after the last one: their nats stand there."""
    divergence, reconstruction = glimpses.divergence, glimpses.reconstruction(x)
    before = reconstruction.new_zeros(len(divergence) - 1, len(reconstruction))
    return Drawn(torch.cat([before, reconstruction[None]]), divergence, glimpses.ratio)


class PictureModel(LatentModel):
    """A network that says how likely a picture is, by latent values of one glimpse or more."""

    kind: PictureKind

    @property
    @abstractmethod
    def latent_sizes(self) -> tuple[int, int]:
        """How many glimpses there are, and how many latent values of each."""

    @abstractmethod
    def explained(self, x: Tensor, noise: Tensor) -> Glimpses:
        """Return what the network recognises in pictures, and draws of it.

        Args:
            x: pixels that are 0 or 1, [batch, rows, columns].
            noise: normal noise by which latent values are drawn, [glimpses, batch, latent].
        """

    @abstractmethod
    def pictures_of(self, latent: Tensor) -> Tensor:
        """Return the probabilities of bright pixels, [batch, rows, columns], by latent values
        [glimpses, batch, latent]."""

    def normal(self, count: int, seed: int) -> Tensor:
        """Return noise [glimpses, count, latent] on the CPU, the same of the same seed and
        count."""
        glimpses, latent = self.latent_sizes
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(glimpses, count, latent, generator=generator)

    def loss(self, batch: SequenceBatch, state: Any = None) -> Loss:
        """Return the bound on the nats of a picture, the mean over a batch; see
        ``LatentModel.loss``."""
        x = batch.x.transpose(0, 1)
        if self.training:
            glimpses, latent = self.latent_sizes
            noise = torch.randn(glimpses, len(x), latent, device=x.device)
        else:
            noise = self.normal(len(x), seed=0)  # epochs are compared by the same draws
        return self._loss_of(_drawn(self.explained(x, noise.to(x)), x), len(x))

    @torch.no_grad()
    def scored(self, examples: SequenceExamples, draws: int) -> list[tuple[Drawn, float]]:
        """Return what the network says of pictures; see ``LatentModel.scored``."""
        was_training = self.training
        self.eval()
        answers = []
        at_once = max(_ROWS_AT_ONCE // draws, 1)
        for first in range(0, len(examples), at_once):
            numbers = range(first, min(first + at_once, len(examples)))
            x = torch.stack([examples.sequences[number] for number in numbers]).float()
            noise = torch.cat([self.normal(draws, seed=number) for number in numbers], 1)
            repeated = x.repeat_interleave(draws, 0)
            parts = [
                _drawn(self.explained(pixels, part), pixels)
                for pixels, part in zip(
                    torch.split(repeated, _ROWS_AT_ONCE),
                    torch.split(noise, _ROWS_AT_ONCE, 1),
                    strict=True,
                )
            ]
            weights = torch.cat([part.log_weight for part in parts]).view(len(x), draws)
            log_density = (weights.logsumexp(1) - log(draws)).tolist()
            whole = Drawn(
                torch.cat([part.losses for part in parts], 1),
                torch.cat([part.divergence for part in parts], 1),
                torch.cat([part.ratio for part in parts], 1),
            )
            for row, density in enumerate(log_density):
                place = row * draws
                of_it = Drawn(
                    whole.losses[:, place], whole.divergence[:, place], whole.ratio[:, place]
                )
                answers.append((of_it, density))
        self.train(was_training)
        return answers

    @torch.no_grad()
    def sample(self, count: int, steps: int | None, *, seed: int) -> list[Tensor]:
        """Return the probabilities of bright pixels of pictures that are drawn from the prior,
        [rows, columns] each. They have as many rows as they have, whatever ``steps`` is."""
        was_training = self.training
        self.eval()
        pictures = self.pictures_of(self.normal(count, seed).to(next(self.parameters())))
        self.train(was_training)
        return list(pictures)
