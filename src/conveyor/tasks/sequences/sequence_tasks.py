"""The tasks ``music``, ``pixels`` and ``classic``: whole sequences, learned by a linear readout."""

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
from conveyor.errors import RunError, SettingError, counted, did_you_mean
from conveyor.networks.network import projection_of
from conveyor.networks.readout import Readout
from conveyor.tasks.memory import in_memory
from conveyor.tasks.results import Metric, Results, Scores
from conveyor.tasks.sequences.classic import CLASSICS, Classic, without_looking
from conveyor.tasks.sequences.sequence_settings import ClassicSettings, MusicSettings, PixelSettings
from conveyor.tasks.settings import NetworkSettings
from conveyor.tasks.task import Say, Task

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


NATS = Metric("nats", "nats per step", "nats per step", apart="difference")
ADVICE = "Train longer, or with more hidden units."


def _whole(batch: Any) -> Any:
    return batch


class SequenceTask(Task[Readout]):
    """A task whose examples are whole sequences, learned by a linear readout.

    ``inputs`` and ``outputs`` are features of a step and of an answer; ``wanted`` and ``last`` are
    as in ``Readout``.
    """

    network_type = Readout
    join: Callable[[Any], Any] | None = staticmethod(_whole)
    inputs: int
    outputs: int
    wanted: str
    last: bool
    # What a network learns from, in words: "229 pieces".
    examples: str
    # What is scored, in words.
    asked_for: str

    def network(self, program: Program, sizes: NetworkSettings) -> Readout:
        """Return an untrained network."""
        return Readout(
            program,
            self.inputs,
            sizes.hidden,
            self.outputs,
            wanted=self.wanted,
            last=self.last,
            dropout=sizes.dropout,
            num_layers=sizes.layers,
            sizes=projection_of(program, sizes.projection),
        )

    def about(self, network: Readout) -> str:
        """Return how large a network is, and how much it learns from."""
        count = sum(parameter.numel() for parameter in network.parameters())
        return f"{network.title} with {counted(count, 'parameter')} on {self.examples}"

    def results(self, network: Readout) -> Results:
        """Return the score on the test part."""
        baselines = {name: (value,) for name, value in self.baselines().items()}
        scores = Scores.of(
            "",
            (self.metric,),
            title=network.title,
            ours=(self.score(network),),
            baselines=baselines,
            advice=ADVICE,
        )
        return Results((scores,), self.asked_for)

    @classmethod
    def evaluate(
        cls,
        network: Readout,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Return the score on the test part of other data of the same kind.

        Raises:
            RunError: its sequences have other features than the network reads.
        """
        task = cls.prepare(source, settings, say)
        features = (task.inputs, task.outputs)
        if (network.recurrent.input_size, network.head.out_features) != features:
            raise RunError(
                f"the network reads {network.recurrent.input_size} features and answers "
                f"{network.head.out_features}; this data has {task.inputs} and {task.outputs}. "
                "Give data of the kind that the run was fitted on."
            )
        return task.results(network)


class PolyphonicMusic(SequenceTask):
    """Music by steps; the score is nats per step, the sum over 88 keys."""

    name = "music"
    metric = NATS
    loss = "nats per step"
    inputs, outputs, wanted, last = KEYS, KEYS, "symbols", False

    def __init__(self, file: Path, settings: MusicSettings, say: Say) -> None:
        self.settings, self.join = settings, next_notes
        self.title = f"Music of {file.name}"
        self.music = music = read_music(file)
        self.train, self.validation = music.train, music.validation
        parts = [b"|".join(piece.numpy().tobytes() for piece in part) for part in music]
        self.data_hash = hashlib.sha256(b"||".join(parts))
        self.examples = counted(len(music.train), "piece")
        self.asked_for = counted(len(music.test), "piece")
        say(
            f"{self.examples} to train, {len(music.validation)} to validate, "
            f"{len(music.test)} to test"
        )

    @classmethod
    def prepare(cls, source: Any, settings: MusicSettings, say: Say) -> "PolyphonicMusic":
        """Return the task on a file of music, see ``read_music``."""
        return cls(Path(source), settings, say)

    def baselines(self) -> Mapping[str, float]:
        """Return the score of a method that does not learn in time."""
        return {"key by key": key_by_key_nats(self.music.train, self.music.test)}

    @torch.no_grad()
    def score(self, network: Readout) -> float:
        """Return the nats per step of the test part."""
        return float(network.loss(next_notes(self.music.test)).value)


class ClassicTask(SequenceTask):
    """A classic task; the score is what its paper counts, or the loss."""

    name = "classic"
    train: Sequences
    validation: Sequences

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

        with in_memory("so much data", ("steps", "examples")):
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
        self.metric = self.classic.metric
        self.loss = self.classic.loss
        self.data_hash = hashlib.sha256(known.inputs.numpy().tobytes())
        self.title = f"The task {data.name}"
        self.examples = counted(data.examples, "sequence")
        self.asked_for = "1 sequence" if self.classic.single else counted(HELD_OUT, "sequence")

    @classmethod
    def prepare(cls, source: Any, settings: ClassicSettings, say: Say) -> "ClassicTask":
        """Return the task of that name, or, without one, of the name in the settings."""
        if source is not None and str(source) != settings.data.name:
            settings = replace(settings, data=replace(settings.data, name=str(source), steps=None))
        return cls(settings, say)

    def baselines(self) -> Mapping[str, float]:
        """Return the score of a method that does not learn in time."""
        blind = without_looking(self.known, self.asked, self.classic)
        name = "always the mean" if self.classic.single else "without looking"
        return {name: self.classic.score_of(blind, self.asked)}

    @torch.no_grad()
    def score(self, network: Readout) -> float:
        """Return what the task's paper counts, or the loss."""
        return self.classic.score_of(network(self.asked), self.asked)


class PixelByPixel(SequenceTask):
    """MNIST's digits, one pixel a step; the score is the share of wrong ones of the test part."""

    name = "pixels"
    train: Sequences
    validation: Sequences
    metric = Metric("wrong", "share of wrong images")
    loss = "nats"
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
        self.data_hash = hashlib.sha256(b"|".join(parts))
        self.title = f"Digits of {folder.name}, pixel by pixel"
        self.examples = counted(len(learned.labels), "image")
        self.asked_for = counted(len(self.asked.labels), "image")
        say(
            f"{self.examples} to train, {len(choosing.labels):,} to "
            f"validate, {len(self.asked.labels):,} to test"
        )

    @classmethod
    def prepare(cls, source: Any, settings: PixelSettings, say: Say) -> "PixelByPixel":
        """Return the task on a folder with MNIST's files."""
        return cls(Path(source), settings, say)

    def _taken_of(self, images: Images) -> Callable[[Tensor], Batch]:
        return lambda chosen: pixels(Images(*(each[chosen] for each in images)), self.order)

    def baselines(self) -> Mapping[str, float]:
        """Return the score of a method that does not learn in time."""
        commonest = self.labels.mode().values
        return {"the commonest digit": float((self.asked.labels != commonest).double().mean())}

    @torch.no_grad()
    def score(self, network: Readout) -> float:
        """Return the share of wrong images of the test part."""
        take, wrong = self._taken_of(self.asked), 0
        for chosen in torch.split(torch.arange(len(self.asked.labels)), AT_ONCE):
            batch = take(chosen)
            wrong += int((network(batch).argmax(-1) != batch.targets).sum())
        return wrong / len(self.asked.labels)
