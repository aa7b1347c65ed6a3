"""The constants of a cell: numbers for each unit that are not learned, such as periods or time
constants."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from conveyor.cells.initial_value import Shared, finite, is_start
from conveyor.compiler.program import Leaf, Program
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.initialise import fill
from conveyor.layers.parameters import CellParameters

# What a constant is: the same number for all units, one for each, or numbers that they share.
Numbers = float | Sequence[float] | Tensor | Shared


def check_constants(
    program: Program, constants: Mapping[str, Numbers] | None, sizes: Mapping[str, int]
) -> None:
    """Check that every constant of a cell has its numbers.

    Args:
        program: the cell's.
        constants: as a layer is given them.
        sizes: the widths of the cell's axes.

    Raises:
        SettingError: a constant has no numbers, or others than one for each of its units, or the
            cell has no such constant.
    """
    if constants is not None and not isinstance(constants, Mapping):
        raise SettingError(
            f"constants is {constants!r}; expected numbers by name, as {{'T': [1, 2, 4]}}."
        )
    leaves = {leaf.name: leaf for leaf in program.leaves_of("constant")}
    for name, numbers in (constants or {}).items():
        if name not in leaves:
            hint = did_you_mean(str(name), leaves) if leaves else "It has none."
            raise SettingError(f"{program.name} has no constant {name!r}. {hint}")
        _numbers(leaves[name], numbers, sizes[leaves[name].axes[0]])
    known = {*(constants or {}), *(name for name, _ in program.start)}
    missing = [name for name in leaves if name not in known]
    if missing:
        raise SettingError(
            f"{program.name} does not say what its constant {missing[0]} is. Give its numbers, "
            f"as in constants={{{missing[0]!r}: 1.0}}, or declare them in the cell, as in "
            f"@cell(start={{{missing[0]!r}: 1.0}})."
        )


def _numbers(leaf: Leaf, value: object, units: int) -> Tensor:
    """Return a constant's numbers [units], float64.

    Raises:
        SettingError: they are not finite, or not one for each unit.
    """
    numbers: list[object] = []
    if isinstance(value, Shared):
        numbers = list(value.over(units)) if is_start(value) else []
    elif isinstance(value, Tensor):
        numbers = value.detach().cpu().tolist() if value.dim() == 1 else []
    elif isinstance(value, Sequence) and not isinstance(value, str):
        numbers = list(value)
    else:
        numbers = [value] * units
    if len(numbers) != units or not all(
        finite(each) and not isinstance(each, bool) for each in numbers
    ):
        raise SettingError(
            f"the constant {leaf.name} is {_shown(value)}; expected a finite number, or {units} of "
            "them: one for each unit."
        )
    return torch.tensor(numbers, dtype=torch.float64)


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {list(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


@torch.no_grad()
def fill_constants(
    program: Program, stored: CellParameters, constants: Mapping[str, Numbers]
) -> None:
    """Fill the constants of one layer, in one direction.

    Args:
        program: of the layer.
        stored: its parameters and constants.
        constants: those that do not start as the cell says.
    """
    start = dict(program.start)
    for leaf in program.leaves_of("constant"):
        buffer = stored.get_buffer(leaf.name)
        if leaf.name in constants:
            buffer.copy_(_numbers(leaf, constants[leaf.name], len(buffer)))
        else:
            fill(buffer, start[leaf.name])
