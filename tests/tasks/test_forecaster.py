"""What a forecaster promises whatever it has learnt."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.forecast_frame import Bands, ForecastFrame
from conveyor.tasks.forecast.moved_bands import widened
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import Span, Stretches, batch_of, inputs_of
from conveyor.tasks.forecast.tail import Tail
from tests.forecasters import PLAIN, changed, forecaster_of, frame_of, panel_of

SCALED = Decomposition(False, ((1.0, -3.0, 2.0),), (), (), 5.0, 2.0, 1.0, 1.0)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("levels", [(80,), (95, 80, 50)])
def test_quantiles_never_cross(linear: bool, levels: tuple[int, ...]) -> None:
    frame = frame_of(PLAIN, SCALED, past=("rain",), levels=levels)
    panel = panel_of(frame)
    quantiles = forecaster_of(frame, linear=linear).forecasts(panel, [9, 20, 40])
    assert quantiles.shape == (3, 4, 2, 2 * len(levels) + 1)
    assert (np.diff(quantiles, axis=-1) > 0).all()


@pytest.mark.parametrize("linear", [True, False])
def test_a_higher_level_gives_the_same_forecast_higher(linear: bool) -> None:
    frame = frame_of(SCALED, past=("rain",))
    model, panel = forecaster_of(frame, linear=linear), panel_of(frame)
    low = model.forecasts(panel, [12, 30])
    high = model.forecasts(changed(panel, panel.targets + 1000), [12, 30])
    # float32 holds 500 ± 5 to about 5e-5, in units of 2.
    np.testing.assert_allclose(high, low + 1000, atol=2e-3)


def test_what_comes_after_an_origin_does_not_change_its_forecast() -> None:
    frame = frame_of(SCALED, past=("rain",))
    model, panel = forecaster_of(frame, members=2), panel_of(frame)
    later = Panel(panel.targets.copy(), panel.past.copy(), panel.known)
    later.targets[20:] = 99
    later.past[20:] = -5
    np.testing.assert_array_equal(model.forecasts(panel, [20]), model.forecasts(later, [20]))
    assert not np.array_equal(  # noqa: TID251
        model.forecasts(panel, [21]), model.forecasts(later, [21])
    )


def test_origins_are_forecast_together_as_one_by_one() -> None:
    frame = frame_of(SCALED)
    model, panel = forecaster_of(frame), panel_of(frame)
    together = model.forecasts(panel, [7, 13, 40])
    alone = np.concatenate([model.forecasts(panel.rows(0, row), [row]) for row in (7, 13, 40)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_season_is_that_of_the_steps_numbers() -> None:
    """The same rows, counted from another step, stand at another place of the season."""
    frame = frame_of(SCALED)
    model, panel = forecaster_of(frame), panel_of(frame)
    shifted = Panel(panel.targets, panel.past, panel.known, first=3)
    np.testing.assert_allclose(
        model.forecasts(shifted, [40]), model.forecasts(panel, [40]), atol=1e-5
    )
    other = Panel(panel.targets, panel.past, panel.known, first=1)
    assert np.abs(model.forecasts(other, [40]) - model.forecasts(panel, [40])).max() > 0.1


def test_a_known_column_moves_its_own_step() -> None:
    promoted = Decomposition(False, (), (), (3.0,), 0.0, 1.0, 1.0, 1.0)
    frame = frame_of(promoted, known=("promo",))
    model, panel = forecaster_of(frame), panel_of(frame, ahead=4)
    # Nothing of it but its effect: what the layer itself reads of it is left out.
    cut = 0
    for weight in model.recurrent.parameters():
        if weight.dim() == 2 and weight.shape[1] == frame.features:
            weight.data[:, frame.history :] = 0
            cut += 1
    assert cut
    panel.known[-4:] = 0
    without = model.forecasts(panel, [40])[0, :, 0]
    panel.known[-2] = 1  # the third step ahead
    moved = model.forecasts(panel, [40])[0, :, 0] - without
    expected = np.zeros((4, 3))
    expected[2] = 3.0 / 0.5
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_members_are_averaged() -> None:
    frame = frame_of(PLAIN)
    model, panel = forecaster_of(frame, members=3), panel_of(frame)
    together = model.forecasts(panel, [40])
    every = list(model.members)
    alone = []
    for member in every:
        model.members = torch.nn.ModuleList([member])
        alone.append(model.forecasts(panel, [40]))
    np.testing.assert_allclose(together, np.mean(alone, 0), atol=1e-6)
    assert np.std(alone, 0).min() > 0


def test_bands_are_moved_and_never_cross_the_median() -> None:
    frame = frame_of(PLAIN, levels=(95, 80))
    model, panel = forecaster_of(frame), panel_of(frame)
    raw = model.forecasts(panel, [40])
    moved = (((3.0, 1.0), (-99.0, 0.0), (0.0, 2.0), (0.5, 0.5)),)
    model.frame = frame_of(PLAIN, levels=(95, 80), bands=Bands(moved, 9.0))
    bands = model.forecasts(panel, [40])[0, :, 0]
    np.testing.assert_allclose(bands[0], raw[0, 0, 0] + [-3, -1, 0, 1, 3], atol=1e-6)
    # A wider band holds a narrower one, whatever is asked for.
    np.testing.assert_allclose(bands[1, [0, 4]], raw[0, 1, 0, [1, 3]], atol=1e-6)
    np.testing.assert_allclose(bands[2, 0], raw[0, 2, 0, 1] - 2, atol=1e-6)
    assert (np.diff(bands, axis=-1) >= 0).all()
    shrunk = widened(np.array([[-1.0, 0.0, 1.0]]), np.array([[-5.0]]))
    np.testing.assert_array_equal(shrunk, [[0, 0, 0]])


def test_the_loss_is_the_pinball_loss_of_what_counts() -> None:
    frame = frame_of(PLAIN, past=("rain",))
    model, panel = forecaster_of(frame, members=2), panel_of(frame)
    panel.targets[15:18] = np.nan
    stretch = Stretches(inputs_of(panel, frame), [Span(0, 30)])[0]
    batch = batch_of([stretch])
    quantiles = model(batch.values, batch.beside).detach().double().numpy()
    filled = stretch.values[frame.history - 1 :].double().numpy()
    losses = []
    for member, step, ahead in np.ndindex(2, len(filled), frame.horizon):
        truth = float(stretch.future[step + ahead]) - filled[step]
        if bool(stretch.counted[step]) and not np.isnan(truth):
            for place, level in enumerate((0.1, 0.5, 0.9)):
                error = truth - quantiles[member, 0, step, ahead, place]
                losses.append(max(level * error, (level - 1) * error))
    assert model.loss(batch).value.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_each_member_learns_as_it_would_alone() -> None:
    frame = frame_of(PLAIN)
    model, panel = forecaster_of(frame, members=2), panel_of(frame)
    batch = batch_of([Stretches(inputs_of(panel, frame), [Span(0, 40)])[0]])
    second = list(model.members[1].parameters())
    together = torch.autograd.grad(model.loss(batch).value, second)
    model.members = model.members[1:]
    alone = torch.autograd.grad(model.loss(batch).value, second)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_the_loss_has_no_nan_gradient_where_the_future_is_missing() -> None:
    frame = frame_of(PLAIN)
    model, panel = forecaster_of(frame), panel_of(frame)
    panel.targets[5:] = np.nan
    panel.targets[-1] = 1.0
    loss = model.loss(batch_of([Stretches(inputs_of(panel, frame), [Span(0, 40)])[0]])).value
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_an_outlier_in_a_window_has_a_bound() -> None:
    frame = frame_of(PLAIN)
    windows = forecaster_of(frame).windows(torch.tensor([[0.0, 1e6, 0, 0, 0, 0]]))
    assert windows.tolist() == [[[0, 12, 0, 0, 0, 0]]]


def test_a_tail_gives_the_forecast_of_the_whole_panel() -> None:
    promoted = Decomposition(False, (), (), (3.0,), 0.0, 1.0, 1.0, 1.0)
    frame = frame_of(promoted, known=("promo",), past=("rain",))
    model, panel = forecaster_of(frame), panel_of(frame, first=2, ahead=4)
    panel.targets[11] = np.nan
    tail = Tail.of(panel, "", 2048, 40)
    assert np.isnan(tail.panel.targets[11])
    np.testing.assert_array_equal(model.forecasts(tail.panel, [40]), model.forecasts(panel, [40]))


def _in_groups(*series: Decomposition) -> ForecastFrame:
    return frame_of(
        *series, targets=("y",), group_columns=("shop",),
        groups=tuple((str(number),) for number in range(len(series))),
    )  # fmt: skip


def test_series_count_as_much_as_they_move_by_shares_of_their_level() -> None:
    """Movements of 1 around 10, of 30 around 100, and of 0.2 in logarithms: 0.1, 0.3 and 0.2."""
    small = replace(PLAIN, centre=10.0, from_zero=True)
    large = replace(PLAIN, centre=100.0, change=30.0, from_zero=True)
    growing = replace(PLAIN, centre=5.0, change=0.2, logarithm=True)
    assert _in_groups(small, large, growing).weights == pytest.approx((0.5, 1.5, 1.0))
    # A level that may be below 0 is no unit; nor are the columns of one table.
    assert _in_groups(small, PLAIN, growing).weights == (1.0, 1.0, 1.0)
    assert frame_of(small, large, growing).weights == (1.0, 1.0, 1.0)
    # Sales now and then move by many times their level; no more than thirty of the middle count.
    rare = replace(PLAIN, centre=0.05, change=1.0, from_zero=True)
    assert _in_groups(small, small, rare).weights == pytest.approx((0.09375, 0.09375, 2.8125))


def test_the_loss_of_many_series_is_weighted() -> None:
    small = replace(PLAIN, centre=10.0, from_zero=True)
    large = replace(PLAIN, centre=100.0, change=30.0, from_zero=True)
    frame = _in_groups(small, large)
    model = forecaster_of(frame)
    panels = [panel_of(frame), replace(panel_of(frame), group=1)]
    inputs = [inputs for panel in panels for inputs in inputs_of(panel, frame)]
    examples = Stretches(inputs, [Span(0, 40)] * 2)
    with torch.no_grad():
        one, other = (model.loss(batch_of([examples[number]])) for number in (0, 1))
        both = model.loss(batch_of([examples[0], examples[1]])).value
    assert one.count == other.count
    assert float(both) == pytest.approx(float((one.value + other.value) / 2), rel=1e-5)
    # The same stretch, in the unit of each series, weighs 0.5 and 1.5.
    assert [float(example.weight) for example in (examples[0], examples[1])] == [0.5, 1.5]
    equal = replace(frame, group_columns=(), groups=((),), series=(small,))
    plain = Stretches(inputs_of(panels[0], equal), [Span(0, 40)])[0]
    with torch.no_grad():
        unweighted = forecaster_of(equal).loss(batch_of([plain])).value
    assert float(one.value) == pytest.approx(0.5 * float(unweighted), rel=1e-5)
