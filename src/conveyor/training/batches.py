"""Draws the batches of training and validation, and divides them among processes.

A batch is that of all processes together, so that a step of training is the same with any number of
processes. A resumed run draws the same batches as one that was never stopped.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler, default_collate

from conveyor.tasks.settings import Training
from conveyor.tasks.task import Examples, Task
from conveyor.training.processes import rank_of_this

# Of so many batches the examples are sorted by length, so that a batch holds little padding.
# Sorted all together, what is learned next would depend on its length.
POOL = 50

# The least size of a batch of validation, which needs little memory for each example.
LEAST_VALIDATED = 256


class Share(NamedTuple):
    """The share of one process in a batch. If the batch could not be divided, ``copies`` processes
    have the same share; otherwise ``copies`` is 1."""

    batch: Any
    copies: int


class EpochShuffle(Sampler[int]):
    """Draws a new order of examples in every epoch. It depends on seed and epoch only, so that a
    resumed run has the same orders. Lightning calls ``set_epoch``.

    Args:
        count: how many examples there are.
        seed: the same seed draws the same orders.
        most: how many are drawn in an epoch at most; None for all.
    """

    def __init__(self, count: int, seed: int, most: int | None = None) -> None:
        self.count, self.seed, self.epoch = count, seed, 0
        self.drawn = count if most is None else min(most, count)

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.drawn

    def _draw(self) -> torch.Generator:
        """Return what draws for this epoch."""
        # 2654435761 is the prime of Knuth's multiplicative hashing. Because of this factor, runs
        # with nearby seeds share no order.
        return torch.Generator().manual_seed((self.seed * 2654435761 + self.epoch) % 2**63)

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count, generator=self._draw())[: self.drawn].tolist())


class PooledShuffle(EpochShuffle):
    """Draws a new order of examples in every epoch, in which batches hold examples of similar
    length: all are shuffled, those of ``POOL`` batches sorted by length, and the batches shuffled.

    Args:
        lengths: of each example.
        batch: the number of examples in a batch.
        seed: the same seed draws the same orders.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        super().__init__(len(lengths), seed)
        self.lengths, self.batch = lengths, batch

    def __iter__(self) -> Iterator[int]:
        order, size = list(super().__iter__()), self.batch
        batches: list[list[int]] = []
        for first in range(0, len(order), POOL * size):
            pool = sorted(order[first : first + POOL * size], key=self.lengths.__getitem__)
            batches += [pool[place : place + size] for place in range(0, len(pool), size)]
        # A smaller batch stays the last one: all others begin at multiples of the size.
        whole = len(order) // size
        draw = torch.Generator().manual_seed(order[0] if order else 0)
        shuffled = [batches[number] for number in torch.randperm(whole, generator=draw).tolist()]
        return iter([number for each in (*shuffled, *batches[whole:]) for number in each])


def share_of(batch: Sequence[int], rank: int, processes: int) -> Share:
    """Return the examples of a batch that the process of this rank has.

    With N processes it is every Nth example. If there are fewer examples than processes, every
    process has the whole batch, because none may be without an example.
    """
    if len(batch) < processes:
        return Share(list(batch), processes)
    return Share(list(batch[rank::processes]), 1)


