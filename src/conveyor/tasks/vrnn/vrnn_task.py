"""The task ``vrnn``: sequences learned by a variational recurrent network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.data.records import to_record
from conveyor.networks.next_step import NextStep
from conveyor.networks.vrnn import VRNN
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Kind
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.latent_task import LatentTask
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.task import Say
from conveyor.tasks.vrnn.vrnn_settings import VRNNSettings


@dataclass(frozen=True, kw_only=True)
class VRNNSizes:
    """The sizes of a network, see ``VRNN``."""

    hidden: int
    latent: int
    head_units: int
    components: int
    dropout: float


class VRNNModel(LatentModel):
    """A variational recurrent network that knows of what kind its sequences are."""

    sizes: VRNNSizes

    @classmethod
    def sized(
        cls,
        kind: Kind,
        sizes: VRNNSizes,
        *,
        steps: int,
        warmup: int = 0,
    ) -> "VRNNModel":
        """Return an untrained network.

        Args:
            kind: of its sequences.
            sizes: all of them.
            steps: of a sequence that is drawn.
            warmup: see ``LatentModel``.
        """
        head = kind.head(sizes.head_units, components=sizes.components, dropout=sizes.dropout)
        sequences = VRNN(kind.width, sizes.hidden, sizes.latent, sizes.head_units, head)
        network = cls(kind, sequences, steps, warmup)
        network.sizes = sizes
        return network

    @property
    def program(self) -> None:
        """None: the cell is a part of the network, and nobody chooses it."""

    def sizes_as_json(self) -> dict[str, Any]:
        """Return the sizes of the network."""
        return asdict(self.sizes)

    @classmethod
    def described(cls, program: Any, description: Mapping[str, Any], where: str) -> "VRNNModel":
        """Return the network of a description; see ``Network.described``."""
        return cls.sized(
            cls.described_kind(description, where),
            to_record(VRNNSizes, description["network"], where),
            steps=cls.described_number(description, "steps", where),
            warmup=cls.described_number(description, "warmup", where),
        )


class VariationalSequences(LatentTask):
    """The task of learning sequences by a variational recurrent network."""

    name = "vrnn"
    network_type = VRNNModel
    settings: VRNNSettings

    def network(self, program: Any, sizes: Any) -> VRNNModel:
        """Return an untrained network."""
        return VRNNModel.sized(
            self.kind,
            VRNNSizes(**sizes.besides_the_cell()),
            steps=self.usual_length,
            warmup=self.settings.training.kl_warmup,
        )

    def beside(self, network: LatentModel) -> LatentModel:
        """Return an LSTM between the same layers; see ``LatentTask.beside``."""
        sizes = self.settings.network
        head = self.head(sizes.head_units)
        plain = NextStep("lstm", self.kind.width, sizes.hidden, head, features=sizes.head_units)
        return network.beside(plain)

    @classmethod
    def read(
        cls,
        network: LatentModel,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a sequence of the test set, or of all where there is too little for parts, with
        the likeliest latent values, as the cell reads it.

        Raises:
            DataError: there is no such sequence, or no data.
            RunError: its steps are others than those that the network knows.
        """
        title, x = cls.chosen(network, source, settings, options)
        x = x.unsqueeze(1)
        head = network.sequences.head
        noise = x.new_zeros(len(x), 1, network.sequences.latent)

        def bound(said: Any) -> Tensor:
            losses = head.losses(head(said.answer), x.expand(-1, said.answer.shape[1], -1))
            total: Tensor = -(losses + said.divergence.sum(-1)).sum(0)
            return total

        return ReadSequence(
            title=title,
            inputs={"x": x, "noise": noise, "known": torch.ones_like(noise)},
            labels=tuple(map(str, range(1, len(x) + 1))),
            answer=bound,
            asked=Words(
                "the bound on the logarithm of the density of all steps, at the likeliest latent "
                "values",
                "cận dưới của log mật độ của mọi bước, tại giá trị ẩn có khả năng nhất",
            ),
            all_outputs=True,
        )
