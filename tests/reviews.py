"""Reviews that are made up, to tell good ones from bad ones."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

GOOD = ("fine", "great", "lovely", "moving", "bright", "warm")
BAD = ("dull", "poor", "awful", "flat", "cold", "boring")
_OTHERS = [
    "the",
    "a",
    "film",
    "story",
    "it",
    "was",
    "scenes",
    "and",
    "actors",
    "very",
    "plot",
    "with",
]


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return different reviews and what each is: one word among others tells."""
    draw = random.Random(seed)
    made: dict[str, str] = {}
    while len(made) < count:
        good = len(made) % 2 == 0
        words = draw.choices(_OTHERS, k=draw.randint(3, 9))
        words.insert(draw.randrange(len(words)), draw.choice(GOOD if good else BAD))
        made.setdefault(" ".join(words), "good" if good else "bad")
    return list(made.items())


def write_table(path: Path, rows: Sequence[tuple[str, ...]], *names: str) -> Path:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def write_reviews(path: Path, count: int = 60, seed: int = 0) -> Path:
    """Write reviews as a CSV file."""
    return write_table(path, reviews(count, seed), "review", "mood")
