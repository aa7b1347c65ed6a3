"""A sequence as a fitted network reads it, with words for each step: what ``inspect`` looks at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from conveyor.inspect.one_sequence import Sequence, as_read, with_batch
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.pages.words import Words

# Up to so many features of a step are drawn as lines, each in a colour of its own; more as rows of
# a map.
MOST_LINES = 4


@dataclass(frozen=True)
class ReadSequence:
    """A sequence as a network reads it.

    Args:
        title: what it is, in words.
        inputs: what the recurrent layer reads, one sequence laid out as it reads it, by name where
            its cell has several inputs.
        labels: what stands at each step: a character, a time, a number.
        answer: of the layer's output, laid out as the layer gives it: one number for each sequence,
            whose contributions are shown. Of a cell that has several outputs it takes the first,
            or all with ``all_outputs``.
        asked: what that number is.
        symbols: whether the labels are what is read, as the characters of a text are.
        features: the names of the numbers of a step, by which they are drawn; empty where a step
            has too many, or symbols.
        answers: what the network answers at each step, in words; empty if it answers at the end.
        layer: the layer that reads it, where it begins with what this sequence alone has; None for
            the network's own.
        repeat: the options by which another run reads the same, without data; empty where data
            are given.
        all_outputs: whether the answer takes all outputs of a cell that has several.
    """

    title: Words
    inputs: Sequence
    labels: tuple[str, ...]
    answer: Callable[[Tensor], Tensor]
    asked: Words
    symbols: bool = False
    features: Mapping[Words, tuple[float, ...]] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    layer: Recurrent | None = None
    repeat: Mapping[str, Any] = field(default_factory=dict)
    all_outputs: bool = False

    @property
    def main(self) -> Tensor:
        """The input that goes up the layers, the first where there are several."""
        return self.inputs if isinstance(self.inputs, Tensor) else next(iter(self.inputs.values()))

    def is_like(self, other: "ReadSequence") -> bool:
        """Return whether another network reads the same: the same labels and numbers."""
        if self.labels != other.labels or self.features != other.features:
            return False
        told = self.symbols or bool(self.features)
        return told or _equal(self.inputs, other.inputs)

    def answer_on(self, layer: Recurrent, x: Tensor) -> Tensor:
        """Return the answer where the layer reads something else as its first input.

        Args:
            layer: the layer.
            x: the first input, laid out as the layer reads it.
        """
        inputs = with_batch(layer, self.inputs)
        output = layer(as_read({**inputs, next(iter(inputs)): x}))[0]
        return self.answer(output if self.all_outputs else main_output(output))


def _equal(one: Sequence, other: Sequence) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
