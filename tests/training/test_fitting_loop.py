"""The fitting loop, seen from inside a tiny network: each of its promises by itself."""

import math
import time
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conveyor.errors import DivergedError
from conveyor.networks.network import Loss
from conveyor.tasks.settings import Training
from conveyor.training import heartbeat
from conveyor.training.batches import EpochShuffle, loaders
from conveyor.training.fitter import Fitter
from conveyor.training.launch import silence
from conveyor.training.loop import fit
from tests.resumed import assert_same_fit
from tests.training.tiny_fits import (
    EXAMPLES,
    Fake,
    Killed,
    Tiny,
    examples,
    fit_tiny,
    kill_at,
    parts,
)


def test_the_learning_rate_falls_along_half_a_cosine(tmp_path: Path) -> None:
    _, fitter = fit_tiny(tmp_path, Tiny(), epochs=4)
    rates = [rate for rate, _ in fitter.steps]
    assert len(rates) == 4 * 3
    for epoch in range(4):
        share = 0.05 + 0.95 * (1 + math.cos(math.pi * epoch / 4)) / 2
        assert rates[3 * epoch : 3 * epoch + 3] == pytest.approx([0.1 * share] * 3)


def test_the_optimiser_is_adam_without_weight_decay_on_every_weight(tmp_path: Path) -> None:
    model = Tiny()
    _, fitter = fit_tiny(tmp_path, model, epochs=1)
    assert type(fitter.adam) is torch.optim.Adam
    (group,) = fitter.adam.param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.999), 1e-8, 0)
    assert not group["amsgrad"]
    assert {id(each) for each in group["params"]} == {id(each) for each in model.parameters()}


@pytest.mark.parametrize("clip", [0.25, 1e6])
def test_gradients_are_clipped_to_their_norm_and_else_left_alone(
    tmp_path: Path, clip: float
) -> None:
    model = Tiny()
    _, fitter = fit_tiny(tmp_path, model, epochs=1, clip=clip, seed=1)
    x = torch.tensor(model.trained()[0])
    error = 0.5 * x - 2 * x  # before the first step
    norm = math.hypot(float((2 * error * x).mean()), float((2 * error).mean()))
    assert norm > 1
    assert fitter.steps[0][1] == pytest.approx(min(norm, clip), rel=1e-4)
    # Each step has its own gradient, not the sum of all so far: the error falls, and so does it.
    assert all(size <= clip * 1.0001 for _, size in fitter.steps)


def test_gradients_of_a_step_are_of_its_batch_alone(tmp_path: Path) -> None:
    weights: list[tuple[float, float]] = []
    model = Tiny()

    def note(epoch: int, batch: int) -> None:
        weights.append(
            (float(model.recurrent.weight.detach()), float(model.recurrent.bias.detach()))
        )

    _, fitter = fit_tiny(tmp_path, model, epochs=2, clip=1e6, before=note)
    assert len(weights) == len(fitter.steps) == 6
    for (weight, bias), batch, (_, norm) in zip(
        weights, model.trained(), fitter.steps, strict=True
    ):
        x = torch.tensor(batch)
        error = weight * x + bias - 2 * x
        wanted = math.hypot(float((2 * error * x).mean()), float((2 * error).mean()))
        assert norm == pytest.approx(wanted, rel=1e-3)


def test_every_epoch_sees_every_example_in_an_order_of_its_own(tmp_path: Path) -> None:
    model, same, other = Tiny(), Tiny(), Tiny()
    fit_tiny(tmp_path / "a", model, epochs=3, seed=4)
    fit_tiny(tmp_path / "b", same, epochs=3, seed=4)
    fit_tiny(tmp_path / "c", other, epochs=3, seed=5)
    orders = [list(chain(*model.trained()[3 * n : 3 * n + 3])) for n in range(3)]
    for epoch, order in enumerate(orders):
        shuffle = EpochShuffle(EXAMPLES, 4)
        shuffle.set_epoch(epoch)
        assert order == [1.0 + number for number in shuffle]
        assert sorted(order) == [1, 2, 3, 4, 5]
    assert len({tuple(order) for order in orders}) == 3
    assert model.trained() == same.trained() != other.trained()


def test_validation_comes_once_an_epoch_in_order_without_dropout_or_gradients(
    tmp_path: Path,
) -> None:
    model = Tiny(dropout=0.5)
    fit_tiny(tmp_path, model, epochs=2)
    kinds = [(training, gradients) for training, gradients, _ in model.calls]
    assert kinds == ([(True, True)] * 3 + [(False, False)]) * 2
    assert [batch for training, _, batch in model.calls if not training] == [[1, 2, 3]] * 2


