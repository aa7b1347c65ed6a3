"""Studies that compare cells: what is tried, by whom, and what happens after a stop."""

import hashlib
import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from conveyor.cells import find
from conveyor.comparing import storage as trial_storage
from conveyor.comparing import study as study_module
from conveyor.comparing.storage import TrialKey, TrialStorage
from conveyor.comparing.study import Space, Study
from conveyor.comparing.trial import DIVERGED, LATE, Draw, Outcome
from conveyor.compiler.program import Program
from conveyor.compiler.show import program_of
from conveyor.errors import RunError, SettingError
from conveyor.tasks.music.music_settings import MusicSettings
from conveyor.tasks.results import Metric
from conveyor.tasks.settings import Training
from conveyor.tasks.task import Say, Task

SPACE = Space((4, 64), (1e-4, 1e-1))
CELLS = {name: program_of(find(name)) for name in ("lstm", "gru")}


class Counted(Task[Any]):
    """A task that nobody trains: losses follow from the draw, and trials are written down.
    ``act`` says why one has no score."""

    name, loss = "music", "points"
    metric = Metric("points", "points")
    data_hash = hashlib.sha256(b"some data")

    def __init__(self, act: Callable[[str, Draw], str | None] = lambda cell, draw: None) -> None:
        self.settings = MusicSettings()
        self.act = act
        self.tried: list[tuple[str, Draw]] = []

    @classmethod
    def prepare(cls, source: Any, settings: Any, say: Say) -> "Counted":
        """Return nothing that is read."""
        return cls()

    def network(self, program: Program, sizes: Any) -> Any:
        """Build none."""
        raise AssertionError

    def build_network(self, program: Program, draw: Draw) -> None:
        """Build no network."""

    about = results = score = baselines = network  # type: ignore[assignment]

    def run_trial(self, program: Program, draw: Draw, folder: Path, say: Say) -> Outcome:
        """Return an outcome that follows from the draw."""
        self.tried.append((program.name, draw))
        lost = self.act(program.name, draw)
        if lost:
            return Outcome(lost=lost)
        loss = draw.learning_rate + len(program.name)
        return Outcome(loss, loss + 1, draw.hidden, 3, 0.5)


@pytest.fixture(autouse=True)
def _nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "run_trial", Counted.run_trial)
    monkeypatch.setattr(
        study_module, "build_network", lambda task, *drawn: task.build_network(*drawn)
    )


def make(folder: Path, problem: Counted | None = None, **other: Any) -> Study:
    options: dict[str, Any] = {"cells": CELLS, "space": SPACE, "seed": 0, **other}
    return Study(f"sqlite:///{folder / 'study.db'}", "some", problem or Counted(), **options)


def claim(study: Study, cell: str, number: int) -> int | None:
    """Claim a trial and leave it, as a machine does that is cut off."""
    draw = study.space.draw(study.seed, number)
    drawn = {"hidden": draw.hidden, "learning_rate": draw.learning_rate}
    return study._storage.claim(TrialKey(cell, number), drawn, study.space.distributions())


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


def test_a_rate_that_adam_cannot_take_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match=r"learning_rate is 1e\+300; expected above 0, 1e\+30"):
        Space((1, 2), (0.1, 1e300))


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
    assert {draw for _, draw in problem.tried} == {SPACE.draw(0, n) for n in range(3)}


def test_the_same_again_tries_nothing_and_more_adds_to_it(tmp_path: Path) -> None:
    make(tmp_path).run(2, silent)
    again = Counted()
    study = make(tmp_path, again)
    study.run(2, silent)
    assert again.tried == []
    study.run(3, silent)
    assert {cell for cell, _ in again.tried} == {"lstm", "gru"}
    assert len(again.tried) == 2
    more = Counted()
    other = make(tmp_path, more, cells={**CELLS, "rnn": program_of(find("rnn"))})
    other.run(3, silent)
    assert [cell for cell, _ in more.tried] == ["rnn"] * 3
    assert len(other.trials()) == 9
    assert len(make(tmp_path).trials()) == 6  # those of its own cells


@pytest.mark.parametrize(("clip", "same"), [(1.0, True), (9.0, False)])
def test_a_study_of_before_knows_its_settings_by_their_old_names(
    tmp_path: Path, clip: float, same: bool
) -> None:
    stored = TrialStorage(f"sqlite:///{tmp_path / 'study.db'}", "some")
    stored.set_attribute("training.clip_norm", clip)
    if same:
        assert make(tmp_path).run(1, silent) == 0
    else:
        with pytest.raises(SettingError, match=r"training\.clip: 9\.0 there, 1\.0 now"):
            make(tmp_path)


