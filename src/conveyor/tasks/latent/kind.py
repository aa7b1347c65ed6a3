"""What the steps of a sequence are: the keys of a piano, the rows of a picture, movements of a pen,
the columns of a table."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from conveyor.pages.words import Words

# Returns the nats, as the kind counts them, of sequences [T, width].
Baseline = Callable[[Sequence[Tensor]], float]


class Kind(ABC):
    """A kind of sequences: how its steps are learned and shown.

    Attributes:
        name: in the description of a network.
        per_sequence: whether scores are nats of a sequence; else of a step.
        noun, noun_vi: what a sequence is called.
        endings: of the files that ``file`` writes, the first where none is asked for.
        width: numbers of a step.
    """

    name: ClassVar[str]
    per_sequence: ClassVar[bool] = False
    noun: ClassVar[str]
    noun_vi: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]
    width: int

    @property
    def size(self) -> str:
        """How large a step is, in words; data of another size is refused."""
        return f"{self.width} numbers a step"

    def baselines(self) -> dict[str, Baseline]:
        """Return methods without a network that need nothing but what the kind holds, by name."""
        return {}

    @abstractmethod
    def head(self, features: int, *, components: int, dropout: float) -> nn.Module:
        """Return an untrained head that says what a step may be.

        Args:
            features: what it reads.
            components: of a mixture, where it is one.
            dropout: probability of dropping a feature, in training.
        """

    @abstractmethod
    def picture(self, sequence: Tensor, about: str) -> str:
        """Return a sequence [T, width] as a part of a page.

        Args:
            sequence: what is shown.
            about: what it is, for those who do not see it.
        """

    @abstractmethod
    def text(self, sequence: Tensor) -> str:
        """Return a sequence [T, width] as lines of text."""

    @abstractmethod
    def file(self, sequences: Sequence[Tensor], ending: str) -> bytes:
        """Return the content of a file of sequences, [T, width] each.

        Args:
            sequences: one or more.
            ending: one of ``endings``.
        """

    def description(self) -> dict[str, Any]:
        """Return what ``described`` reads, as JSON can hold it."""
        return {}

    @classmethod
    def described(cls, description: Mapping[str, Any], where: str) -> Self:
        """Return the kind of a description; see ``Network.described``."""
        del description, where
        return cls()


@dataclass(frozen=True, eq=False)
class LatentData:
    """Sequences in three parts.

    Attributes:
        name: of the source.
        kind: of its sequences.
        parts: the sequences of training, validation and test set, [T, width] each. Data that is
            read for a fitted network may be too little for parts: they are empty then.
        whole: all sequences, where the data has no parts of its own; None where it has.
        baselines: methods without a network that have learned from the training set, by name.
        keys: of the sequences of each part, and of the whole where there is one, the same for the
            same sequence; None for those of their numbers.
        notes: for the user.
    """

    name: str
    kind: Kind
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]]
    title: Words
    whole: list[Tensor] | None = None
    baselines: dict[str, Baseline] = field(default_factory=dict)
    keys: list[list[str]] | None = None
    notes: list[str] = field(default_factory=list)

    def part_keys(self, place: int) -> list[str]:
        """Return the keys of the sequences of a part."""
        return keys_of(self.parts[place]) if self.keys is None else self.keys[place]

    def whole_keys(self) -> list[str]:
        """Return the keys of all sequences of data that has no parts of its own."""
        return keys_of(self.whole or []) if self.keys is None else self.keys[len(self.parts)]


def keys_of(sequences: Sequence[Tensor]) -> list[str]:
    """Return a key of each sequence, the same for the same numbers."""
    return [hashlib.sha256(each.numpy().tobytes()).hexdigest() for each in sequences]
