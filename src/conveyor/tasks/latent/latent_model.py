"""The network of ``vrnn`` and ``storn``: sequences with latent values, of a kind that is known."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from conveyor.data.padded import padded_batches
from conveyor.data.records import shown
from conveyor.errors import RunError
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.latent_sequences import Drawn, LatentSequences
from conveyor.networks.network import Loss, Network
from conveyor.tasks.latent.kind import Kind
from conveyor.tasks.latent.kinds import kind_of
from conveyor.tasks.latent.latent_examples import SequenceBatch, SequenceExamples

# Sequences that are scored together, at most, and steps with padding.
_ROWS_AT_ONCE, _STEPS_AT_ONCE = 256, 1 << 14


class LatentModel(Network):
    """Sequences in, what they may be out.

    Args:
        kind: of the sequences.
        sequences: the network.
        steps: of a sequence that is drawn, unless somebody asks for another number.
        warmup: steps of training over which the weight of the divergence rises to 1; 0 for none.
    """

    updates: Tensor

    def __init__(self, kind: Kind, sequences: LatentSequences, steps: int, warmup: int = 0) -> None:
        super().__init__()
        self.kind, self.sequences, self.steps, self.warmup = kind, sequences, steps, warmup
        # Steps of training that are done, so that a resumed fit goes on where it was.
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The layer that remembers."""
        layer: Recurrent = self.sequences.recurrent  # type: ignore[assignment]
        return layer

    @property
    def step_weights(self) -> int:
        """How many numbers a time step is computed with, which decides about threads."""
        return self.parameter_count

    def _noise(self, batch: SequenceBatch) -> Tensor:
        (steps, rows), device = batch.x.shape[:2], batch.x.device
        if self.training:
            return torch.randn(steps, rows, self.sequences.latent, device=device)
        # Epochs are compared by the same draws.
        return self.sequences.noise(steps, rows, seed=0).to(device)

    def loss(self, batch: SequenceBatch, state: Any = None) -> Loss:
        """Return the bound on the nats of a step, the mean over all steps of a batch. While the
        divergence weighs less than 1, training minimises something else, and the bound is what is
        reported."""
        drawn = self.sequences(batch.x, self._noise(batch), batch.lengths)
        return self._loss_of(drawn, int(batch.lengths.sum()))

    def _loss_of(self, drawn: Drawn, count: int) -> Loss:
        """Return the bound, the mean of so many things, and in training what it lacks of what is
        minimised."""
        penalty = None
        if self.training and self.warmup:
            weight = min((int(self.updates) + 1) / self.warmup, 1.0)
            self.updates += 1
            penalty = (weight - 1) * drawn.divergence.sum() / count
        return Loss(drawn.bound.sum() / count, count, penalty=penalty)

    @torch.no_grad()
    def scored(self, examples: SequenceExamples, draws: int) -> list[tuple[Drawn, float]]:
        """Return what the network says of each sequence, by its first draw, and the logarithm of
        its density, estimated with all of them. The noise of a sequence is that of its number, so
        that nothing depends on what it is computed with.

        Args:
            examples: the sequences.
            draws: of the latent values of each.
        """
        was_training = self.training
        self.eval()
        sequences = self.sequences
        draws = draws if sequences.latent else 1
        answers: list[tuple[Drawn, float]] = [None] * len(examples)  # type: ignore[list-item]
        for numbers in padded_batches(
            [draws * length for length in examples.lengths], _ROWS_AT_ONCE, _STEPS_AT_ONCE
        ):
            batch = examples.__getitems__(numbers)
            steps, rows = batch.x.shape[:2]
            noise = torch.zeros(steps, rows, draws, sequences.latent)
            for row, number in enumerate(numbers):
                length = examples.lengths[number]
                noise[:length, row] = sequences.noise(length, draws, seed=number)
            drawn = sequences(
                batch.x.repeat_interleave(draws, 1),
                noise.flatten(1, 2),
                batch.lengths.repeat_interleave(draws),
            )
            weights = drawn.log_weight.view(rows, draws).logsumexp(1)
            log_density = (weights - torch.tensor(float(draws)).double().log()).tolist()
            for row, number in enumerate(numbers):
                length, first = examples.lengths[number], row * draws
                of_it = Drawn(
                    drawn.losses[:length, first],
                    drawn.divergence[:length, first],
                    drawn.ratio[:length, first],
                )
                answers[number] = of_it, log_density[row]
        self.train(was_training)
        return answers

    def sample(self, count: int, steps: int | None, *, seed: int) -> list[Tensor]:
        """Return sequences that are drawn from the prior, [steps, width] each.

        Args:
            count: how many.
            steps: of each; None for as many as those that were learned from mostly have.
            seed: the same seed gives the same sequences.
        """
        return list(self.sequences.sample(count, steps or self.steps, seed=seed).unbind(1))

    @abstractmethod
    def sizes_as_json(self) -> dict[str, Any]:
        """Return the sizes of the network."""

    def description(self) -> dict[str, Any]:
        """Return the kind of sequences and the sizes."""
        return {
            "kind": self.kind.name,
            "steps_of": self.kind.description(),
            "steps": self.steps,
            "warmup": self.warmup,
            "network": self.sizes_as_json(),
        }

    @staticmethod
    def described_number(description: Mapping[str, Any], name: str, where: str) -> int:
        """Return a whole number of a description; see ``Network.described``.

        Raises:
            RunError: it is none.
        """
        number = description[name]
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 31:
            raise RunError(f"{where} is corrupt: {name} is {shown(number)}.")
        return number

    def beside(self, sequences: LatentSequences) -> "PlainModel":
        """Return a network of other sequences of the same kind, without latent values."""
        return PlainModel(self.kind, sequences, self.steps)

    @staticmethod
    def described_kind(description: Mapping[str, Any], where: str) -> Kind:
        """Return the kind of a description; see ``Network.described``."""
        return kind_of(description["kind"], description["steps_of"], where)


class PlainModel(LatentModel):
    """A network without latent values, which is fitted beside one that has them and never saved."""

    def sizes_as_json(self) -> dict[str, Any]:
        """Return nothing: it is not saved."""
        return {}

    @classmethod
    def described(cls, program: Any, description: Mapping[str, Any], where: str) -> "PlainModel":
        """Raise an error: it is not saved."""
        raise RunError(f"{where} describes a network that is never saved.")
