"""Fitting a model by PyTorch Lightning: the loop, checkpoints, early stopping, resuming."""

import logging
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from conveyor.errors import DivergedError, RunError, SaveError, SettingError, TooLargeError
from conveyor.tasks.forecaster import Forecaster
from conveyor.tasks.language_model import LanguageModel
from conveyor.tasks.readout import Readout
from conveyor.tasks.synthetic.batch import Batch
from conveyor.training.settings import Training

CHECKPOINTS = "checkpoints"
LOGS = "logs"
BEST, LAST = "best.ckpt", "last.ckpt"

# Why a fit stopped that was stopped by Ctrl-C.
INTERRUPTED = "interrupted"


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


def is_main_process() -> bool:
    """Whether this process speaks and writes. Lightning starts one more for each further device
    and numbers them by this variable."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def silence(line: str) -> None:
    """Say nothing: what the other processes do instead of printing."""


# What torch's allocator for CPUs says, whose errors have no class of their own; sizes whose product
# is no 64-bit number are the second.
_NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")


@contextmanager
def in_memory(
    what: str = "the network", lower: str = "--hidden, --layers or --batch"
) -> Iterator[None]:
    """Inside the block a lack of memory is a sentence.

    Raises:
        TooLargeError: there is not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(each in str(error) for each in _NO_MEMORY):
            raise
        raise TooLargeError(f"{what} does not fit into memory. Lower {lower}.") from error


class _Stop(Exception):  # noqa: N818  (no error: a wish)
    """Training is to end now, at the end of a batch."""


class _Fitter(pl.LightningModule):
    """What Lightning asks for: one step of training, one of validation, the optimiser."""

    def __init__(
        self, model: Forecaster | LanguageModel | Readout, settings: Training, digest: str
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.settings = settings
        self.digest = digest  # of data and cell: a run is only resumed on what it began with

    def configure_optimizers(self) -> OptimizerLRScheduler:
        adam = torch.optim.Adam(self.model.parameters(), lr=self.settings.learning_rate)
        epochs = self.settings.epochs

        def share(epoch: int) -> float:
            # Half a cosine from 1 to a twentieth: late epochs settle instead of jumping about.
            return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1)))

        schedule = torch.optim.lr_scheduler.LambdaLR(adam, share)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # So that dropout after a resume draws what it would have drawn without the stop.
        checkpoint["random_state"] = torch.get_rng_state()
        checkpoint["data_digest"] = self.digest

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(checkpoint["random_state"])


class WindowFitter(_Fitter):
    """Fits a forecaster on windows in random order."""

    model: Forecaster

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        history, future = batch
        loss = self.model.loss(history, future)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(history))
        return loss

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        history, future = batch
        loss = self.model.loss(history, future)
        self.log("val_loss", loss, batch_size=len(history), sync_dist=True)


class StreamFitter(_Fitter):
    """Fits a language model by truncated BPTT: chunks in order, the state carried over."""

    model: LanguageModel

    def on_train_epoch_start(self) -> None:
        self._state: Any = None

    def on_validation_epoch_start(self) -> None:
        self._validation_state: Any = None

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        read, following = batch
        loss, self._state = self.model.loss(read, following, self._state)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=read.numel())
        return loss

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        read, following = batch
        loss, self._validation_state = self.model.loss(read, following, self._validation_state)
        self.log("val_loss", loss, batch_size=read.numel())


class SequenceFitter(_Fitter):
    """Fits a network with a readout on whole sequences in random order."""

    model: Readout

    def training_step(self, batch: Batch, number: int) -> Tensor:
        loss = self.model.loss(batch)
        answers = self.model.answers(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=answers)
        return loss

    def validation_step(self, batch: Batch, number: int) -> None:
        self.log("val_loss", self.model.loss(batch), batch_size=self.model.answers(batch))


