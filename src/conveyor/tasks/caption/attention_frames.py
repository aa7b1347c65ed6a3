"""Videos with which frames a network looked at, as parts of a page."""

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.pixel_image import colour_image
from conveyor.pages.shaded_table import Shade, shaded_table
from conveyor.pages.words import Words
from conveyor.tasks.caption.caption_examples import Seen
from conveyor.tasks.caption.captioner import Captioned, Captioner

# Pixels between two frames of a strip, and how bright they are.
_GAP, _BRIGHT = 1, 255
# Rows that a frame is drawn in, at least.
_DRAWN = 48
# What is less than this stands in no cell.
_LEAST = 0.005


def frames_of(seen: Seen) -> NDArray[np.uint8]:
    """Return the frames of one video, [frames, rows, columns, 3], large enough to be looked at."""
    pixels: NDArray[np.uint8] = seen.values[0, : int(seen.frames[0])].numpy()
    factor = max(1, -(-_DRAWN // pixels.shape[1]))
    large: NDArray[np.uint8] = pixels.repeat(factor, 1).repeat(factor, 2)
    return large


def film_strip(seen: Seen, name: str) -> str:
    """Return the frames of one video side by side.

    Args:
        seen: of the video.
        name: what it is called.
    """
    frames = frames_of(seen)
    wide = np.pad(frames, ((0, 0), (0, 0), (0, _GAP), (0, 0)), constant_values=_BRIGHT)
    strip = np.concatenate(list(wide), 1)[:, :-_GAP]
    return colour_image(strip, name, "film")


def looked_at_frames(network: Captioner, seen: Seen, written: Captioned) -> str:
    """Return a table of how much each frame counted for each word of a caption, α, with the frames
    above.

    Args:
        network: the network.
        seen: of the video.
        written: the caption.
    """
    weights, gates = network.attention_while(seen, written.symbols)
    pictures = [
        colour_image(frame, f"{number}", "frame") for number, frame in enumerate(frames_of(seen), 1)
    ]
    rows = []
    for word, its, gate in zip((*written.tokens, "∎"), weights, gates.tolist(), strict=True):
        shares = its[: len(pictures)].tolist()
        most = max(shares)
        cells = [
            Shade(f"{share:.2f}" if share >= _LEAST else "", share / most, "ours")
            for share in shares
        ]
        if network.sizes.gate:
            cells.append(Shade(f"{gate:.2f}", 0, "ours"))
        rows.append((word, cells))
    names = [f"{number}" for number in range(1, len(pictures) + 1)]
    return shaded_table(
        Words("word", "từ"),
        [*names, *(["β"] if network.sizes.gate else [])],
        rows,
        Words("weight of each frame for each word", "mỗi khung hình nặng bao nhiêu"),
        pictures=[*pictures, *([""] if network.sizes.gate else [])],
    )
