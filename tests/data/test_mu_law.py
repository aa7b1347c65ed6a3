"""µ-law: the equation of the paper, and what is read back."""

import math

import numpy as np
import pytest

from conveyor.data.mu_law import LEVELS, mu_law_levels, mu_law_samples


def level_of(sample: float) -> int:
    """Return the level of a sample, by the equation, with µ = 255."""
    folded = math.copysign(math.log(1 + 255 * abs(sample)) / math.log(256), sample)
    return math.floor((folded + 1) / 2 * 255 + 0.5)


def test_levels_are_those_of_the_equation() -> None:
    samples = np.linspace(-1, 1, 4001)
    assert mu_law_levels(samples).tolist() == [level_of(each) for each in samples.tolist()]


def test_a_level_is_read_back_as_itself_and_no_farther_off_than_half_a_step() -> None:
    levels = np.arange(LEVELS, dtype=np.uint8)
    middles = mu_law_samples(levels)
    assert (mu_law_levels(middles) == levels).all()
    assert (np.diff(middles) > 0).all()
    samples = np.linspace(-1, 1, 999)
    back = mu_law_samples(mu_law_levels(samples))
    # Next to ±1 a step is widest: (256 - 256^(1 - 2 / 255)) / 255.
    assert np.abs(back - samples).max() <= (1 - 256 ** (-2 / 255)) * 256 / 255 / 2 + 1e-7


@pytest.mark.parametrize(("sample", "level"), [(-1, 0), (1, 255), (-3, 0), (7, 255), (0, 128)])
def test_what_is_too_loud_gets_the_outermost_level(sample: float, level: int) -> None:
    assert mu_law_levels(np.array([sample])).tolist() == [level]


def test_soft_samples_are_told_apart_more_finely_than_loud_ones() -> None:
    middles = mu_law_samples(np.arange(LEVELS))
    assert middles[129] - middles[128] < (middles[255] - middles[254]) / 100