class EpochShuffle(Sampler[int]):
    """A new order in every epoch, given by seed and epoch alone, so that a resumed run sees the
    order that it would have seen. Lightning calls ``set_epoch``."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of that epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        # 2654435761 is prime (Knuth, multiplicative hashing): nearby seeds share no epochs.
        seed = (self.seed * 2654435761 + self.epoch) % 2**63
        draw = torch.Generator().manual_seed(seed)
        return iter(torch.randperm(self.count, generator=draw).tolist())


def loaders(
    train: Dataset[Any],
    validation: Dataset[Any],
    settings: Training,
    *,
    streams: bool = False,
    join: Callable[[list[Any]], Any] | None = None,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Batches for training and validation. ``streams`` are chunks that are batches already;
    ``join`` makes a batch of examples, where they are not simply stacked."""
    if streams:
        return DataLoader(train, batch_size=None), DataLoader(validation, batch_size=None)
    order = EpochShuffle(len(train), settings.seed)  # type: ignore[arg-type]
    return (
        DataLoader(train, batch_size=settings.batch, sampler=order, collate_fn=join),
        DataLoader(validation, batch_size=max(settings.batch, 256), collate_fn=join),
    )


class _Curve(Callback):
    """Keeps the losses of every epoch, through checkpoints too, and tells them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.rows: list[tuple[int, float, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        found = trainer.callback_metrics
        if "val_loss" not in found or "train_loss" not in found:
            return
        row = trainer.current_epoch + 1, float(found["train_loss"]), float(found["val_loss"])
        best = row[2] < min((r[2] for r in self.rows), default=math.inf)
        self.rows.append(row)
        mark = "  best so far" if best else ""
        self.say(f"epoch {row[0]:>3}  training {row[1]:.4f}  validation {row[2]:.4f}{mark}")

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [(int(row[0]), float(row[1]), float(row[2])) for row in state_dict["rows"]]


class _StopWhenAsked(Callback):
    """Ends training at the end of a batch when Ctrl-C was pressed or the time is over. The
    checkpoints stay those of the last finished epoch, so that a resume is exact."""

    def __init__(self, minutes: float | None, say: Callable[[str], None], fate: str) -> None:
        self.minutes, self.say, self.fate = minutes, say, fate
        self.asked = self.torn = False
        self.began = time.monotonic()

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            self.torn = True
            raise KeyboardInterrupt
        self.asked = True
        self.say(f"Ctrl-C: stopping after this batch; {self.fate}.")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C as a wish inside the block; a second one interrupts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._ask)
        try:
            yield
        except BaseException as error:
            # The second tears whatever was at work, and Lightning makes an exit of it.
            if self.torn:
                raise KeyboardInterrupt from error
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    def _check(self, trainer: pl.Trainer) -> None:
        over = self.minutes is not None and time.monotonic() - self.began > self.minutes * 60
        stop = self.asked or over
        if trainer.world_size > 1:  # all processes stop at the same batch, or some wait for ever
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            raise _Stop("time is over" if over and not self.asked else INTERRUPTED)

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        self._check(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *arguments: Any, **more: Any) -> None:
        if trainer.world_size == 1 and self.asked:
            self._check(trainer)


# Below so many multiply-adds a time step, a second thread wins nothing (64 units and a batch of
# 32: 19 ms a batch of 104 steps with one thread or two), and when another process wants the cores
# threads that wait for each other cost tenfold.
ONE_THREAD = 4_000_000


@contextmanager
def _threads(weights: int, batch: int) -> Iterator[None]:
    """Compute with one thread inside the block if a time step is small."""
    before = torch.get_num_threads()
    if weights * batch < ONE_THREAD:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice is for those who write loops, not for those who run ours."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.fabric")]
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
        ):
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _check_resumable(last: Path, digest: str, epochs: int) -> None:
    """See that a checkpoint is whole, of the same data and cell, and that epochs are left.

    Raises:
        RunError: it is not, or there is none.
        SettingError: so many epochs are done already.
    """
    if not last.is_file():
        raise RunError(f"{last} is missing: there is nothing to resume.")
    try:
        checkpoint = torch.load(last, map_location="cpu", weights_only=True)
        known, done = checkpoint["data_digest"], int(checkpoint["epoch"]) + 1
    except Exception as error:
        # torch.load raises many kinds for a damaged file; all mean the same to the user.
        raise RunError(f"{last} is corrupt: {type(error).__name__}. Begin a new run.") from error
    if known != digest:
        raise RunError(
            f"{last} does not fit: it was made on other data or with another cell. Give what the "
            "run began with, or begin a new run with another --out."
        )
    if done >= epochs:
        raise SettingError(
            f"the run has done {done} epochs, and epochs is {epochs}. Give more with --epochs."
        )


def fit(
    fitter: _Fitter,
    batches: tuple[DataLoader[Any], DataLoader[Any]],
    folder: Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = print,
    trial: bool = False,
) -> Fitted:
    """Fit until the validation loss no longer falls, the epochs are over, the time is, or
    Ctrl-C; then give the model its best weights.

    Args:
        folder: the run; ``checkpoints/`` and ``logs/`` are written there.
        resume: go on from ``checkpoints/last.ckpt``.
        say: where lines for the user go.
        trial: it is one of many: epochs are not told, and as it is not gone on with, only the best
            weights are kept.

    Raises:
        DivergedError: every loss became infinite.
        TooLargeError: there is not enough memory.
        RunError: there is nothing to resume, or the checkpoint is corrupt.
        SaveError: a checkpoint could not be written.
    """
    settings = fitter.settings
    checkpoints = folder / CHECKPOINTS
    last = checkpoints / LAST
    if resume:
        _check_resumable(last, fitter.digest, settings.epochs)
    fate = "this trial will be tried again" if trial else "the best model so far is kept"
    curve, stop = _Curve(silence if trial else say), _StopWhenAsked(settings.minutes, say, fate)
    keep = ModelCheckpoint(
        dirpath=checkpoints,
        filename=BEST.removesuffix(".ckpt"),
        monitor="val_loss",
        save_last=not trial,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    early = EarlyStopping("val_loss", patience=settings.patience, check_on_train_epoch_end=True)
    callbacks: list[Callback] = [curve, stop, early, keep]
    show_bar = sys.stdout.isatty()
    if show_bar:
        callbacks.append(RichProgressBar(leave=False))
    began = time.monotonic()
    stopped = "all epochs done"
    weights = sum(each.numel() for each in fitter.model.recurrent.parameters())
    with in_memory(), _quiet(), stop.listening(), _threads(weights, settings.batch):
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            callbacks=callbacks,
            logger=CSVLogger(folder, name=LOGS),
            gradient_clip_val=settings.clip_norm,
            devices=settings.devices,
            precision=settings.precision,  # type: ignore[arg-type]
            enable_progress_bar=show_bar,
            enable_model_summary=False,
            log_every_n_steps=10,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(
                fitter,
                *batches,
                ckpt_path=str(last) if resume else None,
                weights_only=True,
            )
            if curve.rows and not math.isfinite(curve.rows[-1][2]):
                stopped = f"the validation loss was {curve.rows[-1][2]} in epoch {len(curve.rows)}"
            elif len(curve.rows) < settings.epochs:
                stopped = f"no better validation loss for {settings.patience} epochs"
            if stop.asked:  # after the last batch
                stopped = INTERRUPTED
        except _Stop as wish:
            stopped = str(wish)
        except BrokenPipeError:  # whoever read our lines is gone: no fault of the disk
            raise
        except OSError as error:
            raise SaveError(
                f"a file in {folder} could not be written: {error}. The files that were there are "
                "whole. Make room and go on with --resume."
            ) from error
    finite = [row for row in curve.rows if math.isfinite(row[2])]
    if curve.rows and not finite:
        raise DivergedError(
            f"training diverged: {stopped}. Nothing is saved. Lower --learning-rate or --clip."
        )
    best_epoch = min(finite, key=lambda row: row[2])[0] if finite else 0
    if best_epoch:
        best = torch.load(checkpoints / BEST, map_location="cpu", weights_only=True)
        fitter.load_state_dict(best["state_dict"])
    # Whatever precision it was trained in: scores and saved models are float32.
    fitter.cpu().float()
    return Fitted(
        stopped,
        tuple(curve.rows),
        best_epoch,
        time.monotonic() - began,
    )