def test_dropout_is_on_in_training(tmp_path: Path) -> None:
    losses = []
    for dropout in (0.0, 0.9):
        fitted, _ = fit_tiny(tmp_path / str(dropout), Tiny(dropout=dropout), epochs=1)
        losses.append(fitted.curve[0][1])
    assert losses[0] != losses[1]


def test_losses_count_by_the_examples_of_their_batch(tmp_path: Path) -> None:
    model = Tiny()
    fitted, _ = fit_tiny(tmp_path, model, epochs=1, learning_rate=1e-12, validated=300)
    # The weight stays 0.5 and the bias 0, so that an example's loss is (1.5 x)².
    assert model.trained()[-1] == [pytest.approx(model.trained()[-1][0])]  # a batch of one
    squares = [(1.5 * x) ** 2 for x in range(1, 301)]
    (row,) = fitted.curve
    assert row[1] == pytest.approx(sum(squares[:EXAMPLES]) / EXAMPLES, rel=1e-5)
    assert row[2] == pytest.approx(sum(squares) / 300, rel=1e-5)
    assert [len(batch) for training, _, batch in model.calls if not training] == [256, 44]


# Validation losses, patience, and after how many epochs the fit is to end.
PATIENCE: list[tuple[list[float], int, int]] = [
    ([5.0, 4.0, 4.5, 4.2, 3.0, 1.0], 2, 4),
    ([5.0, 4.0, 4.5, 3.9, 4.0, 4.1], 2, 6),
    ([5.0, 5.0, 1.0], 1, 2),  # as good is not better
    ([5.0, 4.0, 3.0, 2.0, 1.0], 1, 5),
    ([1.0, 2.0, 3.0, 4.0, 5.0], 3, 4),
    ([1.0, 2.0, 3.0, 0.5, 4.0], 3, 5),
]


@pytest.mark.parametrize(("losses", "patience", "epochs"), PATIENCE)
def test_patience_is_counted_exactly(
    tmp_path: Path, losses: list[float], patience: int, epochs: int
) -> None:
    model = Tiny(losses=losses)
    fitted, _ = fit_tiny(tmp_path, model, epochs=len(losses), patience=patience)
    assert [row[0] for row in fitted.curve] == list(range(1, epochs + 1))
    assert [row[2] for row in fitted.curve] == pytest.approx(losses[:epochs])
    if epochs < len(losses):
        assert fitted.stopped == f"no better validation loss for {patience} epochs"
    assert fitted.best_epoch == 1 + losses.index(min(losses[:epochs]))


# Validation losses, how many of ten answers are right, and the epoch that is to be kept.
SCORED: list[tuple[list[float], list[int], int]] = [
    ([1.0, 2.0, 3.0], [5, 7, 9], 3),  # the loss rises while answers get better
    ([3.0, 2.0, 1.0], [9, 7, 5], 1),
    ([3.0, 1.0, 2.0], [5, 5, 5], 2),  # of equals the least loss
    ([1.0, 1.0, 1.0], [5, 5, 5], 1),
    ([3.0, 2.0, 2.5], [4, 6, 6], 2),
    ([3.0, 2.0, math.inf], [4, 6, 9], 2),
]


@pytest.mark.parametrize(("losses", "found", "kept"), SCORED)
def test_a_score_decides_and_the_loss_of_equals(
    tmp_path: Path, losses: list[float], found: list[int], kept: int
) -> None:
    model = Tiny(losses=losses, found=found)
    said: list[str] = []
    fitted, _ = fit_tiny(tmp_path, model, epochs=3, said=said)
    assert fitted.best_epoch == kept
    assert float(model.recurrent.weight.detach()) == model.validated[kept - 1]
    assert fitted.scores == pytest.approx([number / 10 for number in found])
    assert fitted.as_json()["decided_by"] == "accuracy"
    assert f"accuracy {10 * found[0]:.2f} %  best so far" in said[0]


def test_patience_waits_for_the_score(tmp_path: Path) -> None:
    losses = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    model = Tiny(losses=losses, found=[1, 2, 3, 3, 3, 3])
    fitted, _ = fit_tiny(tmp_path, model, epochs=6, patience=2)
    assert fitted.best_epoch == 3
    assert len(fitted.curve) == 5
    assert fitted.stopped == "no better validation accuracy for 2 epochs"


