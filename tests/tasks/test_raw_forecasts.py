"""Forecasts of many series in few passes are those of each by itself."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.tasks.forecast import raw_forecasts as module
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.raw_forecasts import raw_forecasts
from conveyor.tasks.forecast.series_panel import Panel
from tests.forecasters import PLAIN, forecaster_of, frame_of, panel_of

# Other sums in other orders, in float32, over some dozens of steps.
RTOL, ATOL = 1e-4, 1e-5

GROUPS = 5


def _frame(**fields: Any) -> ForecastFrame:
    two = [replace(PLAIN, effects=(0.5,), change=1.0 + number / 7) for number in range(2 * GROUPS)]
    return frame_of(
        *two,
        targets=("a", "b"),
        groups=tuple((f"g{number}",) for number in range(GROUPS)),
        group_columns=("shop",),
        past=("p",),
        known=("k",),
        **fields,
    )


def _groups(frame: ForecastFrame) -> list[tuple[Panel, list[int]]]:
    """Of unlike lengths and beginnings, one without forecasts, one with missing values."""
    rows = (40, 12, 40, 90, 31)
    origins: tuple[list[int], ...] = ([5, 20, 38], [12], [], [49, 61, 90], [1, 30])
    groups = []
    for number, (length, numbers) in enumerate(zip(rows, origins, strict=True)):
        panel = replace(panel_of(frame, length, first=2 * number, ahead=4), group=number)
        targets = np.exp(panel.targets * 0.1 + number / 3)
        if number == 0:
            targets[10:14] = np.nan
        groups.append((replace(panel, targets=targets), numbers))
    return groups


@pytest.mark.parametrize(
    ("sizes", "fields"),
    [
        ({"members": 2}, {}),
        ({"loss": "mse"}, {}),
        ({"loss": "negative-binomial"}, {}),
        ({"es_rnn": True, "members": 2}, {}),
        ({}, {"pace": 3}),
    ],
)
@pytest.mark.parametrize("at_once", [1, 3000, module._AT_ONCE])
def test_the_forecasts_are_those_of_each_series(
    sizes: dict[str, Any],
    fields: dict[str, Any],
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 1)
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    monkeypatch.setattr(module, "MOST_READ", 32)
    monkeypatch.setattr("conveyor.tasks.forecast.forecaster.MOST_READ", 32)
    network = forecaster_of(_frame(**fields), **sizes)
    for smoothing in network._smoothings:
        smoothing.first.data.normal_(0, 0.3)
        smoothing.level_weight.data.normal_()
    groups = _groups(network.frame)
    together = list(raw_forecasts(network, groups))
    assert len(together) == GROUPS
    for (panel, origins), raws in zip(groups, together, strict=True):
        assert [raw.inputs.target for raw in raws] == [0, 1]
        for inputs, quantiles, truth in raws:
            assert inputs.panel is panel
            expected, came = network.raw(inputs, origins)
            assert quantiles.shape == (len(origins), 4, 3)
            np.testing.assert_allclose(quantiles, expected, rtol=RTOL, atol=ATOL)
            np.testing.assert_array_equal(truth, came)


def test_several_series_are_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no series is padded to one that is much longer."""
    monkeypatch.setattr(module, "TOGETHER", 1)
    network = forecaster_of(_frame())
    passes: list[tuple[int, ...]] = []
    windows = Forecaster.windows

    def counting(self: Forecaster, values: Any) -> Any:
        passes.append(tuple(values.shape))
        return windows(self, values)

    monkeypatch.setattr(Forecaster, "windows", counting)
    list(raw_forecasts(network, _groups(network.frame)))
    # Of two targets each. Rows read, and five before them: 90; 38 and 30; 12.
    assert passes == [(2, 95), (4, 43), (2, 17)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    return conveyor.fit(
        "forecast", _table(90), target="sold", series="shop", horizon=3, history=7, hidden=4,
        members=2, epochs=1, split=(30, 30, 30), out=tmp_path_factory.mktemp("many") / "run",
        say=lambda line: None,
    )  # fmt: skip


def _table(rows: int) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), "1d", eager=True)[:110]
    parts = []
    for number in range(4):
        sold = 100 + draw.normal(size=110).cumsum()
        begins = 7 * number
        parts.append(
            pl.DataFrame({"shop": f"S{number}", "day": days[begins:], "sold": sold[begins:]})
        )
    return pl.concat(parts).filter(pl.col("day") < days[0] + pl.duration(days=rows))


@pytest.mark.parametrize("command", ["evaluate", "update", "predict"])
def test_commands_answer_as_series_by_series(
    command: str, run: conveyor.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for number, together in enumerate((1000, 2)):
        monkeypatch.setattr(module, "TOGETHER", together)
        shutil.copytree(run.folder, tmp_path / str(number))
        again = conveyor.load(tmp_path / str(number))
        answer = getattr(again, command)(_table(110), say=lambda line: None)
        if command != "predict":
            (scores,) = answer.scores
            rows.append(np.array(list(scores.rows.values()), dtype=float))
        rows.append(again.predict().drop("shop", "day").to_numpy())
    for one, other in zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5)
