"""The folder of a run: what is in it, when it may be written, and what a run begins with."""

import shutil
from pathlib import Path

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Program, dumps, from_json
from conveyor.compiler.show import program_of
from conveyor.data.files import is_temporary, read_json, write_whole
from conveyor.errors import ConveyorError, ProgramError, RunError, SaveError, named
from conveyor.networks.stored import MODEL, MOST_DESCRIBED, WEIGHTS, read_description
from conveyor.tasks.run import METRICS, REPORT, SETTINGS
from conveyor.tasks.settings import TaskSettings, read_toml, to_toml
from conveyor.training.checkpoints import BEST, CHECKPOINTS, LAST
from conveyor.training.launch import is_main_process
from conveyor.training.loop import LOGS

# What a run begins with besides its settings: its cell as a program.
CELL = "cell.json"

# Whatever is written whole into a run, and so may be left under a temporary name by a kill.
_WRITTEN = (SETTINGS, METRICS, REPORT, CELL, MODEL, WEIGHTS, BEST, LAST)


def _is_run(folder: Path) -> bool:
    """Whether a fit has written here: other programs have folders of the same names."""
    try:
        read_toml(folder / CHECKPOINTS / SETTINGS)
    except ConveyorError:
        try:
            return "program" in read_description(folder)
        except ConveyorError:
            return False
    return True


def _is_empty(folder: Path) -> bool:
    """Whether nothing is here but what a fit leaves that was killed before it had begun."""
    for each in folder.iterdir():
        if each.name == CHECKPOINTS and each.is_dir():
            names = [inner.name for inner in each.iterdir()]
            if not all(name == CELL or is_temporary(name, _WRITTEN) for name in names):
                return False
        elif not is_temporary(each.name, _WRITTEN):
            return False
    return True


def _remove_temporary(folder: Path) -> None:
    """Remove what killed writes have left behind."""
    for inside in (folder, folder / CHECKPOINTS):
        for each in inside.iterdir() if inside.is_dir() else ():
            if is_temporary(each.name, _WRITTEN):
                each.unlink()


def _remove_old(folder: Path) -> None:
    """Remove what an earlier fit wrote beside its model, and nothing else. Its settings go first:
    without them nobody goes on with the rest."""
    for name in (SETTINGS, CELL, LAST, BEST):
        (folder / CHECKPOINTS / name).unlink(missing_ok=True)
    for log in folder.glob(f"{LOGS}/version_*"):
        if (log / "metrics.csv").exists() or (log / "hparams.yaml").exists():
            shutil.rmtree(log)


def check_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Raise where a run may not be written; nothing is touched yet.

    Raises:
        RunError: it exists and may not be overwritten, or there is nothing to resume.
        SaveError: it cannot be looked into.
    """
    if not is_main_process():
        return
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; expected a folder. Choose another {named('out')}.")
    if resume:
        if not (folder / CHECKPOINTS / SETTINGS).is_file():
            raise RunError(f"{folder} has no {CHECKPOINTS}/{SETTINGS}: there is nothing to resume.")
        return
    try:
        filled = folder.is_dir() and not _is_empty(folder)
    except OSError as error:
        raise SaveError(f"{folder} cannot be made: {error.strerror or error}.") from error
    if filled and not overwrite:
        raise RunError(
            f"{folder} exists already. Choose another {named('out')}, replace the run with "
            f"{named('overwrite', True)}, or go on with it with {named('resume', True)}."
        )
    if filled and not _is_run(folder):
        raise RunError(
            f"{folder} is not empty and not a run, so {named('overwrite', True)} does not "
            f"touch it. Choose another {named('out')}."
        )


def open_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Make the folder of a run ready to be written; the main process does.

    With ``overwrite``, checkpoints of the earlier run go; its model stays whole until the new
    one takes its place.

    Raises:
        RunError: it exists and may not be overwritten, or there is nothing to resume.
        SaveError: it cannot be made.
    """
    check_folder(folder, overwrite=overwrite, resume=resume)
    if not is_main_process():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_temporary(folder)
        if not resume:
            _remove_old(folder)
    except OSError as error:
        raise SaveError(f"{folder} cannot be made: {error.strerror or error}.") from error


def write_beginning(folder: Path, settings: TaskSettings, program: Program) -> None:
    """Write what a run is gone on with by: its cell, then its settings, whose presence says that
    the run has begun. The main process does.

    Raises:
        SaveError: a file could not be written.
    """
    if not is_main_process():
        return
    write_whole(folder / CHECKPOINTS / CELL, dumps(program))
    write_whole(folder / CHECKPOINTS / SETTINGS, to_toml(settings))


def read_beginning(folder: Path) -> tuple[TaskSettings, Program]:
    """Return what a run began with: its settings and its cell. The cell is data: nothing is
    executed.

    Raises:
        RunError, SettingError: a file is missing or corrupt.
    """
    settings = read_toml(folder / CHECKPOINTS / SETTINGS)
    path = folder / CHECKPOINTS / CELL
    try:
        program = check_cell(from_json(read_json(path, MOST_DESCRIBED)))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. Restore it, or begin a new run.") from error
    except (OSError, ValueError, RecursionError, ProgramError) as error:
        raise RunError(f"{path} is corrupt: {error} Restore it, or begin a new run.") from error
    name = settings.network.cell
    if ":" not in name and program_of(name) != program:
        raise RunError(
            f"{path} holds the cell {program.name}, not the {name} of {SETTINGS}. Restore the "
            "files, or begin a new run."
        )
    return settings, program
