"""The settings of the task ``draw``."""

from dataclasses import dataclass
from typing import ClassVar

from conveyor.tasks.latent.latent_settings import SampledData, WarmedDivergence
from conveyor.tasks.settings import NetworkSettings, TaskSettings, option


@dataclass(frozen=True, kw_only=True)
class DrawData(SampledData):
    """How pictures are read, and what they are split into."""


@dataclass(frozen=True, kw_only=True)
class DrawNetwork(NetworkSettings):
    """The network; encoder and decoder have the same cell and as many units."""

    latent: int = option(16, "Latent values of a step.", least=1)
    glimpses: int = option(8, "Steps in which a picture is drawn.", least=1, most=1000)
    windows: bool = option(
        True, "Look and draw in windows that move (attention); else at the whole picture."
    )
    read_size: int = option(5, "Filters of a side of the window that looks.", least=1, most=512)
    write_size: int = option(5, "Filters of a side of the window that draws.", least=1, most=512)


@dataclass(frozen=True, kw_only=True)
class DrawTraining(WarmedDivergence):
    """How the network is fitted, and the autoencoder beside it."""

    vae_epochs: int | None = option(
        None,
        "Epochs of the variational autoencoder beside, at most; 0 for none of it; else as many as "
        "of the network.",
        least=0,
    )


@dataclass(frozen=True, kw_only=True)
class DrawSettings(TaskSettings):
    """All settings of a run of the task ``draw``."""

    task: ClassVar[str] = "draw"

    data: DrawData = DrawData()
    network: DrawNetwork = DrawNetwork(hidden=256)
    training: DrawTraining = DrawTraining(
        epochs=30, batch=64, learning_rate=2e-3, clip=5.0, patience=5
    )
