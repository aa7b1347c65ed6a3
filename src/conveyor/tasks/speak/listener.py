"""A run that hears, which judges a voice: whether what was spoken can be understood."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conveyor.data.audio_file import Samples, wave_bytes
from conveyor.errors import RunError, named
from conveyor.tasks import saved
from conveyor.tasks.task import Task
from conveyor.tasks.task_registry import find


class Listener:
    """Writes what it hears.

    Args:
        folder: of a run whose task hears sound.

    Raises:
        RunError: the folder is no run, or one that hears nothing.
    """

    def __init__(self, folder: str | Path) -> None:
        task, network, self._fitted_on = saved.load(Path(folder))
        self._task: type[Task[Any]] = saved.task_of(task, str(folder))
        if not self._task.hears:
            raise RunError(
                f"{named('recogniser', str(folder))}: a run of the task {task} hears nothing. Give "
                "one of transcribe."
            )
        reading = find(task).reading
        self._network = network
        self._options = reading() if reading is not None else None

    @staticmethod
    def of(folder: str | None) -> "Listener | None":
        """Return the listener of a run, None of none."""
        return None if folder is None else Listener(folder)

    def texts(self, waves: Sequence[Samples], rate: int) -> list[str]:
        """Return what is heard in each of some sounds.

        Args:
            waves: samples from -1 to 1.
            rate: of all of them, in samples a second.
        """
        return [self._text(wave, rate) for wave in waves]

    def _text(self, wave: Samples, rate: int) -> str:
        pieces = self._task.hear(
            self._network,
            io.BytesIO(wave_bytes(wave, rate)),
            fitted_on=self._fitted_on,
            options=self._options,
            say=lambda line: None,
        )
        return "".join(pieces).strip()
