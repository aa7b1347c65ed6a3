"""Sequences read by a recurrent network and answered by a linear readout, of each step or of the
last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    dropout,
    mse_loss,
)

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.records import to_record
from conveyor.data.synthetic.batch import Batch
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.network import Loss, Network, Sizes, projection_of

# What is wanted: numbers; one class; which of some symbols may come, each with a yes or no.
Wanted = Literal["numbers", "class", "symbols"]


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return mse_loss(outputs, targets, reduction="none").mean(-1)


def _nats(outputs: Tensor, targets: Tensor) -> Tensor:
    each = cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none")
    return each.view(targets.shape)


def _nats_of_all(outputs: Tensor, targets: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1)


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "numbers": _squared,
    "class": _nats,
    "symbols": _nats_of_all,
}


def mean_loss(outputs: Tensor, batch: Batch, wanted: str) -> Tensor:
    """The loss of answers: the mean over sequences, or over the steps of all sequences that are no
    padding.

    Args:
        outputs: numbers or logits, [T, B, width], or [B, width] of the last steps.
        wanted: see ``Readout``.
    """
    each = _LOSSES[wanted](outputs, batch.targets)
    if batch.at_end:
        return each.mean()
    return (each * batch.counted).sum() / batch.counted.sum()


@dataclass(frozen=True, kw_only=True)
class ReadoutSizes(Sizes):
    """The sizes of a readout, see ``Readout``."""

    inputs: int
    outputs: int
    wanted: str
    last: bool


class Readout(Network):
    """A recurrent network and a linear readout.

    Args:
        cell: see ``conveyor.Recurrent``.
        inputs: features of a step.
        hidden: units of the recurrent network.
        outputs: numbers, classes or symbols that are wanted.
        wanted: ``"numbers"``, with the mean squared error as loss; ``"class"``, with the
            cross-entropy in nats; ``"symbols"``, any of which may be right, with the binary
            cross-entropy in nats, the sum over all symbols.
        last: whether something is wanted at the end of each sequence only.
        dropout: probability of dropping what a layer writes.
        **options: of ``conveyor.Recurrent``.

    Raises:
        SettingError: ``wanted`` is none of these.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        wanted: str,
        last: bool,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        if wanted not in get_args(Wanted):
            raise SettingError(f"wanted is {wanted!r}. {did_you_mean(wanted, get_args(Wanted))}")
        self.wanted, self.last, self.dropout = wanted, last, dropout
        self.recurrent = Recurrent(cell, inputs, hidden, dropout=dropout, **options)
        self.head = nn.Linear(self.recurrent.output_size, outputs)

    def forward(self, batch: Batch) -> Tensor:
        """What the network answers: numbers or logits, [T, B, outputs], or [B, outputs] of the last
        steps."""
        output, _ = self.recurrent(batch.inputs, lengths=batch.lengths)
        if self.last:
            each = torch.arange(len(batch.lengths))
            output = output[batch.lengths - 1, each]
        found: Tensor = self.head(dropout(output, self.dropout, self.training))
        return found

    def loss(self, batch: Batch, state: Any = None) -> Loss:
        """Return the loss that ``wanted`` says, see ``mean_loss``: the mean over sequences where
        something is wanted at their ends, else over their steps."""
        count = len(batch.lengths) if self.last else int(batch.lengths.sum())
        return Loss(mean_loss(self(batch), batch, self.wanted), count)

    def description(self) -> dict[str, Any]:
        """Return the sizes and what is wanted."""
        sizes = ReadoutSizes.of(
            self.recurrent,
            inputs=self.recurrent.input_size,
            outputs=self.head.out_features,
            wanted=self.wanted,
            last=self.last,
            dropout=self.dropout,
        )
        return {"network": sizes}

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Readout":
        """Return the network of a description; see ``Network.described``."""
        return cls.sized(program, to_record(ReadoutSizes, description["network"], where))

    @classmethod
    def sized(cls, cell: str | Cell | Program, sizes: ReadoutSizes) -> "Readout":
        """Return an untrained network of these sizes.

        Args:
            cell: see ``conveyor.Recurrent``.
            sizes: all of them.
        """
        return cls(
            cell,
            sizes.inputs,
            sizes.hidden,
            sizes.outputs,
            wanted=sizes.wanted,
            last=sizes.last,
            dropout=sizes.dropout,
            num_layers=sizes.layers,
            sizes=projection_of(cell, sizes.projection),
        )
