"""A forecaster that goes from season to season: SegRNN, from every row."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import conveyor
from conveyor.errors import ConveyorError
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.prepared_table import seasons_read
from tests.forecasters import PLAIN, forecaster_of, frame_of, panel_of
from tests.series import write_series

QUICK: dict[str, Any] = {"pace": "season", "horizon": 9, "hidden": 4, "members": 1, "epochs": 2}


def _quiet(line: str) -> None:
    """Say nothing."""


def test_a_forecast_is_that_of_a_plain_layer_over_seasons() -> None:
    """As in SegRNN (Lin et al. 2023, section 4): the rows up to the origin in whole seasons, each
    less the mean of the window that ends with it, through a layer of ordinary steps."""
    frame = frame_of(history=6, horizon=4, season=3, pace=3)
    model, panel = forecaster_of(frame), panel_of(frame, rows=30)
    member: Any = model.members[0]
    plain = conveyor.Recurrent("gru", 3, 5, batch_first=True)
    plain.load_state_dict(member.recurrent.state_dict())
    values = panel.targets[:, 0]
    for origin in (14, 21, 22, 30):
        # Before the first row stands its value; the state of the first row's phase is 0.
        seasons = []
        for end in range(origin % 3 or 3, origin + 1, 3):
            window = np.array([values[max(row, 0)] for row in range(end - 6, end)])
            seasons.append(window - window.mean())
        read = torch.tensor(np.array(seasons), dtype=torch.float32)
        with torch.no_grad():
            output = plain(read[None, :, 3:])[0][0, -1]
            answer = member.answers_of(output, member.linear(read[-1]))
        expected = answer.double().numpy() + values[origin - 6 : origin].mean()
        np.testing.assert_allclose(model.forecasts(panel, [origin])[0, :, 0], expected, atol=1e-5)


def test_the_linear_part_begins_with_the_same_steps_of_earlier_seasons() -> None:
    frame = frame_of(history=7, horizon=5, season=3, pace=3)
    torch.manual_seed(0)
    member: Any = Forecaster("gru", frame, hidden=5).members[0]
    weights = member.linear.weight.detach().numpy()
    # The window holds steps -6 to 0; step 1 is a season after -2 and two after -5.
    expected = np.zeros((5, 7))
    expected[0, [1, 4]] = expected[1, [2, 5]] = 1 / 2
    expected[2, [0, 3, 6]] = 1 / 3
    expected[3, [1, 4]] = expected[4, [2, 5]] = 1 / 2
    np.testing.assert_allclose(weights, expected)


def test_a_higher_level_gives_the_same_forecast_higher() -> None:
    frame = frame_of(PLAIN, pace=3)
    model, panel = forecaster_of(frame), panel_of(frame)
    low = model.forecasts(panel, [12, 30])
    panel.targets[:] += 1000
    # float32 holds 1000 to about 6e-5.
    np.testing.assert_allclose(model.forecasts(panel, [12, 30]), low + 1000, atol=2e-3)


@pytest.mark.parametrize(
    ("season", "cycles", "rows"),
    [
        (24, (24.0, 168.0, 8766.0), 168),
        (48, (48.0, 336.0), 336),
        (7, (7.0, 365.25), 28),
        (12, (12.0,), 48),
        (5, (), 20),
    ],
)
def test_whole_seasons_are_read(season: int, cycles: tuple[float, ...], rows: int) -> None:
    assert seasons_read(season, cycles) == rows


def test_a_run_by_seasons(tmp_path: Path) -> None:
    """What it learns is the season, it is saved with its pace, and reads on from its rows."""
    table = write_series(tmp_path / "days.csv", rows=180)
    run = conveyor.fit("forecast", table, target="value", out=tmp_path / "run", say=_quiet, **QUICK)
    frame = run.frame
    assert frame.pace == frame.season == 7
    assert frame.history == 28
    assert frame.features == 7
    assert not frame.series[0].figures
    again = conveyor.load(tmp_path / "run")
    assert again.model.recurrent.dilation == 7
    assert again.predict(say=_quiet).equals(run.predict(table, say=_quiet))
    new = write_series(tmp_path / "more.csv", rows=190)
    want = again.predict(new, say=_quiet)
    again.update(new, say=_quiet)
    got = conveyor.load(tmp_path / "run").predict(say=_quiet)
    np.testing.assert_allclose(got["value"].to_numpy(), want["value"].to_numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"season": 1}, "pace='season' needs a season, and there is none. Give season."),
        ({"history": 6}, "history is 6, less than the season of 7 steps that pace='season' reads"),
        ({"pace": "week"}, "pace is 'week'"),
    ],
)
def test_a_pace_that_cannot_be(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    table = write_series(tmp_path / "days.csv")
    values = {"target": "value", "out": tmp_path / "run", **QUICK, **options}
    with pytest.raises(ConveyorError, match=text):
        conveyor.fit("forecast", table, say=_quiet, **values)


def test_seasons_stay_in_and_known_columns_are_measured_beside_them(tmp_path: Path) -> None:
    """A promotion on every Sunday and a Wednesday: its effect is not that of Sundays."""
    draw = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 9, 30), "1d", eager=True)
    weekday = days.dt.weekday().to_numpy()
    promo = (weekday == 7) | ((weekday == 3) & (draw.random(len(days)) < 0.3))
    sold = 50 + 20.0 * (weekday == 7) + 5.0 * promo + 0.1 * draw.normal(size=len(days))
    table = pl.DataFrame({"day": days, "promo": promo.astype(int), "sold": sold})
    run = conveyor.fit(
        "forecast", table, target="sold", future="promo", out=tmp_path / "run", say=_quiet, **QUICK
    )
    frame = run.frame
    effect = frame.series[0].effects[0] / frame.known_units.spread[0]
    assert abs(effect - 5) < 0.2
