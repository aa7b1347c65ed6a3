"""Baselines of the library statsforecast, which need not be installed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import conveyor
from conveyor.errors import SettingError
from conveyor.tasks.forecast.baselines import Pasts
from conveyor.tasks.forecast.statistical_baselines import statistical
from tests.series import write_series

INSTALLED = importlib.util.find_spec("statsforecast") is not None
QUICK: dict[str, Any] = {"horizon": 7, "hidden": 4, "members": 1, "epochs": 1, "refit": False}


class _Mean:
    """A model that says the mean of the last season, and cannot be fitted to short series."""

    def __init__(self, season_length: int) -> None:
        self.season = season_length

    def forecast(self, y: Any, h: int) -> dict[str, Any]:
        if len(y) < 2 * self.season:
            raise ValueError("too short")
        return {"mean": np.full(h, y[-self.season :].mean())}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose both models are means."""
    package = ModuleType("statsforecast")
    models = SimpleNamespace(AutoETS=_Mean, DynamicOptimizedTheta=_Mean)
    package.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "statsforecast", package)


@pytest.mark.usefixtures("library")
def test_each_past_is_fitted_alone() -> None:
    columns = np.random.default_rng(0).normal(size=(30, 2)).cumsum(0)
    answers = statistical("DOTM")(Pasts(columns, [5, 14, 30], 4, 7))
    assert answers.shape == (3, 4, 2)
    assert np.isnan(answers[0]).all()  # too short for the model
    for number, origin in ((1, 14), (2, 30)):
        expected = np.broadcast_to(columns[origin - 7 : origin].mean(0), (4, 2))
        np.testing.assert_allclose(answers[number], expected)


@pytest.mark.usefixtures("library")
def test_they_are_scored_beside_the_others(tmp_path: Path) -> None:
    """In the fit, and when the run is evaluated later."""
    table = write_series(tmp_path / "days.csv", rows=150)
    run = conveyor.fit(
        "forecast",
        table,
        target="value",
        baseline=["DOTM", "AutoETS"],
        out=tmp_path / "run",
        say=lambda line: None,
        **QUICK,
    )
    rows = run.metrics["scores"][0]["rows"]
    assert list(rows)[-3:] == ["Theta", "DOTM", "AutoETS"]
    assert rows["DOTM"] == rows["AutoETS"]
    # A week's mean of a sine of 3 is off by about its mean size, 2 of 3 of pi.
    assert 1.7 < rows["DOTM"]["mae"] < 2.1
    longer = write_series(tmp_path / "more.csv", rows=190)
    later = conveyor.load(tmp_path / "run").evaluate(longer, say=lambda line: None)
    assert "AutoETS" in later.scores[0].rows


@pytest.mark.skipif(INSTALLED, reason="statsforecast is installed")
def test_a_library_that_is_not_installed_is_told_before_the_fit(tmp_path: Path) -> None:
    table = write_series(tmp_path / "days.csv")
    with pytest.raises(SettingError, match="pip install 'conveyor\\[baselines\\]'"):
        conveyor.fit(
            "forecast", table, target="value", baseline="DOTM", out=tmp_path / "run", **QUICK
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not INSTALLED, reason="statsforecast is not installed (extra baselines)")
def test_the_real_library_knows_its_season() -> None:
    """A series of a season and a trend without noise: both go on with it."""
    steps = np.arange(96)
    column = 100 + steps + 10 * np.sin(2 * np.pi * steps / 12)
    pasts = Pasts(column[:84, None], [84], 12, 12)
    for name in ("DOTM", "AutoETS"):
        assert np.abs(statistical(name)(pasts)[0, :, 0] - column[84:]).max() < 8
