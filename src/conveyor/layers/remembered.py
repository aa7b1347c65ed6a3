"""What a layer looks at, made ready for many steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from conveyor.kernels.kernel import Kernel, Memory, Values
from conveyor.kernels.pieces import Parameters
from conveyor.layers.places import Places


class _Unchanged:
    """Tells whether tensors are those that they were, with the numbers that they had.

    torch counts changes in place. It does not count those of tensors that were made in
    ``torch.inference_mode``, or through ``.data`` and NumPy.
    """

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self._tensors = tensors
        self._changes = self._counted(tensors)

    @staticmethod
    def _counted(tensors: tuple[Tensor, ...]) -> list[int]:
        return [0 if each.is_inference() else each._version for each in tensors]

    def __call__(self, tensors: tuple[Tensor, ...]) -> bool:
        same = len(tensors) == len(self._tensors)
        same = same and all(a is b for a, b in zip(tensors, self._tensors, strict=True))
        return same and self._counted(tensors) == self._changes


@dataclass(frozen=True, eq=False)
class Remembered:
    """What a layer looks at, with what it computes of that alone, see ``layer.remember``.

    Attributes:
        given: the memories as the caller gave them, by name.
    """

    given: Mapping[str, Tensor | Places]
    _read: dict[str, Memory]
    _batched: bool
    _unchanged: _Unchanged
    # What each layer of the stack computes once, and what that was computed of.
    _once: dict[int, tuple[Kernel, bool, _Unchanged, Values | None]] = field(default_factory=dict)

    @staticmethod
    def of(
        given: Mapping[str, Tensor | Places], read: dict[str, Memory], batched: bool
    ) -> "Remembered":
        """Return memories that were read.

        Args:
            given: as the caller gave them.
            read: as kernels take them.
            batched: whether they had a batch dimension.
        """
        return Remembered(given, read, batched, _Unchanged(_tensors(given)))

    def read(self, batch: int, batched: bool) -> dict[str, Memory] | None:
        """Return the memories as kernels take them; None if they have changed since, or do not fit,
        of which reading them says what is wrong.

        Args:
            batch: how many sequences there are.
            batched: whether the main input had a batch dimension.
        """
        fits = batched == self._batched and all(len(m.values) == batch for m in self._read.values())
        return self._read if fits and self._unchanged(_tensors(self.given)) else None

    def once(self, number: int, kernel: Kernel, parameters: Parameters) -> Values | None:
        """Return what a layer computes of memories alone; None where its kernel has no such values.

        Args:
            number: of the layer.
            kernel: that runs it.
            parameters: of the layer, as they are now.
        """
        with_gradients = torch.is_grad_enabled()
        if number in self._once:
            of, had_gradients, unchanged, values = self._once[number]
            if of is kernel and had_gradients == with_gradients and unchanged(parameters.tensors):
                return values
        values = kernel.of_memories(self._read, parameters)
        unchanged = _Unchanged(parameters.tensors)
        self._once[number] = kernel, with_gradients, unchanged, values
        return values


def remembered_of(memories: Mapping[str, Any]) -> Remembered | None:
    """Return what memories are, all together; None where one was not remembered with the others."""
    first = next(iter(memories.values()))
    same = isinstance(first, Remembered) and all(each is first for each in memories.values())
    return first if same else None


def _tensors(given: Mapping[str, Tensor | Places]) -> tuple[Tensor, ...]:
    """Return the tensors of memories, and of how many places they have."""
    found: list[Tensor] = []
    for each in given.values():
        if isinstance(each, Places):
            found.append(each.values)
            if isinstance(each.lengths, Tensor):
                found.append(each.lengths)
        else:
            found.append(each)
    return tuple(found)
