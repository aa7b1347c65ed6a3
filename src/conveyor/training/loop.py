"""Fits a model with PyTorch Lightning, from the beginning or from a checkpoint."""

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
from pytorch_lightning.callbacks import (
    Callback,
    Checkpoint,
    RichProgressBar,
)
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from conveyor.errors import DivergedError, RunError, SaveError, named
from conveyor.networks.network import LOSS
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.settings import Training
from conveyor.training.averaging import Averaging, LateAveraging, average_of
from conveyor.training.batches import Share
from conveyor.training.checkpoints import CHECKPOINTS, Progress, Resumed, SealedFiles
from conveyor.training.curve import Curve
from conveyor.training.fitter import Fitter
from conveyor.training.heartbeat import Heartbeat
from conveyor.training.launch import launch, silence
from conveyor.training.stopping import StopRequest, StopTraining, StopWhenAsked

LOGS = "logs"


@dataclass(frozen=True)
class Fitted:
    """The course of a fit.

    Attributes:
        stopped: why the fit ended.
        curve: the rows (epoch, training loss, validation loss), with epochs counted from 1.
        best_epoch: the epoch whose weights the model has; 0 if no epoch was finished.
        seconds: how long the fit took.
        decided_by: by what the best epoch was chosen, "loss" or a score.
        scores: of the validation set by epoch; none if the loss decided.
    """

    stopped: str
    curve: tuple[tuple[int, float, float], ...]
    best_epoch: int
    seconds: float
    decided_by: str = LOSS
    scores: tuple[float, ...] = ()

    @property
    def cost(self) -> float:
        """What fits are compared by, the less the better: the validation loss of the best epoch;
        where a score decides, what it lacks of 1."""
        if self.scores:
            return 1 - self.scores[self.best_epoch - 1]
        return {epoch: validation for epoch, _, validation in self.curve}[self.best_epoch]

    def as_json(self) -> dict[str, Any]:
        """Return the fields in the form of ``metrics.json``."""
        return {
            "stopped": self.stopped,
            "seconds": round(self.seconds, 1),
            "best_epoch": self.best_epoch,
            "curve": self.curve,
        } | ({"decided_by": self.decided_by, "scores": self.scores} if self.scores else {})


# With fewer multiply-adds in a time step a second thread gains nothing: with 64 units and a batch
# of 32, a batch of 104 steps takes 19 ms with one thread or two. If other processes need the cores,
# threads that wait for each other are ten times slower.
ONE_THREAD = 4_000_000


@contextmanager
def _threads(fitter: Fitter) -> Iterator[None]:
    """Compute with one thread while the block runs if a time step is small."""
    threads = torch.get_num_threads()
    if fitter.model.step_weights * fitter.settings.batch < ONE_THREAD * fitter.settings.processes:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice while the block runs: it is meant for authors of training loops,
    and users of this one cannot follow it."""
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
            # The losses that the fitter logs are summed over all processes already.
            ".*It is recommended to use .*sync_dist=True.*",
            ".*`srun` command is available.*",
            # Of optimisers with sparse gradients, whose rows are words of a vocabulary.
            ".*Sparse invariant checks are implicitly disabled.*",
            # A fit for a known number of epochs needs no validation.
            ".*defined a `validation_step` but have no `val_dataloader`.*",
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
    request: StopRequest | None = None,
) -> Fitted:
    """Fit until the validation set is answered no better, all epochs are done, the time is over,
    or a signal asks for the end. Then load the best weights into the model.

    Args:
        fitter: the network with its loss and optimiser.
        batches: the batches of the training and the validation set.
        folder: the run's folder, in which ``checkpoints/`` and ``logs/`` are written.
        resumed: the checkpoint to resume from; if its fit is over, only its best weights are
            loaded.
        say: called with each line for the user.
        trial: whether this is one of many trials: its epochs are not shown, and as it is never
            resumed, nothing is written.
        request: the request to stop, which Ctrl-C and SIGTERM make while this runs.

    Raises:
        DivergedError: every loss became infinite.
        TooLargeError: there is not enough memory.
        SaveError: a checkpoint could not be written.
        RunError: another process was lost.
        KeyboardInterrupt: a second signal came.
    """
    settings = fitter.settings
    request = request or StopRequest()
    curve = resumed.curve if resumed else Curve(by=fitter.model.decided_by)
    averaging = Averaging(average_of) if settings.average else None
    if settings.averages_after is not None:
        averaging = LateAveraging(curve, settings.averages_after)
    if trial:
        progress = Progress(settings, None, silence, curve, averaging=averaging)
        fate = "this trial will be tried again"
    else:
        progress = Progress(
            settings,
            folder / CHECKPOINTS,
            say,
            curve,
            resumed.best if resumed else None,
            averaging=averaging,
        )
        fate = "the best model so far is kept"
    stopped = curve.over(settings)
    if not stopped:
        with in_memory(), _quiet(), request.listening(), _threads(fitter):
            stop = StopWhenAsked(request, settings.minutes, say, fate)
            callbacks: list[Callback] = [progress, stop, *([averaging] if averaging else [])]
            if not trial and not sys.stdout.isatty():  # without a terminal there is no bar
                callbacks.append(Heartbeat(say))
            trainer = _trainer(settings, callbacks, settings.epochs, None if trial else folder)
            stopped = _train(trainer, fitter, batches, folder, resumed)
        # The request may have come after the last batch.
        stopped = request.stopped or stopped or curve.over(settings)
    if curve.rows and not curve.kept:
        raise DivergedError(
            f"training diverged: {stopped}. Nothing is saved. Lower "
            f"{named('learning_rate')} or {named('clip')}."
        )
    # Scores and saved models are in float32, whatever the precision of training.
    fitter.cpu().float()
    if curve.kept:
        fitter.load_state_dict(progress.best)
    return Fitted(
        stopped,
        tuple(curve.rows),
        curve.kept,
        progress.seconds(),
        curve.by,
        tuple(curve.scores),
    )


def refit(
    fitter: Fitter,
    batches: DataLoader[Share],
    epochs: int,
    folder: Path,
    *,
    minutes: float | None,
    say: Callable[[str], None],
    request: StopRequest,
) -> str:
    """Fit for a number of epochs that is known, without validation and without checkpoints.

    Args:
        fitter: the network with its loss and optimiser.
        batches: the batches to learn from.
        epochs: how many.
        folder: the run's folder, for errors.
        minutes: how long it may take; None for no limit.
        say: called with a line when the user asks to stop.
        request: the request to stop.

    Returns:
        Why training was stopped before its end, so that the network is of no use; else nothing.

    Raises:
        DivergedError: a weight is not finite.
        TooLargeError: there is not enough memory.
        RunError: another process was lost.
        KeyboardInterrupt: a second signal came.
    """
    settings = fitter.settings
    with in_memory(), _quiet(), request.listening(), _threads(fitter):
        callbacks: list[Callback] = [
            StopWhenAsked(request, minutes, say, "the network before is kept")
        ]
        callbacks += [Averaging(average_of)] if settings.average else []
        trainer = _trainer(settings, callbacks, epochs, None)
        stopped = _train(trainer, fitter, (batches, None), folder, None)
    fitter.cpu().float()
    finite = all(bool(weight.isfinite().all()) for weight in fitter.parameters())
    if not finite and not stopped:
        raise DivergedError(
            f"training diverged when the network was fitted on more rows. Lower "
            f"{named('learning_rate')} or {named('clip')}."
        )
    return request.stopped or stopped


def _lost(error: RuntimeError) -> bool:
    """Return whether an error says that processes no longer reach each other. NCCL's errors have a
    class of their own; Gloo's can only be recognised by its name in the text."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()


