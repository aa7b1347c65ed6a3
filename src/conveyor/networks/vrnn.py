"""The variational recurrent network (Chung et al. 2015, A recurrent latent variable model for
sequential data)."""

from typing import Any

import torch
from torch import Tensor

from conveyor.cells.latent import vrnn
from conveyor.layers.checks import check_whole
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.latent_sequences import LatentSequences


class VRNN(LatentSequences):
    """A variational recurrent network: at each step latent values are drawn whose prior is what the
    LSTM remembers, a step is drawn from both, and the LSTM reads it and them.

    Args:
        inputs: numbers of a step.
        hidden: units of the LSTM.
        latent: latent values of a step.
        features: units of each hidden layer: of the prior, the encoder, the decoder, and what is
            read of a step and of latent values.
        head: reads ``features`` numbers, and says what a step may be.
    """

    def __init__(self, inputs: int, hidden: int, latent: int, features: int, head: Any) -> None:
        super().__init__()
        check_whole(latent=latent, features=features)
        self.inputs, self.latent, self.features = inputs, latent, features
        self.recurrent = Recurrent(
            vrnn,
            {"x": inputs, "noise": latent, "known": latent},
            hidden,
            sizes={"F": features},
        )
        self.head = head

    def outputs(
        self, x: Tensor, noise: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the head says; see ``LatentSequences.outputs``."""
        known = torch.ones_like(noise)
        said, _ = self.recurrent({"x": x, "noise": noise, "known": known}, lengths=lengths)
        return self.head(said.answer), said.divergence, said.ratio

    def begin(self, count: int) -> Any:
        """Return the state before the first step."""
        return self.recurrent.start(count)

    def follow(self, x: Tensor, noise: Tensor) -> Any:
        """Return the state after a beginning; see ``LatentSequences.follow``."""
        return self.recurrent({"x": x, "noise": noise, "known": torch.ones_like(noise)})[1]

    def answer(self, state: Any, noise: Tensor) -> tuple[Tensor, Any]:
        """Return what the head says of the next step: the cell's own step, whose latent values are
        drawn from the prior, so that the step that it reads does not matter."""
        none = noise.new_zeros(len(noise), self.inputs)
        said, _ = self.recurrent.step(self._from_prior(none, noise), state)
        return self.head(said.answer), (state, noise)

    def read(self, kept: Any, x: Tensor) -> Any:
        """Return the state after a step: the same step of the cell again, with the same latent
        values."""
        state, noise = kept
        return self.recurrent.step(self._from_prior(x, noise), state)[1]

    @staticmethod
    def _from_prior(x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        return {"x": x, "noise": noise, "known": torch.zeros_like(noise)}
