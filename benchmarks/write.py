"""How well a network predicts the pen of a hand, with the text that is written and without it.

scripts/bench write [--data FOLDER] [NAME ...]
"""

from typing import Any

from benchmarks.runs import run_named

# x of these strokes is in units six times larger than y; a third of their points is as dense as
# those of IAM-OnDB, about 20 a letter.
_EACH = (
    "fit write DATA/cursive-strokes/strokes.npz --stretch 6 --thin 3 --hidden 200 --layers 2 "
    "--epochs 14"
)
COMMANDS = {"synthesis": _EACH, "prediction": f"{_EACH} --no-texts"}


def summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run."""
    rows = metrics["scores"][0]["rows"]
    return {
        "nats": {label: round(row["nats"], 4) for label, row in rows.items()},
        "interval": [round(end, 4) for end in metrics["interval"]],
        "nats_in_units_of_the_points": round(metrics["nats_in_units_of_the_points"], 4),
        "nats_per_text": round(metrics["nats_per_text"], 1),
        "movements": metrics["movements"],
        "epochs": len(metrics["fit"]["curve"]),
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    told = ", ".join(f"{label} {nats:.3f}" for label, nats in row["nats"].items())
    return f"{name}: nats per movement: {told}"


if __name__ == "__main__":
    run_named(COMMANDS, "write", summary, _line)
