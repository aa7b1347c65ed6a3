"""What a forecaster learns from: no step sees what comes after it, and each part its own future."""

import numpy as np
import pytest
import torch

from conveyor.tasks.forecast import stretches as module
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import (
    SeriesInputs,
    Span,
    Stretches,
    batch_of,
    cuts,
    inputs_of,
)
from tests.forecasters import PLAIN, changed, frame_of, panel_of

NAN = float("nan")


def _counting(rows: int = 20) -> Panel:
    """The series 0, 1, 2, ..."""
    return Panel(np.arange(float(rows))[:, None], np.zeros((rows, 0)), np.zeros((rows, 0)))


def test_a_window_ends_at_its_step_and_the_future_begins_after_it() -> None:
    frame = frame_of()
    stretch = SeriesInputs(_counting(), frame, 0).stretch(0, 20, np.ones(20, dtype=bool), 20)
    windows = stretch.values.unfold(0, frame.history, 1)
    torch.testing.assert_close(windows[10], torch.arange(5.0, 11.0))
    future = stretch.future.unfold(0, frame.horizon, 1)
    torch.testing.assert_close(future[10], torch.arange(11.0, 15.0))
    assert future[17].isnan().tolist() == [False, False, True, True]


def test_before_the_first_row_stands_the_first_value() -> None:
    later = changed(_counting(), 5 + _counting().targets)
    stretch = SeriesInputs(later, frame_of(), 0).stretch(0, 3, np.ones(3, dtype=bool), 20)
    torch.testing.assert_close(stretch.values, torch.tensor([5.0, 5, 5, 5, 5, 5, 6, 7]))


def test_the_part_of_a_forecast_is_that_of_its_future() -> None:
    frame = frame_of()
    validation = Stretches(inputs_of(_counting(), frame), [Span(10, 16)], whole=True)
    ((_, start, _, counted),) = validation.parts
    # Futures 10 to 13, 11 to 14 and 12 to 15, of the steps before them.
    assert (start + np.flatnonzero(counted)).tolist() == [9, 10, 11]
    train = Stretches(inputs_of(_counting(), frame), [Span(0, 10)])
    ((_, start, _, counted),) = train.parts
    assert (start + np.flatnonzero(counted)).tolist() == [3, 4, 5, 6, 7, 8]
    assert train[0].future[10:].isnan().all()  # nothing of row 10 and later
    assert train.forecasts == 6


def test_what_comes_later_changes_nothing_before() -> None:
    frame = frame_of(PLAIN, past=("rain",))
    panel = panel_of(frame)
    other = Panel(panel.targets.copy(), panel.past.copy(), panel.known)
    other.targets[20:] += 100
    other.past[20:] = 7
    for first, second in zip(
        Stretches(inputs_of(panel, frame), [Span(0, 20)])[0],
        Stretches(inputs_of(other, frame), [Span(0, 20)])[0],
        strict=True,
    ):
        torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)


def test_a_step_reads_the_past_columns_now_and_the_known_ones_now_and_ahead() -> None:
    frame = frame_of(
        Decomposition(False, (), (), (0.0,), 0.0, 1.0, 1.0, 1.0), past=("rain",), known=("promo",)
    )
    panel = panel_of(frame, rows=10, ahead=2)
    inputs = SeriesInputs(panel, frame, 0)
    assert inputs.beside.shape == (10, 1 + 1 + frame.horizon)
    np.testing.assert_allclose(inputs.beside[:, 0], (panel.past[:, 0] - 1) / 3)
    promo = (panel.known[:, 0] - 0.5) / 0.5
    np.testing.assert_allclose(inputs.beside[4, 1:], promo[4:9])
    # What is not known is the mean.
    np.testing.assert_allclose(inputs.beside[9, 1:], [*promo[9:12], 0, 0])


def test_missing_values_are_filled_and_do_not_count() -> None:
    panel = _counting()
    targets = panel.targets.copy()
    targets[12:17] = NAN
    gaps = Stretches(inputs_of(changed(panel, targets), frame_of()), [Span(0, 20)])
    stretch = gaps[0]
    assert not stretch.values.isnan().any()
    assert stretch.values[5 + 14] == 11
    # Of the steps after row 11 and 12 nothing is seen in four steps.
    assert stretch.counted.tolist() == [*[False] * 3, *[True] * 8, False, False, *[True] * 6]


def test_long_series_are_cut_and_few_stretches_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_READ", 8)
    train = Stretches(inputs_of(_counting(), frame_of()), [Span(0, 20)])
    assert [(start, stop) for _, start, stop, _ in train.parts] == [(0, 6), (6, 12), (12, 19)]
    assert train.forecasts == 16
    torch.testing.assert_close(train[1].values[:6], torch.arange(1.0, 7.0))
    train.repeat(10)
    assert len(train) == 12
    torch.testing.assert_close(train[3].values, train[0].values)
    assert cuts(0, 8) == [(0, 8)]


def test_a_batch_is_padded_with_what_does_not_count() -> None:
    inputs = SeriesInputs(_counting(), frame_of(), 0)
    short, long = (inputs.stretch(0, rows, np.ones(rows, dtype=bool), 20) for rows in (5, 9))
    batch = batch_of([short, long])
    assert batch.values.shape == (2, 14)
    assert batch.counted[0].tolist() == [True] * 5 + [False] * 4
    assert batch.future[0, 8:].isnan().all()
