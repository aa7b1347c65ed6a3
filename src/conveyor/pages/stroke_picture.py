"""Strokes of a pen as a picture of lines, SVG."""

import html

import numpy as np
from numpy.typing import NDArray

# The thickness of a line and the room around the strokes, as shares of the height of a letter,
# which is about half of the whole.
_THICK, _ROOM = 0.045, 0.12


def stroke_picture(points: NDArray[np.float64], text: str, *, standalone: bool = True) -> str:
    """Return strokes as SVG, whose lines have the colour of the text around them.

    Args:
        points: [T, 3]: x, y (which grows downwards), and 1 at the last point of a stroke.
        text: what it says, for those who do not see it.
        standalone: whether it is a file of its own, or a part of a page.
    """
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    tall = max(float(high[1] - low[1]), float(high[0] - low[0]) / 20, 1e-9)
    # Coordinates in hundredths of the height are exact enough, and short.
    scaled = (points[:, :2] - low) * (100 / tall)
    room, thick = 100 * _ROOM, 100 * _THICK
    wide, height = (high - low) * (100 / tall) + 2 * room
    ends = np.flatnonzero(points[:, 2] > 0)
    begins = np.concatenate([[0], ends[:-1] + 1])
    lines = []
    for begin, end in zip(begins, ends, strict=True):
        stroke = scaled[begin : end + 1] + room
        if len(stroke) == 1:  # a dot: a line to itself is drawn by its round ends
            stroke = np.repeat(stroke, 2, axis=0)
        x0, y0 = stroke[0]
        steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in stroke[1:])
        lines.append(f'<path d="M{x0:.1f},{y0:.1f} L{steps}"/>')
    label = html.escape(text)
    space = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    kind = "" if standalone else ' class="strokes"'
    return (
        f'<svg{space}{kind} viewBox="0 0 {wide:.1f} {height:.1f}" role="img" aria-label="{label}">'
        f"<title>{label}</title>"
        f'<g fill="none" stroke="currentColor" stroke-width="{thick:.1f}" stroke-linecap="round" '
        f'stroke-linejoin="round">{"".join(lines)}</g></svg>'
    )
