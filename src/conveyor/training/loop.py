"""Fitting a model by PyTorch Lightning: to the best weights, or on from a checkpoint."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from conveyor.errors import DivergedError, RunError, SaveError, named
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.training.batches import Share
from conveyor.training.checkpoints import CHECKPOINTS, Progress, Resumed, SealedFiles
from conveyor.training.fitter import Fitter
from conveyor.training.heartbeat import Heartbeat
from conveyor.training.launch import launch, silence
from conveyor.training.stopping import StopTraining, StopWhenAsked, Wish

LOGS = "logs"


@dataclass(frozen=True)
class Fitted:
    """How a fit went. ``stopped`` says why it ended; ``curve`` is (epoch, training loss,
    validation loss), epochs from 1; ``best_epoch`` is 0 where no epoch was finished."""

    stopped: str
    curve: tuple[tuple[int, float, float], ...]
    best_epoch: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As ``metrics.json`` holds it."""
        return {
            "stopped": self.stopped,
            "seconds": round(self.seconds, 1),
            "best_epoch": self.best_epoch,
            "curve": self.curve,
        }


# Below so many multiply-adds a time step, a second thread wins nothing (64 units and a batch of
# 32: 19 ms a batch of 104 steps with one thread or two), and when another process wants the cores
# threads that wait for each other cost tenfold.
ONE_THREAD = 4_000_000


@contextmanager
def _threads(fitter: Fitter) -> Iterator[None]:
    """Compute with one thread inside the block if a time step is small."""
    before = torch.get_num_threads()
    weights = sum(each.numel() for each in fitter.model.recurrent.parameters())
    if weights * fitter.settings.batch < ONE_THREAD * fitter.settings.processes:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice is for those who write loops, not for those who run ours."""
    loggers = [
        logging.getLogger(name)
        for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*number of training batches.*smaller than the logging interval.*",
            ".*Checkpoint directory.*exists and is not empty.*",
            ".*treespec.*is deprecated.*",
            ".*isinstance.*LeafSpec.*",
            ".*It is recommended to use .*sync_dist=True.*",  # ours are the same in all processes
            ".*`srun` command is available.*",
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def fit(
    fitter: Fitter,
    batches: tuple[DataLoader[Share], DataLoader[Share]],
    folder: Path,
    *,
    resumed: Resumed | None = None,
    say: Callable[[str], None] = print,
    trial: bool = False,
    wish: Wish | None = None,
) -> Fitted:
    """Fit until the validation loss no longer falls, the epochs are over, the time is, or
    somebody wishes it; then give the model its best weights.

    Args:
        folder: the run; ``checkpoints/`` and ``logs/`` are written there.
        resumed: what the fit goes on from; if that is over, only its best weights are loaded.
        say: where lines for the user go.
        trial: it is one of many: epochs are not told, and as it is not gone on with, nothing is
            written.
        wish: what may ask for the end; Ctrl-C and SIGTERM do while this runs.

    Raises:
        DivergedError: every loss became infinite.
        TooLargeError: there is not enough memory.
        SaveError: a checkpoint could not be written.
        RunError: another process was lost.
        KeyboardInterrupt: there was a second wish.
    """
    settings = fitter.settings
    wish = wish or Wish()
    if trial:
        progress, fate = Progress(settings, None, silence), "this trial will be tried again"
    else:
        progress = Progress(settings, folder / CHECKPOINTS, say, resumed)
        fate = "the best model so far is kept"
    curve = progress.curve
    stopped = curve.over(settings)
    if not stopped:
        with in_memory(), _quiet(), wish.listening(), _threads(fitter):
            stop = StopWhenAsked(wish, settings.minutes, say, fate)
            callbacks: list[Callback] = [progress, stop]
            if not trial and not sys.stdout.isatty():  # nobody sees a bar
                callbacks.append(Heartbeat(say))
            stopped = _train(fitter, batches, None if trial else folder, callbacks, resumed)
        # A wish after the last batch is fulfilled too.
        stopped = wish.stopped or stopped or curve.over(settings)
    if curve.rows and not curve.kept:
        raise DivergedError(
            f"training diverged: {stopped}. Nothing is saved. Lower "
            f"{named('learning_rate')} or {named('clip')}."
        )
    # Whatever precision it was trained in: scores and saved models are float32.
    fitter.cpu().float()
    if curve.kept:
        fitter.load_state_dict(progress.best)
    return Fitted(stopped, tuple(curve.rows), curve.kept, progress.seconds())


def _lost(error: RuntimeError) -> bool:
    """Whether an error says that processes no longer reach each other. NCCL's has a class of its
    own, Gloo's only its name."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()


def _cluster(processes: int) -> ClusterEnvironment:
    """Return what tells Lightning where it runs.

    Args:
        processes: that fit together. One fits alone, whoever has started it beside others.
    """
    by = launch().by if processes > 1 else ""
    if by == "torchrun":
        return TorchElasticEnvironment()
    if by == "SLURM":
        # Lightning would write checkpoints of its own before SLURM begins a job anew; ours are
        # there, and a run is gone on with by --resume.
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def _train(
    fitter: Fitter,
    batches: tuple[DataLoader[Share], DataLoader[Share]],
    folder: Path | None,
    callbacks: list[Callback],
    resumed: Resumed | None,
) -> str:
    """Have Lightning train.

    Returns:
        Why it was stopped before it was over; empty if it was not.

    Raises:
        SaveError: a file could not be written.
        RunError: another process was lost.
    """
    settings = fitter.settings
    show_bar = sys.stdout.isatty()
    trainer = pl.Trainer(
        max_epochs=settings.epochs,
        callbacks=[*callbacks, RichProgressBar(leave=False)] if show_bar else callbacks,
        logger=CSVLogger(folder, name=LOGS) if folder else False,
        default_root_dir=folder,
        plugins=[SealedFiles(), _cluster(settings.processes)],
        gradient_clip_val=settings.clip,
        devices=settings.devices,
        num_nodes=settings.nodes,
        use_distributed_sampler=False,  # batches are shares already
        precision=settings.precision,  # type: ignore[arg-type]
        enable_progress_bar=show_bar,
        enable_model_summary=False,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
    )
    try:
        trainer.fit(
            fitter, *batches, ckpt_path=str(resumed.path) if resumed else None, weights_only=True
        )
    except StopTraining as wish:
        return str(wish)
    except BrokenPipeError:  # whoever read our lines is gone: no fault of the disk
        raise
    except RuntimeError as error:
        if settings.processes == 1 or not _lost(error):
            raise
        raise RunError(
            "another process of this fit has ended, or cannot be reached. What it said is the "
            f"reason. Go on with {named('resume', True)}."
        ) from error
    except OSError as error:
        raise SaveError(
            f"a file in {folder} could not be written: {error}. The files that were there are "
            f"whole. Make room and go on with {named('resume', True)}."
        ) from error
    return ""
