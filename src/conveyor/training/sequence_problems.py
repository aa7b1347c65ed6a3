"""Tasks on whole sequences, made ready to compare cells on: music, digits pixel by pixel, and the
classic ones."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from conveyor.compiler.program import Program
from conveyor.data.music import KEYS, key_by_key_nats, next_notes, read_music
from conveyor.data.pixels import Images, pixels, read_mnist
from conveyor.data.synthetic import Batch
from conveyor.errors import SettingError, counted, did_you_mean
from conveyor.networks.readout import Readout
from conveyor.tasks.sequences.classic import CLASSICS, Classic, without_looking
from conveyor.tasks.sequences.sequence_settings import ClassicSettings, MusicSettings, PixelSettings
from conveyor.tasks.settings import Training
from conveyor.training.batches import loaders
from conveyor.training.fit import Fitted, fit
from conveyor.training.fitters import SequenceFitter
from conveyor.training.memory import in_memory
from conveyor.training.problem import Draw, Problem, Say, network_of

# Classic tasks: sequences to choose weights by, and as many to score.
HELD_OUT = 1000

# Images of MNIST's training part to choose weights by, the last of it.
CHOOSING = 5000
DIGITS = 10
# Images that are scored at a time: 784 steps of 128 units take 400 MB.
AT_ONCE = 1000


class Sequences(Dataset[Batch]):
    """Sequences to learn from, taken some at a time: ``take`` gives those of these numbers."""

    def __init__(self, count: int, take: Callable[[Tensor], Batch]) -> None:
        self.count, self.take = count, take

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Batch:
        return self.take(torch.tensor([number]))

    def __getitems__(self, numbers: list[int]) -> Any:
        """A batch, whole: what a DataLoader asks for where it is there."""
        return self.take(torch.tensor(numbers))


def _whole(batch: Any) -> Any:
    return batch


class _SequenceProblem(Problem):
    """``inputs`` and ``outputs`` are features of a step and of an answer; ``wanted`` and ``last``
    as in ``Readout``; ``join`` makes a batch."""

    inputs: int
    outputs: int
    wanted: str
    last: bool
    train: Any
    validation: Any
    join: Callable[[Any], Any] = staticmethod(_whole)

    def _model(self, program: Program, draw: Draw) -> Any:
        network = network_of(self.settings.network, program, draw)
        return Readout(
            program,
            self.inputs,
            network.hidden,
            self.outputs,
            wanted=self.wanted,
            last=self.last,
            dropout=network.dropout,
            num_layers=network.layers,
            sizes={"P": network.projection} if network.projection else None,
        )

    def _fit(self, model: Any, training: Training, folder: Path, say: Say) -> Fitted:
        batches = loaders(self.train, self.validation, training, join=self.join)
        fitter = SequenceFitter(model, training, self.digest)
        return fit(fitter, batches, folder, say=say, trial=True)


class PolyphonicMusic(_SequenceProblem):
    """Music by steps; the score is nats per step, the sum over 88 keys."""

    task, score, loss = "music", "nats per step", "nats per step"
    inputs, outputs, wanted, last = KEYS, KEYS, "symbols", False
    join = staticmethod(next_notes)

    def __init__(self, file: Path, settings: MusicSettings, say: Say) -> None:
        self.settings = settings
        self.music = music = read_music(file)
        self.train, self.validation = music.train, music.validation
        parts = [b"|".join(piece.numpy().tobytes() for piece in part) for part in music]
        self.digest = hashlib.sha256(b"||".join(parts)).hexdigest()
        say(
            f"{counted(len(music.train), 'piece')} to train, {len(music.validation)} to validate, "
            f"{len(music.test)} to test"
        )

    def baselines(self) -> Mapping[str, float]:
        return {"key by key": key_by_key_nats(self.music.train, self.music.test)}

    @torch.no_grad()
    def _test(self, model: Any) -> float:
        return float(model.loss(next_notes(self.music.test)))


class ClassicTask(_SequenceProblem):
    """A classic task; the score is what its paper counts, or the loss."""

    task = "classic"

    def __init__(self, settings: ClassicSettings, say: Say) -> None:
        data = settings.data
        if data.name not in CLASSICS:
            raise SettingError(
                f"there is no classic task {data.name!r}. {did_you_mean(data.name, CLASSICS)}"
            )
        self.classic: Classic = CLASSICS[data.name]
        steps = self.classic.checked_steps(data.steps)
        self.settings = replace(settings, data=replace(data, steps=steps))

        def part(number: int, count: int) -> Batch:
            return self.classic.draw(
                steps, count, torch.Generator().manual_seed(3 * data.seed + number)
            )

        with in_memory("so much data", "--steps or --examples"):
            known, choosing, asked = (
                part(number, count)
                for number, count in enumerate((data.examples, HELD_OUT, HELD_OUT))
            )
        self.known, self.asked = known, asked
        if self.classic.single:
            # An epoch has as many batches as of other tasks.
            self.train = Sequences(data.examples, lambda _: known)
            self.validation = Sequences(1, lambda _: choosing)
            say(f"one sequence of {counted(steps, 'step')}: it is learned, and asked for")
        else:
            self.train = Sequences(data.examples, known.taken)
            self.validation = Sequences(HELD_OUT, choosing.taken)
            say(
                f"{counted(data.examples, 'sequence')} of up to "
                f"{counted(len(known.inputs), 'step')} to train, "
                f"{HELD_OUT:,} to validate, {HELD_OUT:,} to test"
            )
        self.inputs, self.outputs = self.classic.inputs, self.classic.outputs
        self.wanted, self.last = self.classic.wanted, known.at_end
        self.score = self.classic.score
        self.loss = self.classic.loss
        self.digest = hashlib.sha256(known.inputs.numpy().tobytes()).hexdigest()

    def baselines(self) -> Mapping[str, float]:
        blind = without_looking(self.known, self.asked, self.classic)
        name = "always the mean" if self.classic.single else "without looking"
        return {name: self.classic.score_of(blind, self.asked)}

    @torch.no_grad()
    def _test(self, model: Any) -> float:
        return self.classic.score_of(model(self.asked), self.asked)


class Pixels(_SequenceProblem):
    """MNIST's digits, one pixel a step; the score is the share of wrong ones of the test part."""

    task, score, loss = "pixels", "share of wrong images", "nats"
    inputs, outputs, wanted, last = 1, DIGITS, "class", True

    def __init__(self, folder: Path, settings: PixelSettings, say: Say) -> None:
        self.settings = settings
        whole, self.asked = read_mnist(folder, "train"), read_mnist(folder, "test")
        if len(whole.labels) <= CHOOSING:
            raise SettingError(
                f"{folder} has {len(whole.labels)} images to train; expected more than the "
                f"{CHOOSING} of them that weights are chosen by."
            )
        self.order: Tensor | None = None
        if settings.data.order is not None:
            draw = torch.Generator().manual_seed(settings.data.order)
            self.order = torch.randperm(whole.images[0].numel(), generator=draw)
        learned = Images(*(each[:-CHOOSING] for each in whole))
        choosing = Images(*(each[-CHOOSING:] for each in whole))
        self.train = Sequences(len(learned.labels), self._taken_of(learned))
        self.validation = Sequences(len(choosing.labels), self._taken_of(choosing))
        self.labels = learned.labels
        parts = [each.numpy().tobytes() for part in (whole, self.asked) for each in part]
        self.digest = hashlib.sha256(b"|".join(parts)).hexdigest()
        say(
            f"{counted(len(learned.labels), 'image')} to train, {len(choosing.labels):,} to "
            f"validate, {len(self.asked.labels):,} to test"
        )

    def _taken_of(self, images: Images) -> Callable[[Tensor], Batch]:
        return lambda chosen: pixels(Images(*(each[chosen] for each in images)), self.order)

    def baselines(self) -> Mapping[str, float]:
        commonest = self.labels.mode().values
        return {"the commonest digit": float((self.asked.labels != commonest).double().mean())}

    @torch.no_grad()
    def _test(self, model: Any) -> float:
        take, wrong = self._taken_of(self.asked), 0
        for chosen in torch.split(torch.arange(len(self.asked.labels)), AT_ONCE):
            batch = take(chosen)
            wrong += int((model(batch).argmax(-1) != batch.targets).sum())
        return wrong / len(self.asked.labels)
