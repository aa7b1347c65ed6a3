"""Units that track a property."""

import pytest
import torch

from conveyor import inspect
from conveyor.errors import SettingError, ShapeError

STEPS = 400


def a_property() -> torch.Tensor:
    """On and off for some steps each, as quotes are."""
    torch.manual_seed(0)
    return (torch.randn(STEPS // 10).repeat_interleave(10) > 0.3).double()


def noise(units: int = 30) -> torch.Tensor:
    return torch.randn(STEPS, units, generator=torch.Generator().manual_seed(1))


def test_the_unit_that_follows_the_property_is_found() -> None:
    values = noise()
    values[:, 17] = 0.3 * values[:, 17] - a_property()
    found = inspect.unit_that_tracks(values, a_property())
    assert found is not None
    assert found.unit == 17
    assert found.score < -0.7
    assert found.control < 0.5
    assert found.tracks


def test_among_many_units_that_know_nothing_none_tracks() -> None:
    """The best of 500 has a correlation on the half that it was chosen by alone."""
    tracks = [
        found.tracks
        for seed in range(20)
        if (found := inspect.unit_that_tracks(noise(500), a_property(), seed=seed))
    ]
    assert len(tracks) == 20
    assert sum(tracks) <= 4


def test_the_score_is_of_the_half_that_did_not_choose() -> None:
    values, target = noise(2), a_property()
    values[: STEPS // 2, 0] = target[: STEPS // 2].float()
    found = inspect.unit_that_tracks(values, target)
    assert found is not None
    assert found.unit == 0
    expected = torch.corrcoef(torch.stack([values[200:, 0].double(), target[200:]]))[0, 1]
    assert found.score == pytest.approx(float(expected))
    assert abs(found.score) < 0.3


def test_a_property_that_stands_still_in_a_half_has_no_unit() -> None:
    target = a_property()
    target[STEPS // 2 :] = 1
    assert inspect.unit_that_tracks(noise(), target) is None
    assert inspect.unit_that_tracks(noise(), torch.zeros(STEPS)) is None


def test_a_property_that_changes_too_seldom_has_no_unit() -> None:
    """Its controls do not change in one half, so nothing says what chance does."""
    target = torch.zeros(STEPS)
    target[STEPS // 2 - 1 : STEPS // 2 + 1] = 1
    assert inspect.unit_that_tracks(noise(), target) is None
    assert inspect.unit_that_tracks(torch.ones(STEPS, 4), a_property()) is None


def test_a_unit_that_is_not_finite_is_never_best() -> None:
    values = noise()
    values[3, 5] = torch.nan
    values[:, 17] -= 4 * a_property()
    found = inspect.unit_that_tracks(values, a_property())
    assert found is not None
    assert found.unit == 17
    assert found.tracks


def test_units_that_stand_still_are_never_best() -> None:
    values = torch.full((STEPS, 3), 0.1)
    values[:, 2] = a_property().float()
    found = inspect.unit_that_tracks(values, a_property())
    assert found is not None
    assert found.unit == 2
    assert found.score == pytest.approx(1)


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(SettingError, match="shifts is 0"):
        inspect.unit_that_tracks(noise(), a_property(), shifts=0)
    for values, target in ((noise(), torch.zeros(3)), (noise()[:7], torch.zeros(7))):
        with pytest.raises(ShapeError, match="8 steps or more"):
            inspect.unit_that_tracks(values, target)
