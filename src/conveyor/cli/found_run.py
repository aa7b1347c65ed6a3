"""The run that a command is given, and what was meant where there is none."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from conveyor.cli.options import stem_of
from conveyor.errors import RunError
from conveyor.signals import leaving_at_once

if TYPE_CHECKING:
    from conveyor.tasks.run import Run

# Where ``conveyor fit`` writes runs unless it is told otherwise.
RUNS = Path("runs")


def find_run(folder: Path, data: Path | None = None) -> "Run":
    """Return the run of a folder.

    Args:
        folder: what stands in the place of a run.
        data: what stands behind it.

    Raises:
        RunError: it is none; the text says which run may be meant.
    """
    with leaving_at_once():
        from conveyor.networks.stored import MODEL
        from conveyor.tasks.run import Run

    if (folder / MODEL).exists() or (folder / MODEL).is_symlink():
        return Run(folder)
    meant = _meant(folder, data, MODEL)
    if meant is None:
        return Run(folder)  # which says what is wrong
    what = "a file, not a run" if folder.is_file() else "not a run"
    raise RunError(f"{folder} is {what}. {meant}")


def _meant(folder: Path, data: Path | None, model: str) -> str | None:
    """Return a sentence that says what may have been meant; None if nothing is near."""
    if data is not None and (data / model).exists():
        return f"The run comes first: give {data}, then {folder}."
    named = [path for path in _runs(model) if path.name == stem_of(folder)]
    if folder.is_file() and named:
        return f"Did you mean the run {named[0]}, which has its name?"
    if folder.is_file():
        return (
            "`conveyor fit` makes a run of a file, a folder in runs/ unless it is told otherwise."
        )
    near = difflib.get_close_matches(folder.name, [path.name for path in _runs(model)], n=1)
    return f"Did you mean {RUNS / near[0]}?" if near and not folder.exists() else None


def _runs(model: str) -> list[Path]:
    """Return the runs in the usual folder."""
    try:
        return sorted(path for path in RUNS.iterdir() if (path / model).exists())
    except OSError:
        return []
