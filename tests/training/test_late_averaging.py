"""SGD whose weights are averaged from when the validation set is answered no better, and chunks
of a text whose lengths are drawn."""

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.errors import SettingError
from conveyor.networks.network import Loss
from conveyor.tasks.settings import Training
from conveyor.tasks.text.text_settings import TextSettings, TextTraining
from conveyor.training.batches import DrawnChunks, loaders
from conveyor.training.curve import Curve
from conveyor.training.fitter import Fitter
from conveyor.training.launch import silence
from conveyor.training.loop import fit
from tests.heard import Heard
from tests.resumed import assert_same_fit
from tests.training.tiny_fits import Fake, Killed, Tiny, fit_tiny, kill_at, parts

# The third epoch is no better than the first: from then on with a trigger of 1.
LOSSES = [2.0, 3.0, 2.5, 2.4, 1.9, 1.8]
LATE: dict[str, Any] = {
    "kind": TextTraining,
    "method": "nt-asgd",
    "trigger": 1,
    "learning_rate": 0.01,
    "patience": 9,
}


def by_the_paper(losses: list[float], trigger: int) -> int:
    """Return after which epoch averaging begins, as algorithm 1 has it, check by check."""
    logs: list[float] = []
    for number, loss in enumerate(losses):
        if len(logs) > trigger and loss > min(logs[: len(logs) - trigger]):
            return number + 1
        logs.append(loss)
    return 0


def test_averaging_begins_when_the_paper_says() -> None:
    draw = random.Random(0)
    begun = set()
    for _ in range(300):
        losses = [draw.choice([1.0, 2.0, 3.0, 4.0]) for _ in range(draw.randint(0, 9))]
        trigger = draw.randint(1, 5)
        curve = Curve([(number + 1, 0.0, loss) for number, loss in enumerate(losses)])
        assert curve.averaged_from(trigger) == by_the_paper(losses, trigger)
        begun.add(curve.averaged_from(trigger))
    assert begun > {0, 3, 5, 7}


def test_validated_and_kept_is_the_mean_of_all_later_weights(tmp_path: Path) -> None:
    model = Tiny(losses=LOSSES)
    fitted, fitter = fit_tiny(tmp_path, model, epochs=6, **LATE)
    after = fitter.weights  # three steps an epoch
    assert len(after) == 18
    for epoch in range(3):
        assert model.validated[epoch] == pytest.approx(after[3 * epoch + 2])
    for epoch in range(3, 6):
        later = after[9 : 3 * epoch + 3]
        assert model.validated[epoch] == pytest.approx(sum(later) / len(later))
        assert model.validated[epoch] != pytest.approx(later[-1], abs=1e-4)
    assert fitted.best_epoch == 6
    assert float(model.recurrent.weight.detach()) == model.validated[-1]
    assert {rate for rate, _ in fitter.steps} == {0.01}  # it stays as it is


def test_without_a_trigger_it_is_sgd(tmp_path: Path) -> None:
    model = Tiny()
    fit_tiny(tmp_path, model, epochs=2, **LATE)
    by_hand = nn.Linear(1, 1)
    with torch.no_grad():
        by_hand.weight.fill_(0.5)
        by_hand.bias.fill_(0.0)
    for batch in model.trained():
        history = torch.tensor(batch).unsqueeze(1)
        loss = (by_hand(history) - 2 * history).square().mean()
        by_hand.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
        with torch.no_grad():
            for each in by_hand.parameters():
                assert each.grad is not None
                each.sub_(0.01 * each.grad)
    assert model.validated[-1] == pytest.approx(float(by_hand.weight.detach()))


def test_a_fit_killed_anywhere_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = Tiny(dropout=0.5, losses=LOSSES)
    wanted, steps = fit_tiny(tmp_path / "whole", whole, epochs=6, **LATE)
    for epoch in range(6):
        folder = tmp_path / str(epoch)
        with pytest.raises(Killed):
            fit_tiny(
                folder,
                Tiny(dropout=0.5, losses=LOSSES),
                epochs=6,
                before=kill_at((epoch, 1)),
                **LATE,
            )
        model = Tiny(dropout=0.5, losses=LOSSES[epoch:])
        fitted, second = fit_tiny(folder, model, epochs=6, resume=True, **LATE)
        assert_same_fit(fitted.curve, wanted.curve)
        assert_same_fit(second.weights, steps.weights[3 * epoch :])
        assert_same_fit(model.validated, whole.validated[epoch:])
        assert_same_fit(model.state_dict(), whole.state_dict())


