"""What the steps of a sequence are: the keys of a piano, the rows of a picture, movements of a pen,
the columns of a table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from conveyor.pages.words import Words


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
        parts: the sequences of training, validation and test part, [T, width] each.
        baselines: nats, as the kind counts them, of methods without a network, of the test part.
        notes: for the user.
    """

    name: str
    kind: Kind
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]]
    title: Words
    baselines: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
