"""All questions by name, and their seeds shared out to processes."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from typing import Any

import torch

from benchmarks.evidence import (
    adding,
    copying,
    counting_language,
    depth,
    permuted,
    reber,
    timing,
    vanishing,
    variants,
    waves,
)
from benchmarks.evidence.learning import Learned

QUESTIONS: dict[str, Any] = {
    "embedded Reber": reber,
    "counting": counting_language,
    "copying": copying,
    "variants": variants,
    "timing": timing,
    "depth": depth,
    "waves": waves,
    "vanishing gradients": vanishing,
    "adding": adding,
    "permuted MNIST": permuted,
}


PROCESSES = 2


def _answers(name: str, seeds: Sequence[int]) -> list[tuple[str, int, Learned]]:
    """All of a question, in a process of its own."""
    torch.set_num_threads(1)
    return list(QUESTIONS[name].run(seeds))


def in_processes(name: str, seeds: int) -> Iterator[tuple[str, int, Learned]]:
    """All of a question, its seeds shared out to processes, way by way and seed by seed."""
    shares = [range(first, seeds, PROCESSES) for first in range(min(PROCESSES, seeds))]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(shares), spawn) as pool:
        parts = list(pool.map(_answers, [name] * len(shares), shares))
    ways = list(dict.fromkeys(way for way, _, _ in parts[0]))
    yield from sorted(chain(*parts), key=lambda each: (ways.index(each[0]), each[1]))
