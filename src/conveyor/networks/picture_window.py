"""Where a network looks at a picture, or draws: a grid of filters (Gregor et al. 2015, DRAW,
section 3.2)."""

from functools import cached_property
from typing import Final

import torch
from torch import Tensor, nn

from conveyor.layers.checks import check_whole
from conveyor.networks.filter_bank import filter_bank

# Numbers that a window is made of: g̃_X, g̃_Y, log σ², log δ̃, log γ.
WINDOW_NUMBERS: Final = 5
# Beyond e^-10 and e^10 a variance, a stride and an intensity mean nothing more (the widest window
# is then far wider than any picture, the narrowest filter far narrower than a pixel); without a
# bound one wild step of training makes them 0 or infinite, and all that follows no number.
_MOST = 10.0
# Standard deviation of the weights that a head of windows begins with.
_SMALL = 0.01


class PictureWindow:
    """A grid of N × N filters on pictures of B rows and A columns, from five numbers (equations 21
    to 24):

        g_X = (A + 1)/2 (g̃_X + 1)        g_Y = (B + 1)/2 (g̃_Y + 1)
        δ = (max(A, B) - 1)/(N - 1) δ̃

    With zeros it covers the whole picture. N = 1 leaves δ undefined; it is then as if N - 1 were 1,
    and changes nothing.

    Args:
        numbers: g̃_X, g̃_Y, log σ², log δ̃ and log γ of each picture, [batch, 5].
        size: N.
        rows, columns: B and A.

    Attributes:
        x, y: g_X and g_Y, in pixels, the first of which is at 1, [batch].
        stride: δ, in pixels, [batch].
        variance: σ², in pixels squared, [batch].
        intensity: γ, [batch].
    """

    def __init__(self, numbers: Tensor, size: int, rows: int, columns: int) -> None:
        self.size, self.rows, self.columns = size, rows, columns
        self.x = (columns + 1) / 2 * (numbers[:, 0] + 1)
        self.y = (rows + 1) / 2 * (numbers[:, 1] + 1)
        self.variance, relative, self.intensity = (
            numbers[:, 2:].clamp(-_MOST, _MOST).exp().unbind(-1)
        )
        self.stride = (max(rows, columns) - 1) / max(size - 1, 1) * relative

    @cached_property
    def filters(self) -> tuple[Tensor, Tensor]:
        """F_Y [batch, N, rows] and F_X [batch, N, columns]."""
        return self._bank(self.y, self.rows), self._bank(self.x, self.columns)

    def _bank(self, centre: Tensor, pixels: int) -> Tensor:
        return filter_bank(centre, self.stride, self.variance, filters=self.size, pixels=pixels)

    def read(self, pictures: Tensor) -> Tensor:
        """Return γ F_Y x F_Xᵀ of pictures [batch, P, rows, columns]: [batch, P, N, N] (equation
        27)."""
        f_y, f_x = self.filters
        seen = f_y[:, None] @ pictures @ f_x.mT[:, None]
        return self.intensity[:, None, None, None] * seen

    def write(self, patches: Tensor) -> Tensor:
        """Return 1/γ F_Yᵀ w F_X of patches [batch, N, N]: [batch, rows, columns] (equation 29)."""
        f_y, f_x = self.filters
        return f_y.mT @ (patches / self.intensity[:, None, None]) @ f_x

    @property
    def box(self) -> Tensor:
        """Left, top, right and bottom of the square that the grid covers, in pixels from the
        picture's corner, [batch, 4]: from half a stride before the first filter to half a stride
        behind the last; of one filter one deviation to each side."""
        half = self.size * self.stride / 2 if self.size > 1 else self.variance.sqrt()
        x, y = self.x - 0.5, self.y - 0.5
        return torch.stack([x - half, y - half, x + half, y + half], -1)


class WindowHead(nn.Linear):
    """Says by five linear maps where a window lies. It begins with windows on the whole picture.

    Args:
        features: what it reads.
        size: filters of a window's side, N.
        rows, columns: of the pictures.

    Raises:
        SettingError: a number is below 1.
    """

    def __init__(self, features: int, size: int, rows: int, columns: int) -> None:
        check_whole(features=features, size=size, rows=rows, columns=columns)
        super().__init__(features, WINDOW_NUMBERS)
        self.size, self.rows, self.columns = size, rows, columns

    def reset_parameters(self) -> None:
        """Begin anew: with small weights, so that windows lie on the whole picture."""
        nn.init.normal_(self.weight, std=_SMALL)
        nn.init.zeros_(self.bias)

    def window(self, numbers: Tensor) -> PictureWindow:
        """Return the windows of what ``forward`` gives, [batch, 5]."""
        return PictureWindow(numbers, self.size, self.rows, self.columns)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        return (
            f"features={self.in_features}, size={self.size}, rows={self.rows}, "
            f"columns={self.columns}"
        )
