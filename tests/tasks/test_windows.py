"""Parts, scales and windows: what a forecaster may see, and nothing more."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from conveyor.data.table import Table
from conveyor.errors import DataError
from conveyor.tasks.forecast.baselines import naive, seasonal_naive
from conveyor.tasks.forecast.scale import Scale
from conveyor.tasks.forecast.window_shape import WindowShape
from conveyor.tasks.forecast.windows import Parts, Windows, fill_forward, prepare

NAN = float("nan")


def test_parts_of_fractions_and_of_rows() -> None:
    assert Parts.of(100, (0.7, 0.1, 0.2)) == Parts(70, 80, 100)
    assert Parts.of(17420, (8640, 2880, 2880)) == Parts(8640, 11520, 14400)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="split asks for 110 rows; the table has 100"):
        Parts.of(100, (90, 10, 10))


def test_scales_are_fitted_on_the_training_part_only() -> None:
    draw = np.random.default_rng(0)
    columns = draw.standard_normal((100, 2)).cumsum(0)
    other = columns.copy()
    other[70:] = 1e6 * draw.standard_normal((30, 2))  # whatever comes after the training part
    names = ["a", "b"]
    assert Scale.fit(columns[:70], names, 2, 5) == Scale.fit(other[:70], names, 2, 5)


def test_scale_is_mean_deviation_and_root_mean_square_change() -> None:
    train = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    scale = Scale.fit(train, ["a", "b"], 1, 2)
    assert scale.centre == pytest.approx((7 / 3, 5.0))
    assert scale.spread == pytest.approx((np.std([1, 2, 4]), 1.0))  # a constant covariate is 0
    assert scale.change == pytest.approx((np.sqrt((1 + 4 + 9) / 3),))


def test_filling_uses_the_past_only() -> None:
    columns = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [4.0, 3.0]])
    want = np.array([[NAN, 1.0], [2.0, 1.0], [2.0, 1.0], [4.0, 3.0]])
    np.testing.assert_array_equal(fill_forward(columns), want)


def _windows(
    first: int, last: int, columns: NDArray[np.float64] | None = None, season: int = 1
) -> Windows:
    if columns is None:
        columns = np.stack([np.arange(20.0), 100 + np.arange(20.0)], 1)
    return Windows(columns, WindowShape(1, 4, 3, season), first, last, (0.0, 100.0))


def test_histories_come_in_parts_as_whole() -> None:
    windows = _windows(0, 20)
    parts = [windows.histories(first, first + 5) for first in range(0, len(windows), 5)]
    np.testing.assert_array_equal(np.concatenate(parts), windows.histories())


def test_a_window_belongs_to_the_part_of_its_whole_future() -> None:
    assert _windows(0, 10).origins == [4, 5, 6, 7]
    assert _windows(10, 15).origins == [10, 11, 12]
    assert _windows(0, 6).origins == []


def test_history_ends_where_the_future_begins() -> None:
    history, future = _windows(10, 15)[0]
    torch.testing.assert_close(history[:, 0], torch.tensor([6.0, 7.0, 8.0, 9.0]))
    torch.testing.assert_close(history[:, 1], torch.tensor([6.0, 7.0, 8.0, 9.0]))  # less centre
    torch.testing.assert_close(future, torch.tensor([[10.0], [11.0], [12.0]]))


def test_changing_the_future_changes_no_history_before_it() -> None:
    columns = np.arange(40.0).reshape(20, 2)
    changed = columns.copy()
    changed[10:] = -5
    before = _windows(0, 20, columns)[6]  # origin 10
    after = _windows(0, 20, changed)[6]
    torch.testing.assert_close(before[0], after[0], rtol=0, atol=0)


def test_pasts_end_where_futures_begin() -> None:
    columns = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [5, 0], [6, 0], [7, 0], [8, 0]])
    windows = _windows(6, 9, columns, season=2)
    assert windows.origins == [6]
    np.testing.assert_array_equal(naive(windows.pasts)[0, :, 0], [5, 5, 5])
    np.testing.assert_array_equal(seasonal_naive(windows.pasts)[0, :, 0], [4, 5, 4])
    longer = _windows(6, 9, columns, season=4)
    np.testing.assert_array_equal(seasonal_naive(longer.pasts)[0, :, 0], [2, 3, 4])
    np.testing.assert_array_equal(windows.truth()[0, :, 0], [6, 7, 8])


def test_no_window_reaches_back_beyond_the_first_row() -> None:
    """A season longer than the history must not wrap around to the end of the table."""
    windows = _windows(0, 20, season=9)
    assert min(windows.origins) == 9
    np.testing.assert_array_equal(seasonal_naive(windows.pasts)[0, :, 0], [0, 1, 2])


def test_leading_rows_are_cut_and_what_was_known_before_is_still_known() -> None:
    table = Table(
        "t", {"a": np.array([7.0, NAN, NAN, 1.0]), "b": np.array([NAN, NAN, 5.0, 6.0])},
        None, None, "",
    )  # fmt: skip
    names, columns, notes = prepare(table, ["a"])
    assert names == ["a", "b"]
    np.testing.assert_array_equal(columns, [[7, 5], [1, 6]])
    assert "the first 2 rows are left out: b has no value yet" in notes


def test_a_missing_truth_is_not_known_and_a_window_without_any_is_dropped() -> None:
    columns = np.stack([np.arange(20.0), np.zeros(20)], 1)
    columns[10:14, 0] = NAN
    windows = _windows(8, 20, columns)
    assert 10 not in windows.origins
    assert 11 not in windows.origins
    assert 9 in windows.origins
    history, future = windows[windows.origins.index(9)]
    assert future[:, 0].isnan().tolist() == [False, True, True]
    assert not history.isnan().any()


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([1.0, 1.0, 1.0], "column a is 1 in the whole training part"),
        ([NAN, NAN, NAN], "column a has no value in the training part"),
        ([1e38, 3e38, 2e38], "beyond what float32 computes with"),
        ([1e-50, 2e-50, 3e-50], "beyond what float32 computes with"),
    ],
)
def test_targets_that_cannot_be_scaled_are_refused(column: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Scale.fit(np.array(column)[:, None], ["a"], 1, 2)


def test_a_target_never_seen_twice_within_a_horizon_is_scaled_by_its_spread() -> None:
    train = np.array([1.0, NAN, NAN, 5.0, NAN, NAN, 3.0])[:, None]
    assert Scale.fit(train, ["a"], 1, 2).change == pytest.approx((np.std([1, 5, 3]),))


def test_a_covariate_that_never_changes_is_nothing_whatever_its_rounding() -> None:
    train = np.stack([np.arange(250.0), np.full(250, 0.1)], 1)
    assert Scale.fit(train, ["a", "b"], 1, 2).spread[1] == 1.0
