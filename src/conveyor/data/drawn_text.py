"""Draws texts to learn from: sums with their answers, and nested tags."""

import torch

from conveyor.data.synthetic import arithmetic, xml

# The kinds of text that can be drawn.
TEXTS = ("arithmetic", "xml")

# The length of a drawn text: some 10,000 sums, or 1,000 nests of tags.
CHARACTERS = 300_000


def draw_text(name: str, characters: int, draw: torch.Generator) -> str:
    """Return lines of sums with their answers, or of nested tags.

    Args:
        name: one of ``TEXTS``.
        characters: the least length of the text.
        draw: the random generator.
    """
    lines, count = list[str](), 0
    while count < characters:
        line = "".join(arithmetic(draw)) if name == "arithmetic" else xml(draw)
        lines.append(f"{line}\n")
        count += len(lines[-1])
    return "".join(lines)
