"""Recordings of words that are tones: what a recogniser can learn in seconds."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

TONES = {"do": 300.0, "mi": 800.0, "sol": 1900.0}
RATE = 8000


def tone(word: str, seconds: float = 0.12, rate: int = RATE) -> NDArray[Any]:
    """Return the sound of a word."""
    time = np.arange(int(seconds * rate)) / rate
    shape = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    sound: NDArray[Any] = 0.3 * shape * np.sin(2 * np.pi * TONES[word] * time)
    return sound


def spoken(text: str, rate: int = RATE, seed: int = 0) -> NDArray[Any]:
    """Return the sound of a text, with silence around each word."""
    draw = np.random.default_rng(seed)
    gap = np.zeros(int(0.06 * rate))
    parts = [gap] + [part for word in text.split() for part in (tone(word, rate=rate), gap)]
    sound = np.concatenate(parts)
    noisy: NDArray[Any] = sound + 0.002 * draw.standard_normal(len(sound))
    return noisy


def texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of one to four words."""
    draw = np.random.default_rng(seed)
    words = list(TONES)
    return [
        " ".join(words[int(n)] for n in draw.integers(len(words), size=draw.integers(1, 5)))
        for _ in range(count)
    ]


def write_spoken(folder: Path, count: int = 60, **columns: list[str]) -> Path:
    """Write recordings and a manifest, and return that: an eighth of them validate, an eighth
    test.

    Args:
        folder: that is written.
        count: of recordings.
        columns: further columns of the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, text in enumerate(texts(count)):
        soundfile.write(folder / f"{number}.wav", spoken(text, seed=number), RATE)
        part = {6: "validation", 7: "test"}.get(number % 8, "train")
        rows.append([f"{number}.wav", text, part, *(values[number] for values in columns.values())])
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["audio", "text", "part", *columns], *rows])
    return path
