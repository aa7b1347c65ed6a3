"""Batches to train on and to validate with, the same in a resumed run."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from conveyor.tasks.settings import Training
from conveyor.tasks.task import Task


class EpochShuffle(Sampler[int]):
    """A new order in every epoch, given by seed and epoch alone, so that a resumed run sees the
    order that it would have seen. Lightning calls ``set_epoch``."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of that epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        # 2654435761 is prime (Knuth, multiplicative hashing): nearby seeds share no epochs.
        seed = (self.seed * 2654435761 + self.epoch) % 2**63
        draw = torch.Generator().manual_seed(seed)
        return iter(torch.randperm(self.count, generator=draw).tolist())


def loaders(task: Task[Any], settings: Training) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the batches of a task for training and for validation. Those of a task in order are
    batches already."""
    train: Any = task.train
    validation: Any = task.validation
    if task.in_order:
        return DataLoader(train, batch_size=None), DataLoader(validation, batch_size=None)
    order = EpochShuffle(len(train), settings.seed)
    return (
        DataLoader(train, batch_size=settings.batch, sampler=order, collate_fn=task.join),
        DataLoader(validation, batch_size=max(settings.batch, 256), collate_fn=task.join),
    )
