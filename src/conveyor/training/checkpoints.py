"""Writes checkpoints whole, with a seal that is checked when they are read.

A checkpoint is Lightning's, with the fit's curve and a seal: a digest of its content. A file that
was cut off, damaged or edited does not match its seal. So a fit is only resumed from files that a
fit has written.
"""

import hashlib
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from conveyor.data.files import check_regular, write_whole
from conveyor.errors import RunError, SettingError, named
from conveyor.networks.network import LOSS
from conveyor.tasks.settings import Training
from conveyor.training.averaging import Averaging
from conveyor.training.curve import Curve
from conveyor.training.fitter import Fitter
from conveyor.training.launch import is_main_process

CHECKPOINTS = "checkpoints"
BEST, LAST = "best.ckpt", "last.ckpt"

_SEAL, _CURVE = "seal", "curve"

Weights = dict[str, Tensor]


def _seal_of(content: Any) -> str:
    """Return a digest of dictionaries, lists, tensors and plain values: of their types, order and
    bits."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Mapping):
            digest.update(f"{{{len(value)}".encode())
            for key, item in value.items():
                add(key)
                add(item)
        elif isinstance(value, list | tuple):
            digest.update(f"[{len(value)}".encode())
            for item in value:
                add(item)
        elif isinstance(value, Tensor):
            digest.update(f"{value.dtype}{list(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        else:
            digest.update(f"{type(value).__name__} {value!r};".encode())

    add({key: value for key, value in content.items() if key != _SEAL})
    return digest.hexdigest()


class SealedFiles(TorchCheckpointIO):
    """Makes Lightning write checkpoints with a seal, each completely or not at all, on any file
    system."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        checkpoint[_SEAL] = _seal_of(checkpoint)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint whose seal is right.

    Raises:
        RunError: the file is corrupt.
    """
    try:
        check_regular(path)
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        is_whole = checkpoint[_SEAL] == _seal_of(checkpoint)
    except Exception as error:
        # torch.load raises errors of many classes for a damaged file.
        raise RunError(f"{path} is corrupt: {type(error).__name__}.") from error
    if not is_whole:
        raise RunError(f"{path} is corrupt: it is not as it was written.")
    return checkpoint


@dataclass(frozen=True)
class Resumed:
    """The state from which a fit is resumed: the checkpoint, the curve, and the best weights."""

    path: Path
    curve: Curve
    best: Weights


def find_resumed(run: Path, fitter: Fitter, say: Callable[[str], None]) -> Resumed | None:
    """Return the state of the newest intact checkpoint of a run, None if there is no checkpoint.

    Args:
        run: the run's folder.
        fitter: the fitter that is resumed, which must fit the checkpoint.
        say: called with a line on the epoch, and with one on a corrupt checkpoint that another one
            replaces.

    Raises:
        RunError: all checkpoints are corrupt, or the newest was made on other data, with another
            cell or with other sizes.
        SettingError: the run has done more epochs than the settings ask for.
        SaveError: the checkpoint that replaces a corrupt best one cannot be written.
    """
    folder, settings = run / CHECKPOINTS, fitter.settings
    whole: dict[str, dict[str, Any]] = {}
    corrupt: list[str] = []
    for name in (LAST, BEST):
        path = folder / name
        if not path.is_symlink() and not path.exists():
            continue
        try:
            whole[name] = read_checkpoint(path)
        except RunError as error:
            corrupt.append(str(error))
    if not whole:
        if corrupt:
            raise RunError(f"{' '.join(corrupt)} Restore it, or begin a new run.")
        say("no epoch was finished yet: beginning with the first")
        return None
    # A fit that is killed between the two writes leaves a best checkpoint newer than the last.
    newest = max(whole, key=lambda name: len(whole[name][_CURVE]["rows"]))
    checkpoint, path = whole[newest], folder / newest
    _check_fits(path, checkpoint, fitter)
    curve = _curve_of(checkpoint)
    if curve.epochs > settings.epochs:
        raise SettingError(
            f"the run has done {curve.epochs} epochs, and epochs is {settings.epochs}. Give more "
            f"with {named('epochs')}."
        )
    if LAST not in whole and corrupt:
        say(f"{corrupt[0]} Going on from {BEST}.")
    best = _best_weights(checkpoint, curve, whole.get(BEST))
    if best is None:
        what = corrupt[0] if corrupt else f"{folder / BEST} is not of this run."
        say(
            f"{what} The weights of epoch {curve.kept} are lost: those of epoch {curve.epochs} "
            "take their place."
        )
        curve.kept, best = curve.epochs, checkpoint["state_dict"]
        checkpoint[_CURVE] = asdict(curve)
        if is_main_process():
            for name in (BEST, LAST):
                SealedFiles().save_checkpoint(checkpoint, folder / name)
    over = curve.over(settings)
    if over:
        say(f"nothing is left to train ({over}): scoring the model of epoch {curve.kept}")
    else:
        say(f"going on after epoch {curve.epochs}")
    return Resumed(path, curve, best)


def _best_weights(
    newest: Mapping[str, Any], curve: Curve, best: Mapping[str, Any] | None
) -> Weights | None:
    """Return the weights of the epoch that is kept, None if they are lost."""
    if curve.kept in (0, curve.epochs):
        best = newest
    elif (
        best is None
        or best["data_digest"] != newest["data_digest"]
        or _curve_of(best).rows != curve.rows[: curve.kept]
    ):
        return None
    weights: Weights = best["state_dict"]
    return weights


def _curve_of(checkpoint: Mapping[str, Any]) -> Curve:
    stored = checkpoint[_CURVE]
    return Curve(
        [(row[0], row[1], row[2]) for row in stored["rows"]],
        stored["kept"],
        stored["seconds"],
        # Checkpoints of earlier versions have no scores: the loss decided.
        stored.get("by", LOSS),
        list(stored.get("scores", ())),
    )


def _check_fits(path: Path, checkpoint: Mapping[str, Any], fitter: Fitter) -> None:
    """Check that a checkpoint is of the fitter's data, cell and sizes.

    Raises:
        RunError: it is not.
    """
    if checkpoint["data_digest"] != fitter.digest:
        raise RunError(
            f"{path} does not fit: it was made on other data or with another cell. Give what the "
            f"run began with, or begin a new run with another {named('out')}."
        )
    expected, stored = fitter.state_dict(), checkpoint["state_dict"]
    if {name: tensor.shape for name, tensor in expected.items()} != {
        name: tensor.shape for name, tensor in stored.items()
    }:
        raise RunError(
            f"{path} does not fit: its network has other sizes than the settings say. Restore the "
            f"settings, or begin a new run with another {named('out')}."
        )


class Progress(Checkpoint):
    """At the end of each epoch, records and shows its losses, keeps its weights if they are the
    best, writes the checkpoints, and ends training if the fit is over.

    Args:
        settings: the settings that say when a fit is over.
        folder: the folder of the checkpoints; None to write none.
        say: called with the line of the epoch.
        curve: of the fit so far, which is gone on with.
        best: the weights of the epoch that is kept; None before one is.
        averaging: that has the weights of a validation; None if the module has them.
    """

    def __init__(
        self,
        settings: Training,
        folder: Path | None,
        say: Callable[[str], None],
        curve: Curve,
        best: Weights | None = None,
        *,
        averaging: Averaging | None = None,
    ) -> None:
        self.settings, self.folder, self.say = settings, folder, say
        self.curve = curve
        self.best: Weights = best or {}
        self._averaging = averaging
        self._began = time.monotonic() - self.curve.seconds

    def seconds(self) -> float:
        """Return how long the fit has taken, including the time before a resume."""
        return time.monotonic() - self._began

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        losses = trainer.callback_metrics
        training, validation = float(losses["train_loss"]), float(losses["val_loss"])
        score = None if self.curve.by == LOSS else float(losses["val_score"])
        is_best = self.curve.add(training, validation, score)
        self.curve.seconds = self.seconds()
        mark = "  best so far" if is_best else ""
        judged = "" if score is None else f"  {self.curve.by} {100 * score:.2f} %"
        self.say(
            f"epoch {self.curve.epochs:>3}  training {training:.4f}  "
            f"validation {validation:.4f}{judged}{mark}"
        )
        if is_best:
            averages = self._averaging.validated if self._averaging else None
            weights = averages or module.state_dict()
            self.best = {name: tensor.clone() for name, tensor in weights.items()}
        if self.folder is not None:
            for name in (BEST, LAST) if is_best else (LAST,):
                trainer.save_checkpoint(self.folder / name)
        if self.curve.over(self.settings):
            trainer.should_stop = True

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_CURVE] = asdict(self.curve)
