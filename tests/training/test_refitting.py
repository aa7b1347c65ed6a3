"""A network that is fitted again on more rows, from the start, by as many epochs."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import conveyor
from conveyor.comparing.trial import Draw, run_trial
from conveyor.compiler.show import program_of
from conveyor.tasks.forecast.forecasting import Forecasting
from conveyor.tasks.task_registry import find
from conveyor.training.averaging import average_of
from conveyor.training.checkpoints import Progress
from tests.series import write_series

SETTINGS: dict[str, Any] = {
    "target": "value",
    "horizon": 3,
    "history": 7,
    "members": 1,
    "epochs": 3,
    "hidden": 4,
}


def _task(path: Path, **more: Any) -> Forecasting:
    entry = find("forecast")
    task = entry.task.prepare(path, entry.settings.of({**SETTINGS, **more}), lambda line: None)
    assert isinstance(task, Forecasting)
    return task


def test_a_fit_ends_with_a_network_that_has_learned_from_all_rows(tmp_path: Path) -> None:
    said: list[str] = []
    source = write_series(tmp_path / "s.csv")
    run = conveyor.fit("forecast", source, out=tmp_path / "run", say=said.append, **SETTINGS)
    again = [line for line in said if line.startswith("fitting again")]
    assert len(again) == 2
    epochs = run.metrics["fit"]["best_epoch"]
    assert all(f"for {epochs} epoch" in line for line in again)
    # 112 and 128 and 160 rows, of which the first three and the last are no origins.
    assert "on 108 forecasts" in " ".join(said)
    assert "on 124 forecasts" in again[0]
    assert "on 156 forecasts" in again[1]
    with pytest.raises(conveyor.errors.DataError, match="no row comes after them"):
        run.evaluate(source, say=said.append)
    once = conveyor.fit(
        "forecast", source, out=tmp_path / "once", say=said.append, refit=False, **SETTINGS
    )
    assert once.evaluate(source, say=said.append).scores[0].rows.keys() == {
        "lstm + linear", "mean with Theta", "naive", "seasonal naive", "drift", "Theta"
    }  # fmt: skip
    assert not once.predict().equals(run.predict())


def test_what_the_test_part_holds_does_not_change_the_network_that_is_scored(
    tmp_path: Path,
) -> None:
    """The scored network knows training and validation; its bands follow what it has seen."""
    path = write_series(tmp_path / "s.csv")
    first = _task(path)
    frame = pl.read_csv(path)
    wild = frame.with_columns(
        value=pl.when(pl.int_range(pl.len()) >= first.prepared.groups[0].parts.validation)
        .then(9.0)
        .otherwise("value")
    )
    wild.write_csv(path)
    second = _task(path)
    frames = []
    for task in (first, second):
        torch.manual_seed(0)
        network = task.network(program_of("lstm"), task.settings.network).eval()
        task.after_fit(network)
        longer = task.with_validation(network)
        assert longer is not None
        frames.append(longer.prepared.frame)
        (group,) = longer.prepared.groups
        assert group.fitted == group.parts.validation
    assert frames[0] == frames[1]


def test_averages_forget_and_are_of_all_steps() -> None:
    """By hand: (n - 1) / (n + 8) of the average before, 9 / (n + 8) of the weights."""
    weights = np.random.default_rng(0).normal(size=50)
    average = weights[0]
    for count, current in enumerate(weights[1:], start=1):
        average = average_of(torch.tensor(average), torch.tensor(current), count).item()
    by_hand = np.array([weights[0]])
    for n in range(2, 51):
        by_hand = by_hand * (n - 1) / (n + 8) + weights[n - 1] * 9 / (n + 8)
    assert average == pytest.approx(by_hand[0])
    constant = average_of(torch.tensor(3.0), torch.tensor(3.0), 7)
    assert constant.item() == 3.0


def test_validation_and_the_kept_network_have_the_averages(tmp_path: Path) -> None:
    source = write_series(tmp_path / "s.csv")
    run = conveyor.fit(
        "forecast", source, out=tmp_path / "run", say=lambda line: None, refit=False, **SETTINGS
    )
    stored = torch.load(
        tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True, map_location="cpu"
    )
    for name, weight in run.model.state_dict().items():
        torch.testing.assert_close(weight, stored["state_dict"][f"model.{name}"], rtol=0, atol=0)
        assert not torch.equal(weight, stored["current_model_state"][f"model.{name}"])


def test_minutes_are_those_of_all_fits_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first fit that took all the time is not followed by another."""
    said: list[str] = []
    source = write_series(tmp_path / "s.csv")
    fitted = Progress.seconds
    monkeypatch.setattr(Progress, "seconds", lambda self: fitted(self) + 61)
    run = conveyor.fit(
        "forecast", source, out=tmp_path / "run", say=said.append, minutes=1, **SETTINGS
    )
    assert "time is over: the network is not fitted again on more rows" in said
    assert not any(line.startswith("fitting again") for line in said)
    assert run.frame.bands is not None
    assert "scoring the 32 rows" in " ".join(_evaluated(run, source))


def _evaluated(run: conveyor.Run, source: Path) -> list[str]:
    said: list[str] = []
    run.evaluate(source, say=said.append)
    return said


def test_a_stop_in_a_second_fit_keeps_the_network_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    source = write_series(tmp_path / "s.csv")
    monkeypatch.setattr("conveyor.training.refitting.refit", lambda *given, **more: "interrupted")
    run = conveyor.fit("forecast", source, out=tmp_path / "run", say=said.append, **SETTINGS)
    assert "interrupted: the network before is kept" in said
    assert "scoring the 32 rows" in " ".join(_evaluated(run, source))
    # A trial of a comparison is not scored as if it were whole.
    task, draw = _task(source), Draw(hidden=3, learning_rate=0.01, seed=0)
    with pytest.raises(KeyboardInterrupt):
        run_trial(task, program_of("lstm"), draw, tmp_path, said.append)
