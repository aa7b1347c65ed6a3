"""The Gaussian filters of DRAW (Gregor, Danihelka, Graves, Rezende & Wierstra 2015, DRAW: a
recurrent neural network for image generation, section 3.2)."""

import torch
from torch import Tensor

from conveyor.layers.checks import check_whole


def filter_bank(
    centre: Tensor, stride: Tensor, variance: Tensor, *, filters: int, pixels: int
) -> Tensor:
    """Return the filters of a line of pixels, [..., filters, pixels] (equations 19, 20, 25, 26).

    The middle of filter i, counted from 1, is centre + (i - filters/2 - 1/2) · stride. Each filter
    is a Gaussian over the pixels, which sums to 1. It is computed in logarithms, as a softmax: the
    weights of a filter whose middle is far off the picture lie at the border, where the paper's
    sum, to which 1e-8 is added, would leave nothing but zeros.

    Args:
        centre: g, in pixels, the first of which is at 1, [...].
        stride: δ, pixels between the middles of neighbours, [...] or what broadcasts to it; one
            filter has none, and is at the centre whatever it is.
        variance: σ², in pixels squared, above 0, [...] or what broadcasts to it.
        filters: N.
        pixels: of the line.

    Raises:
        SettingError: a number is below 1.
    """
    check_whole(filters=filters, pixels=pixels)
    number = torch.arange(1, filters + 1, dtype=centre.dtype, device=centre.device)
    place = torch.arange(1, pixels + 1, dtype=centre.dtype, device=centre.device)
    middles = centre[..., None] + (number - filters / 2 - 0.5) * stride[..., None]
    away = place - middles[..., None]
    return (away.square() * (-0.5 / variance)[..., None, None]).softmax(-1)
