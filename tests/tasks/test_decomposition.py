"""What is taken out of a series, and put back into forecasts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from conveyor.data.timeline import Step
from conveyor.errors import DataError
from conveyor.tasks.forecast.cycle_names import cycle_words
from conveyor.tasks.forecast.decomposition import (
    Decomposition,
    decompose,
    grows_with_its_level,
)
from conveyor.tasks.forecast.seasons import has_season

NAN = float("nan")


def _of(
    values: NDArray[np.float64],
    known: NDArray[np.float64] | None = None,
    *,
    first: int = 0,
    season: int = 1,
    cycles: tuple[float, ...] = (),
) -> Decomposition:
    beside = np.zeros((len(values), 0)) if known is None else known
    return decompose(
        values, beside, name="y", first=first, season=season, cycles=cycles, naive_error=1.0
    )


def _noise(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(count)


@pytest.mark.parametrize("first", [0, 1, 5, 12, 100])
def test_a_season_is_found_wherever_the_series_begins(first: int) -> None:
    figure = np.array([3.0, -1, 0, 5, -7, 1, -1])
    steps = first + np.arange(140)
    taken = _of(10 + figure[steps % 7] + 0.1 * _noise(140), first=first, season=7)
    assert len(taken.figures) == 1
    np.testing.assert_allclose(taken.figures[0], figure, atol=0.15)


def test_a_series_without_a_season_keeps_what_it_has() -> None:
    taken = _of(_noise(200), season=7, cycles=(7.0, 365.25))
    assert not taken.figures
    assert not taken.waves


def test_a_year_of_days_is_a_wave() -> None:
    steps = np.arange(1200)
    year = 10 * np.sin(2 * np.pi * steps / 365.2425)
    taken = _of(year + _noise(1200), season=7, cycles=(7.0, 365.2425))
    assert [wave.period for wave in taken.waves] == [365.2425]
    ahead = np.arange(1200, 1600)
    truth = 10 * np.sin(2 * np.pi * ahead / 365.2425)
    np.testing.assert_allclose(taken.season(ahead), truth, atol=0.5)


def test_less_than_two_years_are_no_season() -> None:
    steps = np.arange(700)
    taken = _of(10 * np.sin(2 * np.pi * steps / 365.2425) + _noise(700), cycles=(7.0, 365.2425))
    assert taken.waves == ()


def test_a_day_and_a_week_of_hours_are_both_taken_out() -> None:
    steps = np.arange(24 * 7 * 6)
    week = np.where(steps % 168 < 120, 5.0, 0.0)
    series = 10 * np.sin(2 * np.pi * steps / 24) + week + 0.3 * _noise(len(steps))
    taken = _of(series, season=24, cycles=(24.0, 168.0, 8765.82))
    assert [len(figure) for figure in taken.figures] == [24, 168]
    rest = series - taken.season(steps)
    assert rest.std() < 0.4


def test_the_calendar_has_its_cycles() -> None:
    assert Step(seconds=3600.0).cycles == pytest.approx((24, 168, 8765.82))
    assert Step(seconds=86400.0).cycles == pytest.approx((7, 365.2425))
    assert Step(seconds=7 * 86400.0).cycles == pytest.approx((52.1775,))
    assert Step(months=1).cycles == (12,)
    assert Step(months=3).cycles == (4,)
    assert Step(months=12).cycles == ()
    weekdays = Step(seconds=86400.0, weekdays=(0, 1, 2, 3, 4))
    assert weekdays.cycles == pytest.approx((5, 260.8875))


def test_a_series_that_grows_with_its_level_is_taken_as_its_logarithm() -> None:
    steps = np.arange(120)
    growing = np.exp(0.02 * steps + 0.2 * np.sin(2 * np.pi * steps / 12) + 0.02 * _noise(120))
    assert grows_with_its_level(growing, 12)
    assert not grows_with_its_level(growing - growing.min(), 12)  # a 0 has no logarithm
    assert not grows_with_its_level(100 + 0.5 * steps + _noise(120), 12)
    assert not grows_with_its_level(growing**0.1, 12)  # its level hardly changes


def test_promotions_are_no_growth() -> None:
    """They raise the mean of the weeks that have them, and their spread."""
    draw = np.random.default_rng(0)
    promo = (draw.random(250) < 0.15).astype(float)
    series = 100 + 120 * promo + draw.normal(0, 5, 250)
    assert grows_with_its_level(series, 7)
    assert not _of(series, promo[:, None], season=7).logarithm
    assert _of(series * np.exp(np.arange(250) / 100), promo[:, None], season=7).logarithm


def _with_promotions(*, multiply: bool, noise: float) -> tuple[NDArray[np.float64], ...]:
    """Return 700 days of a shop, and which of them have a promotion: it adds 40 % of the day's
    level, or the same on all days."""
    draw = np.random.default_rng(1)
    promoted = (draw.random(700) < 0.15).astype(float)
    level = 1000 * np.array([1, 0.95, 1, 1.05, 1.2, 1.6, 0.7])[np.arange(700) % 7]
    added = 0.4 * (level if multiply else 1000) * promoted
    shocks = noise * draw.normal(size=700)
    return (level + added) * (1 + shocks), promoted[:, None]


@pytest.mark.parametrize("multiply", [False, True])
def test_promotions_that_multiply_are_told_from_those_that_add(multiply: bool) -> None:
    """The noise is in proportion to the level both times, so that it does not tell."""
    values, promoted = _with_promotions(multiply=multiply, noise=0.05)
    taken = _of(values, season=7, known=promoted)
    assert taken.logarithm is multiply
    (effect,) = taken.effects
    assert (np.exp(effect) if multiply else effect) == pytest.approx(
        1.4 if multiply else 400, rel=0.03
    )
    # Without what is known ahead, the same series moves by no more where its level is higher.
    assert not _of(values, season=7).logarithm
    # Values of 0 have no logarithm.
    assert not _of(
        np.append(values, 0.0), season=7, known=np.append(promoted, 0)[:, None]
    ).logarithm


def test_a_column_cannot_multiply_where_rows_are_as_many_as_columns() -> None:
    values, promoted = _with_promotions(multiply=True, noise=0.0)
    assert not _of(values[:20], season=7, known=promoted[:20]).logarithm


def test_what_is_taken_out_is_put_back() -> None:
    steps = np.arange(120)
    known = (steps % 5 == 0).astype(float)[:, None]
    series = np.exp(0.02 * steps + 0.2 * np.sin(2 * np.pi * steps / 12) + 0.5 * known[:, 0])
    series *= np.exp(0.02 * _noise(120))
    taken = _of(series, known, season=12)
    assert taken.logarithm
    remainder = taken.remainder(series, known, steps)
    back = taken.restored(remainder[:, None, None], taken.expected(known, steps)[:, None])
    np.testing.assert_allclose(back[:, 0, 0], series, rtol=1e-12)


def test_the_effect_of_a_known_column_is_found_beside_season_and_trend() -> None:
    draw = np.random.default_rng(0)
    steps = np.arange(400)
    promo, holiday = (draw.random(400) < 0.2).astype(float), (steps % 50 == 0).astype(float)
    figure = np.array([0.0, 1, 2, 3, 2, 9, 9])
    series = (
        50 + 0.02 * steps + figure[steps % 7] + 12 * promo - 8 * holiday + draw.normal(size=400)
    )
    taken = _of(series, np.stack([promo, holiday], 1), season=7, cycles=(7.0, 365.2425))
    # A deviation of at most 0.4: noise of 1 on 80 and 8 days.
    np.testing.assert_allclose(taken.effects, (12, -8), atol=1.2)


def test_columns_that_say_the_same_share_their_effect() -> None:
    draw = np.random.default_rng(0)
    promo = (draw.random(300) < 0.3).astype(float)
    known = np.stack([promo, promo, np.full(300, 0.0)], 1)
    taken = _of(10 * promo + draw.normal(size=300), known)
    assert taken.effects[0] == pytest.approx(taken.effects[1])
    assert sum(taken.effects) == pytest.approx(10, abs=0.5)
    assert taken.effects[2] == 0


def test_a_column_of_noise_has_hardly_an_effect() -> None:
    draw = np.random.default_rng(0)
    taken = _of(draw.normal(size=300).cumsum(), draw.normal(size=(300, 3)))
    assert np.abs(taken.effects).max() < 0.5


def test_the_unit_is_the_root_mean_square_of_differences() -> None:
    series = np.array([1.0, 2, 4, NAN, 7, 8])
    taken = _of(series)
    assert taken.change == pytest.approx(np.sqrt((1 + 4 + 1) / 3))
    assert taken.centre == pytest.approx(np.nanmean(series))
    assert taken.spread == pytest.approx(np.nanstd(series))


def test_a_series_never_seen_twice_in_a_row_is_measured_by_its_spread() -> None:
    assert _of(np.array([1.0, NAN, 5, NAN, 3])).change == pytest.approx(np.std([1, 5, 3]))


def test_what_was_never_negative_is_not_forecast_negative() -> None:
    taken = _of(np.abs(_noise(60)))
    low = taken.restored(np.full((1, 1, 3), -1e3), np.zeros((1, 1)))
    np.testing.assert_array_equal(low, 0)
    assert not _of(_noise(60)).from_zero


def test_a_value_without_a_logarithm_is_missing() -> None:
    steps = np.arange(120)
    taken = _of(np.exp(0.02 * steps + 0.2 * np.sin(2 * np.pi * steps / 12)), season=12)
    assert taken.logarithm
    rest = taken.remainder(np.array([0.0, -3, 5]), np.zeros((3, 0)), np.arange(3))
    assert np.isnan(rest).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ([1.0, 1.0, 1.0], "column y is 1 in the whole training set"),
        ([NAN, NAN, NAN], "column y has no value in the training set"),
        ([1e38, 3e38, 2e38], "beyond what float32 computes with"),
        ([1e-50, 2e-50, 3e-50], "beyond what float32 computes with"),
    ],
)
def test_series_that_cannot_be_measured_are_refused(series: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        _of(np.array(series))


def test_a_season_is_called_what_it_is() -> None:
    day, week, month = Step(seconds=86400.0), Step(seconds=7 * 86400.0), Step(months=1)
    weekdays = Step(seconds=86400.0, weekdays=(0, 1, 2, 3, 4))
    for cycle, step, said in (
        (7.0, day, "the season of a week (7 steps)"),
        (365.2425, day, "the season of a year (365.24 steps)"),
        (52.1775, week, "the season of a year (52.178 steps)"),
        (12.0, month, "the season of a year (12 steps)"),
        (5.0, weekdays, "the season of a week (5 steps)"),
        (24.0, Step(seconds=3600.0), "the season of a day (24 steps)"),
        (30.0, day, "a season of 30 steps"),
        (7.0, None, "a season of 7 steps"),
    ):
        assert cycle_words(cycle, step).en == said
    assert cycle_words(365.2425, day).vi == "mùa theo năm (365,24 bước)"


def test_a_series_that_is_nothing_but_its_season_is_forecast_as_that() -> None:
    steps = np.arange(140)
    figure = np.array([0.1, 0.2, 0.3, 5, 0.7, 1, 0])
    taken = _of(figure[steps % 7], season=7)
    assert taken.change == pytest.approx(1e-9 * figure.std(), rel=1e-6)
    ahead = np.arange(140, 147)
    back = taken.restored(np.zeros((7, 1)), taken.expected(np.zeros((7, 0)), ahead))
    np.testing.assert_allclose(back[:, 0], figure[ahead % 7], atol=1e-9)


def test_a_season_of_thousands_of_rows_that_explains_nothing_is_left_in() -> None:
    """A test finds it, as it is there; but it is a hundredth of what varies."""
    steps = np.arange(6000)
    figure = np.array([0.2, -0.1, 0, 0.1, -0.2, 0.1, -0.1])
    series = _noise(6000) + figure[steps % 7]
    assert has_season(series, 7)
    assert not _of(series, season=7).figures
    assert _of(series + 9 * figure[steps % 7], season=7).figures
