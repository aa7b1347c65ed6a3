"""The settings of the task ``vrnn``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.latent.latent_settings import LatentDataSettings, LatentTraining
from conveyor.tasks.settings import ModelSettings, TaskSettings, option


@dataclass(frozen=True, kw_only=True)
class VRNNNetwork(ModelSettings):
    """The sizes of a variational recurrent network, whose cell is that of the paper."""

    hidden: int = option(128, "Units of the hidden state.", least=1)
    latent: int = option(16, "Latent values of a step.", least=1)
    head_units: int = option(64, "Units of each hidden layer around the LSTM.", least=1)
    components: int = option(20, "Gaussians of a mixture, where steps have one.", least=1)
    dropout: float = option(0.0, "Probability of dropping what the output reads.", least=0, below=1)


@dataclass(frozen=True, kw_only=True)
class VRNNSettings(TaskSettings):
    """All settings of a run of the task ``vrnn``."""

    task: ClassVar[str] = "vrnn"

    data: LatentDataSettings = LatentDataSettings()
    network: VRNNNetwork = VRNNNetwork()  # type: ignore[assignment]
    training: LatentTraining = LatentTraining(epochs=100, batch=16, learning_rate=2e-3, patience=10)