@pytest.mark.parametrize("reason", [DIVERGED, LATE])
def test_what_gave_no_score_is_kept_as_such_and_not_tried_again(
    tmp_path: Path, reason: str
) -> None:
    said: list[str] = []
    study = make(tmp_path, Counted(lambda cell, draw: reason if cell == "gru" else None))
    study.run(2, said.append)
    assert [each.lost for each in study.trials() if each.cell == "gru"] == [reason] * 2
    assert [each.lost for each in study.trials() if each.cell == "lstm"] == [""] * 2
    assert sum(line.endswith(f": {reason}") for line in said) == 2
    again = Counted()
    make(tmp_path, again).run(2, silent)
    assert again.tried == []


@pytest.mark.parametrize(
    ("metric", "loss", "says"),
    [
        (Metric("points", "points"), "points", "validation 3.047, test points 4.047"),
        (Metric("points", "points", "points"), "points", "validation 3.047, test 4.047 points"),
        (Metric("mae", "MAE"), "pinball loss", "validation 3.047 pinball loss, test MAE 4.047"),
        (
            Metric("right", "right answers", digits=".0f", percent=True, better="more"),
            "nats",
            "validation 3.047 nats, test 405 % right answers",
        ),
    ],
)
def test_a_trial_is_said_as_the_metric_writes_it(
    tmp_path: Path, metric: Metric, loss: str, says: str
) -> None:
    said: list[str] = []
    task = Counted()
    task.metric, task.loss = metric, loss
    space = Space((5, 5), (0.0468, 0.0468))
    make(tmp_path, task, space=space, cells={"gru": CELLS["gru"]}).run(1, said.append)
    assert said == [f"draw 1: gru, 5 units, learning rate 0.0468: {says}"]


def test_fewer_draws_than_were_begun_are_all_that_is_tried(tmp_path: Path) -> None:
    def stop(cell: str, draw: Draw) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, Counted(stop)).run(50, silent)
    again = Counted()
    study = make(tmp_path, again)
    assert study.run(1, silent) == 0
    assert len(again.tried) == len(study.trials()) == 2


def test_what_others_are_at_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine compares other cells in the same study, and was cut off."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    theirs = make(tmp_path, cells={"rnn": program_of(find("rnn"))})
    assert claim(theirs, "rnn", 0) is not None
    ours = Counted()
    assert make(tmp_path, ours).run(1, silent) == 0
    assert {cell for cell, _ in ours.tried} == {"gru", "lstm"}
    assert theirs.run(1, silent) == 1


def test_of_two_that_begin_at_once_the_first_goes_on(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path)
    first = claim(one, "lstm", 0)
    assert first is not None
    assert claim(other, "lstm", 0) is None
    assert list(one._storage.running()) == [("lstm", 0)]
    one._storage.release(first)
    assert claim(other, "lstm", 0) is not None


def test_what_was_interrupted_is_tried_again(tmp_path: Path) -> None:
    problem = Counted()

    def act(cell: str, draw: Draw) -> None:
        if len(problem.tried) == 2:
            raise KeyboardInterrupt

    problem.act = act
    study = make(tmp_path, problem)
    with pytest.raises(KeyboardInterrupt):
        study.run(2, silent)
    assert len(study.trials()) == 1
    again = Counted()
    study = make(tmp_path, again)
    study.run(2, silent)
    assert len(again.tried) == 3
    assert len(study.trials()) == 4


def test_two_machines_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    second = Counted()
    said: list[str] = []

    def act(cell: str, draw: Draw) -> None:
        if len(first.tried) == 1:  # while the first is at its first trial
            assert make(tmp_path, second).run(3, said.append) == 1

    first = Counted(act)
    study = make(tmp_path, first)
    assert study.run(3, silent) == 0
    assert len(first.tried) == 1
    assert len(second.tried) == 5
    assert len(study.trials()) == 6
    assert not set(first.tried) & set(second.tried)
    assert any("1 trial runs elsewhere" in line for line in said)


@pytest.mark.parametrize("heartbeat", [True, False])
def test_what_a_dead_machine_was_at_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heartbeat: bool
) -> None:
    """Whether or not it was cut off before its first heartbeat. Who waits only sees heartbeats grow
    older: the database's clock counts whole seconds."""

    def grow_older(seconds: float) -> None:
        aged = "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, ?)"
        with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
            database.execute(aged, (f"-{seconds} seconds",))

    monkeypatch.setattr(trial_storage, "HEARTBEAT_INTERVAL", 1)
    monkeypatch.setattr(trial_storage, "GRACE_PERIOD", 1)
    monkeypatch.setattr(time, "sleep", grow_older)
    study = make(tmp_path)
    if not heartbeat:
        monkeypatch.setattr(study._storage._storage, "record_heartbeat", lambda trial_id: None)
    assert claim(study, "lstm", 0) is not None
    again = Counted()
    other = make(tmp_path, again)
    assert other.run(1, silent) == 0
    assert sorted(cell for cell, _ in again.tried) == ["gru", "lstm"]


