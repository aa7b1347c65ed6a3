"""Sequences read by a recurrent network and answered by a linear readout, of each step or of the
last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.records import to_record
from conveyor.data.synthetic.batch import Batch
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.output_heads import (
    ClassHead,
    Head,
    LabelHead,
    NumberHead,
    class_losses,
    label_losses,
    mean_of,
    squared_losses,
)
from conveyor.networks.pooling import pooled

# What an answer is: numbers; one class; which of some symbols may come, each with a yes or no.
Wanted = Literal["numbers", "class", "symbols"]

# The head of each, and its loss.
_HEADS: dict[str, tuple[type[Head], Callable[[Tensor, Tensor], Tensor]]] = {
    "numbers": (NumberHead, squared_losses),
    "class": (ClassHead, class_losses),
    "symbols": (LabelHead, label_losses),
}


def mean_loss(outputs: Tensor, batch: Batch, wanted: str) -> Tensor:
    """Return the loss of answers: the mean over sequences, or over the steps of all sequences that
    are not padding.

    Args:
        outputs: numbers or logits, [T, B, width], or [B, width] of the last steps.
        batch: what was asked.
        wanted: see ``Readout``.
    """
    _, losses_of = _HEADS[wanted]
    return mean_of(losses_of(outputs, batch.targets), None if batch.at_end else batch.counted)


def losses_of_each(outputs: Tensor, batch: Batch, wanted: str) -> Tensor:
    """Return the loss of each sequence, the sum over its steps, [B], float64.

    Args:
        outputs, batch, wanted: see ``mean_loss``.
    """
    _, losses_of = _HEADS[wanted]
    losses = losses_of(outputs, batch.targets)
    if not batch.at_end:
        return losses.double().masked_fill(~batch.counted, 0).sum(0)
    return losses.double()


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
        outputs: numbers of an answer, classes or symbols.
        wanted: which head answers: ``"numbers"``, ``NumberHead``; ``"class"``, ``ClassHead``;
            ``"symbols"``, any of which may be right, ``LabelHead``.
        last: whether there is one answer, at the end of each sequence.
        dropout: probability of dropping a feature that a layer gives, in training.
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
        self.wanted, self.last = wanted, last
        self.recurrent = Recurrent(cell, inputs, hidden, dropout=dropout, **options)
        head, _ = _HEADS[wanted]
        self.head = head(self.recurrent.output_size, outputs, dropout=dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Return the network's answers: numbers or logits, [T, B, outputs], or [B, outputs] at the
        ends of the sequences."""
        outputs, _ = self.recurrent(batch.inputs, lengths=batch.lengths)
        output = main_output(outputs)
        answers: Tensor = self.head(pooled(output, batch.lengths) if self.last else output)
        return answers

    def loss(self, batch: Batch, state: Any = None) -> Loss:
        """Return the loss of the head: the mean over sequences if answers are at their ends,
        otherwise over their steps."""
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
            dropout=self.head.dropout,
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
