"""Studies that compare cells: what is tried, by whom, and what happens after a stop."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from torch import nn

from conveyor.cells import find
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import DivergedError, RunError, SettingError
from conveyor.training import study as study_file
from conveyor.training.fit import Fitted
from conveyor.training.problems import Attempt, Draw, Problem
from conveyor.training.settings import MusicSettings, Training
from conveyor.training.study import Space, Study

SPACE = Space((4, 64), (1e-4, 1e-1))
CELLS = {name: program_of(find(name)) for name in ("lstm", "gru")}


class Counted(Problem):
    """Nothing is trained: losses follow from the draw, and attempts are written down."""

    task, score, loss, digest = "music", "points", "points", "some data"

    def __init__(self, act: Callable[[str, Draw], None] = lambda cell, draw: None) -> None:
        self.settings = MusicSettings()
        self.act = act
        self.attempts: list[tuple[str, Draw]] = []

    def baselines(self) -> Mapping[str, float]:
        return {}

    def model(self, program: Program, draw: Draw) -> Any:
        return nn.Identity()

    def _fit(self, model: Any, training: Training, folder: Path) -> Fitted:
        raise AssertionError

    def _test(self, model: Any) -> float:
        raise AssertionError

    def attempt(self, program: Program, draw: Draw, folder: Path) -> Attempt:
        self.attempts.append((program.name, draw))
        self.act(program.name, draw)
        loss = draw.learning_rate + len(program.name)
        return Attempt(loss, loss + 1, draw.hidden, 3, 0.5)


def make(folder: Path, problem: Problem | None = None, **other: Any) -> Study:
    options: dict[str, Any] = {"cells": CELLS, "space": SPACE, "seed": 0, **other}
    return Study(f"sqlite:///{folder / 'study.db'}", "some", problem or Counted(), **options)


def silent(line: str) -> None:
    """Say nothing."""


def test_draws_are_equal_for_all_cells_and_differ_from_each_other() -> None:
    draws = [SPACE.draw(0, number) for number in range(400)]
    assert draws == [SPACE.draw(0, number) for number in range(400)]
    assert len(set(draws)) == 400
    assert SPACE.draw(1, 0) != draws[0]
    assert all(4 <= each.hidden <= 64 and 1e-4 <= each.learning_rate <= 1e-1 for each in draws)
    # Log-uniform: half of the draws are below the geometric mean.
    below = sum(each.learning_rate < math.sqrt(1e-5) for each in draws)
    assert abs(below - 200) < 40  # four standard deviations
    assert Space((7, 7), (0.1, 0.1)).draw(0, 0) == replace(Space((7, 7), (0.1, 0.1)).draw(0, 0))


@pytest.mark.parametrize("hidden", [(0, 3), (5, 4)])
def test_a_range_must_be_one(hidden: tuple[int, int]) -> None:
    with pytest.raises(SettingError, match="expected least:most"):
        Space(hidden, (0.1, 0.2))


def test_every_cell_is_tried_with_every_draw_once(tmp_path: Path) -> None:
    problem = Counted()
    study = make(tmp_path, problem)
    assert study.run(3, silent) == 0
    tried = study.trials()
    assert [(each.cell, each.number) for each in tried] == [
        (cell, number) for number in range(3) for cell in ("gru", "lstm")
    ]
    for each in tried:
        draw = SPACE.draw(0, each.number)
        assert each.hidden == draw.hidden
        assert each.learning_rate == pytest.approx(draw.learning_rate)
        assert each.validation == pytest.approx(draw.learning_rate + len(each.cell))
        assert each.test == pytest.approx(each.validation + 1)
        assert (each.parameters, each.best_epoch, each.seconds) == (draw.hidden, 3, 0.5)
    assert {draw for _, draw in problem.attempts} == {SPACE.draw(0, n) for n in range(3)}


def test_the_same_again_tries_nothing_and_more_adds_to_it(tmp_path: Path) -> None:
    make(tmp_path).run(2, silent)
    again = Counted()
    study = make(tmp_path, again)
    study.run(2, silent)
    assert again.attempts == []
    study.run(3, silent)
    assert {cell for cell, _ in again.attempts} == {"lstm", "gru"}
    assert len(again.attempts) == 2
    more = Counted()
    other = make(tmp_path, more, cells={**CELLS, "rnn": program_of(find("rnn"))})
    other.run(3, silent)
    assert [cell for cell, _ in more.attempts] == ["rnn"] * 3
    assert len(other.trials()) == 9
    assert len(make(tmp_path).trials()) == 6  # those of its own cells


def test_what_diverged_is_kept_as_such_and_not_tried_again(tmp_path: Path) -> None:
    def act(cell: str, draw: Draw) -> None:
        if cell == "gru":
            raise DivergedError("training diverged.")

    study = make(tmp_path, Counted(act))
    study.run(2, silent)
    assert [each.diverged for each in study.trials() if each.cell == "gru"] == [True, True]
    assert [each.diverged for each in study.trials() if each.cell == "lstm"] == [False, False]
    again = Counted()
    make(tmp_path, again).run(2, silent)
    assert again.attempts == []


def test_what_was_interrupted_is_tried_again(tmp_path: Path) -> None:
    problem = Counted()

    def act(cell: str, draw: Draw) -> None:
        if len(problem.attempts) == 2:
            raise KeyboardInterrupt

    problem.act = act
    study = make(tmp_path, problem)
    with pytest.raises(KeyboardInterrupt):
        study.run(2, silent)
    assert len(study.trials()) == 1
    again = Counted()
    study = make(tmp_path, again)
    study.run(2, silent)
    assert len(again.attempts) == 3
    assert len(study.trials()) == 4


def test_two_machines_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    second = Counted()
    said: list[str] = []

    def act(cell: str, draw: Draw) -> None:
        if len(first.attempts) == 1:  # while the first is at its first trial
            assert make(tmp_path, second).run(3, said.append) == 1

    first = Counted(act)
    study = make(tmp_path, first)
    assert study.run(3, silent) == 0
    assert len(first.attempts) == 1
    assert len(second.attempts) == 5
    assert len(study.trials()) == 6
    assert not set(first.attempts) & set(second.attempts)
    assert any("at work elsewhere" in line for line in said)


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")  # asking is how a death is staged
def test_what_a_dead_machine_was_at_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_file, "SIGN_OF_LIFE", 1)
    monkeypatch.setattr(study_file, "DEAD", 1)
    study = make(tmp_path)
    study._wait_for([("lstm", 0)])
    cut_off = study._study.ask()
    study._study._storage.record_heartbeat(cut_off._trial_id)  # type: ignore[attr-defined]
    again = Counted()
    other = make(tmp_path, again)
    assert other.run(1, silent) == 0
    assert sorted(cell for cell, _ in again.attempts) == ["gru", "lstm"]


def test_a_machine_that_slept_goes_on(tmp_path: Path) -> None:
    """Another has taken it for dead, and its trial for cut off."""
    problem, said = Counted(), list[str]()
    study = make(tmp_path, problem)

    def act(cell: str, draw: Draw) -> None:
        if len(problem.attempts) == 1:
            (at_work,) = study._study.get_trials(states=(TrialState.RUNNING,))
            study._study._storage.set_trial_state_values(at_work._trial_id, TrialState.FAIL)

    problem.act = act
    assert study.run(1, said.append) == 0
    assert len(problem.attempts) == 3
    assert len(study.trials()) == 2
    assert any("going on" in line for line in said)


def test_what_was_begun_is_gone_on_with_as_it_was(tmp_path: Path) -> None:
    make(tmp_path).run(1, silent)
    changed = Counted()
    changed.settings = MusicSettings(training=Training(epochs=7))
    with pytest.raises(SettingError, match=r"training\.epochs: 100 there, 7 now"):
        make(tmp_path, changed)
    other = Counted()
    other.digest = "other data"
    with pytest.raises(SettingError, match="other data than now"):
        make(tmp_path, other)
    with pytest.raises(SettingError, match=r"hidden: \[4, 64\] there"):
        make(tmp_path, space=Space((4, 65), (1e-4, 1e-1)))
    with pytest.raises(SettingError, match="other equations of gru than now"):
        make(tmp_path, cells={"gru": program_of(find("mgu"))})
    with pytest.raises(SettingError, match="seed: 0 there, 1 now"):
        make(tmp_path, seed=1)


def test_overwrite_begins_anew(tmp_path: Path) -> None:
    make(tmp_path).run(1, silent)
    again = Counted()
    study = make(tmp_path, again, seed=1, overwrite=True)
    study.run(1, silent)
    assert len(again.attempts) == len(study.trials()) == 2

    class Unusable(Counted):
        def model(self, program: Program, draw: Draw) -> Any:
            raise SettingError("this cell cannot be used here.")

    with pytest.raises(SettingError, match="cannot be used here"):
        make(tmp_path, Unusable(), seed=1, overwrite=True)
    assert len(make(tmp_path, seed=1).trials()) == 2  # nothing was forgotten


@pytest.mark.parametrize(
    ("storage", "error", "says"),
    [
        ("nonsense", SettingError, "expected a database"),
        ("foo://somewhere", SettingError, "no such kind of database"),
        ("sqlite:////nowhere/at/all.db", RunError, "unable to open"),
    ],
)
def test_storages_that_are_none(storage: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Study(storage, "some", Counted(), cells=CELLS, space=SPACE, seed=0)


def test_a_password_is_not_shown() -> None:
    storage = "nosuch://me:secret@host/name"
    with pytest.raises(SettingError) as caught:
        Study(storage, "some", Counted(), cells=CELLS, space=SPACE, seed=0)
    assert "secret" not in str(caught.value)
