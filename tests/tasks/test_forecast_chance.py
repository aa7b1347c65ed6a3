"""Whether the distance of two forecasts may be chance."""

import numpy as np
import pytest

from conveyor.tasks.bootstrap import block_sums
from conveyor.tasks.forecast.chance import LEAST_SERIES, may_be_chance


def test_sums_of_blocks_are_those_of_neighbours_around_the_end() -> None:
    """With one block in a sample, each sum is one of the five sums of three neighbours."""
    values = np.array([1.0, 10.0, 100.0, 1_000.0, 10_000.0])
    expected = {111.0, 1_110.0, 11_100.0, 11_001.0, 10_011.0}
    assert set(block_sums(values, 3).tolist()) == expected
    # Two blocks of two: sums of two of these.
    pairs = [11.0, 110.0, 1_100.0, 11_000.0, 10_001.0]
    assert set(block_sums(values, 2).tolist()) == {one + other for one in pairs for other in pairs}


def test_a_mean_of_independent_values_has_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=400)
    spread = block_sums(values, 1, samples=4_000).std() / 400
    assert spread == pytest.approx(values.std() / 20, rel=0.05)


@pytest.mark.parametrize("overlap", [1, 12])
def test_noise_is_chance_and_a_shift_is_not(overlap: int) -> None:
    """Overlapping forecasts have errors that move together: of a difference that is pure noise,
    about one in twenty is called real, not more than half of them."""
    real = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=300 + overlap - 1)
        moved = np.convolve(noise, np.ones(overlap), "valid")[None]
        real += not may_be_chance(moved, overlap)
        assert not may_be_chance(moved + 4 * overlap**0.5, overlap)
        assert not may_be_chance(moved - 4 * overlap**0.5, overlap)
    assert real <= 8  # 40 draws of 7 %: above 8 once in 1,000


def test_too_little_to_resample_is_chance() -> None:
    assert may_be_chance(np.ones((1, 1)), 1)
    assert may_be_chance(np.ones((1, 12)), 12)
    assert may_be_chance(np.ones((LEAST_SERIES - 1, 1)), 1)
    assert not may_be_chance(np.ones((LEAST_SERIES, 1)), 1)
    assert not may_be_chance(np.ones((1, 13)), 12)


def test_a_distance_has_to_hold_for_other_times_and_other_series() -> None:
    """One series of many carries it, or one time of many."""
    one_series, one_time = np.zeros((10, 40)), np.zeros((10, 40))
    one_series[3] = 1
    one_time[:, 7] = 1
    assert may_be_chance(one_series, 1)
    assert may_be_chance(one_time, 1)
    assert not may_be_chance(one_series + one_time + 1, 1)


def test_no_distance_at_all_is_chance() -> None:
    assert may_be_chance(np.zeros((10, 40)), 1)
