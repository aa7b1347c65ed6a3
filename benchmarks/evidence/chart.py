"""Charts that docs/evidence.md shows."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure


def save(figure: Figure, file: Path) -> None:
    """Write a chart as SVG, the same bytes for the same chart."""
    with matplotlib.rc_context({"svg.hashsalt": file.name}):
        figure.savefig(file, metadata={"Date": None})
    print(f"drawn: {file}")
