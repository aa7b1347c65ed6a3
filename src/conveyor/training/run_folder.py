"""The folder of a run: what is in it, and when it may be written."""

import shutil
from pathlib import Path

from conveyor.errors import RunError, SaveError
from conveyor.tasks.saved import MODEL
from conveyor.training.fit import CHECKPOINTS

SETTINGS, METRICS, REPORT, LOGS = "settings.toml", "metrics.json", "report.html", "logs"


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
    if filled and not (folder / MODEL).exists() and not (folder / CHECKPOINTS).exists():
        raise RunError(
            f"{folder} is not empty and not a run, so --overwrite does not touch it. Choose "
            "another folder with --out."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in (CHECKPOINTS, LOGS):
            if (folder / old).exists():
                shutil.rmtree(folder / old)
    except OSError as error:
        raise SaveError(f"{folder} cannot be made: {error.strerror or error}.") from error