def test_patience_begins_with_averages(tmp_path: Path) -> None:
    losses = [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    settings = {**LATE, "patience": 2, "trigger": 3}
    fitted, _ = fit_tiny(tmp_path, Tiny(losses=losses), epochs=8, **settings)
    # The fifth is the first that is worse than all but the last three before it.
    assert len(fitted.curve) == 7
    assert fitted.stopped == "no better validation loss for 2 epochs"


def test_two_ways_to_average_are_refused() -> None:
    with pytest.raises(SettingError, match="method='nt-asgd' averages the weights when it is time"):
        TextSettings.of({"method": "nt-asgd", "average": True})


# Chunks ------------------------------------------------------------------------------------------


def drawn(steps: int, usual: int, seed: int = 0, epoch: int = 0) -> list[tuple[int, int]]:
    """Return the chunks of an epoch."""
    chunks = DrawnChunks(steps, usual, seed)
    chunks.set_epoch(epoch)
    found = list(chunks)
    assert len(found) == len(chunks)
    return found


@pytest.mark.parametrize(("steps", "usual"), [(1, 1), (7, 1), (50, 100), (1000, 3), (9999, 70)])
def test_drawn_chunks_are_the_text_in_order(steps: int, usual: int) -> None:
    for epoch in range(3):
        chunks = drawn(steps, usual, epoch=epoch)
        assert [step for first, last in chunks for step in range(first, last)] == list(range(steps))
        assert all(first < last for first, last in chunks)


def test_drawn_chunks_are_those_of_the_paper() -> None:
    """Around 70 steps with a deviation of 5, and one in twenty around 35; each epoch others."""
    lengths = torch.tensor([last - first for first, last in drawn(2_000_000, 70)]).double()
    short = lengths < 52
    assert float(short.double().mean()) == pytest.approx(0.05, abs=0.01)
    assert float(lengths[~short].mean()) == pytest.approx(70, abs=0.5)
    assert float(lengths[~short].std()) == pytest.approx(5, abs=0.3)
    assert float(lengths[short].mean()) == pytest.approx(35, abs=1)
    assert drawn(5000, 70, epoch=1) != drawn(5000, 70)
    assert drawn(5000, 70, seed=1) != drawn(5000, 70)
    assert drawn(5000, 70, epoch=1) == drawn(5000, 70, epoch=1)
    assert len(drawn(5000, 70, epoch=1)) == len(drawn(5000, 70))


class _Text(Fake):
    """Notes how long chunks are."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.Linear(1, 1)
        self.lengths: list[int] = []
        self.weights: list[float] = []  # the weight before each step

    def loss(self, batch: list[Tensor], state: Any = None) -> Loss:
        """The one weight, so that its gradient is 1."""
        if self.training:
            self.lengths.append(len(batch[0]))
            self.weights.append(float(self.recurrent.weight.detach()))
        return Loss(self.recurrent.weight.sum(), len(batch[0]))


class _Chunks:
    """A text of 200 steps in chunks of 20."""

    steps = 200

    def __len__(self) -> int:
        return 10

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.between(20 * number, 20 * number + 20)

    def between(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Return what is read and what comes next."""
        return torch.zeros(last - first, 2), torch.zeros(last - first, 2)


def test_longer_chunks_change_weights_more(tmp_path: Path) -> None:
    model = _Text()
    settings = TextTraining(epochs=2, method="nt-asgd", learning_rate=0.5, clip=99.0)
    task = parts(_Chunks(), _Chunks(), in_order=True)
    task.usual_steps = 20
    fitter = Fitter(model, settings, "data", in_order=True, usual_steps=20)  # type: ignore[arg-type]
    fit(fitter, loaders(task, settings), tmp_path, say=silence)
    assert len(set(model.lengths)) > 2
    assert sum(model.lengths) == 400
    # The weight falls by the rate times the share, step by step.
    steps = zip(model.lengths, itertools.pairwise(model.weights), strict=False)
    for length, (before, after) in steps:
        assert before - after == pytest.approx(0.5 * length / 20, abs=1e-5)


def test_a_text_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text("the cat sat on the mat. " * 60, encoding="utf-8")
    options: dict[str, Any] = {
        "hidden": 6, "embedding": 4, "batch": 4, "chunk": 20, "random_chunks": True,
        "method": "nt-asgd", "trigger": 1, "learning_rate": 9.0, "dropout": 0.2, "patience": 9,
    }  # fmt: skip
    whole = conveyor.fit("text", source, out=tmp_path / "a", say=Heard(), epochs=7, **options)
    conveyor.fit("text", source, out=tmp_path / "b", say=Heard(), epochs=4, **options)
    resumed = conveyor.resume(tmp_path / "b", source, say=Heard(), epochs=7)
    assert_same_fit(resumed.metrics["fit"]["curve"], whole.metrics["fit"]["curve"])
    assert_same_fit(resumed.model.state_dict(), whole.model.state_dict())
    losses = [row[2] for row in whole.metrics["fit"]["curve"]]
    assert 0 < by_the_paper(losses, 1) < 7


def test_other_tasks_know_nothing_of_it() -> None:
    assert Training().averages_after is None
    assert TextTraining().averages_after is None
