"""Texts that are drawn: sums with their answers, and nested tags."""

import torch

from conveyor.data.synthetic import arithmetic, xml

# What can be drawn.
TEXTS = ("arithmetic", "xml")

# Of a text: some 10,000 sums, or 1,000 nests of tags.
CHARACTERS = 300_000


def some_text(name: str, characters: int, draw: torch.Generator) -> str:
    """Return sums with their answers, or nested tags, a line each, of so many characters at least.

    Args:
        name: one of ``TEXTS``.
        characters: how many, at least.
        draw: what is drawn with.
    """
    lines, count = list[str](), 0
    while count < characters:
        line = "".join(arithmetic(draw)) if name == "arithmetic" else xml(draw)
        lines.append(f"{line}\n")
        count += len(lines[-1])
    return "".join(lines)
