"""The filters of DRAW and its windows, beside the paper's equations by loops, and the faults of
well-known ports that ours do not have."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from conveyor.errors import SettingError
from conveyor.networks import PictureWindow, WindowHead, filter_bank
from tests.networks import draw_oracle


def numbers(*values: float) -> Tensor:
    """The five numbers of a window: g̃_X, g̃_Y, log σ², log δ̃, log γ."""
    return torch.tensor([values], dtype=torch.float64)


def scalars(*values: float) -> list[Tensor]:
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def bank(g: float, delta: float, variance: float, filters: int, pixels: int) -> Tensor:
    return filter_bank(*scalars(g, delta, variance), filters=filters, pixels=pixels)


@pytest.mark.parametrize("filters", [1, 2, 3, 8])
@pytest.mark.parametrize("pixels", [1, 2, 7, 8])
def test_filters_are_those_of_the_paper(filters: int, pixels: int) -> None:
    drawn = np.random.default_rng(filters * 10 + pixels)
    for _ in range(5):
        g, delta, variance = drawn.uniform(0, pixels), drawn.uniform(0.2, 3), drawn.uniform(0.3, 4)
        expected = draw_oracle.bank(g, delta, variance, filters, pixels)
        np.testing.assert_allclose(bank(g, delta, variance, filters, pixels), expected, rtol=1e-10)


def test_a_narrow_window_of_every_pixel_reads_and_writes_a_picture_as_it_is() -> None:
    """N = A, g̃ = 0, δ = 1, σ² = 1e-3: F is the identity."""
    window = PictureWindow(numbers(0, 0, np.log(1e-3), 0, 0), 6, 6, 6)
    assert float(window.stride) == 1
    for filters in window.filters:
        torch.testing.assert_close(filters[0], torch.eye(6).double(), atol=1e-8, rtol=0)
    picture = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(window.read(picture), picture, atol=1e-7, rtol=0)
    torch.testing.assert_close(window.write(picture[0]), picture[0], atol=1e-7, rtol=0)


def test_filters_sum_to_one_and_keep_a_gradient_wherever_the_window_is() -> None:
    """With the paper's sum, to which 1e-8 is added, a window off the picture reads nothing, and
    never comes back."""
    for g in (-30.0, -3.0, 4.0, 12.0, 40.0):
        centre, delta, variance = (each.requires_grad_() for each in scalars(g, 1.5, 1.0))
        filters = filter_bank(centre, delta, variance, filters=3, pixels=8)
        torch.testing.assert_close(filters.sum(-1), torch.ones(3).double())
        (filters @ torch.arange(8.0).double()).sum().backward()  # type: ignore[no-untyped-call]
        assert centre.grad is not None
        assert float(centre.grad) > 0  # it would read more further right
    off = np.exp(-((np.arange(1, 9) + 60.0) ** 2) / 2)
    assert np.all(off / (off.sum() + 1e-8) == 0)  # what the sum with 1e-8 has left
    assert float(bank(-60.0, 1.5, 1.0, 3, 8).sum()) == pytest.approx(3)


def test_one_filter_is_at_the_centre_whatever_its_stride() -> None:
    for stride in (0.0, 1.0, 50.0):
        assert int(bank(3.0, stride, 0.1, 1, 8).argmax()) == 2  # pixels count from 1
    window = PictureWindow(numbers(0, 0, 0, 3.0, 0), 1, 7, 7)
    assert torch.isfinite(window.box).all()
    assert torch.isfinite(window.read(torch.rand(1, 2, 7, 7).double())).all()


def test_a_window_covers_the_picture_at_first_and_reads_where_it_says() -> None:
    torch.manual_seed(0)
    head = WindowHead(4, 5, 9, 7)
    window = head.window(head(torch.zeros(1, 4)).detach())
    assert (float(window.x), float(window.y)) == (4, 5)
    assert float(window.stride) == 2  # (max(9, 7) - 1)/(5 - 1)
    assert (float(window.variance), float(window.intensity)) == (1, 1)
    assert window.box.tolist() == [[-1.5, -0.5, 8.5, 9.5]]
    picture = torch.zeros(1, 1, 9, 7, dtype=torch.float64)
    picture[0, 0, 7, 1] = 1.0  # row 8 and column 2, counted from 1
    at = numbers(2 / 4 - 1, 8 / 5 - 1, np.log(1e-3), np.log(1 / 8), np.log(3.0))
    small = PictureWindow(at, 2, 9, 7)
    seen = small.read(picture)
    assert float(small.stride) == pytest.approx(1)
    assert float(seen.sum()) == pytest.approx(3, rel=1e-3)  # it lies between all four filters
    one = PictureWindow(at, 1, 9, 7)
    assert float(one.read(picture)) == pytest.approx(3)
    written = one.write(torch.ones(1, 1, 1, dtype=torch.float64))
    assert float(written[0, 7, 1]) == pytest.approx(1 / 3)  # 1/γ


def test_wild_numbers_give_finite_windows() -> None:
    for wild in (1e4, -1e4):
        window = PictureWindow(torch.full((1, 5), wild), 4, 8, 8)
        read = window.read(torch.rand(1, 2, 8, 8))
        assert torch.isfinite(read).all()
        assert torch.isfinite(window.write(torch.rand(1, 4, 4))).all()


@pytest.mark.parametrize("sizes", [(0, 4), (3, 0), (-1, 2)])
def test_sizes_below_one(sizes: tuple[int, int]) -> None:
    with pytest.raises(SettingError, match="expected a whole number from 1"):
        bank(1.0, 1.0, 1.0, *sizes)


# Faults of ports, by what they compute: each is another bank than ours where it matters.
def _wide(g: float, delta: float, variance: float, filters: int, pixels: int) -> draw_oracle.Array:
    """exp(-((a - μ)/(2 σ²))²): the width is √2 σ²."""
    place = np.arange(1, pixels + 1)
    middles = g + (np.arange(1, filters + 1) - filters / 2 - 0.5) * delta
    rows: draw_oracle.Array = np.exp(-(((place - middles[:, None]) / (2 * variance)) ** 2))
    rows /= rows.sum(1, keepdims=True)
    return rows


def _shifted(
    g: float, delta: float, variance: float, filters: int, pixels: int
) -> draw_oracle.Array:
    """i from 0 with the paper's offset: a grid one stride before its centre."""
    place = np.arange(1, pixels + 1)
    middles = g + (np.arange(filters) - filters / 2 - 0.5) * delta
    rows: draw_oracle.Array = np.exp(-((place - middles[:, None]) ** 2) / (2 * variance))
    rows /= rows.sum(1, keepdims=True)
    return rows


