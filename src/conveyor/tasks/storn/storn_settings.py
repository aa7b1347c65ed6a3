"""The settings of the task ``storn``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.latent.latent_settings import LatentDataSettings, LatentTraining
from conveyor.tasks.settings import NetworkSettings, TaskSettings, option


@dataclass(frozen=True, kw_only=True)
class STORNNetwork(NetworkSettings):
    """The sizes of a stochastic recurrent network: two parts of layers of a cell."""

    latent: int = option(16, "Latent values of a step.", least=1)
    components: int = option(20, "Gaussians of a mixture, where steps have one.", least=1)
    both_ends: bool = option(
        True, "Recognise latent values from both ends of a sequence; else from what came before."
    )


@dataclass(frozen=True, kw_only=True)
class STORNSettings(TaskSettings):
    """All settings of a run of the task ``storn``."""

    task: ClassVar[str] = "storn"

    data: LatentDataSettings = LatentDataSettings()
    network: STORNNetwork = STORNNetwork(hidden=128)
    training: LatentTraining = LatentTraining(epochs=100, batch=16, learning_rate=2e-3, patience=10)
