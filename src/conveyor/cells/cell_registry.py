"""The built-in cells by name."""

from dataclasses import dataclass
from types import ModuleType

from conveyor.cells import (
    depth,
    element_wise,
    elman,
    gated,
    gru,
    latent,
    lstm,
    lstm_variants,
    memory_cells,
    normalised,
)
from conveyor.cells.definition import Cell
from conveyor.cells.structures import STRUCTURES, Structure
from conveyor.errors import CellError, UnknownCellError, did_you_mean


@dataclass(frozen=True)
class Family:
    """The cells of one file, in the order in which they stand there; ``doc`` is the file's."""

    name: str
    doc: str
    cells: tuple[Cell, ...]


def _family(file: ModuleType) -> Family:
    cells = tuple([value for value in vars(file).values() if isinstance(value, Cell)])
    return Family(file.__name__.rpartition(".")[2], file.__doc__ or "", cells)


FAMILIES = tuple(
    map(_family, (elman, lstm, lstm_variants, gru, gated, element_wise, normalised, depth))
)
CELLS: dict[str, Cell] = {cell.name: cell for family in FAMILIES for cell in family.cells}
_BY_ALIAS = {alias: cell for cell in CELLS.values() for alias in cell.aliases}
# Cells that read more than an input: they are found by name, and no task can use them.
_OF_SEVERAL = {cell.name: cell for file in (memory_cells, latent) for cell in _family(file).cells}


def _names_twice() -> list[str]:
    """Names and aliases that stand for more than one cell."""
    named = [*(cell for family in FAMILIES for cell in family.cells), *_OF_SEVERAL.values()]
    every = [name for each in named for name in (each.name, *each.aliases)]
    every += [name for each in STRUCTURES for name in (each.name, *each.aliases)]
    return sorted({name for name in every if every.count(name) > 1})


if _names_twice():
    raise CellError(f"more than one cell is called {', '.join(_names_twice())}.")


def _plain(name: str) -> str:
    """Return a name in the letters that cells are kept by; what is not a name, as it is."""
    return name.lower().replace("-", "_") if isinstance(name, str) else name


def find_structure(name: str) -> Structure | None:
    """Return the entry of that name or alias that is not a cell, case-insensitive; None if there is
    none."""
    plain = _plain(name)
    return next((each for each in STRUCTURES if plain in (each.name, *each.aliases)), None)


def find(name: str) -> Cell:
    """Return the built-in cell of that name or alias, case-insensitive.

    Raises:
        UnknownCellError: none has it; the text names the nearest.
    """
    plain = _plain(name)
    found = CELLS.get(plain) or _BY_ALIAS.get(plain) or _OF_SEVERAL.get(plain)
    other = find_structure(name)
    if other is not None:
        raise UnknownCellError(f"{name} is no cell of its own. Use {other.use}.")
    if found is None and isinstance(name, str) and ".py" in name:
        raise UnknownCellError(
            f"{name!r} is no built-in cell. In Python, import yours and give the cell itself; on "
            "the command line name file and function, as mine.py:cell."
        )
    if found is None:
        raise UnknownCellError(f"no cell is named {name!r}. {did_you_mean(str(name), CELLS)}")
    return found