def test_a_running_trial_sends_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_storage, "HEARTBEAT_INTERVAL", 0.01)
    heartbeats: list[int] = []

    def act(cell: str, draw: Draw) -> None:
        until = time.monotonic() + 60
        before = len(heartbeats)
        while len(heartbeats) < before + 3:
            assert time.monotonic() < until
            time.sleep(0.01)

    study = make(tmp_path, Counted(act), cells={"lstm": CELLS["lstm"]})
    monkeypatch.setattr(study._storage._storage, "record_heartbeat", heartbeats.append)
    study.run(2, silent)
    assert len(set(heartbeats)) == 2


def test_a_machine_that_slept_goes_on(tmp_path: Path) -> None:
    """Another has taken it for dead, and its trial for cut off."""
    problem, said = Counted(), list[str]()
    study = make(tmp_path, problem)

    def act(cell: str, draw: Draw) -> None:
        if len(problem.tried) == 1:
            (running,) = study._storage.running().values()
            study._storage.release(running._trial_id)

    problem.act = act
    assert study.run(1, said.append) == 0
    assert len(problem.tried) == 3
    assert len(study.trials()) == 2
    assert any("going on" in line for line in said)


def test_a_study_begun_anew_by_another_is_left_alone(tmp_path: Path) -> None:
    """SQLite gives the numbers of what was deleted to what is new."""

    def act(cell: str, draw: Draw) -> None:
        if len(problem.tried) == 1:
            other = make(tmp_path, seed=5, overwrite=True)
            assert claim(other, "gru", 9) is not None

    problem = Counted(act)
    with pytest.raises(RunError, match="begun anew by another process, with something else"):
        make(tmp_path, problem).run(1, silent)
    assert len(problem.tried) == 1
    assert make(tmp_path, seed=5).trials() == []


def test_the_same_study_begun_anew_by_another_is_gone_on_with(tmp_path: Path) -> None:
    def act(cell: str, draw: Draw) -> None:
        if len(problem.tried) == 1:
            other = make(tmp_path, overwrite=True)
            assert claim(other, "gru", 9) is not None

    problem, said = Counted(act), list[str]()
    study = make(tmp_path, problem)
    assert study.run(1, said.append) == 0
    assert [(each.cell, each.number) for each in study.trials()] == [("gru", 0), ("lstm", 0)]
    assert len(problem.tried) == 3
    assert any("going on" in line for line in said)


def test_a_deleted_study_is_a_sentence(tmp_path: Path) -> None:
    study = make(tmp_path)
    storage = study._storage._storage
    storage.delete_study(storage.get_study_id_from_name("some"))
    with pytest.raises(RunError, match="was deleted by another process"):
        study.run(1, silent)


def test_what_has_just_ended_is_not_begun_again(tmp_path: Path) -> None:
    study = make(tmp_path)
    study.run(1, silent)
    assert claim(study, "lstm", 0) is None
    assert len(study.trials()) == 2


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("CREATE", None, Exception("table studies already exists")),
        ProgrammingError("CREATE", None, Exception("relation exists")),
    ],
)
def test_tables_that_another_makes_at_this_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    create, calls = trial_storage._create, list[str]()

    def made(storage: str, name: str, overwrite: bool) -> Any:
        calls.append(name)
        if len(calls) <= 2:
            raise error
        return create(storage, name, overwrite)

    monkeypatch.setattr(trial_storage, "POLL_INTERVAL", 0)
    monkeypatch.setattr(trial_storage, "_create", made)
    make(tmp_path)
    assert len(calls) == 3


def test_what_was_begun_is_gone_on_with_as_it_was(tmp_path: Path) -> None:
    make(tmp_path).run(1, silent)
    changed = Counted()
    changed.settings = MusicSettings(training=Training(epochs=7))
    with pytest.raises(SettingError, match=r"training\.epochs: 100 there, 7 now"):
        make(tmp_path, changed)
    other = Counted()
    other.data_hash = hashlib.sha256(b"other data")
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
    assert len(again.tried) == len(study.trials()) == 2

    class Unusable(Counted):
        def build_network(self, program: Program, draw: Draw) -> None:
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
