"""What a layer looks at, made ready for many steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.kernel import Kernel, Memory, Values
from conveyor.kernels.pieces import Parameters
from conveyor.layers.places import Places

_steps_of_optimisers = 0


def _count_step(*_: Any) -> None:
    global _steps_of_optimisers  # noqa: PLW0603  (the hook is of all optimisers, as is the count)
    _steps_of_optimisers += 1


@cache
def _see_optimisers() -> None:
    """Have each step of every ``torch.optim.Optimizer`` counted from now on."""
    register_optimizer_step_post_hook(_count_step)


class _Unchanged:
    """Tells whether tensors are those that they were, with the numbers that they had.

    torch counts changes in place. It does not count those of a fused optimiser, so any step of an
    optimiser, whose ever parameters they are, is a change here. Nobody counts changes of tensors
    that were made in ``torch.inference_mode``, or through ``.data`` and NumPy. What is computed in
    ``torch.inference_mode`` is of no use outside of it: to enter or leave it is a change, too.
    """

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        _see_optimisers()
        self._tensors = tensors
        self._changes = self._counted(tensors)

    @staticmethod
    def _counted(tensors: tuple[Tensor, ...]) -> tuple[int, bool, list[int]]:
        versions = [0 if each.is_inference() else each._version for each in tensors]
        return _steps_of_optimisers, torch.is_inference_mode_enabled(), versions

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
    _batch_first: bool
    _unchanged: _Unchanged
    _lists: list[list[int]]
    # What each layer of the stack computes once, and what that was computed of.
    _once: dict[int, tuple[Kernel, _Unchanged, Values | None]] = field(default_factory=dict)

    @staticmethod
    def of(
        given: Mapping[str, Tensor | Places],
        read: dict[str, Memory],
        *,
        batched: bool,
        batch_first: bool,
    ) -> "Remembered":
        """Return memories that were read.

        Args:
            given: as the caller gave them.
            read: as kernels take them.
            batched: whether they had a batch dimension.
            batch_first: whether batches came first in what the caller gave.
        """
        unchanged = _Unchanged(_tensors(given))
        return Remembered(given, read, batched, batch_first, unchanged, _lists(given))

    def read(
        self,
        batch: int,
        batched: bool,
        *,
        widths: Mapping[str, int],
        batch_first: bool,
        parameters: Iterable[Tensor],
    ) -> dict[str, Memory] | None:
        """Return the memories as kernels take them; None if they have changed since, or do not fit,
        of which reading them says what is wrong, or if gradients of them or of a parameter are
        computed: then each step computes all anew, so that each gradient goes where it belongs.

        Args:
            batch: how many sequences there are.
            batched: whether the main input had a batch dimension.
            widths: of memories, as the layer looks at them, by name.
            batch_first: whether batches come first in what the layer is given.
            parameters: of the layer, as they are now; the first has the type of all.

        Raises:
            ShapeError: the memories are laid out otherwise than the layer reads them.
        """
        if batched and batch_first != self._batch_first:
            raise ShapeError(
                f"memories were remembered by a layer with batch_first={self._batch_first} and are "
                f"read by one with batch_first={batch_first}. Call remember of this layer."
            )
        learned = (*parameters, *_tensors(self.given))
        if torch.is_grad_enabled() and any(each.requires_grad for each in learned):
            return None
        fits = batched == self._batched and all(
            len(each.values) == batch
            and each.values.shape[2] == widths[name]
            and each.values.dtype == learned[0].dtype
            and each.values.device == learned[0].device
            for name, each in self._read.items()
        )
        same = self._unchanged(_tensors(self.given)) and self._lists == _lists(self.given)
        return self._read if fits and same else None

    def once(self, number: int, kernel: Kernel, parameters: Parameters) -> Values | None:
        """Return what a layer computes of memories alone; None where its kernel has no such values.

        Args:
            number: of the layer.
            kernel: that runs it.
            parameters: of the layer, as they are now.
        """
        if number in self._once:
            of, unchanged, values = self._once[number]
            if of is kernel and unchanged(parameters.tensors):
                return values
        values = kernel.of_memories(self._read, parameters)
        self._once[number] = kernel, _Unchanged(parameters.tensors), values
        return values

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise SettingError(
            "what a layer remembers of a memory is of that layer here, and cannot be copied or "
            "stored. Copy or store the memory, and call layer.remember."
        )


def remembered_of(memories: Mapping[str, Any]) -> Remembered | None:
    """Return what memories are, all together; None where one was not remembered with the others."""
    first = next(iter(memories.values()))
    same = isinstance(first, Remembered) and all(each is first for each in memories.values())
    return first if same else None


def _lists(given: Mapping[str, Tensor | Places]) -> list[list[int]]:
    """Return how many places memories have that have it in a list, as it is now."""
    places = [each for each in given.values() if isinstance(each, Places)]
    return [list(each.lengths) for each in places if not isinstance(each.lengths, Tensor)]


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
