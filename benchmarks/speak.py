"""How near a voice comes to recordings of spoken digits, and whether a recogniser understands it:
of what each speaker said in training, and of digits that one never said; and whether the tones of
Vietnamese syllables that espeak-ng speaks are learned.

scripts/bench speak [--data FOLDER] [NAME ...]
"""

import csv
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import soundfile
import soxr
import torch

import conveyor
from benchmarks.espeak_data import VOICES, tone_of, tones, write_spoken
from benchmarks.pitch import Numbers, contour, nearest
from benchmarks.runs import run, run_named
from benchmarks.transcribe_data import DIGITS, OFFICIAL

_VALIDATED = 3  # recordings of each digit and speaker
TONED = "espeak-tones"
_FIT = "fit speak MADE/{}.csv --recogniser MADE/recogniser"
COMMANDS = {
    "digits": _FIT.format("digits"),
    "digits-unheard": f"{_FIT.format('unheard')} --epochs 20",
    TONED: "fit speak MADE/manifest.csv --epochs 300",
}
# What judges: it has learned from the training recordings, as the voice has.
RECOGNISER = "fit transcribe MADE/digits.csv --unit word --epochs 20"


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads."""
    if name == TONED:
        write_spoken(folder, tones())
        return
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


def _look(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Return how often the contour of a sound is nearest to that of the right tone: of what the
    voice speaks, of true recordings of the same syllables, and of what is made of their frames."""
    del data
    if name != TONED:
        return {}
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known: dict[int, list[Numbers]] = defaultdict(list)
    asked: dict[str, list[Path]] = defaultdict(list)
    for row in rows:
        path, text = folder / row["audio"], row["text"]
        if row["part"] == "test":
            asked[text].append(path)
        elif row["part"] == "train" and (line := contour(*soundfile.read(path))) is not None:
            known[tone_of(text)].append(line)
    voice = conveyor.load(folder / "run")
    model: Any = voice.model
    right: dict[str, list[bool]] = defaultdict(list)

    def judge(what: str, text: str, samples: Numbers, rate: int) -> None:
        line = contour(samples, rate)
        right[what].append(line is not None and nearest(line, known) == tone_of(text))

    for text, paths in asked.items():
        sound = voice.speak(text, speaker=VOICES["vi"][0])
        judge("spoken", text, sound.samples, sound.rate)
        for path in paths:
            samples, rate = soundfile.read(path)
            judge("true", text, samples, rate)
            resampled = soxr.resample(samples, rate, model.frames.rate)
            again = model.wave(model.frames(torch.from_numpy(resampled).float()))
            judge("resynthesised", text, again.numpy(), model.frames.rate)
    shares = {what: round(sum(each) / len(each), 4) for what, each in right.items()}
    return {"tones": {"syllables": len(asked), **shares}}


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
        **(
            {"tones": metrics["tones"]}
            if name == TONED
            else {"recogniser": f"conveyor {RECOGNISER}"}
        ),
        "epochs": len(metrics["fit"]["curve"]),
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    def understood(error: float | None) -> str:
        return "" if error is None else f", {100 * error:.1f} % not understood"

    scores = ", ".join(
        f"{label} {each['mcd']:.2f} dB{understood(each.get('recognised_wer'))}"
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "speak", _summary, _line, _make, look=_look)
