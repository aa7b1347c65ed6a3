"""What a network heard in recordings whose texts are known, and how good that is."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from conveyor.networks.ctc import BLANK, ctc_loss
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
        beam: prefixes that were kept in mind.
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

    @cached_property
    def log_probabilities(self) -> list[Tensor]:
        """Log P of the blank and the labels at each step of each recording."""
        return self.network.log_probabilities(self.examples.frames)

    @cached_property
    def heard(self) -> list[Heard]:
        """What the search found in each recording."""
        return [self.network.decoded(chances, beam=self.beam) for chances in self.log_probabilities]

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
        """The same of the best path."""
        if self.beam == 1 and self.language is None:
            return self.edits
        texts = [self.network.decoded(each, beam=1).text for each in self.log_probabilities]
        return WordEdits.of(self.examples.texts, texts)

    @cached_property
    def nats(self) -> float | None:
        """Nats of a true label; None where one cannot be said in a recording."""
        total = 0.0
        for chances, labels, text in zip(
            self.log_probabilities, self.examples.labels, self.examples.texts, strict=True
        ):
            if self.network.speller.unknown(text):
                return None
            lengths = torch.tensor([len(chances)]), torch.tensor([len(labels)])
            total += float(ctc_loss(chances.unsqueeze(1), labels.unsqueeze(1), *lengths))
        return total / max(self.examples.label_count, 1)

    @cached_property
    def blank_share(self) -> float:
        """The share of steps whose likeliest symbol is the blank."""
        steps = sum(map(len, self.log_probabilities))
        blanks = sum(int((each.argmax(-1) == BLANK).sum()) for each in self.log_probabilities)
        return blanks / max(steps, 1)
