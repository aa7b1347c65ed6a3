"""Exponential smoothing as a cell: statsmodels' numbers, and the equations of the textbook."""

from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.cells import holt_winters_with
from conveyor.errors import SettingError

VALUES = [
    112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118, 115, 126, 141, 135, 125, 149, 170,
    170,
]  # fmt: skip
SEASONS = {False: [3.0, -1.0, 2.0, -4.0], True: [0.1, -0.1, 0.05, -0.05]}

# ExponentialSmoothing of statsmodels 0.15.0 with initialization_method="known", initial_level 110,
# initial_trend 1.5, initial_seasonal as SEASONS (1 more where it multiplies), smoothing_level 0.3,
# smoothing_trend 0.15, smoothing_seasonal 0.2, damping_trend 0.9: the last fitted value, and
# forecast(6). As many steps ahead as a season has, it takes the season before the last, where the
# textbook takes the last: that step is not compared.
STATSMODELS: dict[tuple[int, bool, bool], list[float]] = {
    (1, False, False): [149.323957338, 159.162518613, 162.798267089, 166.434015565, 170.069764041,
        173.705512517, 177.341260993],
    (1, False, True): [148.297057841, 157.768255441, 160.432538899, 162.83039401, 164.988463611,
        166.930726251, 168.678762628],
    (4, False, False): [150.440687652, 156.240301505, 165.53224783, 175.580146716, 171.136372217,
        171.068192366, 180.360138691],
    (4, True, False): [148.643516617, 159.193838123, 163.045098378, 179.177912359, 169.758699162,
        173.945286199, 177.811344681],
    (4, True, True): [147.574562705, 157.535675637, 160.528372085, 174.941886735, 164.170255079,
        166.437500573, 168.560238453],
}  # fmt: skip
KINDS = list(STATSMODELS)


def _layer(season: int, multiplicative: bool, damped: bool, units: int = 1) -> conveyor.Recurrent:
    cell = holt_winters_with(season, multiplicative=multiplicative, damped=damped)
    layer = conveyor.Recurrent(cell, units, units, dtype=torch.float64)
    weights = {"v.l": 0.3, "v.b": 0.15, "v.s": 0.2, "v.d": 0.9}
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(weights[name.removeprefix("l0.")]).logit_()
    return layer


def _start(layer: conveyor.Recurrent, multiplicative: bool) -> Any:
    """Level 110, trend 1.5; the season's first value is the one of a season before."""
    start = layer.start(1)
    first = {"l": 110.0, "b": 1.5}
    for back, value in enumerate(reversed(SEASONS[multiplicative]), 1):
        first["s" if back == 1 else f"s_{back}"] = value
    named = {name: torch.full_like(start.l, first.get(name, 0.0)) for name in start._fields}
    return start._replace(**named)


def _forecast(state: Any, season: int, multiplicative: bool, damped: bool) -> list[float]:
    """Six steps ahead, from the equation of the textbook."""
    level, trend = float(state.l), float(state.b)
    ahead = []
    for step in range(1, 7):
        back = season - (step - 1) % season
        of_then = float(getattr(state, "s" if back == 1 else f"s_{back}")) if season > 1 else 0.0
        value = level + trend * (sum(0.9**k for k in range(1, step + 1)) if damped else step)
        ahead.append(value * (1 + of_then) if multiplicative else value + of_then)
    return ahead


@pytest.mark.parametrize("target", [None, "reference"])
@pytest.mark.parametrize(("season", "multiplicative", "damped"), KINDS)
def test_forecasts_are_those_of_statsmodels(
    season: int, multiplicative: bool, damped: bool, target: str | None
) -> None:
    layer = _layer(season, multiplicative, damped)
    x = torch.tensor(VALUES, dtype=torch.float64)[:, None, None]
    with conveyor.use_target(target), torch.no_grad():
        output, state = layer(x, _start(layer, multiplicative))
    want = STATSMODELS[season, multiplicative, damped]
    got = [float(output[-2]), *_forecast(state, season, multiplicative, damped)]
    compared = np.arange(len(want)) != season if season > 1 else slice(None)
    np.testing.assert_allclose(np.array(got)[compared], np.array(want)[compared], rtol=1e-9)
    # The output is the forecast of the next value.
    np.testing.assert_allclose(float(output[-1]), want[1], rtol=1e-9)


