"""The task ``music``: predicts which keys of a piano sound next."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conveyor.data.music import (
    KEYS,
    LOWEST,
    key_by_key_nats,
    next_notes,
    note_name,
    read_music,
)
from conveyor.data.synthetic import Batch
from conveyor.errors import counted
from conveyor.networks.readout import Readout, losses_of_each
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.music.music_report import sections
from conveyor.tasks.music.music_settings import MusicSettings
from conveyor.tasks.results import Metric, Section
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.sequence_costs import SequenceCosts
from conveyor.tasks.sequence_task import SequenceTask
from conveyor.tasks.task import Say

NATS = Metric("nats", "nats per step", "nats per step", apart="difference")


class PolyphonicMusic(SequenceTask):
    """The task of predicting music by steps. Its score is nats per step, summed over 88 keys."""

    name = "music"
    holds_sequence = False
    metric = NATS
    loss = "nats per step"
    inputs, outputs, wanted, last = KEYS, KEYS, "symbols", False
    nouns = ("pieces", "bản nhạc")

    def __init__(self, file: Path, settings: MusicSettings, say: Say) -> None:
        self.settings, self.join = settings, next_notes
        self.title = Words(f"Music of {file.name}", f"Nhạc của {file.name}")
        self.music = music = read_music(file)
        self.train, self.validation = music.train, music.validation
        parts = [b"|".join(piece.numpy().tobytes() for piece in part) for part in music]
        self.data_hash = hashlib.sha256(b"||".join(parts))
        self.examples = counted(len(music.train), "piece")
        self.asked_for = counted_words(len(music.test), "piece", "bản nhạc")
        say(
            f"{self.examples} to train, {len(music.validation)} to validate, "
            f"{len(music.test)} to test"
        )

    @classmethod
    def prepare(cls, source: Any, settings: MusicSettings, say: Say) -> "PolyphonicMusic":
        """Return the task on a file of music, see ``read_music``."""
        return cls(Path(source), settings, say)

    def baseline_costs(self) -> Mapping[str, SequenceCosts]:
        """Return the nats of a method that looks at one step and one key at a time."""
        nats = key_by_key_nats(self.music.train, self.music.test)
        return {"key by key": SequenceCosts(nats, self._steps())}

    def _steps(self) -> Tensor:
        """Return how many steps of each piece of the test set are predicted, [N]."""
        steps = [len(piece) - 1 for piece in self.music.test]
        return torch.tensor(steps, dtype=torch.float64)

    def asked_sequence(self, row: int) -> Batch:
        """Return a piece of the test set."""
        index = check_row(row, len(self.music.test), "piece")
        return next_notes(self.music.test[index : index + 1])

    def step_labels(self, inputs: Tensor) -> tuple[str, ...]:
        """Return the notes of each step by their names, "C4 E4 G4"."""
        return tuple(
            " ".join(note_name(int(key) + LOWEST) for key in step.nonzero()) or "–"
            for step in inputs
        )

    @torch.no_grad()
    def test_answers(self, network: Readout) -> Tensor:
        """Return the logits of each key after each step of the test set, [T, N, 88]."""
        answers: Tensor = network(next_notes(self.music.test))
        return answers

    def costs_of(self, answers: Tensor) -> SequenceCosts:
        """Return the nats of each piece of the test set."""
        batch = next_notes(self.music.test)
        return SequenceCosts(losses_of_each(answers, batch, self.wanted), self._steps())

    def sections(
        self, network: Readout, answers: Tensor, costs: SequenceCosts
    ) -> Iterable[Section]:
        """Yield what the network expects of pieces, its nats over time, and the hardest pieces."""
        return sections(next_notes(self.music.test), answers, costs.of_each)
