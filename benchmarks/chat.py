"""How well a network finds what people replied, beside retrieval and a counting model.

scripts/bench chat [--data FOLDER] [NAME ...]
"""

import gzip
from pathlib import Path
from typing import Any

from benchmarks.runs import run_named

SEEDS = (0, 1)

# What a user would type.
_EACH = {
    "dailydialog": "fit chat MADE/dialogues.txt --test DATA/dailydialog-3k/test.en.gz "
    "--split 0.94/0.05/0.01 --vocabulary 4000 --dropout 0.3 --learning-rate 3e-3 --epochs 7",
    "chatterbot": "fit chat DATA/chatterbot-english/pairs.tsv.gz --dialogue topic "
    "--dialogue dialogue --turn turn --hidden 128 --embedding 128 --dropout 0.5 --batch 16 "
    "--learning-rate 1e-3 --epochs 15",
}
COMMANDS = {
    f"{name}-{seed}": f"{command} --seed {seed}"
    for name, command in _EACH.items()
    for seed in SEEDS
}

_KEPT = (
    "found_interval", "retrieval_interval", "found_by", "by_chance", "trials",
    "bits_per_character", "network_alone_bits_per_character", "with_counts_bits_per_character",
    "kneser_ney_bits_per_character", "weights", "answered", "true_replies", "cut_off",
    "unknown", "leaks",
)  # fmt: skip


def _make(name: str, data: Path, made: Path) -> None:
    """Join the two files of DailyDialog that are learned from."""
    if name.startswith("dailydialog"):
        parts = [
            gzip.decompress((data / "dailydialog-3k" / file).read_bytes())
            for file in ("part_1k.en.gz", "dev.en.gz")
        ]
        (made / "dialogues.txt").write_bytes(b"".join(parts))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        "scores": _rounded(metrics["scores"][0]["rows"]),
        **{key: _rounded(metrics[key]) for key in _KEPT if key in metrics},
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} " + " ".join(f"{key} {value}" for key, value in each.items() if value is not None)
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "chat", _summary, _line, _make)
