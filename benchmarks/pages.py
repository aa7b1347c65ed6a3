"""What fresh pages of memory cost in training steps of large layers.

scripts/bench pages [--rounds N] [--hidden 256,512] [--threads N]

A large tensor that is freed goes back to the system, and the next one is made of fresh pages, each
of which the system must find and clear. The training steps of a layer of ours and of torch's (128
sequences, 400 steps) are timed alone and in turn, first with the C library's usual settings, then
in a process in which it keeps what is freed (``KEEPING``).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import torch
from torch import nn

import conveyor
from benchmarks.measure import WARM, table, training, whole
from benchmarks.runs import machine, store

BATCH, STEPS = 128, 400
# glibc, mallopt(3): no memory of its own for a large block, and nothing returned from the heap.
KEEPING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
KINDS = ("LSTM", "GRU")


def _used(step: Callable[[], Any]) -> dict[str, float]:
    """Milliseconds of a step, those of them that the system took, and pages that it handed out."""
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    step()
    end, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    return {
        "ms": 1000 * (end - begin),
        "system ms": 1000 * (after.ru_stime - before.ru_stime),
        "pages": after.ru_minflt - before.ru_minflt,
    }


def _medians(steps: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of steps that are run in turn."""
    for step in steps.values():
        for _ in range(WARM[1][0]):  # until it is known how many threads it gains from
            step()
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seen[name].append(_used(step))
    return {
        name: {key: round(statistics.median(one[key] for one in all_), 1) for key in all_[0]}
        for name, all_ in seen.items()
    }


def measured(kind: str, hidden: int, rounds: int) -> list[dict[str, Any]]:
    """Return the rows of one layer, in this process."""
    torch.manual_seed(0)
    theirs, ours = getattr(nn, kind)(hidden, hidden), getattr(conveyor, kind)(hidden, hidden)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(STEPS, BATCH, hidden)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=1e-3, atol=1e-4)
    steps = {
        f"conveyor.{kind}": training(lambda x: ours(x)[0], ours.parameters(), x),
        f"torch.nn.{kind}": training(lambda x: theirs(x)[0], theirs.parameters(), x),
    }
    alone = [_medians({name: step}, rounds) for name, step in steps.items()]
    return [
        {"layer": name, "H": hidden, "when": when, **medians}
        for when, part in (("alone", alone), ("in turn", [_medians(steps, rounds)]))
        for rows in part
        for name, medians in rows.items()
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--hidden", default="256,512")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        torch.set_num_threads(options.threads)
        rows = [
            row
            for kind in KINDS
            for hidden in whole(options.hidden)
            for row in measured(kind, hidden, options.rounds)
        ]
        print(json.dumps(rows))
        return
    rows = []
    for setting, environment in (("usual", {}), ("keeping", KEEPING)):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.pages", *sys.argv[1:], "--within"],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows += [{"memory": setting, **row} for row in json.loads(done.stdout)]
    shown = [{name: str(value) for name, value in row.items()} for row in rows]
    table(shown, {name: itemgetter(name) for name in rows[0]})
    store(
        "pages",
        {"training steps": {"B": BATCH, "T": STEPS, "rows": rows, "machine": machine()}},
    )


if __name__ == "__main__":
    main()
