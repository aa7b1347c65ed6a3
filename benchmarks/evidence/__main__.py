"""scripts/bench evidence [--seeds N] [QUESTION ...]"""

import argparse
import statistics
from itertools import groupby
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


def report(name: str, question: Any, seeds: int) -> None:
    """Run a question, print a line for each way, store all runs."""
    print(f"\n{question.__doc__}\n")
    runs: dict[str, list[dict[str, Any]]] = {}
    for way, group in groupby(question.run(seeds), lambda each: each[0]):
        runs[way] = [{"seed": seed, **vars(learned)} for _, seed, learned in group]
        _line(question, way, runs[way])
    found = {"runs": runs, "machine": machine()}
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
