"""The nats of methods that a network with latent values is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from conveyor.tasks.latent.kind import Baseline, Kind


@dataclass(frozen=True)
class MethodNats:
    """The nats of a method.

    Attributes:
        mean: of a step or of a sequence, as the kind counts them.
        each: of all steps of each sequence, by which the difference to a network is tested; empty
            where they are not known.
    """

    mean: float
    each: tuple[float, ...] = ()

    @classmethod
    def of(cls, kind: Kind, method: Baseline, sequences: Sequence[Tensor]) -> Self:
        """Return the nats of a method without a network, of the sequences that a network is scored
        on."""
        if not kind.per_sequence:
            sums = tuple(method([sequence]) * len(sequence) for sequence in sequences)
            return cls(method(sequences), sums)
        each = tuple(method([sequence]) for sequence in sequences)
        return cls(sum(each) / len(each), each)


def nats_of(
    kind: Kind, methods: Mapping[str, Baseline], sequences: Sequence[Tensor]
) -> dict[str, MethodNats]:
    """Return the nats of methods by name; see ``MethodNats.of``."""
    return {name: MethodNats.of(kind, method, sequences) for name, method in methods.items()}


def in_order_of_keys(keys: Sequence[str]) -> list[int]:
    """Return the numbers of sequences in the order of their keys, in which a run keeps their
    nats."""
    return sorted(range(len(keys)), key=keys.__getitem__)
