"""Speech that espeak-ng makes on the spot, in Vietnamese and in English: recordings and manifests.

Its voices are far more alike than people are: what is learned here is that words, syllables and
tones are read and spoken at all, and not how well people would be understood.
"""

import csv
import random
import re
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

VOICES = {
    "vi": ("vi", "vi-vn-x-central", "vi-vn-x-south"),
    "en": ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp"),
}
# Words a minute and pitch (0 to 99) of each recording are drawn from these; espeak-ng speaks 175
# words a minute at a pitch of 50 by itself.
_SPEEDS, _PITCHES = (130, 210), (30, 70)

# What is said: so many of the commonest syllables or words, one to three of them at a time.
_COMMONEST, _MOST = 60, 3

# How many recordings are learned from, validated on and tested on.
_COUNTS = {"train": 900, "validation": 100, "test": 200}

# The marks of the six tones of Vietnamese, as Unicode composes them: level, falling, asking,
# tumbling, rising, heavy.
TONES = ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")

# Syllables without a tone, each of which is said in all six.
_BASES = tuple(first + vowel for first in ("m", "b", "l", "n") for vowel in ("a", "i", "o", "u"))


class Saying(NamedTuple):
    """What is said, by which voice and how."""

    text: str
    part: str
    voice: str
    speed: int
    pitch: int


def speak(saying: Saying, path: Path) -> None:
    """Write a recording of a saying, 22,050 samples a second.

    Raises:
        SystemExit: espeak-ng is not installed.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        sys.exit("error: espeak-ng is not installed. It is a package of Debian and of Homebrew.")
    how = ["-v", saying.voice, "-s", str(saying.speed), "-p", str(saying.pitch), "-w", str(path)]
    subprocess.run([program, *how, saying.text], check=True)


def write_spoken(folder: Path, sayings: Sequence[Saying]) -> None:
    """Write recordings and ``manifest.csv``.

    Args:
        folder: that is written to.
        sayings: one for each recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("audio", "text", "part", "speaker"))
        for number, saying in enumerate(sayings):
            name = f"{number:04}.wav"
            speak(saying, folder / name)
            table.writerow((name, saying.text, saying.part, saying.voice))


def commonest(text: str, count: int = _COMMONEST) -> list[str]:
    """Return the commonest words of a text, of two letters or more, in small letters."""
    words = re.findall(r"[^\W\d_]{2,}", unicodedata.normalize("NFC", text).lower())
    return [word for word, _ in Counter(words).most_common(count)]


def phrases(words: Sequence[str], language: str, seed: int = 0) -> list[Saying]:
    """Return sayings of one to three of some words. No text of a part is said in another one.

    Args:
        words: that are said.
        language: "vi" or "en".
        seed: of the draws.
    """
    draw = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < sum(_COUNTS.values()):
        texts[" ".join(draw.choices(words, k=draw.randint(1, _MOST)))] = None
        if len(texts) >= len(words) ** _MOST:
            raise ValueError("there are too few words.")
    parts = [part for part, count in _COUNTS.items() for _ in range(count)]
    return [
        Saying(
            text, part, draw.choice(VOICES[language]), draw.randint(*_SPEEDS),
            draw.randint(*_PITCHES),
        )
        for text, part in zip(_shuffled(texts, draw), parts, strict=True)
    ]  # fmt: skip


def _shuffled(texts: Iterable[str], draw: random.Random) -> list[str]:
    ordered = list(texts)
    draw.shuffle(ordered)
    return ordered


def tone_of(syllable: str) -> int:
    """Return the tone of a syllable, of ``TONES``."""
    marks = [mark for mark in unicodedata.normalize("NFD", syllable) if mark in TONES]
    return TONES.index(marks[0]) if marks else 0


def toned(base: str, tone: int) -> str:
    """Return a syllable with a tone, of ``TONES``, on its last letter."""
    return unicodedata.normalize("NFC", base + TONES[tone])


def tones(seed: int = 0) -> list[Saying]:
    """Return sayings of syllables in all six tones by one voice, four of each; of each syllable one
    tone is only tested, which other syllables are said in."""
    draw = random.Random(seed)
    sayings = []
    for number, base in enumerate(_BASES):
        for tone in range(len(TONES)):
            for take in range(4):
                part = "train" if take else "validation"
                if tone == number % len(TONES):
                    part = "test"
                sayings.append(
                    Saying(
                        toned(base, tone), part, "vi", draw.randint(120, 160), draw.randint(45, 55)
                    )
                )
    return sayings
