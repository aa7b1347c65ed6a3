"""How many bits a sample of spoken digits takes a network that predicts samples, beside linear
prediction.

scripts/bench sound [--data FOLDER] [NAME ...]
"""

import tarfile
import time
from pathlib import Path
from typing import Any

import conveyor
from benchmarks import speak
from benchmarks.runs import run_named

COMMANDS = {
    "digits": "fit sound MADE/digits.csv",
    "digits, LSTM": "fit sound MADE/digits.csv --cell lstm --epochs 11",
}


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads: the official parts of the digits."""
    with tarfile.open(data / "fsdd" / "recordings.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    speak.write(folder)


def _look(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Return how long a second of sound takes."""
    run = conveyor.load(folder / "run")
    begun = time.process_time()
    run.speak(seconds=2.0)
    return {"seconds_for_a_second_of_sound": round((time.process_time() - begun) / 2, 3)}


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: round(row["bits_per_sample"], 4)
        for label, row in metrics["scores"][0]["rows"].items()
    }
    return {
        "bits_per_sample": scores,
        "interval": [round(end, 4) for end in metrics["interval"]],
        **{key: metrics[key] for key in ("samples", "recordings", "parameters", "leaks")},
        "epochs": len(metrics["fit"]["curve"]),
        "stopped": metrics["fit"]["stopped"],
        "seconds_for_a_second_of_sound": metrics["seconds_for_a_second_of_sound"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(f"{label} {bits:.3f}" for label, bits in row["bits_per_sample"].items())
    return f"{name}: {scores} bits per sample"


if __name__ == "__main__":
    run_named(COMMANDS, "sound", _summary, _line, _make, look=_look)
