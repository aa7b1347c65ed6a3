"""conveyor: recurrent networks whose cells are written as their equations."""

from conveyor import signals

if signals.is_command():  # torch takes seconds to import, and Ctrl-C must work from the start
    signals.leave_at_once()

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conveyor import errors
from conveyor.version import VERSION

# Names are imported when they are asked for, so that a program waits for what it uses. The command
# line waits for torch, a second or two, only if a command needs it.
if TYPE_CHECKING:
    from conveyor import cells
    from conveyor.cells import CELLS, cell
    from conveyor.cells.definition import Cell
    from conveyor.compiler.program import Program
    from conveyor.compiler.show import show
    from conveyor.kernels.autotune import autotune
    from conveyor.kernels.select import use_target
    from conveyor.layers.clockwork import Clockwork
    from conveyor.layers.drop_in import GRU, LSTM, RNN
    from conveyor.layers.grid import GridLSTM
    from conveyor.layers.heads import Heads
    from conveyor.layers.places import Places
    from conveyor.layers.recurrent import Recurrent
    from conveyor.layers.replace import replace, restore
    from conveyor.layers.stacked import Stacked
    from conveyor.networks.saving import save
    from conveyor.tasks.run import Run, load

if not signals.is_command():
    # Programs that torch.export saved hold no layer, and torch must know what is in them.
    import conveyor.layers.exported  # noqa: F401

# The modules of the names above.
_MODULES = {
    "CELLS": "conveyor.cells",
    "cell": "conveyor.cells",
    "show": "conveyor.compiler.show",
    "autotune": "conveyor.kernels.autotune",
    "use_target": "conveyor.kernels.select",
    "Clockwork": "conveyor.layers.clockwork",
    "GRU": "conveyor.layers.drop_in",
    "LSTM": "conveyor.layers.drop_in",
    "RNN": "conveyor.layers.drop_in",
    "GridLSTM": "conveyor.layers.grid",
    "Heads": "conveyor.layers.heads",
    "Places": "conveyor.layers.places",
    "Recurrent": "conveyor.layers.recurrent",
    "replace": "conveyor.layers.replace",
    "restore": "conveyor.layers.replace",
    "Stacked": "conveyor.layers.stacked",
    "save": "conveyor.networks.saving",
    "Run": "conveyor.tasks.run",
    "load": "conveyor.tasks.run",
}


# The folders that can be asked for without an import of their own, as ``conveyor.layers``, with
# what the names above load of them.
_FOLDERS = ("cells", "compiler", "data", "inspect", "kernels", "layers", "networks", "tasks")


def __getattr__(name: str) -> Any:
    """Import a public name on first use and return it."""
    if name == "cells":
        return import_module("conveyor.cells")
    if name in _FOLDERS:
        for module in sorted(set(_MODULES.values())):
            import_module(module)
        return import_module(f"conveyor.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'conveyor' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the names that can be asked for."""
    return sorted({*globals(), *__all__, *_FOLDERS})


__version__ = VERSION

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "Clockwork",
    "GridLSTM",
    "Heads",
    "Places",
    "Recurrent",
    "Run",
    "Stacked",
    "autotune",
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
    cell: "str | Cell | Program | None" = None,
    overwrite: bool = False,
    language: str | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> "Run":
    """Fit a network to data, score it beside baselines, and return the run.

    This is what ``conveyor fit`` does on the command line. It needs the extra ``train``.

    >>> run = conveyor.fit("forecast", "sales.csv", target="sales", horizon=12)  # doctest: +SKIP

    Args:
        task: the name of a task, as ``"forecast"``; ``conveyor fit --help`` lists all.
        source: the data to learn from: a path; for a forecast also a data frame of any library, or
            an array [T] or [T, K]; for a classic task the name of the problem; None for a task that
            draws all its data.
        out: the run's folder; None for a temporary folder, which is deleted with the run.
        cell: a cell's name, a cell, or a program; None for the task's default cell.
        overwrite: whether to replace a run that is already in the folder.
        language: that the report begins in, ``"en"`` or ``"vi"``, which is a button in it, too;
            None for the system's.
        say: called with each line that reports progress; ``lambda line: None`` shows nothing.
        settings: the task's settings: the options of ``conveyor fit TASK --help``, written with
            underscores.

    Raises:
        DataError: the data cannot be used.
        SettingError: there is no such task or setting, or a value is out of its range.
        RunError: the folder may not be written.
        SaveError: a file could not be written.
    """
    from conveyor.training.fitting import fit_named  # noqa: PLC0415  (needs the extra train)

    return fit_named(
        task,
        source,
        out=out,
        cell=cell,
        overwrite=overwrite,
        language=language,
        say=say,
        settings=settings,
    )


def resume(
    folder: str | Path,
    source: Any = None,
    *,
    language: str | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> "Run":
    """Resume a fit that was cut off, or train it for more epochs, and return the run.

    Args:
        folder: the run's folder.
        source: the data that the run was begun on, unchanged.
        language: that the report begins in, see ``fit``.
        say: called with each line that reports progress.
        settings: the settings that may change: ``epochs``, ``minutes``, ``devices``, ``nodes``;
            others may be given as they were.

    Raises:
        DataError: the data cannot be used.
        SettingError: a setting cannot change, or a value is out of its range.
        RunError: the folder holds nothing to resume, or the run was begun on other data.
        SaveError: a file could not be written.
    """
    from conveyor.training.fitting import resume_named  # noqa: PLC0415  (needs the extra train)

    return resume_named(Path(folder), source, language=language, say=say, settings=settings)