def _cluster(processes: int) -> ClusterEnvironment:
    """Return the object from which Lightning learns where it runs.

    Args:
        processes: the number of processes that fit one network. A single process fits alone, even
            if torchrun or SLURM has started others beside it.
    """
    by = launch().by if processes > 1 else ""
    if by == "torchrun":
        return TorchElasticEnvironment()
    if by == "SLURM":
        # Lightning would write its own checkpoint before SLURM requeues a job. The fit has written
        # its checkpoints already, and a run is resumed by --resume.
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def _trainer(
    settings: Training, callbacks: list[Callback], epochs: int, logs: Path | None
) -> pl.Trainer:
    """Return Lightning's trainer.

    Args:
        settings: how a network is fitted.
        callbacks: of Lightning.
        epochs: how many at most.
        logs: the folder that the losses are written into; None to write none.
    """
    show_bar = sys.stdout.isatty()
    return pl.Trainer(
        max_epochs=epochs,
        callbacks=[*callbacks, RichProgressBar(leave=False)] if show_bar else callbacks,
        logger=CSVLogger(logs, name=LOGS) if logs else False,
        default_root_dir=logs,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        plugins=[SealedFiles(), _cluster(settings.processes)],
        gradient_clip_val=settings.clip,
        devices=settings.devices,
        num_nodes=settings.nodes,
        use_distributed_sampler=False,  # the batches are already those of this process
        precision=settings.precision,  # type: ignore[arg-type]
        enable_progress_bar=show_bar,
        enable_model_summary=False,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
    )


def _train(
    trainer: pl.Trainer,
    fitter: Fitter,
    batches: tuple[DataLoader[Share], DataLoader[Share] | None],
    folder: Path,
    resumed: Resumed | None,
) -> str:
    """Train with Lightning.

    Args:
        trainer: Lightning's.
        fitter: the network with its loss and optimiser.
        batches: of training, and of validation, where there is one.
        folder: the run's folder, for errors.
        resumed: the checkpoint to resume from.

    Returns:
        Why training was stopped early; empty if it was not.

    Raises:
        SaveError: a file could not be written.
        RunError: another process was lost.
    """
    try:
        trainer.fit(
            fitter, *batches, ckpt_path=str(resumed.path) if resumed else None, weights_only=True
        )
    except StopTraining as stop:
        return str(stop)
    except BrokenPipeError:  # the reader of the output is gone, which is no error of the disk
        raise
    except RuntimeError as error:
        if fitter.settings.processes == 1 or not _lost(error):
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