@pytest.mark.parametrize("trial", [False, True])
@pytest.mark.parametrize("best", [1, 2, 4])
def test_the_weights_of_the_best_epoch_are_given_back(
    tmp_path: Path, best: int, trial: bool
) -> None:
    model = Tiny(losses=[1.0 if epoch == best else 2.0 for epoch in (1, 2, 3, 4)])
    fitted, _ = fit_tiny(tmp_path, model, trial=trial)
    assert fitted.best_epoch == best
    assert len(set(model.validated)) == 4
    assert float(model.recurrent.weight.detach()) == model.validated[best - 1]
    assert fitted.stopped == "all epochs done"


def test_a_trial_writes_nothing_and_tells_no_epochs(tmp_path: Path) -> None:
    said: list[str] = []
    fit_tiny(tmp_path, Tiny(), trial=True, said=said)
    assert not list(tmp_path.iterdir())
    assert not said


def test_epochs_are_told_with_their_losses(tmp_path: Path) -> None:
    said: list[str] = []
    fitted, _ = fit_tiny(tmp_path, Tiny(losses=[2.0, 3.0, 1.0]), epochs=3, said=said)
    assert said == [
        f"epoch   {epoch}  training {training:.4f}  validation {validation:.4f}" + mark
        for (epoch, training, validation), mark in zip(
            fitted.curve, ("  best so far", "", "  best so far"), strict=True
        )
    ]


def test_a_loss_that_is_no_number_ends_the_fit_with_the_best_before(tmp_path: Path) -> None:
    for number, wrong in enumerate((math.nan, math.inf)):
        model = Tiny(losses=[2.0, 1.0, wrong, 0.5])
        fitted, _ = fit_tiny(tmp_path / str(number), model)
        assert len(fitted.curve) == 3
        assert fitted.stopped == f"the validation loss was {wrong} in epoch 3"
        assert float(model.recurrent.weight.detach()) == model.validated[1]


def test_a_fit_without_any_finite_loss_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="the validation loss was nan in epoch 1"):
        fit_tiny(tmp_path, Tiny(losses=[math.nan] * 4))


@pytest.mark.parametrize("batches", [1, 4])
def test_minutes_end_the_fit_after_the_batch_in_which_they_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    now = [100.0]

    def one_second(epoch: int, batch: int) -> None:
        now[0] += 1

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    model = Tiny()
    fitted, fitter = fit_tiny(
        tmp_path, model, before=one_second, minutes=(batches - 0.5) / 60, patience=50, epochs=50
    )
    assert fitted.stopped == "time is over"
    assert len(fitter.steps) == batches
    assert fitted.best_epoch == (1 if batches == 4 else 0)
    if batches == 4:
        assert float(model.recurrent.weight.detach()) == model.validated[0]


class _Streams(Fake):
    """Gives scripted losses, and notes the states that it is given; the next is its number."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.Linear(1, 1)
        self.states: list[tuple[bool, Any]] = []
        self.count = 0

    def loss(self, batch: list[Tensor], state: Any = None) -> Loss:
        read, _ = batch
        self.states.append((self.training, state))
        self.count += 1
        mean = read.float().mean()
        return Loss(mean + 0 * self.recurrent.weight.sum(), read.numel(), self.count)


def test_a_stream_keeps_its_state_within_an_epoch_and_its_losses_count_by_steps(
    tmp_path: Path,
) -> None:
    model = _Streams()
    settings = Training(epochs=2)
    chunks = [(torch.full((steps, 2), float(steps)), torch.zeros(steps, 2)) for steps in (4, 4, 1)]
    batches = loaders(parts(chunks, chunks[1:], in_order=True), settings)
    fitter = Fitter(model, settings, "data", in_order=True)  # type: ignore[arg-type]
    fitted = fit(fitter, batches, tmp_path, say=silence)
    epoch = [(True, None), (True, 1), (True, 2), (False, None), (False, 4)]
    second = [(True, None), (True, 6), (True, 7), (False, None), (False, 9)]
    assert model.states == epoch + second
    assert fitted.curve[0][1:] == pytest.approx(((4 * 4 + 4 * 4 + 1) / 9, (4 * 4 + 1) / 5))


class _Answers(Fake):
    """Gives the mean of a batch as its loss; a batch has as many answers as its sum."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.Linear(1, 1)

    def loss(self, batch: list[Tensor], state: Any = None) -> Loss:
        value = batch[0].mean() + 0 * self.recurrent.weight.sum()
        return Loss(value, int(batch[0].sum()))


