"""Numbers over time as a small picture of lines, SVG."""

import html

import numpy as np
from numpy.typing import NDArray

_WIDE, _HIGH = 300, 80


def line_picture(values: NDArray[np.float64], about: str) -> str:
    """Return a line for each column of numbers [T, columns], as a part of a page.

    Args:
        values: finite numbers.
        about: what it is, for those who do not see it.
    """
    low, high = float(values.min()), float(values.max())
    across = np.linspace(0, _WIDE, len(values))
    down = _HIGH - (values - low) / ((high - low) or 1.0) * _HIGH
    lines = "".join(
        '<polyline points="'
        + " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, column, strict=True))
        + f'" class="line{number % 6}"/>'
        for number, column in enumerate(down.T)
    )
    label = html.escape(about)
    return (
        f'<svg class="lines" viewBox="-2 -2 {_WIDE + 4} {_HIGH + 4}" role="img" '
        f'aria-label="{label}"><title>{label}</title><g fill="none" stroke="currentColor" '
        f'stroke-width="1.5">{lines}</g></svg>'
    )
