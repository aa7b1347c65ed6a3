"""What looks at a picture: a small convolutional network, whose places a decoder attends to."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, max_pool2d

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.checks import check_whole

# Channels of the four convolutions as shares of the last one's, in thirds.
_THIRDS = (1, 2, 3, 3)
# The first convolution reads every second row and column, the second one's rows and columns are
# halved by their maxima: at full size they would take most of the time.
_STRIDES, _HALVED = (2, 1, 1, 1), (False, True, False, False)
# Of so many channels each group is normalised, see ``torch.nn.GroupNorm``.
_GROUP = 8


class PictureEncoder(nn.Module):
    """Turns a picture into annotation vectors, one for each place of its last map: four
    convolutions of 3 × 3, each normalised over groups of channels (Wu & He 2018, Group
    normalization), rows and columns halved by the first two, and a learned vector for each place,
    for attention alone cannot tell places apart.

        >>> encoder = PictureEncoder(size=32, features=72)
        >>> encoder(torch.zeros(5, 3, 32, 32)).shape  # 8 × 8 places, row after row
        torch.Size([64, 5, 72])

    Args:
        size: rows and columns of a picture, a multiple of 4.
        features: numbers of a place, a multiple of 24.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(self, size: int = 32, features: int = 72) -> None:
        super().__init__()
        check_whole(size=size, features=features)
        if size % 4:
            raise SettingError(f"size is {size}; expected a multiple of 4.")
        if features % (3 * _GROUP):
            raise SettingError(f"features is {features}; expected a multiple of {3 * _GROUP}.")
        self.size, self.features = size, features
        widths = [3, *(features * thirds // 3 for thirds in _THIRDS)]
        pairs = list(pairwise(widths))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            for (before, after), stride in zip(pairs, _STRIDES, strict=True)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(after // _GROUP, after) for _, after in pairs)
        self.places = nn.Parameter(0.1 * torch.randn(self.side**2, 1, features))

    @property
    def side(self) -> int:
        """Rows and columns of the map."""
        return self.size // 4

    def forward(self, pictures: Tensor) -> Tensor:
        """Return annotation vectors [places, B, features], the places of a row after each other.

        Args:
            pictures: [B, 3, size, size], with mean 0 and deviation 1 or so.

        Raises:
            ShapeError: the pictures do not fit.
        """
        if pictures.dim() != 4 or pictures.shape[1:] != (3, self.size, self.size):
            raise ShapeError(
                f"pictures is {list(pictures.shape)}; expected [B, 3, {self.size}, {self.size}]."
            )
        values = pictures
        for convolution, norm, halved in zip(self.convolutions, self.norms, _HALVED, strict=True):
            values = gelu(norm(convolution(values)))
            if halved:
                values = max_pool2d(values, 2)
        annotations: Tensor = values.flatten(2).permute(2, 0, 1) + self.places
        return annotations

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return f"size={self.size}, features={self.features}"


def shifted(pictures: Tensor, most: int) -> Tensor:
    """Return pictures, each moved by up to ``most`` rows and columns, drawn at random; what comes
    in at an edge is the edge.

    Args:
        pictures: [B, channels, rows, columns].
        most: pixels; 0 for none.
    """
    if not most or not len(pictures):
        return pictures
    wide = nn.functional.pad(pictures, (most,) * 4, mode="replicate")
    rows, columns = pictures.shape[2:]
    down, right = torch.randint(0, 2 * most + 1, (2, len(pictures)), device=pictures.device)
    row = (down[:, None] + torch.arange(rows, device=pictures.device))[:, None, :, None]
    column = (right[:, None] + torch.arange(columns, device=pictures.device))[:, None, None]
    batch = torch.arange(len(pictures), device=pictures.device)[:, None, None, None]
    channel = torch.arange(pictures.shape[1], device=pictures.device)[:, None, None]
    return wide[batch, channel, row, column]
