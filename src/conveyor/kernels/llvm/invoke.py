"""Running a compiled pass: memory and addresses."""

from collections.abc import Sequence

from torch import Tensor

from conveyor.kernels.llvm.launch_plan import LaunchPlan
from conveyor.kernels.llvm.scratch import scratch
from conveyor.kernels.memory import check_memory

Addresses = Sequence[int]


def arguments(
    launch: LaunchPlan,
    given: Addresses,
    stored: tuple[int, ...],
    space: int,
    *,
    inputs_wanted: bool,
) -> bytes:
    """Return the arguments of a pass.

    Args:
        given: what ``Abi.given`` lists.
        stored: addresses of the stored parameters, in the backward pass of their gradients too; 0
            where one is not wanted.
        space: where ``LaunchPlan.space`` bytes of memory begin that the call may use, at a cache
            line; that line, where threads wait for each other, is 0.
    """
    return (
        launch.given(inputs_wanted, *given)
        + launch.sizes.stored_at(stored)
        + launch.behind_stored(space)
    )


def addresses_of(launch: LaunchPlan, stored: Sequence[Tensor]) -> tuple[int, ...]:
    """Return where the stored parameters are.

    Raises:
        TargetError: one lies in no memory, or in less than its shape says.
    """
    addresses = tuple([tensor.data_ptr() for tensor in stored])
    if not launch.sizes.knows(addresses):
        for tensor in stored:
            check_memory(tensor)
        launch.sizes.know(addresses)
    return addresses


def invoke(
    launch: LaunchPlan, given: Addresses, stored: tuple[int, ...], *, inputs_wanted: bool = True
) -> None:
    """Run a pass; see ``arguments``."""
    tuner = launch.tuner
    way = launch if tuner is None else tuner.pick()
    memory, space = scratch(way.space)
    table = arguments(way, given, stored, space, inputs_wanted=inputs_wanted)
    if tuner is None:
        way.run(table, space)
    else:
        tuner.run(way, table, space)
    del memory  # until here it had to stay
