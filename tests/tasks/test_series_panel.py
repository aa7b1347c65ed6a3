"""Series with their columns, and the origins of forecasts."""

import numpy as np
from numpy.typing import NDArray

from conveyor.data.table import Table
from conveyor.tasks.forecast.baselines import naive, seasonal_naive
from conveyor.tasks.forecast.comparison import pasts_of
from conveyor.tasks.forecast.filling import fill_forward
from conveyor.tasks.forecast.forecast_frame import Units
from conveyor.tasks.forecast.model_table import panel_of
from conveyor.tasks.forecast.series_panel import Origins, Panel

NAN = float("nan")


def test_filling_uses_the_past_only() -> None:
    columns = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [4.0, 3.0]])
    filled = np.array([[NAN, 1.0], [2.0, 1.0], [2.0, 1.0], [4.0, 3.0]])
    np.testing.assert_array_equal(fill_forward(columns), filled)


def _origins(
    first: int, last: int, series: NDArray[np.float64] | None = None, season: int = 1
) -> Origins:
    targets = (np.arange(20.0) if series is None else series)[:, None]
    panel = Panel(targets, np.zeros((len(targets), 0)), np.zeros((len(targets), 0)))
    return Origins.within(panel, first, last, horizon=3, season=season)


def test_a_forecast_belongs_to_the_part_of_its_whole_future() -> None:
    assert _origins(0, 6).numbers == [1, 2, 3]
    assert _origins(10, 15).numbers == [10, 11, 12]
    assert _origins(0, 3).numbers == []


def test_pasts_end_where_futures_begin() -> None:
    origins = _origins(6, 9, np.arange(9.0), season=2)
    assert origins.numbers == [6]
    np.testing.assert_array_equal(naive(pasts_of(origins))[0, :, 0], [5, 5, 5])
    np.testing.assert_array_equal(seasonal_naive(pasts_of(origins))[0, :, 0], [4, 5, 4])
    longer = _origins(6, 9, np.arange(9.0), season=4)
    np.testing.assert_array_equal(seasonal_naive(pasts_of(longer))[0, :, 0], [2, 3, 4])
    np.testing.assert_array_equal(origins.truth()[0, :, 0], [6, 7, 8])


def test_no_forecast_reaches_back_beyond_the_first_row() -> None:
    """A season must not wrap around to the end of the table."""
    origins = _origins(0, 20, season=9)
    assert min(origins.numbers) == 9
    np.testing.assert_array_equal(seasonal_naive(pasts_of(origins))[0, :, 0], [0, 1, 2])


def test_a_missing_truth_is_not_known_and_a_forecast_without_any_is_dropped() -> None:
    series = np.arange(20.0)
    series[10:14] = NAN
    origins = _origins(8, 20, series)
    assert not {10, 11} & set(origins.numbers)
    assert 9 in origins.numbers
    truth = origins.truth()[list(origins.numbers).index(9), :, 0]
    np.testing.assert_array_equal(truth, [9, NAN, NAN])
    assert not np.isnan(origins.filled).any()


def test_rows_keep_the_number_of_their_step_and_what_is_known_after_the_last() -> None:
    panel = Panel(np.zeros((9, 1)), np.zeros((9, 2)), np.arange(12.0)[:, None], 5)
    assert panel.ahead == 3
    end = panel.rows(6, 9)
    assert (end.first, len(end), end.ahead) == (11, 3, 3)
    np.testing.assert_array_equal(end.known[:, 0], [6, 7, 8, 9, 10, 11])
    assert panel.rows(2, 6).ahead == 0
    np.testing.assert_array_equal(end.steps(2), [11, 12, 13, 14, 15])


def test_leading_rows_are_cut_and_what_was_known_before_is_still_known() -> None:
    table = Table(
        "t", {"a": np.array([7.0, NAN, NAN, 1.0]), "b": np.array([NAN, NAN, 5.0, 6.0])},
        None, None, "", ahead={"b": np.array([8.0])},
    )  # fmt: skip
    panel, notes = panel_of(table, ["a"], [], ["b"])
    np.testing.assert_array_equal(panel.targets, [[7], [1]])
    np.testing.assert_array_equal(panel.known, [[5], [6], [8]])
    assert panel.first == 2
    assert "the first 2 rows are left out: b has no value yet" in notes


def test_a_column_that_never_changes_is_nothing_whatever_its_rounding() -> None:
    columns = np.stack([np.arange(250.0), np.full(250, 0.1)], 1)
    units = Units.of(columns)
    assert units.spread == (np.std(columns[:, 0]), 1.0)
    assert np.abs(units.standardised(columns)[:, 1]).max() < 1e-15
    assert Units.of(np.zeros((9, 0))) == Units()
