"""Batches to train on and to validate with: each process its share of them, and the same ones in a
resumed run.

A batch is that of all processes together, so that one step of training is the same step with any
number of them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler, default_collate

from conveyor.tasks.settings import Training
from conveyor.tasks.task import Examples, Task
from conveyor.training.processes import number_of_this

# Validation needs little memory for each example: it goes by so many at least.
LEAST_VALIDATED = 256


class Share(NamedTuple):
    """One process's share of a batch. ``copies`` processes have it, where it could not be divided:
    one if it could."""

    batch: Any
    copies: int


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


def share_of(batch: Sequence[int], number: int, processes: int) -> Share:
    """Return which examples of a batch process ``number`` has: every so many-th. A batch of fewer
    examples than processes all of them have whole, for none may have nothing."""
    if len(batch) < processes:
        return Share(list(batch), processes)
    return Share(list(batch[number::processes]), 1)


class Shares(Sampler[Share]):
    """Batches of examples, by number, in the order of ``order``; of each the share of this process.

    Args:
        order: all examples.
        batch: how many all processes take at once.
        processes: how many share.
    """

    def __init__(self, order: EpochShuffle | SequentialSampler, batch: int, processes: int) -> None:
        self.order, self.batch, self.processes = order, batch, processes

    def set_epoch(self, epoch: int) -> None:
        """Take the order of that epoch."""
        if isinstance(self.order, EpochShuffle):
            self.order.set_epoch(epoch)

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch)

    def __iter__(self) -> Iterator[Share]:
        numbers, process = list(self.order), number_of_this(self.processes)
        for first in range(0, len(numbers), self.batch):
            yield share_of(numbers[first : first + self.batch], process, self.processes)


class _Joined(Dataset[Share]):
    """Makes a batch of the numbers of its examples. Examples may know how to give many at once, as
    torch asks for it."""

    def __init__(self, examples: Examples, join: Callable[[Any], Any] | None) -> None:
        self.examples, self.join = examples, join or default_collate
        self.take: Callable[[list[int]], Any] = getattr(examples, "__getitems__", self._one_by_one)

    def _one_by_one(self, numbers: list[int]) -> list[Any]:
        return [self.examples[number] for number in numbers]

    def __getitem__(self, share: Share) -> Share:
        return Share(self.join(self.take(share.batch)), share.copies)


class _Streams(Dataset[Share]):
    """Batches in order, each tensors [T, B]: of each the same streams for this process. Where the
    streams cannot be divided evenly every process has all."""

    def __init__(self, batches: Examples, processes: int) -> None:
        self.batches, self.processes = batches, processes

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Share:
        batch = self.batches[number]
        streams = batch[0].shape[1]
        if streams % self.processes:
            return Share(batch, self.processes)
        own, process = streams // self.processes, number_of_this(self.processes)
        columns = slice(process * own, (process + 1) * own)
        return Share(tuple(each[:, columns] for each in batch), 1)


def _as_it_is(share: Any) -> Any:
    return share


def loaders(task: Task[Any], settings: Training) -> tuple[DataLoader[Share], DataLoader[Share]]:
    """Return the shares of this process for training and for validation. What a task in order gives
    are batches already."""
    processes = settings.processes

    def in_order(batches: Examples) -> DataLoader[Share]:
        streams = _Streams(batches, processes)
        return DataLoader(streams, batch_size=None, collate_fn=_as_it_is)

    def by(order: EpochShuffle | SequentialSampler, batch: int, part: Any) -> DataLoader[Share]:
        shares, joined = Shares(order, batch, processes), _Joined(part, task.join)
        # A sampler of whole batches, as torch has it: one item of the data set is a batch.
        return DataLoader(joined, batch_size=None, sampler=shares, collate_fn=_as_it_is)

    if task.in_order:
        return in_order(task.train), in_order(task.validation)
    validation: Any = task.validation
    return (
        by(EpochShuffle(len(task.train), settings.seed), settings.batch, task.train),
        by(SequentialSampler(validation), max(settings.batch, LEAST_VALIDATED), validation),
    )
