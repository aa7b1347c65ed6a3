"""Inference replayed: on tensors of known shapes only the addresses are new.

A small network's arithmetic takes less time than Python needs to find out how to run it. So the
launch plan is kept, and a call looks only at what can have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from conveyor.kernels.llvm.launch_plan import LaunchPlan
from conveyor.kernels.llvm.scratch import scratch
from conveyor.kernels.memory import PLAIN, check_memory, is_ready, narrowed, padded
from conveyor.kernels.tensor_guard import Guard, guard_of, never


@dataclass(frozen=True)
class LlvmReplay:
    """A pass over inputs [..., width].

    Args:
        launch: what a call needs besides its tensors.
        dtype: of all tensors.
        shapes: of the inputs, the initial states (``started`` of them: none where all begin with
            zeros), the stored parameters.
        read: how many inputs there are.
        started: how many initial states there are.
        written: of the outputs, with their padding: tensors without memory, see ``hollow``.
        widths: how wide the outputs are without their padding.
        final: of the final states, as ``written``.
        padded: how wide each input is read, of which some are padded; empty if none is.
    """

    launch: LaunchPlan
    dtype: torch.dtype
    shapes: tuple[torch.Size, ...]
    read: int
    started: int
    # To print what has no memory would read beyond it.
    written: tuple[Tensor, ...] = field(repr=False)
    widths: tuple[int, ...]
    final: tuple[Tensor, ...] = field(repr=False)
    padded: tuple[int, ...] = ()
    # Holds for tensors that were found to be ready.
    _guards: list[Guard] = field(default_factory=lambda: [never], repr=False, compare=False)
    # Of the last call: where the parameters were, where its own memory was, by which plan it was
    # run, and the arguments that follow from these.
    _last: list[tuple[list[int], int, LaunchPlan | None, bytes]] = field(
        default_factory=lambda: [([], 0, None, b"")], repr=False, compare=False
    )

    @cached_property
    def _bytes(self) -> list[int]:
        """Bytes of the inputs and of the initial states."""
        shapes = self.shapes[: self.read + self.started]
        return [shape.numel() * self.dtype.itemsize for shape in shapes]

    def __call__(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]] | None:
        """Return the outputs and the final states; None where a tensor is not as those that
        this is for. Gradients must be off."""
        # Parameters stay the same objects when .to(), .data and the like change all they are.
        if not self._guards[0](tensors) and not self._known(tensors):
            return None
        where = tensors
        if self.padded:  # what is padded must stay until the pass is over
            where = [*map(padded, tensors, self.padded), *tensors[len(self.padded) :]]
        addresses = list(map(Tensor.data_ptr, where))
        read = self.read
        begun, itemsize, tuner = read + self.started, self.dtype.itemsize, self.launch.tuner
        launch = self.launch if tuner is None else tuner.pick()
        for tensor, needed in zip(tensors, self._bytes, strict=False):
            held = tensor.untyped_storage().nbytes()
            if held < tensor.storage_offset() * itemsize + needed:
                check_memory(tensor)
        memory, space = scratch(launch.space)
        stored, of_space, of_launch, rest = self._last[0]
        if stored != addresses[begun:] or of_space != space or of_launch is not launch:
            rest = self._rest(launch, tensors[begun:], addresses[begun:], space)
        written = list(map(torch.empty_like, self.written))
        final = list(map(torch.empty_like, self.final))
        given = launch.given(
            True,
            *addresses[:read],
            *map(Tensor.data_ptr, written),
            *(addresses[read:begun] if self.started else [0] * len(final)),
            *map(Tensor.data_ptr, final),
        )
        if tuner is None:
            launch.run(given + rest, space)
        else:
            tuner.run(launch, given + rest, space)
        del memory  # until here it had to stay
        return list(map(narrowed, written, self.widths)), final

    def _known(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether tensors are ready, as ``is_ready`` says, and have the shapes that this is
        for. If they are, a guard answers for the next ones."""
        try:
            if (
                not PLAIN.issuperset(map(type, tensors))
                or [each.shape for each in tensors] != list(self.shapes)
                or not all(is_ready(each, self.dtype) for each in tensors)
            ):
                return False
        except RuntimeError:  # no address or no shape: sparse, nested and the like
            return False
        if len(set(map(id, tensors))) == len(tensors):
            self._guards[:] = [guard_of(tensors)]
        return True

    def _rest(
        self, launch: LaunchPlan, stored: Sequence[Tensor], addresses: list[int], space: int
    ) -> bytes:
        """Return the arguments behind a call's own tensors.

        Args:
            launch: by which the call is run.
            stored: the parameters.
            addresses: theirs. Memory that is freed or changes in size gets another address, so it
                is only looked at when one is new.
            space: where the call's own memory begins.

        Raises:
            TargetError: a parameter has less memory than its shape says.
        """
        for tensor in stored:
            check_memory(tensor)
        rest = launch.sizes.stored_at(tuple(addresses)) + launch.behind_stored(space)
        self._last[:] = [(addresses, space, launch, rest)]
        return rest
