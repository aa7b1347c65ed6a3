"""The folder of a run: when it may be written, and the files with which a run begins."""

import shutil
from pathlib import Path

from conveyor.compiler.check import check_cell
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps, from_json
from conveyor.compiler.show import program_of
from conveyor.data.files import is_temporary, read_json, write_whole
from conveyor.errors import ConveyorError, ProgramError, RunError, SaveError, named
from conveyor.networks.kept_arrays import KEPT_FILES
from conveyor.networks.stored import KEPT_IN, MODEL, MOST_DESCRIBED, WEIGHTS, read_description
from conveyor.tasks.run import ANSWERS, INSIDE, METRICS, REPORT, SETTINGS, UNITS, VECTORS
from conveyor.tasks.settings import TaskSettings
from conveyor.tasks.settings_file import read_toml, to_toml
from conveyor.training.checkpoints import BEST, CHECKPOINTS, LAST
from conveyor.training.launch import is_main_process
from conveyor.training.loop import LOGS

# The file with the cell's program, which a run begins with besides its settings.
CELL = "cell.json"

# Inside the folder of a run that is replaced, what replaces it is written here until it is whole.
REPLACEMENT = "replacement"

# The files that are written under temporary names first, which a killed fit may leave.
_WRITTEN = (SETTINGS, METRICS, REPORT, ANSWERS, VECTORS, CELL, MODEL, WEIGHTS, BEST, LAST)


def _is_left(name: str) -> bool:
    """Return whether a file is a temporary one that a killed fit left."""
    return is_temporary(name, _WRITTEN) or is_temporary(name, KEPT_FILES)


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
            if not all(name == CELL or _is_left(name) for name in names):
                return False
        elif not _is_left(path.name):
            return False
    return True


def working_folder(folder: Path, *, overwrite: bool, resume: bool) -> Path:
    """Return where a fit writes: the run's folder; or a folder inside it, where a run is replaced,
    so that the run stays whole until the new one is.

    Args:
        folder: the run's folder.
        overwrite: whether a run that is there is replaced.
        resume: whether a fit is resumed, which may be one that was to replace a run.
    """
    inside = folder / REPLACEMENT
    if resume:
        return inside if (inside / CHECKPOINTS / SETTINGS).is_file() else folder
    there = any((folder / name).exists() for name in (MODEL, f"{CHECKPOINTS}/{SETTINGS}"))
    return inside if overwrite and there else folder


def put_in_place(work: Path, folder: Path) -> None:
    """Replace the run in a folder by the one that is whole. Only the main process does so.

    What a killed process has not moved yet is moved when the fit is resumed: the files with which
    it is resumed stay where they are until the end.

    Args:
        work: where the new run was written, see ``working_folder``.
        folder: the run's folder.

    Raises:
        SaveError: a file could not be moved.
    """
    if work == folder or not is_main_process():
        return
    try:
        files = {path.name: path for path in work.iterdir() if path.is_file()}
        for name in (METRICS, REPORT, ANSWERS, VECTORS, SETTINGS, INSIDE, UNITS):
            if name not in files:
                (folder / name).unlink(missing_ok=True)
        for name in sorted(files):
            files[name].replace(folder / name)
        _remove_kept(folder)
        if (work / LOGS).is_dir():
            _remove_logs(folder)
            _move_logs(work, folder)
        _copy_checkpoints(work / CHECKPOINTS, folder / CHECKPOINTS)
        (work / CHECKPOINTS / SETTINGS).unlink()
        shutil.rmtree(work)
    except OSError as error:
        raise SaveError(
            f"a file in {folder} could not be replaced: {error}. The new run is whole in {work}. "
            f"Make room and go on with {named('resume', True)}."
        ) from error


def _remove_kept(folder: Path) -> None:
    """Remove the files of arrays of the runs that stood in a folder before."""
    kept = read_description(folder).get(KEPT_IN)
    for path in list(folder.iterdir()):
        if path.name in KEPT_FILES and path.name != kept:
            path.unlink()


def _move_logs(work: Path, folder: Path) -> None:
    (folder / LOGS).mkdir(exist_ok=True)
    for log in (work / LOGS).iterdir():
        if not (folder / LOGS / log.name).exists():
            log.rename(folder / LOGS / log.name)


def _copy_checkpoints(work: Path, folder: Path) -> None:
    """Copy the files with which a fit is resumed, its settings last, which mark it as one. Until
    all are there, those that are copied are the ones that count."""
    folder.mkdir(exist_ok=True)
    for name in (SETTINGS, CELL, LAST, BEST):
        (folder / name).unlink(missing_ok=True)
    for name in (BEST, LAST, CELL, SETTINGS):
        if (work / name).exists():
            shutil.copyfile(work / name, folder / name)


def _remove_temporary(folder: Path) -> None:
    """Remove the temporary files of killed fits."""
    for directory in (folder, folder / CHECKPOINTS):
        for path in directory.iterdir() if directory.is_dir() else ():
            if _is_left(path.name):
                path.unlink()


def _remove_old(folder: Path) -> None:
    """Remove the files that an earlier fit wrote besides its model, and no others. The settings are
    removed first, because without them the rest cannot be resumed by mistake."""
    for name in (SETTINGS, CELL, LAST, BEST):
        (folder / CHECKPOINTS / name).unlink(missing_ok=True)
    _remove_logs(folder)


def _remove_logs(folder: Path) -> None:
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
        work = working_folder(folder, overwrite=False, resume=True)
        if not (work / CHECKPOINTS / SETTINGS).is_file():
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
    inside = folder / REPLACEMENT
    if inside.exists() and not (inside.is_dir() and (_is_empty(inside) or _is_run(inside))):
        raise RunError(
            f"{inside} is in the way and is not of a run. Choose another {named('out')}."
        )


def open_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Make the folder in which a fit writes, see ``working_folder``, and remove from it the files
    of a fit that was killed. Only the main process does so. A run that is replaced is not touched.

    Raises:
        RunError: the folder exists and may not be overwritten, or holds nothing to resume.
        SaveError: the folder cannot be made.
    """
    check_folder(folder, overwrite=overwrite, resume=resume)
    if not is_main_process():
        return
    work = working_folder(folder, overwrite=overwrite, resume=resume)
    try:
        work.mkdir(parents=True, exist_ok=True)
        _remove_temporary(work)
        if not resume:
            _remove_old(work)
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
