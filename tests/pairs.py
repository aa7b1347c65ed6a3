"""Pairs that are made up: a small language, its translation, and how its words are said."""

import random
from pathlib import Path

WORDS = {
    "red": "rot",
    "green": "grün",
    "dog": "hund",
    "cat": "katze",
    "sees": "sieht",
    "hears": "hört",
    "old": "alt",
    "bird": "vogel",
}

# What a letter sounds like, and two that are one sound.
SOUNDS = {"a": "AA1", "e": "EH0", "i": "IY2", "o": "OW1", "b": "B", "d": "D", "k": "K", "x": "K S"}


def pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return different sentences and what they become: word by word, and turned round."""
    draw = random.Random(seed)
    made: dict[str, str] = {}
    while len(made) < count:
        words = draw.choices(list(WORDS), k=draw.randint(2, 5))
        made[" ".join(words)] = " ".join(WORDS[word] for word in reversed(words))
    return list(made.items())


def write_pairs(path: Path, count: int = 60, seed: int = 0) -> Path:
    """Write pairs as a file of values between TABs."""
    lines = ["\t".join(pair) for pair in pairs(count, seed)]
    path.write_text("\n".join(["en\tde", *lines]) + "\n", encoding="utf-8")
    return path


def write_dictionary(path: Path, count: int = 60, seed: int = 0) -> Path:
    """Write words and their phonemes; every tenth word has two pronunciations."""
    draw = random.Random(seed)
    words = dict.fromkeys(
        "".join(draw.choices(list(SOUNDS), k=draw.randint(2, 6))) for _ in range(count)
    )
    lines = []
    for number, word in enumerate(words):
        said = " ".join(SOUNDS[letter] for letter in word)
        lines.append(f"{word} {said}")
        if number % 10 == 0:
            lines.append(f"{word}(2) {said} B # once more")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
