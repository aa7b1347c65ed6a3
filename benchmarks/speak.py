"""How near a voice comes to recordings of spoken digits, and whether a recogniser understands it:
of what each speaker said in training, and of digits that one never said.

scripts/bench speak [--data FOLDER] [NAME ...]
"""

import csv
import tarfile
from pathlib import Path
from typing import Any

from benchmarks.runs import run, run_named
from benchmarks.transcribe_data import DIGITS, OFFICIAL

_VALIDATED = 3  # recordings of each digit and speaker
_FIT = "fit speak MADE/{}.csv --recogniser MADE/recogniser"
COMMANDS = {
    "digits": _FIT.format("digits"),
    "digits-unheard": f"{_FIT.format('unheard')} --epochs 20",
}
# What judges: it has learned from the training recordings, as the voice has.
RECOGNISER = "fit transcribe MADE/digits.csv --unit word --epochs 20"


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads."""
    with tarfile.open(data / "fsdd" / "recordings.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    write(folder)
    run(RECOGNISER, data, folder / "recogniser")


def write(folder: Path) -> None:
    """Write manifests of single digits: ``digits.csv`` (the official test), and ``unheard.csv``, in
    which each speaker never says two digits in training, and is tested on these alone.

    Args:
        folder: with the folder ``recordings``, which has 0_george_0.wav and so on.
    """
    files = sorted((folder / "recordings").glob("*.wav"))
    speakers = sorted({path.stem.split("_")[1] for path in files})
    whole, without = [], []
    for path in files:
        digit, speaker, number = path.stem.split("_")
        place = int(number)
        part = (
            "test"
            if place < OFFICIAL
            else "validation"
            if place < OFFICIAL + _VALIDATED
            else "train"
        )
        row = (f"recordings/{path.name}", DIGITS[int(digit)], part, speaker)
        whole.append(row)
        # The first and the last of six speakers lack the same two digits, which four others say.
        is_unheard = (int(digit) - speakers.index(speaker)) % 5 == 0
        if is_unheard == (part == "test"):
            without.append(row)
    for name, rows in (("digits", whole), ("unheard", without)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("audio", "text", "part", "speaker"))
            table.writerows(rows)


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {key: None if value is None else round(value, 4) for key, value in row.items()}
        for label, row in metrics["scores"][0]["rows"].items()
    }
    kept = ("sayings", "sounds", "finished", "came_to_the_last_letter", "leaks")
    return {
        "scores": scores,
        "mcd_interval": [round(end, 3) for end in metrics["mcd_interval"]],
        **{key: round(metrics[key], 4) for key in (*kept, "frame_error")},
        "mcd_by_speaker": {
            speaker: round(value, 3) for speaker, value in metrics["mcd_by_speaker"].items()
        },
        "recogniser": f"conveyor {RECOGNISER}",
        "epochs": len(metrics["fit"]["curve"]),
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} {each['mcd']:.2f} dB, {100 * each['recognised_wer']:.1f} % not understood"
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "speak", _summary, _line, _make)
