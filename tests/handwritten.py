"""Texts of three letters that a pen draws with straight lines: what a writer learns in seconds."""

import json
from pathlib import Path

import numpy as np

# The strokes of each letter, on a grid: down and up, a square, a bar and a dot below it.
LETTERS = {
    "l": [[(0, 0), (0, 2), (0, 4), (0, 6)]],
    "o": [[(0, 2), (0, 4), (0, 6), (2, 6), (4, 6), (4, 4), (4, 2), (2, 2), (0, 2)]],
    "i": [[(0, 2), (0, 4), (0, 6)], [(0, 0)]],
}
_WIDTH = 7


def texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of one to three letters."""
    draw = np.random.default_rng(seed)
    letters = list(LETTERS)
    return [
        "".join(letters[int(n)] for n in draw.integers(len(letters), size=draw.integers(1, 4)))
        for _ in range(count)
    ]


def strokes_of(text: str, seed: int = 0) -> list[list[list[float]]]:
    """Return the strokes of a text, each point a little beside its place."""
    draw = np.random.default_rng(seed)
    return [
        [
            [x + place * _WIDTH + 0.1 * draw.standard_normal(), y + 0.1 * draw.standard_normal()]
            for x, y in stroke
        ]
        for place, letter in enumerate(text)
        for stroke in LETTERS[letter]
    ]


def write_handwriting(path: Path, count: int = 40) -> Path:
    """Write lines of JSON, and return the file."""
    lines = [
        json.dumps({"text": text, "strokes": strokes_of(text, number)})
        for number, text in enumerate(texts(count))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
