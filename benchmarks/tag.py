"""How well words are tagged, beside a CRF on features and the most frequent tag of each word.

scripts/bench tag [--data FOLDER] [NAME ...]
"""

import shutil
from pathlib import Path
from typing import Any

from benchmarks.runs import run_named

SEEDS = (0, 1, 2)

# MADE is the folder of what ``make`` writes. Each is what a user would type.
_EACH = {
    "vtb": "fit tag MADE/train.conllu --validation MADE/dev.conllu --test MADE/test.conllu",
    "vtb-softmax": "fit tag MADE/train.conllu --validation MADE/dev.conllu "
    "--test MADE/test.conllu --no-crf",
}
COMMANDS = {
    f"{name}-{seed}": f"{command} --seed {seed}"
    for name, command in _EACH.items()
    for seed in SEEDS
}


def make(name: str, data: Path, folder: Path) -> None:
    """Write the files of a set."""
    for part in ("train", "dev", "test"):
        source = data / f"ud-vietnamese-vtb/vi_vtb-ud-{part}.conllu"
        shutil.copyfile(source, folder / f"{part}.conllu")


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    (scores,) = metrics["scores"]
    return {
        "scores": {
            label: {key: None if value is None else round(value, 4) for key, value in row.items()}
            for label, row in scores["rows"].items()
        },
        "interval": [round(end, 4) for end in metrics["accuracy_interval"]],
        "bootstrap_p": round(metrics["bootstrap_p"], 4),
        "leaks": metrics["leaks"],
        "unseen": round(metrics["unknown"], 4),
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} {100 * each['accuracy']:.1f} % (unseen words {100 * each['unseen_accuracy']:.1f})"
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "tag", _summary, _line, make)
