"""Bands hold what they say: split conformal prediction, and the adaptive rule."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from conveyor.tasks.forecast.calibration import (
    RATE,
    AdaptiveBand,
    AdaptiveBands,
    band_errors,
    calibrated,
    conformal_quantile,
    rows_of,
)

NAN = float("nan")
Numbers = NDArray[np.float64]


def test_an_error_is_how_far_a_truth_lies_outside() -> None:
    quantiles = np.array([[[-2.0, -1.0, 0.0, 1.0, 3.0]]])
    for truth, outside in ((0.5, (-2.5, -0.5)), (4.0, (1.0, 3.0)), (-3.0, (1.0, 2.0))):
        np.testing.assert_allclose(band_errors(quantiles, np.array([[truth]]))[0, 0], outside)
    assert np.isnan(band_errors(quantiles, np.array([[NAN]]))).all()


def test_the_quantile_is_the_one_of_the_paper() -> None:
    """The ceil((n + 1) level)-th smallest; below n = 4 there is none for 80 %."""
    errors = np.array([3.0, 1.0, NAN, 2.0, 4.0])
    assert conformal_quantile(errors, 0.8) == 4
    assert conformal_quantile(errors, 0.6) == 3
    assert conformal_quantile(errors[:3], 0.8) == 3  # too few: the largest
    assert conformal_quantile(np.arange(1.0, 20.0), 0.95) == 19
    assert conformal_quantile(np.arange(1.0, 8.0), 0.8) == 7
    assert conformal_quantile(np.array([NAN]), 0.8) == 0


@pytest.mark.parametrize(("count", "level"), [(4, 80), (7, 80), (9, 80), (19, 95), (99, 80)])
def test_exchangeable_errors_are_held_as_often_as_is_said(count: int, level: int) -> None:
    """Between level and level + 1 / (n + 1), within four deviations of 20,000 draws."""
    draws = 20_000
    errors = np.random.default_rng(count).exponential(size=(draws, count + 1))
    held = np.mean([row[-1] <= conformal_quantile(row[:-1], level / 100) for row in errors])
    expected = math.ceil(round((count + 1) * level / 100, 9)) / (count + 1)
    assert level / 100 <= expected <= level / 100 + 1 / (count + 1)
    assert abs(held - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


def _drifting(count: int) -> list[float]:
    """Errors that grow and grow, and are small again."""
    draw = np.random.default_rng(0)
    return [float(draw.exponential() * (1 + n % 1500 / 50)) for n in range(count)]


def rolling(
    before: Numbers, errors: Numbers, origins: Sequence[int], levels: Sequence[int]
) -> tuple[Numbers, Numbers]:
    """How far the bands of forecasts move, and those of the next one."""
    bands = AdaptiveBands.after(before, levels)
    moved = bands.roll(errors, origins, rows_of(origins, errors.shape[1]))
    return moved, bands.moved


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("horizon", [1, 4])
def test_the_adaptive_rule_keeps_its_bound_whatever_comes(level: float, horizon: int) -> None:
    """Proposition 4.1: |share outside - a| <= (max(a, 1 - a) + g) / (g T), of any sequence; with
    several steps ahead of the mean over them."""
    rising, alternating = list(map(float, range(3000))), [float(n % 2) for n in range(900)]
    for sequence in (_drifting(3000), rising, alternating):
        errors = np.array(sequence)[:, None] * np.arange(1.0, horizon + 1)
        band, misses = AdaptiveBand(errors[:50], level), 0.0
        for row in errors[50:]:
            moved = band.moved
            misses += float((row > moved).mean())
            band.saw(row, moved)
        count, outside = len(errors) - 50, 1 - level
        bound = (max(outside, level) + RATE) / (RATE * count)
        assert abs(misses / count - outside) <= bound


def test_where_errors_drift_split_conformal_fails_and_the_adaptive_rule_does_not() -> None:
    errors = np.array(_drifting(1400))[:, None, None]
    before, after = errors[:100], errors[100:]
    fixed = conformal_quantile(before, 0.8)
    assert (after <= fixed).mean() < 0.3
    moved, _ = rolling(before, after, range(1300), (80,))
    assert abs((after <= moved).mean() - 0.8) < 0.02


def test_no_truth_is_used_before_it_is_known() -> None:
    """The band from row r knows the truths before r, so those of step k of origins up to r - k."""
    draw = np.random.default_rng(0)
    before, errors = draw.exponential(size=(30, 4, 1)), draw.exponential(size=(40, 4, 1))
    moved, _ = rolling(before, errors, range(40), (80,))
    for ahead in range(4):
        changed = errors.copy()
        changed[20, ahead] = 99.0
        others, _ = rolling(before, changed, range(40), (80,))
        differs = np.flatnonzero((others[..., 0] != moved[..., 0]).any(1))
        assert differs.min() == 20 + ahead + 1


def test_steps_between_origins_count_too() -> None:
    """By hand: with ten rows between origins, each forecast's truths are all known at the next."""
    draw = np.random.default_rng(0)
    before, errors = draw.exponential(size=(30, 3, 1)), draw.exponential(size=(10, 3, 1))
    apart, last = rolling(before, errors, range(0, 100, 10), (80,))
    band = AdaptiveBand(before[..., 0], 0.8)
    for window in range(10):
        moved = band.bounded
        np.testing.assert_array_equal(apart[window, :, 0], moved)
        for ahead in range(3):
            seen = np.full(3, NAN)
            seen[ahead] = errors[window, ahead, 0]
            band.saw(seen, moved)
    np.testing.assert_array_equal(last[:, 0], band.bounded)


