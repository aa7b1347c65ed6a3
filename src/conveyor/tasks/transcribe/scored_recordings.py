"""What a network heard in recordings whose texts are known, and how good that is."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from conveyor.networks.ctc import BLANK, ctc_loss
from conveyor.tasks.transcribe.placed_labels import (
    PlacedLabel,
    placed_by_attention,
    placed_by_ctc,
)
from conveyor.tasks.transcribe.recogniser import Heard, Recogniser
from conveyor.tasks.transcribe.recording_examples import RecordingExamples
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage
from conveyor.tasks.word_edits import WordEdits


@dataclass(frozen=True, eq=False)
class ScoredRecordings:
    """What a network heard.

    Attributes:
        network: the network.
        examples: the recordings.
        beam: prefixes, or hypotheses, that were kept in mind.
        leaks: how many of the recordings were learned from.
        shared_speakers: how many of their speakers were; None where nothing names them.
        language: what is likely to be said; None for nothing.
    """

    network: Recogniser
    examples: RecordingExamples
    beam: int
    leaks: int = 0
    shared_speakers: int | None = None
    language: SpokenLanguage | None = None

    @property
    def looks(self) -> bool:
        """Whether the network writes by attention."""
        return self.network.writer is not None

    @cached_property
    def log_probabilities(self) -> list[Tensor]:
        """Log P of the blank and the labels at each step of each recording, by CTC."""
        return self.network.log_probabilities(self.examples.frames)

    @cached_property
    def heard(self) -> list[Heard]:
        """What the search found in each recording."""
        return self._heard(self.beam, self.language)

    def _heard(self, beam: int, language: SpokenLanguage | None) -> list[Heard]:
        if self.looks:
            return self.network.hear(self.examples.frames, beam=beam, language=language)
        return [
            self.network.decoded(chances, beam=beam, language=language)
            for chances in self.log_probabilities
        ]

    @property
    def texts(self) -> list[str]:
        """The texts of ``heard``."""
        return [each.text for each in self.heard]

    @cached_property
    def edits(self) -> WordEdits:
        """What stands between what was said and what was written."""
        return WordEdits.of(self.examples.texts, self.texts)

    @cached_property
    def best_path_edits(self) -> WordEdits:
        """The same of the best path, or of attention with one hypothesis in mind, without a
        language."""
        if self.beam == 1 and self.language is None:
            return self.edits
        return WordEdits.of(self.examples.texts, [each.text for each in self._heard(1, None)])

    @cached_property
    def nats(self) -> float | None:
        """Nats of a true label, by attention with those of the end; None where one cannot be said
        in a recording."""
        examples = self.examples
        if any(self.network.speller.unknown(text) for text in examples.texts):
            return None
        if self.looks:
            total = -sum(
                chance for chance, _ in self.network.looked(examples.frames, examples.labels)
            )
        else:
            total = 0.0
            for chances, labels in zip(self.log_probabilities, examples.labels, strict=True):
                lengths = torch.tensor([len(chances)]), torch.tensor([len(labels)])
                total += float(ctc_loss(chances.unsqueeze(1), labels.unsqueeze(1), *lengths))
        return total / max(examples.label_count, 1)

    def placed(self, number: int) -> list[PlacedLabel]:
        """Return what was written of a recording, each label where it was heard.

        Raises:
            DataError: CTC has more labels than steps hold.
        """
        heard = self.heard[number]
        if heard.looked is not None:
            return placed_by_attention(heard.looked, heard.labels)
        return placed_by_ctc(self.log_probabilities[number], heard.labels)

    def placed_truth(self, number: int) -> list[PlacedLabel]:
        """Return what is said in a recording, each label where the network would hear it.

        Raises:
            DataError: CTC has more labels than steps hold.
        """
        frames, labels = self.examples.frames[number], self.examples.labels[number]
        if self.looks:
            ((_, weights),) = self.network.looked([frames], [labels])
            return placed_by_attention(weights, labels.tolist())
        return placed_by_ctc(self.log_probabilities[number], labels.tolist())

    @cached_property
    def blank_share(self) -> float | None:
        """The share of steps whose likeliest symbol is the blank; None without CTC."""
        if self.network.head is None:
            return None
        steps = sum(map(len, self.log_probabilities))
        blanks = sum(int((each.argmax(-1) == BLANK).sum()) for each in self.log_probabilities)
        return blanks / max(steps, 1)
