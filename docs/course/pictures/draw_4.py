"""Draw the pictures of page 4: gates at every letter, and the direct path of the gradient.

The network is trained by the page's own code.
"""

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from drawing import BLUE, GREY, SIZE, save

PAGE = Path(__file__).parents[1] / "4-lstm.md"


def run_page() -> dict[str, Any]:
    """Run the page's code and return its names."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)
    return names


def gates(names: dict[str, Any]) -> None:
    """Draw the gates and the cell state at the first letters, units by letters."""
    shown = len("gates remember what")
    letters = names["sentence"][:shown]
    belt = names["belt"]
    titles = {"f": "forget gate", "i": "input gate", "o": "output gate", "c": "cell state"}
    figure, panels = plt.subplots(4, 1, figsize=(7, 8.2))
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        values = belt.values[name][:shown, belt.order].T
        colours: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 1}
        if name == "c":
            colours = {"cmap": "RdBu", "vmin": -2, "vmax": 2}
        image = axes.imshow(values, aspect="auto", interpolation="nearest", **colours)
        figure.colorbar(image, ax=axes, ticks=[colours["vmin"], colours["vmax"]], pad=0.02)
        axes.set_title(title, fontsize=14)
        axes.set_yticks([])
        axes.set_xticks(range(shown), letters)
        axes.tick_params(length=0)
        axes.set_ylabel("units")
    figure.tight_layout()
    save(figure, "4-gates")


def path(names: dict[str, Any]) -> None:
    """Draw how much of the derivative by the cell state is left on the direct path."""
    kept, end = names["kept"], names["end"]
    count = len("gates remember")
    figure, axes = plt.subplots(figsize=SIZE)
    begin = names["sentence"].index("remember")
    colours = [BLUE if step >= begin else GREY for step in range(count)]
    axes.bar(range(count), kept.flip(0)[end - count :], color=colours)
    axes.set_xticks(range(count), names["sentence"][:end])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("left of the gradient")
    axes.set_ylim(0, 1)
    save(figure, "4-path")


if __name__ == "__main__":
    of_page = run_page()
    gates(of_page)
    path(of_page)
