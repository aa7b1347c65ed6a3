"""The settings of the task ``sound``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.recording_settings import RecordingFiles
from conveyor.tasks.settings import NetworkSettings, TaskSettings, Training, option

# Without a number of epochs there are so many that a fit takes this many steps, within bounds.
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 6000, 2, 100


@dataclass(frozen=True, kw_only=True)
class SoundData(RecordingFiles):
    """Which recordings there are, and how they are cut."""

    # 60 ms at 8 kHz, some periods of a voice.
    chunk: int = option(480, "Steps of truncated BPTT.", least=1)


@dataclass(frozen=True, kw_only=True)
class SoundNetwork(NetworkSettings):
    """The network of samples."""

    embedding: int = option(32, "Numbers that stand for a level.", least=1)


@dataclass(frozen=True, kw_only=True)
class SoundTraining(Training):
    """How a network of samples is fitted."""

    # None only until the data are read, see ``with_epochs``.
    epochs: int | None = option(  # type: ignore[assignment]
        None,
        "Passes over the training set, at most; by default as many as 6,000 steps take.",
        least=1,
        changeable=True,
    )

    def with_epochs(self, chunks: int) -> "SoundTraining":
        """Return the same with so many epochs that there are steps enough to learn.

        Args:
            chunks: of the training set, each of which is a batch.
        """
        return self.with_steps(STEPS, chunks * self.batch, LEAST_EPOCHS, MOST_EPOCHS)


@dataclass(frozen=True, kw_only=True)
class SoundSettings(TaskSettings):
    """All settings of a run of the task ``sound``."""

    task: ClassVar[str] = "sound"

    data: SoundData = SoundData()
    network: SoundNetwork = SoundNetwork(cell="gru", hidden=128)
    training: SoundTraining = SoundTraining(batch=32, learning_rate=2e-3, patience=5)
