"""Pictures with where a network looked, as parts of a page."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.pixel_image import colour_image, pixel_image
from conveyor.pages.words import Words, number_text, same
from conveyor.tasks.caption.caption_examples import Seen
from conveyor.tasks.caption.captioner import Captioned, Captioner

# Rows and columns that a picture is drawn in, at least.
_DRAWN = 96
# How bright a place is that nobody looks at, and the colour of the frame around the likeliest one.
_DARK, _FRAME = 0.25, (255, 190, 0)


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture in which each pixel is a square, so that it has some hundred rows."""
    factor = max(1, -(-_DRAWN // len(pixels)))
    large: NDArray[np.uint8] = pixels.repeat(factor, 0).repeat(factor, 1)
    return large


def shaded(
    pixels: NDArray[np.uint8], weights: Sequence[float], grid: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return a picture that is the darker, the less a place was looked at, with a frame around the
    place that was looked at most.

    Args:
        pixels: [rows, columns, 3].
        weights: α of the places, row after row.
        grid: rows and columns of places.
    """
    large = enlarged(pixels)
    rows, columns = large.shape[:2]
    shares = np.asarray(weights, dtype=float).reshape(grid)
    most = float(shares.max()) or 1.0
    down = np.arange(rows) * grid[0] // rows
    right = np.arange(columns) * grid[1] // columns
    light = _DARK + (1 - _DARK) * shares[down][:, right] / most
    drawn: NDArray[np.uint8] = (large * light[..., None]).round().astype(np.uint8)
    row, column = divmod(int(shares.argmax()), grid[1])
    inside = (down == row)[:, None] & (right == column)[None]
    edge = inside & ~(
        np.roll(inside, 1, 0)
        & np.roll(inside, -1, 0)
        & np.roll(inside, 1, 1)
        & np.roll(inside, -1, 1)
    )
    drawn[edge] = _FRAME
    return drawn


def looked_at(network: Captioner, seen: Seen, written: Captioned) -> str:
    """Return a picture for each word of a caption, with where the network looked while it wrote
    it.

    Args:
        network: the network.
        seen: of the picture.
        written: the caption.
    """
    weights, gates = network.attention_while(seen, written.symbols)
    figures = []
    words = [*map(same, written.tokens), Words("(end)", "(hết)")]
    for said, its, gate in zip(words, weights, gates.tolist(), strict=False):
        word = said.html()
        grid = network.grid
        text = f"where it looked for {said.en}"
        if network.sizes.size:
            drawn = shaded(seen.values[0].numpy(), its.tolist(), grid)
            image = colour_image(drawn, text, "pixels")
        else:
            image = pixel_image(its.view(grid).numpy(), text)
        shut = f' <span class="answer">β {number_text(gate, ".2f").html()}</span>'
        figures.append(
            f"<figure>{image}<figcaption><b>{word}</b>{shut * network.sizes.gate}</figcaption>"
            "</figure>"
        )
    return f'<div class="looked">{"".join(figures)}</div>'
