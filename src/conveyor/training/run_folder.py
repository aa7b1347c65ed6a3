"""The folder of a run: what is in it, and when it may be written."""

import shutil
from pathlib import Path

from conveyor.errors import ConveyorError, RunError, SaveError
from conveyor.tasks.saved import read_description
from conveyor.training.fit import BEST, CHECKPOINTS, LAST, LOGS
from conveyor.training.settings import read_toml

SETTINGS, METRICS, REPORT = "settings.toml", "metrics.json", "report.html"


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


def _remove_old(folder: Path) -> None:
    """Remove what an earlier fit wrote beside its model, and nothing else."""
    for name in (BEST, LAST, SETTINGS):
        (folder / CHECKPOINTS / name).unlink(missing_ok=True)
    for log in folder.glob(f"{LOGS}/version_*"):
        if (log / "metrics.csv").exists() or (log / "hparams.yaml").exists():
            shutil.rmtree(log)


def open_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Make the folder of a run ready to be written.

    With ``overwrite``, checkpoints of the earlier run go; its model stays whole until the new
    one takes its place.

    Raises:
        RunError: it exists and may not be overwritten, or there is nothing to resume.
        SaveError: it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; expected a folder. Choose another with --out.")
    if resume:
        if not (folder / CHECKPOINTS / SETTINGS).is_file():
            raise RunError(f"{folder} has no {CHECKPOINTS}/{SETTINGS}: there is nothing to resume.")
        return
    filled = folder.is_dir() and any(folder.iterdir())
    if filled and not overwrite:
        raise RunError(
            f"{folder} exists already. Choose another folder with --out, replace the run with "
            "--overwrite, or go on with it with --resume."
        )
    if filled and not _is_run(folder):
        raise RunError(
            f"{folder} is not empty and not a run, so --overwrite does not touch it. Choose "
            "another folder with --out."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_old(folder)
    except OSError as error:
        raise SaveError(f"{folder} cannot be made: {error.strerror or error}.") from error
