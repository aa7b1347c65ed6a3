"""The task ``storn``: sequences learned by a stochastic recurrent network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import before_each
from conveyor.data.records import to_record
from conveyor.layers.state import main_output
from conveyor.networks.network import Sizes, projection_of
from conveyor.networks.next_step import NextStep
from conveyor.networks.storn import STORN
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Kind
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.latent_task import LatentTask
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.storn.storn_settings import STORNSettings
from conveyor.tasks.task import Say


@dataclass(frozen=True, kw_only=True)
class STORNSizes(Sizes):
    """The sizes of a network, see ``STORN``."""

    latent: int
    components: int
    both_ends: bool


class STORNModel(LatentModel):
    """A stochastic recurrent network that knows of what kind its sequences are."""

    sizes: STORNSizes

    @classmethod
    def sized(
        cls,
        cell: str | Cell | Program,
        kind: Kind,
        sizes: STORNSizes,
        *,
        steps: int,
        warmup: int = 0,
    ) -> "STORNModel":
        """Return an untrained network.

        Args:
            cell: see ``conveyor.Recurrent``.
            kind: of its sequences.
            sizes: all of them.
            steps: of a sequence that is drawn.
            warmup: see ``LatentModel``.
        """
        more = projection_of(cell, sizes.projection)
        head = kind.head(
            sizes.projection or sizes.hidden, components=sizes.components, dropout=sizes.dropout
        )
        sequences = STORN(
            cell,
            kind.width,
            sizes.hidden,
            sizes.latent,
            head,
            num_layers=sizes.layers,
            dropout=sizes.dropout,
            bidirectional=sizes.both_ends,
            sizes=more,
        )
        network = cls(kind, sequences, steps, warmup)
        network.sizes = sizes
        return network

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"storn of {self.recurrent.program.name}"

    def sizes_as_json(self) -> dict[str, Any]:
        """Return the sizes of the network."""
        return asdict(self.sizes)

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "STORNModel":
        """Return the network of a description; see ``Network.described``."""
        return cls.sized(
            program,
            cls.described_kind(description, where),
            to_record(STORNSizes, description["network"], where),
            steps=cls.described_number(description, "steps", where),
            warmup=cls.described_number(description, "warmup", where),
        )


class StochasticSequences(LatentTask):
    """The task of learning sequences by a stochastic recurrent network."""

    name = "storn"
    network_type = STORNModel
    settings: STORNSettings

    def network(self, program: Program, sizes: Any) -> STORNModel:
        """Return an untrained network."""
        return STORNModel.sized(
            program,
            self.kind,
            STORNSizes(**sizes.besides_the_cell()),
            steps=self.usual_length,
            warmup=self.settings.training.kl_warmup,
        )

    def beside(self, network: LatentModel) -> LatentModel:
        """Return layers of the same cell; see ``LatentTask.beside``."""
        sizes, program = self.settings.network, network.recurrent.program
        plain = NextStep(
            program,
            self.kind.width,
            sizes.hidden,
            self.head(sizes.projection or sizes.hidden),
            num_layers=sizes.layers,
            dropout=sizes.dropout,
            sizes=projection_of(program, sizes.projection),
        )
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
        """Return a sequence of the test set, or of all where there is too little for parts, as the
        layer that generates reads it: the step before, and the likeliest latent values.

        Raises:
            DataError: there is no such sequence, or no data.
            RunError: its steps are others than those that the network knows.
        """
        title, x = cls.chosen(network, source, settings, options)
        x = x.unsqueeze(1)
        sequences: STORN = network.sequences  # type: ignore[assignment]
        with torch.no_grad():
            mean = sequences.recognise(x)[0]
            inputs = torch.cat([before_each(x), mean], -1)

        def log_density(output: Tensor) -> Tensor:
            outputs = sequences.head(main_output(output))
            losses: Tensor = sequences.head.losses(outputs, x.expand(-1, output.shape[1], -1))
            return -losses.sum(0)

        return ReadSequence(
            title=title,
            inputs=inputs,
            labels=tuple(map(str, range(1, len(x) + 1))),
            answer=log_density,
            asked=Words(
                "the logarithm of the density of all steps, given their latent values",
                "log mật độ của mọi bước khi đã biết giá trị ẩn",
            ),
        )
