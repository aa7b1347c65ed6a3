"""Stochastic recurrent networks (Bayer & Osendorfer 2014, Learning stochastic recurrent
networks)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import before_each
from conveyor.layers.checks import check_whole
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.networks.latent_sequences import LatentSequences

# The least standard deviation of a latent value.
_LEAST = 1e-4
# What is added to what its softplus reads at first, so that it is near that of the prior.
_START = 0.6


class STORN(LatentSequences):
    """A stochastic recurrent network: two layers of any cell. The one that recognises reads a
    sequence and says what its latent values were; the one that generates reads the step before and
    the latent values of this one, whose prior is a standard normal distribution.

    All latent values are known before the second layer begins, so that each layer is one call.

    Args:
        cell: see ``conveyor.Recurrent``.
        inputs: numbers of a step.
        hidden: units of each layer.
        latent: latent values of a step.
        head: reads what the second layer gives, and says what a step may be.
        num_layers: of each part.
        dropout: probability of dropping what goes between them, in training.
        bidirectional: whether the layer that recognises reads a sequence from both ends.
        sizes: of other axes of the cell, see ``conveyor.Recurrent``.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        inputs: int,
        hidden: int,
        latent: int,
        head: Any,
        *,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = True,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        check_whole(latent=latent)
        self.inputs, self.latent = inputs, latent
        options: Any = {"num_layers": num_layers, "dropout": dropout, "sizes": sizes}
        self.recogniser = Recurrent(cell, inputs, hidden, bidirectional=bidirectional, **options)
        self.recognised = nn.Linear(self.recogniser.output_size, 2 * latent)
        with torch.no_grad():
            self.recognised.bias[latent:] = _START
        self.generator = Recurrent(cell, inputs + latent, hidden, **options)
        self.head = head

    @property
    def recurrent(self) -> Recurrent:
        """The layer that generates."""
        return self.generator

    def recognise(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the means and the deviations of the latent values of sequences, [T, B, latent].

        Args:
            x: the sequences, [T, B, inputs].
            lengths: how many steps of each count, [B]; None for all.
        """
        seen = main_output(self.recogniser(x, lengths=lengths)[0])
        mean, raw = self.recognised(seen).chunk(2, -1)
        return mean, softplus(raw) + _LEAST

    def outputs(
        self, x: Tensor, noise: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the head says; see ``LatentSequences.outputs``."""
        mean, deviation = self.recognise(x, lengths)
        z = mean + deviation * noise
        divergence = (deviation.square() + mean.square() - 1) / 2 - deviation.log()
        ratio = (z.square() - noise.square()) / 2 - deviation.log()
        read = torch.cat([before_each(x), z], -1)
        generated = self.generator(read, lengths=lengths)[0]
        return self.head(main_output(generated)), divergence, ratio

    def begin(self, count: int) -> Any:
        """Return the state before the first step, which is of zeros."""
        nothing = next(self.parameters()).new_zeros(count, self.inputs)
        return self.generator.start(count), nothing

    def follow(self, x: Tensor, noise: Tensor) -> Any:
        """Return the state after a beginning; see ``LatentSequences.follow``."""
        mean, deviation = self.recognise(x)
        read = torch.cat([before_each(x), mean + deviation * noise], -1)
        return self.generator(read)[1], x[-1]

    def answer(self, state: Any, noise: Tensor) -> tuple[Tensor, Any]:
        """Return what the head says of the next step."""
        remembered, before = state
        output, remembered = self.generator.step(torch.cat([before, noise], -1), remembered)
        return self.head(main_output(output)), remembered

    def read(self, kept: Any, x: Tensor) -> Any:
        """Return the state after a step."""
        return kept, x
