"""The task ``classic``: the problems that papers on recurrent networks draw."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from conveyor.data.synthetic import Batch
from conveyor.errors import SettingError, counted, did_you_mean
from conveyor.networks.readout import Readout
from conveyor.tasks.classic.classic_settings import ClassicSettings
from conveyor.tasks.classic.classics import CLASSICS, Classic, without_looking
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.sequence_task import Sequences, SequenceTask
from conveyor.tasks.task import Say

# Sequences to choose weights by, and as many to score.
HELD_OUT = 1000


class ClassicTask(SequenceTask):
    """A classic task; the score is what its paper counts, or the loss."""

    name = "classic"
    source_names = tuple(CLASSICS)
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
                steps, count, torch.Generator().manual_seed(3 * data.data_seed + number)
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
