"""A search over cells on sums, tags and a play, which adds up over runs: how many cells were drawn,
tried and kept, and how the best of them do beside the LSTM and the GRU with fresh seeds.

scripts/bench search [--data FOLDER] [--folder FOLDER] [--minutes N] [--mutants N] [--screen N]
                     [--survivors N] [--finalists N] [--fresh N]
scripts/bench search --recognise N    draws N mutants of the LSTM and the GRU, and counts which are
                                      no cell or the same as one before; nothing is fitted
"""

import argparse
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.runs import machine, store
from conveyor.cells.cell_registry import find
from conveyor.compiler.trace import trace
from conveyor.searching.canonical_cell import NotACell, canonical_key
from conveyor.searching.cell_graph import graph_of
from conveyor.searching.mutation import mutated

# The first characters of the play: as many as the drawn texts have.
CHARACTERS = 300_000

PLAIN = Path("benchmarks") / "plain_lstm.py"


def command(options: argparse.Namespace, text: Path) -> list[str]:
    """The command of the search, without its folder."""
    return [
        *("search", f"arithmetic,xml,{text}", "--task", "text"),
        *("--cells", f"lstm,{PLAIN}:plain_lstm,gru", "--draws", "3", "--epochs", "2"),
        *("--mutants", str(options.mutants), "--screen", str(options.screen)),
        *("--survivors", str(options.survivors), "--finalists", str(options.finalists)),
        *("--fresh", str(options.fresh)),
    ]


def _summary(content: dict[str, Any], words: list[str]) -> dict[str, Any]:
    return {
        "command": f"conveyor {' '.join(words)}",
        "counts": content["counts"],
        "minutes of memory tests": round(content["seconds of memory tests"] / 60, 1),
        "fitness": {
            name: round(standing["fitness"], 4)
            for name, standing in list(content["fitness"].items())[:10]
        },
        "families": dict(list(content["families"].items())[:5]),
        "equations": dict(list(content["equations"].items())[:5]),
        "fresh": content["fresh"],
        "verdict": content["verdict"],
        "machine": machine(),
    }


def recognised(count: int) -> dict[str, int]:
    """Count what becomes of mutants of the LSTM and the GRU before anything is fitted."""
    random = Random(0)
    parents = [graph_of(trace(find(name))) for name in ("lstm", "gru")]
    seen = {canonical_key(parent) for parent in parents}
    counts: Counter[str] = Counter(drawn=count)
    for _ in range(count):
        changed = mutated(random.choice(parents), random)
        key = NotACell("no cell comes out") if changed is None else canonical_key(changed[0])
        if isinstance(key, NotACell):
            counts[key.reason] += 1
        else:
            counts["known already" if key in seen else "new"] += 1
            seen.add(key)
    return dict(counts)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/search-bench"))
    parser.add_argument("--minutes", type=float, default=60.0)
    for name, default in (
        ("mutants", 10_000),
        ("screen", 1_500),
        ("survivors", 30),
        ("finalists", 5),
        ("fresh", 5),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--recognise", type=int, default=0)
    options = parser.parse_args()
    if options.recognise:
        counts = recognised(options.recognise)
        store(
            "search", {"mutants of the LSTM and the GRU": {"counts": counts, "machine": machine()}}
        )
        print(counts)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    text = options.folder / "tinyshakespeare.txt"
    play = (options.data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    text.write_text(play[:CHARACTERS], encoding="utf-8")
    words = command(options, text)
    named_by_file = command(options, Path(text.name))
    out = options.folder / "search"
    process = subprocess.Popen(
        [sys.executable, "-m", "conveyor.cli.start", *words, "--out", str(out)]
    )
    try:
        process.wait(60 * options.minutes)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # it stores what it has, and writes the report
        process.wait()
    content = json.loads((out / "search.json").read_text(encoding="utf-8"))
    store("search", {"arithmetic, xml, tinyshakespeare": _summary(content, named_by_file)})
    print(content["verdict"])


if __name__ == "__main__":
    main()