def test_bands_of_neighbouring_steps_move_alike() -> None:
    """One share outside is corrected for all steps: errors of one kind give bands of one kind,
    where a rule for each step by itself would leave the last ones behind by a horizon."""
    draw = np.random.default_rng(0)
    base = draw.exponential(size=(400, 1, 1)) * np.ones((400, 30, 1))
    base[200:] *= 1 + np.arange(200)[:, None, None] / 20
    _, last = rolling(base[:100], base[100:], range(300), (80,))
    assert last.max() / last.min() < 1.5


def test_a_missing_truth_changes_nothing() -> None:
    band = AdaptiveBand(np.array([[1.0], [2.0], [NAN], [3.0], [4.0], [5.0]]), 0.8)
    before = (band.moved.tolist(), band.outside)
    band.saw(np.array([NAN]), np.array([3.0]))
    assert (band.moved.tolist(), band.outside) == before


def _errors(windows: int, seed: int = 0) -> np.ndarray[tuple[int, int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).exponential(size=(windows, 2, 1))


def test_a_series_with_many_errors_has_bands_of_its_own() -> None:
    first, second = _errors(50), 10 * _errors(50, 1)
    width = np.ones((2, 1))
    bands = calibrated([first, second], [width, width], (80,))
    assert bands is not None
    assert (bands.pooled, bands.windows) == ("", 50)
    for number, errors in enumerate((first, second)):
        for ahead in range(2):
            own = conformal_quantile(errors[:, ahead, 0], 0.8)
            assert bands.moved[number][ahead][0] == own


def test_with_few_errors_those_of_all_series_or_of_all_steps_are_taken() -> None:
    many = [_errors(3, seed) for seed in range(10)]
    bands = calibrated(many, [np.ones((2, 1))] * 10, (80,))
    assert bands is not None
    assert bands.pooled == "series"
    assert bands.moved[0] == bands.moved[9]
    assert bands.moved[0][0][0] == conformal_quantile(np.concatenate(many)[:, 0, 0], 0.8)
    alone = calibrated([_errors(3)], [np.array([[1.0], [2.0]])], (80,))
    assert alone is not None
    assert alone.pooled == "steps"
    # In units of the width of their bands.
    assert alone.moved[0][1][0] == pytest.approx(2 * alone.moved[0][0][0])
    assert calibrated([np.full((3, 2, 1), NAN)], [np.ones((2, 1))], (80,)) is None


def test_a_series_without_forecasts_to_score_keeps_its_earlier_bands() -> None:
    before = np.random.default_rng(0).normal(size=(19, 3, 1))
    moved, following = rolling(before, np.zeros((0, 3, 1)), [], [80])
    assert moved.shape == (0, 3, 1)
    # Of 19 errors the 16th.
    np.testing.assert_array_equal(following[:, 0], np.sort(before[:, :, 0], axis=0)[15])


def test_bands_go_on_from_what_they_knew() -> None:
    """Rows in two parts, with what is known kept in between, move bands as rows in one."""
    draw = np.random.default_rng(0)
    before, errors = draw.exponential(size=(30, 3, 2)), draw.exponential(size=(60, 3, 2))
    levels = (95, 80)
    moved, last = rolling(before, errors, range(60), levels)
    first = AdaptiveBands.after(before, levels)
    # At row 40 the later steps of the last two forecasts are not known yet.
    known = errors[:40].copy()
    for origin in (38, 39):
        known[origin, 40 - origin :] = NAN
    one = first.roll(known, range(40), range(40))
    second = AdaptiveBands(first.memory, levels)
    two = second.roll(errors[38:], range(38, 60), range(40, 62))
    np.testing.assert_array_equal(one, moved[:40])
    np.testing.assert_array_equal(two, moved[38:])
    np.testing.assert_array_equal(second.moved, last)
