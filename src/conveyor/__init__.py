"""conveyor: recurrent networks whose cells are written as their equations."""

from conveyor import signals

if signals.is_command():  # before torch is imported
    signals.leave_at_once()

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conveyor import cells, errors
from conveyor.cells import CELLS, cell
from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.compiler.show import show
from conveyor.version import VERSION

# The command line imports torch, which takes a second or two, when a command needs it; a program
# that imports the library gets all of it, and torch knows the operators of exported layers.
if TYPE_CHECKING or not signals.is_command():
    from conveyor.kernels.select import use_target
    from conveyor.layers.clockwork import Clockwork
    from conveyor.layers.drop_in import GRU, LSTM, RNN
    from conveyor.layers.grid import GridLSTM
    from conveyor.layers.heads import Heads
    from conveyor.layers.recurrent import Recurrent
    from conveyor.layers.replace import replace, restore
    from conveyor.layers.stacked import Stacked
    from conveyor.networks.saving import save
    from conveyor.tasks.run import Run, load

# Where the names above are, for the command line.
_WHERE = {
    "use_target": "conveyor.kernels.select",
    "Clockwork": "conveyor.layers.clockwork",
    "GRU": "conveyor.layers.drop_in",
    "LSTM": "conveyor.layers.drop_in",
    "RNN": "conveyor.layers.drop_in",
    "GridLSTM": "conveyor.layers.grid",
    "Heads": "conveyor.layers.heads",
    "Recurrent": "conveyor.layers.recurrent",
    "replace": "conveyor.layers.replace",
    "restore": "conveyor.layers.replace",
    "Stacked": "conveyor.layers.stacked",
    "save": "conveyor.networks.saving",
    "Run": "conveyor.tasks.run",
    "load": "conveyor.tasks.run",
}


def __getattr__(name: str) -> Any:
    """Return a name of the library that is not imported yet."""
    if name not in _WHERE:
        raise AttributeError(f"module 'conveyor' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


__version__ = VERSION

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "Clockwork",
    "GridLSTM",
    "Heads",
    "Recurrent",
    "Run",
    "Stacked",
    "cell",
    "cells",
    "errors",
    "fit",
    "load",
    "replace",
    "restore",
    "resume",
    "save",
    "show",
    "use_target",
]


def fit(
    task: str,
    source: Any = None,
    *,
    out: str | Path | None = None,
    cell: str | Cell | Program | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> "Run":
    """Fit a network to data, score it beside baselines, and return the run.

    What ``conveyor fit`` does on the command line; it needs the extra ``train``.

    >>> run = conveyor.fit("forecast", "sales.csv", target="sales", horizon=12)  # doctest: +SKIP

    Args:
        task: ``"forecast"``, ``"text"``, ``"music"``, ``"pixels"`` or ``"classic"``.
        source: what it learns from: a path; for a forecast also a data frame of any library, or an
            array [T] or [T, K]; for a classic task its name.
        out: the run's folder; None for a temporary one, which goes with the run.
        cell: a cell's name, a cell, or a program; the task's own unless given.
        overwrite: replace the run that is there.
        say: where lines on how it goes are sent; ``lambda line: None`` for nowhere.
        settings: of the task: the options of ``conveyor fit TASK --help``, with underscores.

    Raises:
        DataError: the data cannot be used.
        SettingError: there is no such task or setting, or a value cannot be.
        RunError: the folder may not be written.
        SaveError: a file could not be written.
    """
    from conveyor.training.fitting import fit_named  # noqa: PLC0415  (needs the extra train)

    return fit_named(
        task, source, out=out, cell=cell, overwrite=overwrite, say=say, settings=settings
    )


def resume(
    folder: str | Path,
    source: Any = None,
    *,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> "Run":
    """Go on with a fit that was cut off, or for more epochs, and return the run.

    Args:
        folder: the run's.
        source: what it learns from, as it was.
        say: where lines on how it goes are sent.
        settings: that may be given anew: ``epochs``, ``minutes``, ``devices``, ``nodes``.

    Raises:
        DataError: the data cannot be used.
        SettingError: a setting cannot change, or a value cannot be.
        RunError: there is nothing to go on with, or it was begun on other data.
        SaveError: a file could not be written.
    """
    from conveyor.training.fitting import resume_named  # noqa: PLC0415  (needs the extra train)

    return resume_named(Path(folder), source, say=say, settings=settings)
