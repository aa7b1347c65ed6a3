"""The task ``classic``: problems from papers on recurrent networks, whose sequences are drawn."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from conveyor.data.synthetic import Batch
from conveyor.errors import SettingError, counted, did_you_mean
from conveyor.networks.readout import Readout
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.classic.classic_report import sections
from conveyor.tasks.classic.classic_settings import ClassicSettings
from conveyor.tasks.classic.classics import CLASSICS, Classic, without_looking
from conveyor.tasks.lack_of_memory import in_memory
from conveyor.tasks.results import Section
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.sequence_costs import SequenceCosts
from conveyor.tasks.sequence_task import Sequences, SequenceTask
from conveyor.tasks.task import Say

# The number of sequences of the validation set, and of the test set.
HELD_OUT = 1000


class ClassicTask(SequenceTask):
    """A classic task. Its score is the one that its paper counts, or the loss."""

    name = "classic"
    source_names = tuple(CLASSICS)
    settings: ClassicSettings
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
            train, validation, test = (
                part(number, count)
                for number, count in enumerate((data.examples, HELD_OUT, HELD_OUT))
            )
        self.known, self.asked = train, test
        if self.classic.single:
            # Every example is the same sequence, so that an epoch has as many batches as for other
            # tasks.
            self.train = Sequences(data.examples, lambda _: train)
            self.validation = Sequences(1, lambda _: validation)
            say(f"one sequence of {counted(steps, 'step')}: it is learned, and asked for")
        else:
            self.train = Sequences(data.examples, train.taken)
            self.validation = Sequences(HELD_OUT, validation.taken)
            say(
                f"{counted(data.examples, 'sequence')} of up to "
                f"{counted(len(train.inputs), 'step')} to train, "
                f"{HELD_OUT:,} to validate, {HELD_OUT:,} to test"
            )
        self.inputs, self.outputs = self.classic.inputs, self.classic.outputs
        self.wanted, self.last = self.classic.wanted, train.at_end
        self.metric = self.classic.metric
        self.loss = self.classic.loss
        self.data_hash = hashlib.sha256(train.inputs.numpy().tobytes())
        self.title = Words(f"The task {data.name}", f"Bài toán {data.name}")
        self.examples = counted(data.examples, "sequence")
        asked = 1 if self.classic.single else HELD_OUT
        self.asked_for = counted_words(asked, "sequence", "chuỗi")

    @classmethod
    def prepare(cls, source: Any, settings: ClassicSettings, say: Say) -> "ClassicTask":
        """Return the task of the name ``source``, or of the name in the settings if it is None."""
        if source is not None and str(source) != settings.data.name:
            settings = replace(settings, data=replace(settings.data, name=str(source), steps=None))
        return cls(settings, say)

    def baseline_costs(self) -> Mapping[str, SequenceCosts]:
        """Return what the best answers cost that do not depend on the inputs."""
        answers = without_looking(self.known, self.asked, self.classic)
        name = "always the mean" if self.classic.single else "without looking"
        return {name: self.classic.costs_of(answers, self.asked)}

    def asked_sequence(self, row: int) -> Batch:
        """Return a sequence of the test set."""
        index = check_row(row, len(self.asked.lengths), "sequence")
        return self.asked.taken(torch.tensor([index]))

    def feature_names(self) -> tuple[Words, ...]:
        """Return what the features of a step are called."""
        return self.classic.features

    @torch.no_grad()
    def test_answers(self, network: Readout) -> Tensor:
        """Return the network's answers to the test set, as a readout gives them."""
        answers: Tensor = network(self.asked)
        return answers

    def costs_of(self, answers: Tensor) -> SequenceCosts:
        """Return which sequences are answered wrong, if the task's paper counts that, or their
        losses."""
        return self.classic.costs_of(answers, self.asked)

    def sections(
        self, network: Readout, answers: Tensor, costs: SequenceCosts
    ) -> Iterable[Section]:
        """Yield what the task is, and what the network answers to some sequences."""
        return sections(self.classic, self.asked, answers, costs)
