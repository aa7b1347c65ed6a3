"""scripts/bench evidence [--seeds N] [QUESTION ...]"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, groupby
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
from benchmarks.runs import machine, store

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


def _in_processes(name: str, seeds: int) -> Iterator[tuple[str, int, Learned]]:
    """All of a question, its seeds shared out to processes, way by way and seed by seed."""
    shares = [range(first, seeds, PROCESSES) for first in range(min(PROCESSES, seeds))]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(shares), spawn) as pool:
        parts = list(pool.map(_answers, [name] * len(shares), shares))
    ways = list(dict.fromkeys(way for way, _, _ in parts[0]))
    yield from sorted(chain(*parts), key=lambda each: (ways.index(each[0]), each[1]))


def report(name: str, question: Any, seeds: int) -> None:
    """Run a question, print a line for each way, store all runs."""
    print(f"\n{question.__doc__}\n", flush=True)
    begin = time.perf_counter()
    shared = getattr(question, "IN_PROCESSES", False)
    answers = _in_processes(name, seeds) if shared else question.run(range(seeds))
    runs: dict[str, list[dict[str, Any]]] = {}
    for way, group in groupby(answers, lambda each: each[0]):
        runs[way] = [{"seed": seed, **vars(learned)} for _, seed, learned in group]
        _line(question, way, runs[way])
    minutes = (time.perf_counter() - begin) / 60
    print(f"{minutes:.1f} minutes")
    found = {"runs": runs, "minutes": round(minutes, 1), "machine": machine()}
    conclude = getattr(question, "conclude", None)
    if conclude is not None:
        print()
        found["conclusion"] = conclude(runs)
    store("evidence", {name: found})


def _line(question: Any, way: str, rows: list[dict[str, Any]]) -> None:
    solved = [each for each in rows if each["solved"]]
    steps = f"{statistics.median(e['steps'] for e in solved):.0f}" if solved else "-"
    score = statistics.median(each["score"] for each in rows)
    published = getattr(question, "PUBLISHED", {}).get(way, "")
    judged = f"solved {len(solved):>2} of {len(rows)}  median steps {steps:>6}  "
    print(
        f"{way:<28} {'' if question.STEPS_ARE_FIXED else judged}"
        f"median score {score:.3g}  {published and 'paper: ' + published}",
        flush=True,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(QUESTIONS))
    options = parser.parse_args()
    for name in options.questions:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}. There are: {'; '.join(QUESTIONS)}")
    for name in options.questions or QUESTIONS:
        # Small networks, but for some: threads would wait for each other.
        torch.set_num_threads(getattr(QUESTIONS[name], "THREADS", 1))
        report(name, QUESTIONS[name], options.seeds)


if __name__ == "__main__":
    main()