@pytest.mark.parametrize(("season", "multiplicative", "damped"), KINDS)
def test_forecasts_that_come_true_change_nothing(
    season: int, multiplicative: bool, damped: bool
) -> None:
    """What is forecast several steps ahead is forecast again one step ahead."""
    layer = _layer(season, multiplicative, damped)
    x = torch.tensor(VALUES, dtype=torch.float64)[:, None, None]
    with torch.no_grad():
        output, state = layer(x, _start(layer, multiplicative))
        ahead = _forecast(state, season, multiplicative, damped)
        for value in ahead:
            torch.testing.assert_close(float(output[-1]), value)
            output, state = layer(torch.full_like(x[:1], value), state)


@pytest.mark.parametrize(("season", "multiplicative", "damped"), KINDS)
def test_series_beside_each_other_are_smoothed_by_their_own_weights(
    season: int, multiplicative: bool, damped: bool
) -> None:
    both = _layer(season, multiplicative, damped, units=2)
    with torch.no_grad():
        for parameter in both.parameters():
            parameter[1] -= 1
    x = torch.tensor(VALUES, dtype=torch.float64)[:, None, None]
    one = _layer(season, multiplicative, damped)
    with torch.no_grad():
        output, _ = both(torch.cat([x, x], -1), _start(both, multiplicative))
        first, _ = one(x, _start(one, multiplicative))
    torch.testing.assert_close(output[..., :1], first)
    assert float((output[..., 1:] - first).abs().max()) > 0.1


def test_weights_and_beginnings_are_learned_by_gradient_descent() -> None:
    """Of two series with other seasons, from nothing but their values."""
    torch.manual_seed(0)
    steps = torch.arange(48.0)
    figures = torch.stack([torch.sin(steps * torch.pi / 2), torch.cos(steps * torch.pi / 2)], -1)
    series = 10 + 0.1 * steps[:, None] + 3 * figures
    layer = conveyor.Recurrent(holt_winters_with(4), 2, 2, learn_start=True)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)

    errors = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = (layer(series[:, None])[0][:-1, 0] - series[1:]).square().mean()
        torch.autograd.backward(loss)
        optimiser.step()
        errors.append(loss.item())
    assert errors[0] > 2
    assert errors[-1] < 0.2


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("damped", [False, True])
def test_a_season_that_multiplies_begins_without_one(learned: bool, damped: bool) -> None:
    """As the documentation uses it: values and gradients are finite, also of zeros."""
    torch.manual_seed(0)
    cell = holt_winters_with(4, multiplicative=True, damped=damped)
    layer = conveyor.Recurrent(cell, 2, 2, learn_start=learned)
    steps = torch.arange(80.0)
    figure = (10 + steps / 4) * (1 + 0.4 * torch.sin(steps * torch.pi / 2))
    series = torch.stack([figure, torch.zeros(80)], -1)[:, None]
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.03)
    errors = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (layer(series)[0][8:-1] - series[9:]).abs().mean()
        torch.autograd.backward(loss)
        assert all(
            parameter.grad is None or bool(parameter.grad.isfinite().all())
            for parameter in layer.parameters()
        )
        optimiser.step()
        errors.append(loss.item())
    assert np.isfinite(errors).all()
    assert errors[-1] < 0.9 * errors[0]


def test_both_directions_are_merged_to_the_width_of_a_unit() -> None:
    cell = holt_winters_with(4)
    with pytest.raises(SettingError, match="layer 2 reads 6 features; expected 3"):
        conveyor.Recurrent(cell, 3, 3, num_layers=2, bidirectional=True)
    layer = conveyor.Recurrent(cell, 3, 3, num_layers=2, bidirectional=True, merge="sum")
    assert layer(torch.rand(6, 1, 3))[0].shape == (6, 1, 3)


def test_a_step_is_a_step_of_the_sequence() -> None:
    layer = _layer(4, multiplicative=False, damped=True)
    state = _start(layer, False)
    x = torch.tensor(VALUES, dtype=torch.float64)[:, None, None]
    want, _ = layer(x, state)
    for row, value in zip(want, x, strict=True):
        output, state = layer.step(value, state)
        torch.testing.assert_close(output, row)


def test_what_there_is_not() -> None:
    for season in (0, 401, 2.0, True):
        with pytest.raises(SettingError, match="expected a whole number from 1 to 400"):
            holt_winters_with(season)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="multiplies nothing"):
        holt_winters_with(1, multiplicative=True)
    with pytest.raises(SettingError, match="is 3 wide; expected 2, the hidden size"):
        conveyor.Recurrent(holt_winters_with(2), 3, 2)
