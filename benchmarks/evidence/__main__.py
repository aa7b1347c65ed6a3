"""scripts/bench evidence [--seeds N] [QUESTION ...]"""

import argparse
import statistics
from typing import Any

import torch

from benchmarks.evidence import adding, counting_language, reber, vanishing, waves
from benchmarks.runs import machine, store

QUESTIONS: dict[str, Any] = {
    "embedded Reber": reber,
    "counting": counting_language,
    "waves": waves,
    "vanishing gradients": vanishing,
    "adding": adding,
}


def report(name: str, question: Any, seeds: int) -> None:
    """Run a question, print a line for each way, store all runs."""
    print(f"\n{question.__doc__}\n")
    runs: dict[str, list[dict[str, Any]]] = {}
    for way, seed, learned in question.run(seeds):
        runs.setdefault(way, []).append({"seed": seed, **vars(learned)})
        if len(runs[way]) == seeds:
            solved = [each for each in runs[way] if each["solved"]]
            steps = f"{statistics.median(e['steps'] for e in solved):.0f}" if solved else "-"
            score = statistics.median(each["score"] for each in runs[way])
            published = getattr(question, "PUBLISHED", {}).get(way, "")
            judged = f"solved {len(solved):>2} of {seeds}  median steps {steps:>6}  "
            print(
                f"{way:<24} {'' if question.STEPS_ARE_FIXED else judged}"
                f"median score {score:.3g}  {published and 'paper: ' + published}",
                flush=True,
            )
    store("evidence", {name: {"runs": runs, "machine": machine()}})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="; ".join(QUESTIONS))
    options = parser.parse_args()
    for name in options.questions:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}. There are: {'; '.join(QUESTIONS)}")
    # Small networks: threads would wait for each other.
    torch.set_num_threads(1)
    for name in options.questions or QUESTIONS:
        report(name, QUESTIONS[name], options.seeds)


if __name__ == "__main__":
    main()
