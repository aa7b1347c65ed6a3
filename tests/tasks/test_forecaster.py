"""What a forecaster promises whatever it has learnt."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from conveyor.errors import DataError
from conveyor.tasks.forecast.forecaster import Forecaster, ForecastFrame
from conveyor.tasks.forecast.scale import Scale


def _forecaster(linear: bool = True, dtype: torch.dtype = torch.float32) -> Forecaster:
    torch.manual_seed(0)
    frame = ForecastFrame(
        targets=("a", "b"),
        columns=("a", "b", "rain"),
        history=6,
        horizon=4,
        season=3,
        scale=Scale((5.0, -2.0, 1.0), (2.0, 1.0, 3.0), (1.5, 0.5)),
        naive_error=(1.0, 1.0),
    )
    model = Forecaster("gru", frame, hidden=5, linear=linear).to(dtype)
    if model.linear is not None:
        torch.nn.init.normal_(model.linear.weight)
    return model


def _histories(count: int = 3) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal((count, 6, 3))


@pytest.mark.parametrize("linear", [True, False])
def test_quantiles_never_cross(linear: bool) -> None:
    quantiles = _forecaster(linear).predict(50 * _histories())
    assert quantiles.shape == (3, 4, 2, 3)
    assert (np.diff(quantiles, axis=-1) > 0).all()


@pytest.mark.parametrize("linear", [True, False])
def test_a_higher_level_gives_the_same_forecast_higher(linear: bool) -> None:
    model, histories = _forecaster(linear), _histories()
    moved = histories.copy()
    moved[..., 0] += 1000
    want, got = model.predict(histories), model.predict(moved)
    # float32 holds 1000 ± 5 to about 1e-4.
    np.testing.assert_allclose(got[:, :, 0], want[:, :, 0] + 1000, atol=1e-3)


def test_batches_are_forecast_one_by_one_alike() -> None:
    model, histories = _forecaster(), _histories(5)
    each = np.concatenate([model.predict(one[None]) for one in histories])
    np.testing.assert_allclose(model.predict(histories), each, atol=1e-5)


def test_the_loss_is_pinball_and_skips_what_is_missing() -> None:
    model = _forecaster(dtype=torch.float64)
    history = torch.randn(2, 6, 3, dtype=torch.float64)
    future = torch.randn(2, 4, 2, dtype=torch.float64)
    future[0, 1, 0] = torch.nan
    quantiles = model(history).detach().double()
    want = []
    for b, t, k in np.ndindex(2, 4, 2):
        truth = float(future[b, t, k])
        for place, level in enumerate((0.1, 0.5, 0.9)):
            error = truth - float(quantiles[b, t, k, place])
            loss = max(level * error, (level - 1) * error) / (1.5, 0.5)[k]
            if not np.isnan(truth):
                want.append(loss)
    assert model.loss((history, future)).value.item() == pytest.approx(np.mean(want), rel=1e-6)


def test_the_loss_has_no_nan_gradient_where_the_future_is_missing() -> None:
    model = _forecaster()
    future = torch.full((2, 4, 2), torch.nan)
    future[0, 0, 0] = 1.0
    loss = model.loss((torch.randn(2, 6, 3), future)).value
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert all(bool(each.isfinite().all()) for each in gradients)


def test_wrong_histories_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected \[N, 6, 3\]: steps, and the columns a, b, rain"):
        _forecaster().predict(np.zeros((2, 6, 2)))
