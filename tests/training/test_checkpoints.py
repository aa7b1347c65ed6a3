"""Checkpoints that were cut off, damaged, edited or lost: a sentence, and on from what is whole."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from conveyor.errors import RunError, SaveError, SettingError
from conveyor.training import checkpoints
from conveyor.training.checkpoints import BEST, CHECKPOINTS, LAST, read_checkpoint
from tests.resumed import assert_same_fit
from tests.training.tiny_fits import Killed, Tiny, fit_tiny, kill_at

# Validation losses: the second epoch is the best of the first three.
LOSSES = [3.0, 1.0, 2.0, 2.5]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four epochs that was killed in the last."""
    with pytest.raises(Killed):
        fit_tiny(tmp_path, Tiny(losses=LOSSES), before=kill_at((3, 1)))
    return tmp_path


def _edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Load a checkpoint as anybody can, change it, and save it."""
    known = torch.load(path, weights_only=True)
    changed = change(known)
    torch.save(known if changed is None else changed, path)


def _weight(known: dict[str, Any]) -> Any:
    return known["state_dict"]["model.recurrent.weight"]


def _moment(known: dict[str, Any]) -> Any:
    return known["optimizer_states"][0]["state"][0]


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing in it": lambda known: {},
    "no dictionary": lambda known: [1, 2],
    "no epoch": lambda known: known.pop("epoch") and None,
    "an epoch of text": lambda known: known.update(epoch="x"),
    "another epoch": lambda known: known.update(epoch=-5),
    "no weights": lambda known: known.update(state_dict={}),
    "a weight of another value": lambda known: _weight(known).add_(1) and None,
    "a weight that is no number": lambda known: _weight(known).fill_(torch.nan) and None,
    "a weight of another shape": lambda known: known["state_dict"].update(
        {"model.recurrent.weight": torch.zeros(2, 2)}
    ),
    "a weight of another type": lambda known: known["state_dict"].update(
        {"model.recurrent.weight": _weight(known).double()}
    ),
    "no optimiser": lambda known: known.update(optimizer_states=[]),
    "a moment of another shape": lambda known: _moment(known).update(exp_avg=torch.zeros(7)),
    "another learning rate": lambda known: known["optimizer_states"][0]["param_groups"][0].update(
        lr=1e9
    ),
    "no schedule": lambda known: known.update(lr_schedulers=[]),
    "no loops": lambda known: known.pop("loops") and None,
    "no curve": lambda known: known.pop("curve") and None,
    "a curve of nonsense": lambda known: known.update(curve={"rows": 5}),
    "another random state": lambda known: known.update(random_state=torch.zeros(3)),
    "no digest": lambda known: known.pop("data_digest") and None,
    "a longer curve": lambda known: known["curve"]["rows"].append([4, 0.1, 0.1]),
}


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02") // 2
    data[at] ^= 0xFF
    path.write_bytes(data)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("damaged"),
    "half": _truncate,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a pipe": _pipe,
    "endless": _endless,
    **{name: lambda path, change=change: _edited(path, change) for name, change in EDITS.items()},  # type: ignore[misc]
}


@pytest.mark.parametrize("name", DAMAGE)
def test_where_the_last_is_damaged_the_best_is_gone_on_from(folder: Path, name: str) -> None:
    whole = Tiny(losses=LOSSES)
    wanted, _ = fit_tiny(folder / "whole", whole)
    DAMAGE[name](folder / CHECKPOINTS / LAST)
    said: list[str] = []
    model = Tiny(losses=LOSSES[2:])
    fitted, _ = fit_tiny(folder, model, resume=True, said=said)
    assert said[0].startswith(f"{folder / CHECKPOINTS / LAST} is corrupt: ")
    assert said[0].endswith("Going on from best.ckpt.")
    assert said[1] == "going on after epoch 2"
    assert fitted.curve == wanted.curve
    for key, each in whole.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], each, rtol=0, atol=0)


# Ways to damage a file, and one edit for all, which a seal finds alike.
FEW = [*(name for name in DAMAGE if name not in EDITS), "a weight of another value"]


@pytest.mark.parametrize("name", FEW)
def test_where_the_best_is_damaged_the_last_takes_its_place_and_that_is_told(
    folder: Path, name: str
) -> None:
    DAMAGE[name](folder / CHECKPOINTS / BEST)
    said: list[str] = []
    model = Tiny(losses=[2.5])
    fitted, _ = fit_tiny(folder, model, resume=True, said=said)
    assert said[0].startswith(f"{folder / CHECKPOINTS / BEST} is corrupt: ")
    assert said[0].endswith("The weights of epoch 2 are lost: those of epoch 3 take their place.")
    assert fitted.best_epoch == 3
    assert float(model.recurrent.weight.detach()) != model.validated[0]
    kept = torch.load(folder / CHECKPOINTS / BEST, weights_only=True)
    assert float(_weight(kept)) == float(model.recurrent.weight.detach())


@pytest.mark.parametrize("name", FEW)
def test_where_both_are_damaged_it_is_an_error(folder: Path, name: str) -> None:
    for each in (LAST, BEST):
        DAMAGE[name](folder / CHECKPOINTS / each)
    with pytest.raises(RunError, match=r"last.ckpt is corrupt: .*best.ckpt is corrupt: "):
        fit_tiny(folder, Tiny(), resume=True)


@pytest.mark.parametrize("name", [LAST, BEST])
def test_a_folder_in_the_place_of_a_checkpoint_is_an_error(folder: Path, name: str) -> None:
    (folder / CHECKPOINTS / name).unlink()
    (folder / CHECKPOINTS / name).mkdir()
    with pytest.raises(SaveError, match=f"{name} could not be written"):
        fit_tiny(folder, Tiny(losses=LOSSES), resume=True)


def test_a_best_that_is_damaged_while_training_goes_on_matters_to_nobody(tmp_path: Path) -> None:
    def damage(epoch: int, batch: int) -> None:
        if (epoch, batch) == (2, 1):
            (tmp_path / CHECKPOINTS / BEST).write_bytes(b"damaged")

    model = Tiny(losses=LOSSES)
    fitted, _ = fit_tiny(tmp_path, model, before=damage)
    assert fitted.best_epoch == 2
    assert float(model.recurrent.weight.detach()) == model.validated[1]


def test_a_best_of_another_run_is_not_taken(folder: Path) -> None:
    fit_tiny(folder / "other", Tiny(losses=[9.0, 8.0]), epochs=2)
    (folder / "other" / CHECKPOINTS / BEST).replace(folder / CHECKPOINTS / BEST)
    said: list[str] = []
    fitted, _ = fit_tiny(folder, Tiny(losses=[2.5]), resume=True, said=said)
    assert "best.ckpt is not of this run" in said[0]
    assert fitted.best_epoch == 3


def test_a_missing_last_is_no_matter_and_without_any_the_fit_begins(folder: Path) -> None:
    (folder / CHECKPOINTS / LAST).unlink()
    said: list[str] = []
    fit_tiny(folder, Tiny(losses=LOSSES[2:]), resume=True, said=said)
    assert said[0] == "going on after epoch 2"
    for name in (LAST, BEST):
        (folder / CHECKPOINTS / name).unlink()
    said = []
    fitted, _ = fit_tiny(folder, Tiny(losses=LOSSES), resume=True, said=said)
    assert said[0] == "no epoch was finished yet: beginning with the first"
    assert len(fitted.curve) == 4


def test_a_resumed_fit_goes_on_by_the_score_that_it_began_with(tmp_path: Path) -> None:
    losses, found = [1.0, 2.0, 3.0, 4.0], [5, 8, 7, 8]
    with pytest.raises(Killed):
        fit_tiny(tmp_path, Tiny(losses=losses, found=found), before=kill_at((2, 1)))
    model = Tiny(losses=losses[2:], found=found[2:])
    resumed, _ = fit_tiny(tmp_path, model, resume=True)
    whole, _ = fit_tiny(tmp_path / "whole", Tiny(losses=losses, found=found))
    assert resumed.best_epoch == whole.best_epoch == 2
    assert resumed.scores == whole.scores == pytest.approx([0.5, 0.8, 0.7, 0.8])


def test_a_fit_of_an_earlier_version_goes_on_by_the_loss(tmp_path: Path) -> None:
    """Its checkpoints know no score."""
    with pytest.raises(Killed):
        fit_tiny(tmp_path, Tiny(losses=LOSSES), before=kill_at((2, 1)))
    for name in (BEST, LAST):
        path = tmp_path / CHECKPOINTS / name
        known = torch.load(path, weights_only=True)
        del known["curve"]["by"], known["curve"]["scores"]
        checkpoints.SealedFiles().save_checkpoint(known, path)
    resumed, _ = fit_tiny(tmp_path, Tiny(losses=LOSSES[2:], found=[9, 9]), resume=True)
    assert (resumed.best_epoch, resumed.scores) == (2, ())


def test_a_best_that_is_newer_than_the_last_is_gone_on_from(tmp_path: Path) -> None:
    """A fit that is killed between the two leaves them so."""
    older = (tmp_path / "older" / CHECKPOINTS, tmp_path / "newer" / CHECKPOINTS)
    for folder, epochs in zip(older, (2, 3), strict=True):
        with pytest.raises(Killed):
            fit_tiny(folder.parent, Tiny(), before=kill_at((epochs, 0)))
    (older[0] / LAST).replace(older[1] / LAST)
    said: list[str] = []
    fit_tiny(tmp_path / "newer", Tiny(), resume=True, said=said)
    assert said[0] == "going on after epoch 3"


def test_other_data_other_sizes_and_fewer_epochs_are_errors(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingError, match="has done 3 epochs, and epochs is 2"):
        fit_tiny(folder, Tiny(), epochs=2, resume=True)

    class Wider(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.more = torch.nn.Linear(2, 2)

    with pytest.raises(RunError, match="other sizes than the settings say"):
        fit_tiny(folder, Wider(), resume=True)
    known = read_checkpoint(folder / CHECKPOINTS / LAST)
    known["data_digest"] = "other"
    checkpoints.SealedFiles().save_checkpoint(known, folder / CHECKPOINTS / LAST)
    with pytest.raises(RunError, match="made on other data or with another cell"):
        fit_tiny(folder, Tiny(), resume=True)


def test_a_checkpoint_is_whole_whatever_file_system_temporary_files_are_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written beside its name: where TMPDIR is does not matter."""
    monkeypatch.setenv("TMPDIR", "/nowhere")
    written: list[Path] = []
    replace = Path.replace

    def noted(path: Path, target: Path) -> Path:
        written.append(path)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    fit_tiny(tmp_path, Tiny(losses=LOSSES), epochs=3)
    assert [each.name.rpartition(".")[0] for each in written] == [
        ".best.ckpt", ".last.ckpt", ".best.ckpt", ".last.ckpt", ".last.ckpt"
    ]  # fmt: skip
    assert {each.parent for each in written} == {tmp_path / CHECKPOINTS}


