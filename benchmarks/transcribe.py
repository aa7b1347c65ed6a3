"""How well speech is written down, beside baselines: sequences of spoken digits, of people who were
learned from and of people who were not, and Vietnamese place names.

scripts/bench transcribe [--data FOLDER] [NAME ...]
"""

import tarfile
from pathlib import Path
from typing import Any

from benchmarks.espeak_data import commonest, phrases, write_spoken
from benchmarks.runs import run_named
from benchmarks.transcribe_data import write

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")

# What a user would type; MADE has the sequences of digits, and the recordings as files.
COMMANDS = {
    "digits": "fit transcribe MADE/official.csv --unit word --epochs 8",
    **{
        f"digits-without-{speaker}": f"fit transcribe MADE/without_{speaker}.csv --unit word "
        "--epochs 16 --dropout 0.3"
        for speaker in SPEAKERS
    },
    "digits-streaming": "fit transcribe MADE/official.csv --unit word --no-bidirectional "
    "--hidden 128 --epochs 8",
    # Beside "digits": what looks at the whole recording, alone and with CTC.
    "digits-attention": "fit transcribe MADE/official.csv --unit word --epochs 8 "
    "--attention location",
    "digits-joint": "fit transcribe MADE/official.csv --unit word --epochs 8 "
    "--attention location --joint 0.3",
    "digits-joint-longer": "fit transcribe MADE/official.csv --unit word --epochs 16 "
    "--attention location --joint 0.3",
    "vi-places": "fit transcribe MADE/manifest.csv --unit syllable --hidden 64 --batch 16 "
    "--dropout 0.3 --epochs 300",
    # Spoken by espeak-ng, where that is installed.
    "espeak-vi": "fit transcribe MADE/manifest.csv --unit syllable --dropout 0.3 --epochs 150",
    "espeak-en": "fit transcribe MADE/manifest.csv --unit word --dropout 0.3 --epochs 150",
}


# What the commonest words are of.
TEXTS = {"vi": "truyen-kieu/truyenkieu.txt", "en": "tinyshakespeare/input.txt"}


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads."""
    if name == "vi-places":
        with tarfile.open(data / "vi-places" / "wav8k-flac.tar") as archive:
            archive.extractall(folder, filter="data")
        manifest = (data / "vi-places" / "manifest.csv").read_bytes()
        (folder / "manifest.csv").write_bytes(manifest)
        return
    if name.startswith("espeak-"):
        language = name.removeprefix("espeak-")
        text = data / TEXTS[language]
        words = commonest(text.read_text(encoding="utf-8"))
        write_spoken(folder, phrases(words, language))
        return
    with tarfile.open(data / "fsdd" / "recordings.tar.gz") as archive:
        archive.extractall(folder / "fsdd", filter="data")
    write(folder / "fsdd" / "recordings", folder, train=500, test=100)


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {key: None if value is None else round(value, 4) for key, value in row.items()}
        for label, row in metrics["scores"][0]["rows"].items()
    }
    kept = ("words", "other_words", "left_out", "put_in", "best_path", "leaks", "blank_share")
    interval = metrics["wer_interval"]
    return {
        "scores": scores,
        "wer_interval": interval and [round(end, 4) for end in interval],
        **{key: metrics[key] for key in kept},
        "wer_by_speaker": metrics["wer_by_speaker"],
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} {100 * each['wer']:.1f} %" for label, each in row["scores"].items()
    )
    return f"{name}: WER {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "transcribe", _summary, _line, _make)
