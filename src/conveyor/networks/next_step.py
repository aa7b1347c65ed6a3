"""A recurrent network that says what the next step may be, without latent values."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import before_each
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.networks.latent_sequences import LatentSequences


class NextStep(LatentSequences):
    """A layer of any cell that reads the step before, and a head. There are no latent values, so
    that the nats of a sequence are exact.

    Args:
        cell: see ``conveyor.Recurrent``.
        inputs: numbers of a step.
        hidden: units of the layer.
        head: reads ``features`` numbers, or what the layer gives, and says what a step may be.
        features: units of a hidden layer below the layer, and of one above it, as ``VRNN`` has
            them; 0 for none.
        num_layers: of the cell.
        dropout: probability of dropping what goes between them, in training.
        sizes: of other axes of the cell, see ``conveyor.Recurrent``.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        inputs: int,
        hidden: int,
        head: Any,
        *,
        features: int = 0,
        num_layers: int = 1,
        dropout: float = 0.0,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.inputs, self.latent, self.features = inputs, 0, features
        self.recurrent = Recurrent(
            cell, features or inputs, hidden, num_layers, dropout=dropout, sizes=sizes
        )
        self.below: nn.Module = nn.Identity()
        self.above: nn.Module = nn.Identity()
        if features:
            self.below = nn.Sequential(nn.Linear(inputs, features), nn.ReLU())
            self.above = nn.Sequential(nn.Linear(self.recurrent.output_size, features), nn.ReLU())
        self.head = head

    def outputs(
        self, x: Tensor, noise: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the head says; see ``LatentSequences.outputs``."""
        read = main_output(self.recurrent(self.below(before_each(x)), lengths=lengths)[0])
        return self.head(self.above(read)), noise, noise

    def begin(self, count: int) -> Any:
        """Return the state before the first step, which is of zeros."""
        nothing = next(self.parameters()).new_zeros(count, self.inputs)
        return self.recurrent.start(count), nothing

    def follow(self, x: Tensor, noise: Tensor) -> Any:
        """Return the state after a beginning; see ``LatentSequences.follow``."""
        return self.recurrent(self.below(before_each(x)))[1], x[-1]

    def answer(self, state: Any, noise: Tensor) -> tuple[Tensor, Any]:
        """Return what the head says of the next step."""
        remembered, before = state
        output, remembered = self.recurrent.step(self.below(before), remembered)
        return self.head(self.above(main_output(output))), remembered

    def read(self, kept: Any, x: Tensor) -> Any:
        """Return the state after a step."""
        return kept, x
