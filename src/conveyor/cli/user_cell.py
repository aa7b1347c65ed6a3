"""Cells that are named on the command line: built in, or a function of the user's file."""

import runpy
from pathlib import Path

from conveyor.cells.cell_registry import find
from conveyor.cells.definition import Cell
from conveyor.errors import ConveyorError, DataError, UnknownCellError, did_you_mean


def find_cell(name: str) -> Cell:
    """Return the built-in cell of that name, or the cell of ``file.py:name``, whose file is run.

    Raises:
        UnknownCellError: there is none.
        DataError: the file does not run.
        CellError: the cell's equations are wrong.
    """
    file, colon, function = name.rpartition(":")
    if name.endswith(".py"):
        raise UnknownCellError(f"{name}: say which cell of that file, as {name}:cell.")
    if not colon or not file.endswith(".py"):
        return find(name)
    if not Path(file).is_file():
        raise DataError(f"{file}: there is no such file.")
    try:
        names = runpy.run_path(file)
    except ConveyorError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{file} does not run: {type(error).__name__}: {error}.") from error
    cells = {key: value for key, value in names.items() if isinstance(value, Cell)}
    if function in names and function not in cells:
        raise UnknownCellError(f"{file}: {function} is no cell. Put @cell above the function.")
    if function not in cells:
        raise UnknownCellError(f"{file} has no cell {function!r}. {did_you_mean(function, cells)}")
    return cells[function]
