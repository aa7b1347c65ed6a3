"""Dialogues to learn from in tests."""

import random
from pathlib import Path

COLOURS = ("red", "green", "blue", "grey")
THINGS = ("dog", "cat", "bird", "fish")


def talks(count: int = 40, seed: int = 0) -> list[list[str]]:
    """Return dialogues of four turns: each reply is of the thing that is asked about."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        thing, colour = draw.choice(THINGS), draw.choice(COLOURS)
        made.append(
            [
                f"Hello number {number}, do you have a {thing}?",
                f"Yes, a {colour} {thing}.",
                "Is it big?",
                f"The {colour} {thing} is small.",
            ]
        )
    return made


def write_talks(path: Path, count: int = 40, seed: int = 0) -> Path:
    """Write dialogues, one in each line."""
    lines = (" __eou__ ".join(turns) for turns in talks(count, seed))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
