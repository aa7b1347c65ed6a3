"""The task ``pixels``: digits read one pixel a step."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conveyor.data.pixels import Images, pixels, read_mnist
from conveyor.data.synthetic import Batch
from conveyor.errors import SettingError, counted
from conveyor.networks.readout import Readout
from conveyor.tasks.pixels.pixel_settings import PixelSettings
from conveyor.tasks.results import Metric
from conveyor.tasks.sequence_task import Sequences, SequenceTask
from conveyor.tasks.task import Say

# Images of MNIST's training part to choose weights by, the last of it.
CHOOSING = 5000
DIGITS = 10
# Images that are scored at a time: 784 steps of 128 units take 400 MB.
AT_ONCE = 1000


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
