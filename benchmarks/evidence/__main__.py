"""scripts/bench evidence [--seeds N] [QUESTION ...]"""

import argparse
import statistics
import time
from itertools import groupby
from typing import Any

import torch

from benchmarks.evidence.questions import QUESTIONS, in_processes
from benchmarks.runs import machine, store


def report(name: str, question: Any, seeds: int) -> None:
    """Run a question, print a line for each way, store all runs."""
    print(f"\n{question.__doc__}\n", flush=True)
    begin = time.perf_counter()
    shared = getattr(question, "IN_PROCESSES", False)
    answers = in_processes(name, seeds) if shared else question.run(range(seeds))
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
    parser.add_argument("--seeds", type=int, help="instead of the question's own, mostly 5")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(QUESTIONS))
    options = parser.parse_args()
    for name in options.questions:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}. There are: {'; '.join(QUESTIONS)}")
    for name in options.questions or QUESTIONS:
        # Small networks, but for some: threads would wait for each other.
        torch.set_num_threads(getattr(QUESTIONS[name], "THREADS", 1))
        report(name, QUESTIONS[name], options.seeds or getattr(QUESTIONS[name], "SEEDS", 5))


if __name__ == "__main__":
    main()