@pytest.mark.parametrize("fault", [_wide, _shifted])
def test_faults_of_ports_are_not_ours(fault: Callable[..., draw_oracle.Array]) -> None:
    """Our filters have the deviation σ, and the mean of their middles is the centre; theirs not."""
    g, delta, variance, filters, pixels = 20.0, 2.0, 4.0, 4, 41
    place = np.arange(1, pixels + 1)

    def told(rows: draw_oracle.Array) -> tuple[float, float]:
        middles = rows @ place
        spread = ((place - middles[:, None]) ** 2 * rows).sum(1)
        return float(middles.mean()), float(spread.mean())

    centre, spread = told(bank(g, delta, variance, filters, pixels).numpy())
    assert centre == pytest.approx(g, abs=1e-6)
    assert spread == pytest.approx(variance, rel=1e-3)
    theirs = told(fault(g, delta, variance, filters, pixels))
    assert abs(theirs[0] - g) > 1 or abs(theirs[1] - variance) > 1


def test_a_window_at_zero_is_at_the_middle_of_the_picture() -> None:
    """A port has (g̃ + 1)/2 · A with pixels from 0: half a pixel off, and with i from 0 more."""
    for size in (4, 5):
        window = PictureWindow(numbers(0, 0, np.log(0.5), np.log(0.3), 0), size, 28, 28)
        for filters in window.filters:
            torch.testing.assert_close(filters, filters.flip(-1).flip(-2))  # as in a mirror