def test_sequences_count_by_their_answers(tmp_path: Path) -> None:
    settings = Training(epochs=1, batch=1)
    batches = loaders(parts(examples(3), examples(257)), settings)
    model: Any = _Answers()
    fitted = fit(Fitter(model, settings, "data"), batches, tmp_path, say=silence)
    (row,) = fitted.curve
    assert row[1] == pytest.approx((1 * 1 + 2 * 2 + 3 * 3) / 6)
    # Two batches of validation: 1 to 256, and 257.
    assert row[2] == pytest.approx((256 * 257 / 2 * 257 / 2 + 257 * 257) / (256 * 257 / 2 + 257))


@pytest.mark.parametrize("losses", [None, [3.0, 1.0, 2.0, 2.5, 1.5]], ids=["falling", "scripted"])
def test_a_fit_that_is_killed_in_any_epoch_goes_on_to_the_same_bits(
    tmp_path: Path, losses: list[float] | None
) -> None:
    whole = Tiny(dropout=0.5, losses=losses)
    wanted, steps = fit_tiny(tmp_path / "whole", whole, epochs=5)
    for epoch in range(5):
        for batch in (0, 2):
            folder = tmp_path / f"{epoch}-{batch}"
            first = Tiny(dropout=0.5, losses=losses)
            with pytest.raises(Killed):
                fit_tiny(folder, first, epochs=5, before=kill_at((epoch, batch)))
            moved = folder.rename(tmp_path / f"moved-{epoch}-{batch}")  # paths are not kept
            model = Tiny(dropout=0.5, losses=losses and losses[epoch:])
            fitted, second = fit_tiny(moved, model, epochs=5, resume=True)
            assert_same_fit(fitted.curve, wanted.curve)
            assert fitted.best_epoch == wanted.best_epoch
            assert fitted.stopped == wanted.stopped
            assert_same_fit(second.steps, steps.steps[3 * epoch :])
            assert model.trained() == whole.trained()[3 * epoch :]
            assert_same_fit(model.state_dict(), whole.state_dict())


@pytest.mark.parametrize("losses", [[3.0, 1.0, 2.0, 2.5], [2.0, 1.0, math.nan]])
def test_a_fit_that_is_over_is_not_gone_on_with(tmp_path: Path, losses: list[float]) -> None:
    first, said = Tiny(losses=losses), list[str]()
    wanted, _ = fit_tiny(tmp_path, first, epochs=9, patience=2)
    model = Tiny()
    fitted, _ = fit_tiny(tmp_path, model, epochs=9, patience=2, resume=True, said=said)
    assert not model.calls
    assert repr(fitted.curve) == repr(wanted.curve)
    assert fitted.stopped == wanted.stopped
    assert float(model.recurrent.weight.detach()) == first.validated[1]
    assert said == [f"nothing is left to train ({wanted.stopped}): scoring the model of epoch 2"]


def test_more_epochs_go_on_where_all_were_done(tmp_path: Path) -> None:
    fit_tiny(tmp_path, Tiny(), epochs=2)
    model = Tiny()
    fitted, _ = fit_tiny(tmp_path, model, epochs=4, resume=True)
    assert [row[0] for row in fitted.curve] == [1, 2, 3, 4]
    assert len(model.trained()) == 2 * 3


def test_seconds_add_up_over_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def ten_seconds(epoch: int, batch: int) -> None:
        now[0] += 10

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    fit_tiny(tmp_path, Tiny(), epochs=2, before=ten_seconds)
    now[0] = 1e6
    fitted, _ = fit_tiny(tmp_path, Tiny(), epochs=3, before=ten_seconds, resume=True)
    assert fitted.seconds == pytest.approx(90)


def test_a_long_epoch_gives_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(heartbeat, "SILENCE", 0.0)
    fit_tiny(tmp_path / "a", Tiny(), epochs=2, said=said)
    lines = [line for line in said if "  batch " in line]
    assert [line.split("  training")[0] for line in lines] == [
        f"epoch {epoch:>3}  batch {batch} of 3" for epoch in (1, 2) for batch in (1, 2, 3)
    ]
    monkeypatch.undo()
    quiet: list[str] = []
    fit_tiny(tmp_path / "b", Tiny(), epochs=2, said=quiet)
    assert not [line for line in quiet if "  batch " in line]
