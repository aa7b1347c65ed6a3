"""Checkpoints: written whole, sealed, and read again with care.

A checkpoint is Lightning's, with our curve in it and a seal: a digest of all that it holds. What
was cut off, damaged or edited does not fit its seal, so that only what a fit has written is gone on
with.
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
from conveyor.tasks.settings import Training
from conveyor.training.curve import Curve
from conveyor.training.fitter import Fitter
from conveyor.training.launch import is_main_process

CHECKPOINTS = "checkpoints"
BEST, LAST = "best.ckpt", "last.ckpt"

_SEAL, _CURVE = "seal", "curve"

Weights = dict[str, Tensor]


def _seal_of(content: Any) -> str:
    """A digest of dictionaries, lists, tensors and plain values: their kinds, order and bits."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Mapping):
            digest.update(f"{{{len(value)}".encode())
            for key, each in value.items():
                add(key)
                add(each)
        elif isinstance(value, list | tuple):
            digest.update(f"[{len(value)}".encode())
            for each in value:
                add(each)
        elif isinstance(value, Tensor):
            digest.update(f"{value.dtype}{list(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        else:
            digest.update(f"{type(value).__name__} {value!r};".encode())

    add({key: each for key, each in content.items() if key != _SEAL})
    return digest.hexdigest()


class SealedFiles(TorchCheckpointIO):
    """How Lightning writes checkpoints here: sealed, and whole or not at all, whatever file system
    temporary files are on."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        checkpoint[_SEAL] = _seal_of(checkpoint)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, if it is as it was written.

    Raises:
        RunError: it is not.
    """
    try:
        check_regular(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        whole = checkpoint[_SEAL] == _seal_of(checkpoint)
    except Exception as error:
        # torch.load raises many kinds for a damaged file; all mean the same to the user.
        raise RunError(f"{path} is corrupt: {type(error).__name__}.") from error
    if not whole:
        raise RunError(f"{path} is corrupt: it is not as it was written.")
    found: dict[str, Any] = checkpoint
    return found


@dataclass(frozen=True)
class Resumed:
    """Where a fit goes on: from which file, after what, with which best weights."""

    path: Path
    curve: Curve
    best: Weights


def find_resumed(run: Path, fitter: Fitter, say: Callable[[str], None]) -> Resumed | None:
    """Where to go on: the newest checkpoint of a run that is whole; None if there is none yet.

    Args:
        say: told where that is, and if a checkpoint is corrupt and another takes its place.

    Raises:
        RunError: all are corrupt, or the newest was made on other data, or with another cell or
            other sizes.
        SettingError: more epochs are done than are to be.
        SaveError: the checkpoint that takes the place of a corrupt best one cannot be written.
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
    # Killed between the two, a fit leaves a best one that is newer than the last.
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
    """The weights of the epoch that is kept; None if they are lost."""
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
    known = checkpoint[_CURVE]
    return Curve(
        [(row[0], row[1], row[2]) for row in known["rows"]], known["kept"], known["seconds"]
    )


def _check_fits(path: Path, checkpoint: Mapping[str, Any], fitter: Fitter) -> None:
    """See that a checkpoint is of the fitter's data, cell and sizes."""
    if checkpoint["data_digest"] != fitter.digest:
        raise RunError(
            f"{path} does not fit: it was made on other data or with another cell. Give what the "
            f"run began with, or begin a new run with another {named('out')}."
        )
    wanted, found = fitter.state_dict(), checkpoint["state_dict"]
    if {name: each.shape for name, each in wanted.items()} != {
        name: each.shape for name, each in found.items()
    }:
        raise RunError(
            f"{path} does not fit: its network has other sizes than the settings say. Restore the "
            f"settings, or begin a new run with another {named('out')}."
        )


class Progress(Checkpoint):
    """At the end of an epoch: writes its losses down and tells them, keeps its weights if they are
    the best, writes the checkpoints, and ends the training if it is over.

    Args:
        settings: they say when a training is over.
        folder: where checkpoints go; None for none.
        say: where the line for the user goes.
        resumed: what the fit goes on from.
    """

    def __init__(
        self,
        settings: Training,
        folder: Path | None,
        say: Callable[[str], None],
        resumed: Resumed | None = None,
    ) -> None:
        self.settings, self.folder, self.say = settings, folder, say
        self.curve = resumed.curve if resumed else Curve()
        self.best: Weights = resumed.best if resumed else {}
        self._began = time.monotonic() - self.curve.seconds

    def seconds(self) -> float:
        """How long the fit has taken, with what was before a resume."""
        return time.monotonic() - self._began

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        losses = trainer.callback_metrics
        training, validation = float(losses["train_loss"]), float(losses["val_loss"])
        is_best = self.curve.add(training, validation)
        self.curve.seconds = self.seconds()
        mark = "  best so far" if is_best else ""
        self.say(
            f"epoch {self.curve.epochs:>3}  training {training:.4f}  "
            f"validation {validation:.4f}{mark}"
        )
        if is_best:
            self.best = {name: each.clone() for name, each in module.state_dict().items()}
        if self.folder is not None:
            for name in (BEST, LAST) if is_best else (LAST,):
                trainer.save_checkpoint(self.folder / name)
        if self.curve.over(self.settings):
            trainer.should_stop = True

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_CURVE] = asdict(self.curve)
