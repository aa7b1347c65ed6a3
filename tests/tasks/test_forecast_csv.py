"""What predict writes: enough digits, and names that do nothing but be read."""

import csv
import io
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from conveyor.errors import visible
from conveyor.tasks.forecast.forecast_csv import GroupForecast, forecast_table, no_formula
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from tests.forecasters import PLAIN, frame_of

TIMES = ["2021-01-01", "2021-01-02"]


def _frame(change: float, target: str = "y") -> ForecastFrame:
    return frame_of(replace(PLAIN, change=change), targets=(target,))


def _only(quantiles: NDArray[np.float64]) -> list[GroupForecast]:
    return [GroupForecast(0, TIMES, quantiles)]


def _written(change: float, quantiles: NDArray[np.float64]) -> pl.DataFrame:
    """What is read of a table of forecasts."""
    table = forecast_table(_frame(change), "day", _only(quantiles))
    return pl.read_csv(io.StringIO(table.write_csv()))


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 1e4, -1e8])
@pytest.mark.parametrize("power", range(-12, 16))
def test_quantiles_that_differ_are_written_different(power: int, level: float) -> None:
    """A series that moves by about 10^power, at a level some million times that: what is read is
    what was written, to a millionth of a change or the last bit of the numbers."""
    change = 3.7 * 10.0**power
    spread = np.array([-1.0, -0.9999, 1.0, 0.1, 0.1001, 2.0]).reshape(2, 1, 3)
    quantiles = level * change + spread * change
    got = pl.read_csv(
        io.StringIO(forecast_table(_frame(change), "day", _only(quantiles)).write_csv())
    )
    read = got.select("y-lo-80", "y", "y-hi-80").to_numpy()
    np.testing.assert_allclose(read, quantiles[:, 0], rtol=4e-16, atol=1e-6 * change)
    assert len(np.unique(read)) == 6


@pytest.mark.parametrize("level", [1e12, 1e15])
def test_changes_around_a_large_level_are_written(level: float) -> None:
    quantiles = level + np.array([-10.0, 0.0, 10.0, -8.0, 2.0, 12.0]).reshape(2, 1, 3)
    got = pl.read_csv(
        io.StringIO(forecast_table(_frame(10.0), "day", _only(quantiles)).write_csv())
    )
    np.testing.assert_array_equal(
        got.select(pl.exclude("day")).to_numpy(), quantiles[:, 0, [1, 0, 2]]
    )


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-x", "@SUM(A1)", "|calc", " =1+1", "\t=1"])
def test_no_cell_is_a_formula(name: str) -> None:
    written = forecast_table(_frame(1.0, name), "day", _only(np.zeros((2, 1, 3)))).write_csv()
    header = next(csv.reader(io.StringIO(written)))
    assert header == ["day", *(f"'{name}{end}" for end in ("", "-lo-80", "-hi-80"))]


def test_names_that_are_none_stay_as_they_are() -> None:
    for name in ("y", "a=b", "température (°C)", "x-1", "'=1"):
        assert no_formula(name) == name
        assert visible(name) == name


def test_control_characters_are_spelled() -> None:
    name = "\x1b]0;title\x07y\x9b31m\r\u202e"
    assert visible(name) == r"\x1b]0;title\x07y\x9b31m\r\u202e"
    assert visible("two\nlines\tand more") == "two\nlines\tand more"
    written = forecast_table(_frame(1.0, name), "day", _only(np.zeros((2, 1, 3)))).write_csv()
    assert "\x1b" not in written
    assert "\x07" not in written


def test_bands_come_after_the_median_the_narrowest_first() -> None:
    frame = frame_of(PLAIN, targets=("y",), levels=(95, 80))
    table = forecast_table(frame, "ds", _only(np.tile(np.arange(5.0), (2, 1, 1))))
    assert table.columns == ["ds", "y", "y-lo-80", "y-hi-80", "y-lo-95", "y-hi-95"]
    assert table.row(0) == ("2021-01-01", 2, 1, 3, 0, 4)


@pytest.mark.parametrize(
    ("column", "written"),
    [("day", "day"), ("year+month", "time"), ("none", "step"), ("=1", "'=1"), ("y", "time")],
)
def test_times_are_called_as_in_the_table(column: str, written: str) -> None:
    table = forecast_table(_frame(1.0), column, _only(np.zeros((2, 1, 3))))
    assert table.columns[0] == written
