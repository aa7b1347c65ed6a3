"""Sequences of spoken digits, put together from single ones: what ``transcribe`` is shown on."""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RATE = 8000
# Of each digit and speaker the recordings below this number are those of the official test.
OFFICIAL = 5

Wave = NDArray[np.float32]


def recordings(folder: Path) -> dict[str, dict[bool, list[tuple[int, Wave]]]]:
    """Return the digits of each speaker, those of the official test and the others, each with its
    samples at equal loudness."""
    found: dict[str, dict[bool, list[tuple[int, Wave]]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("*.wav")):
        digit, speaker, number = path.stem.split("_")
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        samples = samples - samples.mean()
        loudness = float(np.sqrt(np.mean(samples**2)))
        found[speaker][int(number) < OFFICIAL].append((int(digit), 0.05 / loudness * samples))
    return found


def sequence(
    digits: list[tuple[int, Wave]], draw: np.random.Generator, count: int, noise: tuple[int, int]
) -> tuple[str, Wave]:
    """Return the words and the samples of some digits of one speaker.

    Args:
        digits: that are drawn from.
        draw: draws.
        count: how many follow each other, with 0 to 150 ms of silence around each.
        noise: the least and the most decibels by which speech is louder than white noise.
    """

    def silence() -> Wave:
        return np.zeros(int(draw.uniform(0, 0.15) * RATE), dtype=np.float32)

    chosen = [digits[int(n)] for n in draw.integers(len(digits), size=count)]
    parts = [silence()]
    for _, samples in chosen:
        parts += [samples, silence()]
    wave = np.concatenate(parts)
    level = 0.05 * 10 ** (-draw.uniform(*noise) / 20)
    noisy = wave + level * draw.standard_normal(len(wave))
    text = " ".join(DIGITS[digit] for digit, _ in chosen)
    return text, np.clip(noisy, -1, 1).astype(np.float32)


def write(folder: Path, out: Path, train: int, test: int) -> None:
    """Write sequences of every speaker, and manifests: ``official.csv`` (the same speakers, other
    recordings), ``without_NAME.csv`` for each speaker (who is the test set), and
    ``long.csv`` (8 to 12 digits of the official test, of training 1 to 7).

    Args:
        folder: with the single digits.
        out: the folder that is written.
        train: sequences of a speaker to learn from.
        test: of a speaker to test on, and half as many to validate on.
    """
    speakers = recordings(folder)
    rows = []
    for number, (speaker, digits) in enumerate(sorted(speakers.items())):
        draw = np.random.default_rng(1000 + number)
        (out / speaker).mkdir(parents=True, exist_ok=True)
        plan = (
            ("train", False, train, (1, 7), (20, 50)),
            ("validation", False, test // 2, (1, 7), (35, 35)),
            ("test", True, test, (1, 7), (35, 35)),
            ("long", True, test, (8, 12), (35, 35)),
        )
        for part, is_official, count, (least, most), noise in plan:
            for each in range(count):
                length = int(draw.integers(least, most + 1))
                text, wave = sequence(digits[is_official], draw, length, noise)
                name = f"{speaker}/{part}_{each:04d}.wav"
                soundfile.write(out / name, wave, RATE, subtype="PCM_16")
                rows.append((name, text, part, speaker))
    official = [row for row in rows if row[2] != "long"]
    _manifest(out / "official.csv", official)
    _manifest(out / "long.csv", [(*r[:2], "test", r[3]) for r in rows if r[2] == "long"])
    for speaker in sorted(speakers):
        others = [r for r in official if r[3] != speaker and r[2] != "test"]
        theirs = [(*r[:2], "test", r[3]) for r in official if r[3] == speaker and r[2] == "test"]
        _manifest(out / f"without_{speaker}.csv", others + theirs)


def _manifest(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "part", "speaker"))
        table.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, help="the folder with 0_george_0.wav and so on")
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=500)
    parser.add_argument("--test", type=int, default=50)
    arguments = parser.parse_args()
    write(arguments.recordings, arguments.out, arguments.train, arguments.test)
