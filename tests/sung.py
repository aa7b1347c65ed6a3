"""Recordings whose letters are tones: what a voice can learn in seconds."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

import conveyor

# In hertz; a speaker sings all of them higher or lower.
TONES = {"a": 400.0, "e": 900.0, "o": 1800.0}
PITCH = {"ann": 1.0, "bob": 1.4}
RATE = 8000
SECONDS = 0.125


def sung(text: str, speaker: str = "ann", seed: int = 0) -> NDArray[np.float64]:
    """Return the sound of a text: a tone for each letter, with a little noise."""
    time = np.arange(int(SECONDS * RATE)) / RATE
    shape = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    tones = [
        0.3 * shape * np.sin(2 * np.pi * PITCH[speaker] * TONES[letter] * time) for letter in text
    ]
    sound = np.concatenate(tones)
    return sound + 0.0001 * np.random.default_rng(seed).standard_normal(len(sound))


def peaks(wave: NDArray[np.float32], letters: int) -> list[float]:
    """Return the frequency of the loudest tone in each of so many equal stretches of a sound."""
    answer = []
    for piece in np.array_split(wave, letters):
        middle = piece[len(piece) // 5 : -len(piece) // 5]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 4096))
        answer.append(float(spectrum.argmax()) * RATE / 4096)
    return answer


def texts(count: int) -> list[str]:
    """Return texts of two to four letters, no letter twice in a row."""
    draw = np.random.default_rng(1)
    several = []
    for _ in range(count):
        letters = [str(draw.choice(list(TONES)))]
        for _ in range(int(draw.integers(1, 4))):
            letters.append(str(draw.choice([each for each in TONES if each != letters[-1]])))
        several.append("".join(letters))
    return several


def write_sung(folder: Path, count: int = 80) -> Path:
    """Write recordings and a manifest, and return that: an eighth of them validate, an eighth
    test; bob sings every second."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, text in enumerate(texts(count)):
        speaker = "bob" if (number + number // 8) % 2 else "ann"
        soundfile.write(folder / f"{number}.wav", sung(text, speaker, number), RATE)
        part = {6: "validation", 7: "test"}.get(number % 8, "train")
        rows.append([f"{number}.wav", text, part, speaker])
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["audio", "text", "part", "speaker"], *rows])
    return path


def fit_voice(folder: Path, **settings: Any) -> conveyor.Run:
    """Return a run that has learned three letters of two speakers, ``folder / "run"``."""
    source = write_sung(folder / "sung")
    return conveyor.fit("speak", source, out=folder / "run", say=lambda line: None, **settings)