def test_a_full_disk_is_an_error_and_the_fit_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Tiny()
    wanted, _ = fit_tiny(tmp_path / "whole", whole)
    sync, count = os.fsync, [0]

    def full(handle: int) -> None:
        count[0] += 1
        if count[0] == 3:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match=r"best.ckpt could not be written: No space left"):
        fit_tiny(tmp_path / "run", Tiny())
    model = Tiny()
    fitted, _ = fit_tiny(tmp_path / "run", model, resume=True)
    assert_same_fit(fitted.curve, wanted.curve)
    assert_same_fit(model.state_dict(), whole.state_dict())


def test_the_seal_knows_kinds_order_and_bits() -> None:
    """No two of these have the same."""
    contents: list[dict[str, Any]] = [
        {}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": None}, {"b": 1}, {"a": [1]},
        {"a": [[1]]}, {"a": {}}, {"a": {1: 2}}, {"a": [1, 2]}, {"a": [2, 1]}, {"a": 0.1},
        {"a": 0.1 + 1e-17}, {"a": torch.tensor(1)}, {"a": torch.tensor(1.0)},
        {"a": torch.ones(1, 2)}, {"a": torch.ones(2, 1)}, {"a": torch.zeros(0)},
        {"a": torch.ones(2, dtype=torch.bfloat16)}, {"a": torch.tensor([True])},
        {"a": 1, "b": 2}, {"b": 2, "a": 1},
    ]  # fmt: skip
    seals = [checkpoints._seal_of(each) for each in contents]
    same = [(n, m) for n in range(len(seals)) for m in range(n) if seals[n] == seals[m]]
    assert not same


def test_a_checkpoint_is_still_one_that_torch_reads(folder: Path) -> None:
    known = torch.load(folder / CHECKPOINTS / LAST, weights_only=True)
    assert known["curve"]["kept"] == 2
    assert asdict(checkpoints._curve_of(known))["rows"][2][2] == 2.0
