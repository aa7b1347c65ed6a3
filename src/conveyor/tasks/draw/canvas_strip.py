"""A canvas over time, with the windows in which a network looks and draws, as a part of a page."""

import html
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from conveyor.networks.picture_window import PictureWindow
from conveyor.pages.pixel_image import colour_png, data_of

# So far beyond a picture there is room around it, as a share of its longer side, and so far in that
# room a window is still seen.
_ROOM, _SEEN = 1 / 12, 3 / 4
# Glimpses that are shown, at most.
_MOST = 12


def shown_glimpses(count: int) -> list[int]:
    """Return which glimpses are shown, counted from 1: all, or some at equal distances that end
    with the last."""
    shown = min(count, _MOST)
    return [round((place + 1) * count / shown) for place in range(shown)]


def framed_picture(
    light: Tensor, about: str, boxes: Sequence[tuple[str, Tensor]] = (), label: str = ""
) -> str:
    """Return a picture with the windows on it.

    Args:
        light: of its pixels, from 0 to 1, [rows, columns].
        about: what it is, for those who do not see it.
        boxes: the class of style of each window, and its left, top, right and bottom.
        label: what stands below it, as HTML.
    """
    rows, columns = light.shape
    grey = (255 * light).round().byte().numpy()
    data = data_of(colour_png(np.repeat(grey[..., None], 3, 2)))
    squares = "".join(_square(kind, box, rows, columns) for kind, box in boxes)
    edge, said = _ROOM * max(rows, columns), html.escape(about)
    return (
        f'<figure><svg viewBox="{-edge:.2f} {-edge:.2f} {columns + 2 * edge:.2f} '
        f'{rows + 2 * edge:.2f}" role="img" '
        f'aria-label="{said}"><title>{said}</title><image href="{data}" width="{columns}" '
        f'height="{rows}"/>{squares}</svg><figcaption>{label}</figcaption></figure>'
    )


def _square(kind: str, box: Tensor, rows: int, columns: int) -> str:
    # What lies further out is drawn at the border of what is seen.
    beyond = _SEEN * _ROOM * max(rows, columns)
    left, right = (min(max(float(box[n]), -beyond), columns + beyond) for n in (0, 2))
    top, bottom = (min(max(float(box[n]), -beyond), rows + beyond) for n in (1, 3))
    return (
        f'<rect class="{kind}" x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}" '
        f'height="{bottom - top:.2f}"/>'
    )


def canvas_strip(
    canvases: Tensor,
    about: str,
    read: Sequence[PictureWindow] = (),
    written: Sequence[PictureWindow] = (),
    *,
    number: int,
) -> str:
    """Return the canvas of a picture after glimpses, with the windows of these.

    Args:
        canvases: logits before the first glimpse and after each, [T + 1, batch, rows, columns].
        about: what it is, for those who do not see it.
        read, written: the windows of each glimpse; empty for none.
        number: which picture of the batch it is.
    """
    light = canvases[:, number].sigmoid()
    parts = []
    for glimpse in shown_glimpses(len(canvases) - 1):
        boxes = [
            (kind, windows[glimpse - 1].box[number])
            for kind, windows in (("looks", read), ("draws", written))
            if windows
        ]
        parts.append(
            framed_picture(light[glimpse], f"{about}, glimpse {glimpse}", boxes, str(glimpse))
        )
    return "".join(parts)
