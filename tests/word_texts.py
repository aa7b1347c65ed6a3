"""A text that is made up for vectors of words: two worlds whose words never meet."""

import random
from pathlib import Path

WORLDS = (("ant", "bee", "cow", "dog"), ("tin", "zinc", "iron", "gold"))


def world_text(paragraphs: int = 60, length: int = 30, seed: int = 0) -> str:
    """Return paragraphs, each of words of one world."""
    draw = random.Random(seed)
    return "\n\n".join(
        " ".join(draw.choices(WORLDS[number % 2], k=length)) for number in range(paragraphs)
    )


def write_worlds(path: Path, paragraphs: int = 60, length: int = 30) -> Path:
    """Write paragraphs of both worlds as a text file."""
    path.write_text(world_text(paragraphs, length) + "\n", encoding="utf-8")
    return path
