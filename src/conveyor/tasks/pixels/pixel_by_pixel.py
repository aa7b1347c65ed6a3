"""The task ``pixels``: classifies digits that are read one pixel a step."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conveyor.data.pixels import Images, pixels, read_mnist
from conveyor.data.synthetic import Batch
from conveyor.errors import SettingError, counted
from conveyor.networks.readout import Readout
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.pixels.pixel_report import sections
from conveyor.tasks.pixels.pixel_settings import PixelSettings
from conveyor.tasks.results import Metric, Section
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.sequence_costs import SequenceCosts
from conveyor.tasks.sequence_task import Sequences, SequenceTask
from conveyor.tasks.task import Say

# The last images of MNIST's training set are the validation set.
VALIDATION = 5000
DIGITS = 10
# This many images are scored at a time: 784 steps of 128 units take 400 MB.
AT_ONCE = 1000


class PixelByPixel(SequenceTask):
    """The task of classifying MNIST's digits, one pixel a step. Its score is the share of images of
    the test set that are classified wrong."""

    name = "pixels"
    holds_sequence = False
    train: Sequences
    validation: Sequences
    metric = Metric("wrong", "share of wrong images")
    loss = "nats"
    inputs, outputs, wanted, last = 1, DIGITS, "class", True
    nouns = ("images", "ảnh")

    def __init__(self, folder: Path, settings: PixelSettings, say: Say) -> None:
        self.settings = settings
        known, self.asked = read_mnist(folder, "train"), read_mnist(folder, "test")
        if len(known.labels) <= VALIDATION:
            raise SettingError(
                f"{folder} has {len(known.labels)} images to train; expected more than the "
                f"{VALIDATION} of them that weights are chosen by."
            )
        self.order: Tensor | None = None
        if settings.data.order is not None:
            draw = torch.Generator().manual_seed(settings.data.order)
            self.order = torch.randperm(known.images[0].numel(), generator=draw)
        train = Images(*(tensor[:-VALIDATION] for tensor in known))
        validation = Images(*(tensor[-VALIDATION:] for tensor in known))
        self.train = Sequences(len(train.labels), self._batches_of(train))
        self.validation = Sequences(len(validation.labels), self._batches_of(validation))
        self.labels = train.labels
        parts = [tensor.numpy().tobytes() for part in (known, self.asked) for tensor in part]
        self.data_hash = hashlib.sha256(b"|".join(parts))
        self.title = Words(
            f"Digits of {folder.name}, pixel by pixel", f"Chữ số của {folder.name}, từng điểm ảnh"
        )
        self.examples = counted(len(train.labels), "image")
        self.asked_for = counted_words(len(self.asked.labels), "image", "ảnh")
        say(
            f"{self.examples} to train, {len(validation.labels):,} to "
            f"validate, {len(self.asked.labels):,} to test"
        )

    @classmethod
    def prepare(cls, source: Any, settings: PixelSettings, say: Say) -> "PixelByPixel":
        """Return the task on a folder with MNIST's files."""
        return cls(Path(source), settings, say)

    def _batches_of(self, images: Images) -> Callable[[Tensor], Batch]:
        """Return a function that makes a batch of the images of some indices."""
        return lambda indices: pixels(Images(*(tensor[indices] for tensor in images)), self.order)

    def baseline_costs(self) -> Mapping[str, SequenceCosts]:
        """Return which images are wrong if the answer is always the most frequent digit of the
        training set."""
        most_frequent = self.labels.mode().values
        return {"most frequent digit": _wrong(self.asked.labels != most_frequent)}

    def asked_sequence(self, row: int) -> Batch:
        """Return an image of the test set."""
        index = check_row(row, len(self.asked.labels), "image")
        return self._batches_of(self.asked)(torch.tensor([index]))

    @torch.no_grad()
    def test_answers(self, network: Readout) -> Tensor:
        """Return the logits of the images of the test set, [N, 10]."""
        batch_of = self._batches_of(self.asked)
        parts = torch.split(torch.arange(len(self.asked.labels)), AT_ONCE)
        return torch.cat([network(batch_of(indices)) for indices in parts])

    def costs_of(self, answers: Tensor) -> SequenceCosts:
        """Return which images of the test set are classified wrong."""
        return _wrong(answers.argmax(-1) != self.asked.labels)

    def sections(
        self, network: Readout, answers: Tensor, costs: SequenceCosts
    ) -> Iterable[Section]:
        """Yield the confusion matrix, the worst mistakes, and where in the image it is decided."""
        return sections(network, self.asked, answers, self.order)


def _wrong(wrong: Tensor) -> SequenceCosts:
    return SequenceCosts(wrong.double(), torch.ones(len(wrong), dtype=torch.float64))
