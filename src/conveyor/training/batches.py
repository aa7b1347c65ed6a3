"""Batches to train on and to validate with, the same in a resumed run."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from conveyor.tasks.settings import Training


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


def loaders(
    train: Dataset[Any],
    validation: Dataset[Any],
    settings: Training,
    *,
    streams: bool = False,
    join: Callable[[list[Any]], Any] | None = None,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Batches for training and validation. ``streams`` are chunks that are batches already;
    ``join`` makes a batch of examples, where they are not simply stacked."""
    if streams:
        return DataLoader(train, batch_size=None), DataLoader(validation, batch_size=None)
    order = EpochShuffle(len(train), settings.seed)  # type: ignore[arg-type]
    return (
        DataLoader(train, batch_size=settings.batch, sampler=order, collate_fn=join),
        DataLoader(validation, batch_size=max(settings.batch, 256), collate_fn=join),
    )
