"""The variational autoencoder beside ``fit draw``, fitted alone, on the same pictures."""

import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.runs import machine
from conveyor.tasks.draw.draw_settings import DrawSettings
from conveyor.tasks.draw.drawing_task import Drawing
from conveyor.tasks.draw.picture_autoencoder import PictureAutoencoder
from conveyor.tasks.drawn_parts import TEST
from conveyor.tasks.latent.plain_fit import fit_plain
from conveyor.tasks.latent.scored_sequences import ScoredSequences

# 75 epochs take the processor as long as the 8 epochs of DRAW on the same digits: 30 took 40 %.
EPOCHS, PATIENCE = 75, 8


def measure(folder: Path) -> dict[str, Any]:
    """Fit and score an autoencoder on a folder of pictures or of MNIST's files.

    Args:
        folder: the folder.
    """
    settings = DrawSettings.of({"vae_epochs": EPOCHS, "patience": PATIENCE})
    task = Drawing.prepare(folder, settings, print)
    training = task.plain_training
    assert training is not None
    torch.manual_seed(training.seed)
    began = time.process_time()
    network = PictureAutoencoder(task.kind, task.light)
    fitted = fit_plain(network, task.train, task.validation, training)
    processor_seconds = time.process_time() - began
    scored = ScoredSequences(network, task.parts[TEST], settings.data.latent_draws)
    print(f"autoencoder: {scored.estimate:.2f} nats after {fitted.seconds:.0f} s", flush=True)
    return {
        "epochs": fitted.epochs,
        "best_epoch": fitted.best,
        "fit_seconds": round(fitted.seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
        "parameters": network.parameter_count,
        "nats": scored.estimate,
        "bound": scored.bound,
        "divergence": scored.divergence,
        "interval": scored.interval,
        "draws": scored.draws,
        "machine": machine(),
    }
