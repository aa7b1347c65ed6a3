"""The folder of a run: when it may be written, and the files with which a run begins."""

import shutil
from pathlib import Path

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps, from_json
from conveyor.compiler.show import program_of
from conveyor.data.files import is_temporary, read_json, write_whole
from conveyor.errors import ConveyorError, ProgramError, RunError, SaveError, named
from conveyor.networks.stored import MODEL, MOST_DESCRIBED, WEIGHTS, read_description
from conveyor.tasks.run import ANSWERS, METRICS, REPORT, SETTINGS, VECTORS
from conveyor.tasks.settings import TaskSettings
from conveyor.tasks.settings_file import read_toml, to_toml
from conveyor.training.checkpoints import BEST, CHECKPOINTS, LAST
from conveyor.training.launch import is_main_process
from conveyor.training.loop import LOGS

# The file with the cell's program, which a run begins with besides its settings.
CELL = "cell.json"

# The files that are written under temporary names first, which a killed fit may leave.
_WRITTEN = (SETTINGS, METRICS, REPORT, ANSWERS, VECTORS, CELL, MODEL, WEIGHTS, BEST, LAST)


def _is_run(folder: Path) -> bool:
    """Return whether a fit has written a folder. The names of its files alone do not show that,
    because other programs use the same ones."""
    try:
        read_toml(folder / CHECKPOINTS / SETTINGS)
    except ConveyorError:
        try:
            return "program" in read_description(folder)
        except ConveyorError:
            return False
    return True


def _is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing but files that a fit leaves if it is killed before it
    has begun."""
    for path in folder.iterdir():
        if path.name == CHECKPOINTS and path.is_dir():
            names = [inner.name for inner in path.iterdir()]
            if not all(name == CELL or is_temporary(name, _WRITTEN) for name in names):
                return False
        elif not is_temporary(path.name, _WRITTEN):
            return False
    return True


def _remove_temporary(folder: Path) -> None:
    """Remove the temporary files of killed fits."""
    for directory in (folder, folder / CHECKPOINTS):
        for path in directory.iterdir() if directory.is_dir() else ():
            if is_temporary(path.name, _WRITTEN):
                path.unlink()


def _remove_old(folder: Path) -> None:
    """Remove the files that an earlier fit wrote besides its model, and no others. The settings are
    removed first, because without them the rest cannot be resumed by mistake."""
    for name in (SETTINGS, CELL, LAST, BEST):
        (folder / CHECKPOINTS / name).unlink(missing_ok=True)
    for log in folder.glob(f"{LOGS}/version_*"):
        if (log / "metrics.csv").exists() or (log / "hparams.yaml").exists():
            shutil.rmtree(log)


def check_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Check that a run may be written into a folder. No file is changed.

    Args:
        folder: the run's folder.
        overwrite: whether to replace a run that is there.
        resume: whether to resume the run that is there.

    Raises:
        RunError: the folder exists and may not be overwritten, or holds nothing to resume.
        SaveError: the folder cannot be read.
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
    """Make the folder of a run, and remove old files from it. Only the main process does so.

    With ``overwrite`` the checkpoints of the earlier run are removed. Its model stays until the new
    model replaces it.

    Raises:
        RunError: the folder exists and may not be overwritten, or holds nothing to resume.
        SaveError: the folder cannot be made.
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


def write_beginning(folder: Path, settings: TaskSettings, program: Program | None) -> None:
    """Write the files from which a run can be resumed: its cell, if it has one, then its settings,
    whose presence marks the run as begun. Only the main process does so.

    Raises:
        SaveError: a file could not be written.
    """
    if not is_main_process():
        return
    if program is not None:
        write_whole(folder / CHECKPOINTS / CELL, dumps(program))
    write_whole(folder / CHECKPOINTS / SETTINGS, to_toml(settings))


def read_beginning(folder: Path) -> tuple[TaskSettings, Program | None]:
    """Return the settings and the cell with which a run began; None for the cell of a task that has
    none. The cell is data, and no code of it is executed.

    Raises:
        RunError, SettingError: a file is missing or corrupt.
    """
    settings = read_toml(folder / CHECKPOINTS / SETTINGS)
    name = settings.cell
    if name is None:
        return settings, None
    path = folder / CHECKPOINTS / CELL
    try:
        program = check_cell(from_json(read_json(path, MOST_DESCRIBED)))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. Restore it, or begin a new run.") from error
    except (OSError, ValueError, RecursionError, ProgramError) as error:
        raise RunError(f"{path} is corrupt: {error} Restore it, or begin a new run.") from error
    if ":" not in name and program_of(name) != program:
        raise RunError(
            f"{path} holds the cell {program.name}, not the {name} of {SETTINGS}. Restore the "
            "files, or begin a new run."
        )
    return settings, program