class Shares(Sampler[Share]):
    """Yields the share of this process in every batch, as indices of examples.

    Args:
        order: the order of all examples.
        batch: the number of examples in a batch of all processes.
        processes: the number of processes that share a batch.
    """

    def __init__(self, order: EpochShuffle | SequentialSampler, batch: int, processes: int) -> None:
        self.order, self.batch, self.processes = order, batch, processes

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch from now on."""
        if isinstance(self.order, EpochShuffle):
            self.order.set_epoch(epoch)

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch)

    def __iter__(self) -> Iterator[Share]:
        indices, rank = list(self.order), rank_of_this(self.processes)
        for first in range(0, len(indices), self.batch):
            yield share_of(indices[first : first + self.batch], rank, self.processes)


class _Joined(Dataset[Share]):
    """Makes a batch from the indices of its examples. Examples with torch's ``__getitems__`` are
    read at once."""

    def __init__(self, examples: Examples, join: Callable[[Any], Any] | None) -> None:
        self.examples, self.join = examples, join or default_collate
        self.take: Callable[[list[int]], Any] = getattr(examples, "__getitems__", self._one_by_one)

    def _one_by_one(self, indices: list[int]) -> list[Any]:
        return [self.examples[index] for index in indices]

    def __getitem__(self, share: Share) -> Share:
        return Share(self.join(self.take(share.batch)), share.copies)


# Chunks whose lengths are drawn: now and then half as long, and all by some steps more or less, but
# never of hardly any (Merity, Keskar & Socher 2018, section 5).
_HALF, _SPREAD, _LEAST = 0.05, 5.0, 5


class DrawnChunks(EpochShuffle):
    """Draws the beginnings and ends of chunks of a text anew in every epoch: N(L, 5²) steps, with L
    the usual ones, or half as many for one in twenty. As many are drawn in each epoch, so that it
    is known when one is over; their lengths are scaled to those of the text.

    Args:
        steps: of the text.
        usual: steps of a chunk, L.
        seed: the same seed draws the same chunks.
    """

    def __init__(self, steps: int, usual: int, seed: int) -> None:
        mean = (1 - _HALF / 2) * usual
        super().__init__(min(max(round(steps / mean), 1), steps), seed)
        self.steps, self.usual = steps, usual

    def __iter__(self) -> Iterator[Any]:
        # Drawn when the first is asked for: Lightning sets the epoch of a resumed fit after it has
        # asked for this.
        draw = self._draw()
        usual = torch.full((self.count,), float(self.usual), dtype=torch.float64)
        usual[torch.rand(self.count, generator=draw) < _HALF] /= 2
        spread = torch.randn(self.count, generator=draw, dtype=torch.float64)
        # Of short chunks the spread is smaller, too.
        lengths = usual + min(_SPREAD, self.usual / 10) * spread
        lengths = lengths.clamp(min=min(_LEAST, self.usual / 2))
        # One step for each, and the rest as the lengths say.
        share = lengths.cumsum(0) / lengths.sum()
        ends = (share * (self.steps - self.count)).round().long() + torch.arange(1, self.count + 1)
        yield from itertools.pairwise([0, *ends.tolist()])


class _Streams(Dataset[Share]):
    """Returns the streams of this process in batches that come in order, which are tensors [T, B].
    If the streams cannot be divided evenly, every process has all of them."""

    def __init__(self, batches: Examples, processes: int) -> None:
        self.batches, self.processes = batches, processes

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int | tuple[int, int]) -> Share:
        batches: Any = self.batches
        batch = batches.between(*number) if isinstance(number, tuple) else batches[number]
        streams = batch[0].shape[1]
        if streams % self.processes:
            return Share(batch, self.processes)
        count, rank = streams // self.processes, rank_of_this(self.processes)
        columns = slice(rank * count, (rank + 1) * count)
        return Share(tuple(tensor[:, columns] for tensor in batch), 1)


def _unchanged(share: Any) -> Any:
    return share


def loaders(task: Task[Any], settings: Training) -> tuple[DataLoader[Share], DataLoader[Share]]:
    """Return the loaders of this process' shares for training and for validation. The examples of a
    task in order are batches already."""
    processes = settings.processes

    def in_order(batches: Examples) -> DataLoader[Share]:
        streams = _Streams(batches, processes)
        return DataLoader(streams, batch_size=None, collate_fn=_unchanged)

    def sampled(
        order: EpochShuffle | SequentialSampler, batch: int, part: Any
    ) -> DataLoader[Share]:
        shares, joined = Shares(order, batch, processes), _Joined(part, task.join)
        # The sampler yields whole batches, so that an item of the data set is a batch.
        return DataLoader(joined, batch_size=None, sampler=shares, collate_fn=_unchanged)

    if task.in_order:
        training = in_order(task.train)
        if task.usual_steps is not None:
            text: Any = task.train
            chunks = DrawnChunks(text.steps, task.usual_steps, settings.seed)
            streams = _Streams(text, processes)
            training = DataLoader(streams, batch_size=None, sampler=chunks, collate_fn=_unchanged)
        return training, in_order(task.validation)
    validation: Any = task.validation
    batch = min(settings.batch, task.largest_batch or settings.batch)
    order = EpochShuffle(len(task.train), settings.seed, task.most_drawn)
    if task.lengths is not None:
        order = PooledShuffle(task.lengths, batch, settings.seed)
    return (
        sampled(order, batch, task.train),
        sampled(SequentialSampler(validation), max(settings.batch, LEAST_VALIDATED), validation),
    )
