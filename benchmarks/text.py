"""How well texts are learnt by characters, beside counting models.

scripts/bench text [--data FOLDER] [NAME ...]
"""

from typing import Any

from benchmarks.runs import run_named

# DATA is the folder of --data. Each is what a user would type.
COMMANDS = {
    "tinyshakespeare": "fit text DATA/tinyshakespeare/input.txt --hidden 256 --epochs 24 "
    "--dropout 0.1 --minutes 15",
    "truyen-kieu": "fit text DATA/truyen-kieu/truyenkieu.txt --hidden 192 --dropout 0.4 "
    "--epochs 60 --batch 16 --patience 8",
}


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    nats = {
        label: round(each["nats_per_character"], 4)
        for label, each in metrics["scores"][0]["rows"].items()
    }
    return {"nats_per_character": nats, "stopped": metrics["fit"]["stopped"]}


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(f"{label} {nats}" for label, nats in row["nats_per_character"].items())
    return f"{name}: nats per character: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "text", _summary, _line)
