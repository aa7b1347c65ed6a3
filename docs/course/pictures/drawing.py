"""What all pictures of the course have in common: colours, sizes, and how they are written."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito: colours that readers with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
# Inches. On a phone, 390 pixels wide, 14 points of this width are 11 pixels high.
SIZE = (7.0, 3.5)
FOLDER = Path(__file__).parent

mpl.use("Agg")
plt.rcParams.update(
    {
        "svg.fonttype": "path",
        "font.size": 14,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "lines.linewidth": 2.5,
        "figure.facecolor": "white",
    }
)


def save(figure: Figure, name: str) -> None:
    """Write a picture as SVG beside this file: the same bytes for the same picture."""
    file = FOLDER / f"{name}.svg"
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    print(f"drawn: {file.name}")


def box(axes: Axes, x: float, y: float, text: str, colour: str, *, width: float = 1.0) -> None:
    """Draw a box with a text in its middle."""
    style = {"boxstyle": "round,pad=0.06", "facecolor": "white", "edgecolor": colour}
    corner = (x - width / 2, y - 0.3)
    patch = mpl.patches.FancyBboxPatch(corner, width, 0.6, linewidth=2, **style)
    axes.add_patch(patch)
    axes.text(x, y, text, ha="center", va="center", color=colour)


def arrow(
    axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str = GREY
) -> None:
    """Draw an arrow from one point to another."""
    style = {"arrowstyle": "-|>", "color": colour, "lw": 2, "mutation_scale": 16}
    axes.annotate("", xy=end, xytext=begin, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


def diagram(width: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """Return a figure without axes for boxes and arrows."""
    figure, axes = plt.subplots(figsize=SIZE)
    axes.set_xlim(-0.8, width)
    axes.set_ylim(bottom, top)
    axes.axis("off")
    return figure, axes
