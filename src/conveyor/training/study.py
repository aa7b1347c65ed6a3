"""Comparing cells: the same random draws tried with each, kept in an Optuna study.

A study can be gone on with, and several machines can work on one in a database: what is to be tried
is put into the study as Optuna's waiting trials, and whoever is free takes the next.
"""

import hashlib
import json
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError

from conveyor.compiler.program import Program, dumps
from conveyor.errors import DivergedError, RunError, SettingError
from conveyor.training.problems import Draw, Problem

# A working machine gives a sign of life so often; one that gave none for so long is thought dead,
# and what it was at is tried again. In seconds.
SIGN_OF_LIFE, DEAD = 10, 30

# What is raised where a database cannot be read or written.
LOST = (SQLAlchemyError, optuna.exceptions.StorageInternalError)

# What a study knows its data and its cells by, besides their settings.
DATA, EQUATIONS = "data", "equations of"

# How to get what SQLAlchemy speaks to a database with.
DRIVERS = {
    "psycopg": "pip install 'psycopg[binary]'.",
    "psycopg2": "pip install psycopg2-binary.",
    "pymysql": "pip install pymysql.",
    "mysqldb": "pip install pymysql, and write mysql+pymysql://...",
}


def in_file(path: Path) -> str:
    """The storage that a file is, as SQLAlchemy names it."""
    return URL.create("sqlite", database=str(path)).render_as_string()


@dataclass(frozen=True)
class Space:
    """What is drawn, log-uniformly, from the least to the most, both included."""

    hidden: tuple[int, int]
    learning_rate: tuple[float, float]

    def __post_init__(self) -> None:
        for name, (least, most) in (("hidden", self.hidden), ("learning rate", self.learning_rate)):
            if not 0 < least <= most < math.inf:
                raise SettingError(f"{name} is {least:g}:{most:g}; expected least:most, above 0.")

    def draw(self, seed: int, number: int) -> Draw:
        """The same draw for the same seed and number, whatever the cell: cells are compared on
        equal draws."""
        chance = np.random.default_rng([seed, number])

        def between(least: float, most: float) -> float:
            return min(max(math.exp(chance.uniform(math.log(least), math.log(most))), least), most)

        hidden = round(between(*self.hidden))
        rate = between(*self.learning_rate)
        return Draw(hidden, rate, int(chance.integers(2**31)))


@dataclass(frozen=True)
class Tried:
    """One trial that has ended: which cell with which draw, and how it went; a diverged one has no
    losses."""

    cell: str
    number: int
    hidden: int
    learning_rate: float
    validation: float = math.inf
    test: float = math.inf
    parameters: int = 0
    best_epoch: int = 0
    seconds: float = 0.0

    @property
    def diverged(self) -> bool:
        """Whether the loss became infinite."""
        return not math.isfinite(self.validation)


class Study:
    """The trials of some cells on a problem.

    Args:
        storage: a database as SQLAlchemy names it: ``sqlite:///study.db``,
            ``postgresql://user:password@host/name``, ``mysql+pymysql://...``.
        name: of the study in it.
        cells: programs by name.
        space: what is drawn.
        seed: of the draws.
        overwrite: forget what was tried under this name.

    Raises:
        SettingError: ``storage`` is none, or a study of that name was begun with other data,
            settings or cells of these names.
        RunError: the database cannot be used.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        problem: Problem,
        *,
        cells: Mapping[str, Program],
        space: Space,
        seed: int,
        overwrite: bool = False,
    ) -> None:
        self.problem, self.cells, self.space, self.seed = problem, dict(cells), space, seed
        self._where = f"study {name!r} in {_without_password(storage)}"
        # Before hours of work, and before anything is forgotten.
        for program in self.cells.values():
            problem.model(program, Draw(space.hidden[0], space.learning_rate[0], 0))
        self._study = _open(storage, name, overwrite)
        try:
            self._check_same()
        except LOST as error:
            raise RunError(f"the {self._where} cannot be used: {_first_line(error)}") from error

    def _check_same(self) -> None:
        """What was begun must be gone on with as it was."""
        problem = self.problem
        mine: dict[str, Any] = {DATA: problem.digest, **self.described()}
        mine |= {f"{EQUATIONS} {name}": _digest(program) for name, program in self.cells.items()}
        mine = json.loads(json.dumps(mine))
        known = self._study.user_attrs
        others = [
            f"other {key} than now"
            if key == DATA or key.startswith(f"{EQUATIONS} ")
            else f"{key}: {known[key]} there, {value} now"
            for key, value in mine.items()
            if key in known and known[key] != value
        ]
        if others:
            raise SettingError(
                f"the {self._where} was begun with something else: {'; '.join(others)}. Give the "
                "same, or another --out or --study, or begin anew: --overwrite."
            )
        for key, value in mine.items():
            if key not in known:
                self._study.set_user_attr(key, value)

    def described(self) -> dict[str, Any]:
        """What all trials have in common, and what is drawn."""
        found = {"task": self.problem.task, "seed": self.seed, **asdict(self.space)}
        drawn = ("network.cell", "network.hidden", "training.learning_rate", "training.seed")
        for part, values in asdict(self.problem.settings).items():
            named = {f"{part}.{name}": value for name, value in values.items()}
            found |= {name: value for name, value in named.items() if name not in drawn}
        return found

    def trials(self) -> list[Tried]:
        """All trials of our cells that have ended, a draw of a cell once, by number."""
        found: dict[tuple[str, int], Tried] = {}
        for trial in self._study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)):
            place = _place(trial)
            if place is not None and place[0] in self.cells:
                found.setdefault(place, _tried(place, trial))
        return sorted(found.values(), key=lambda each: (each.number, each.cell))

    def run(self, count: int, say: Callable[[str], None]) -> int:
        """Try ``count`` draws with each cell, less what was tried before.

        Returns:
            How many trials others are still at.

        Raises:
            RunError: the database was lost. What was tried is kept.
        """
        wanted = [(cell, number) for number in range(count) for cell in self.cells]
        waited = False
        try:
            while True:
                left, busy = self._wait_for(wanted)
                if left:
                    self._try_next(say)
                    waited = False
                elif busy and not waited:
                    say(f"{busy} trials are at work elsewhere, or were cut off: looking again")
                    time.sleep(DEAD + SIGN_OF_LIFE)
                    waited = True
                else:
                    return busy
        except LOST as error:
            raise RunError(
                f"the {self._where} cannot be used any more: {_first_line(error)} What was tried "
                "is kept: give the same command again."
            ) from error

    def _try_next(self, say: Callable[[str], None]) -> None:
        """Take the next waiting trial."""
        try:
            with _quiet():
                self._study.optimize(lambda trial: self._attempt(trial, say), 1)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError) as error:
            # This machine slept so long that another took it for dead; or two took the same trial
            # at the same moment, which SQLite lets happen. It has ended there.
            if isinstance(error, ValueError) and "Cannot tell" not in str(error):
                raise
            say("another process has ended this trial: going on")
        except AssertionError as error:  # what Optuna makes of a lost database
            raise optuna.exceptions.StorageInternalError("the database was lost") from error

    def _wait_for(self, wanted: Iterable[tuple[str, int]]) -> tuple[int, int]:
        """Put what nobody has tried into the study, and count what waits and what others are at."""
        with _quiet():
            optuna.storages.fail_stale_trials(self._study)
        states: dict[tuple[str, int], set[TrialState]] = {}
        for trial in self._study.get_trials(deepcopy=False):
            place = _place(trial)
            if place is not None and trial.state != TrialState.FAIL:
                states.setdefault(place, set()).add(trial.state)
        waiting = busy = 0
        for cell, number in wanted:
            now = states.get((cell, number), set())
            if not now:
                draw = self.space.draw(self.seed, number)
                self._study.enqueue_trial(
                    {"hidden": draw.hidden, "learning_rate": draw.learning_rate},
                    user_attrs={"cell": cell, "number": number},
                )
            ended = now & {TrialState.COMPLETE, TrialState.PRUNED}
            waiting += not ended and TrialState.RUNNING not in now
            busy += not ended and TrialState.RUNNING in now
        return waiting, busy

    def _attempt(self, trial: optuna.Trial, say: Callable[[str], None]) -> float:
        """Optuna's objective: the validation loss of one trial."""
        place = trial.user_attrs.get("cell"), trial.user_attrs.get("number")
        if place[0] not in self.cells:  # another machine took the last that waited, or other cells
            return math.nan
        cell, number = str(place[0]), int(str(place[1]))
        draw = self.space.draw(self.seed, number)
        # Optuna's records hold what was drawn; the draws themselves are ours.
        trial.suggest_int("hidden", *self.space.hidden, log=True)
        trial.suggest_float("learning_rate", *self.space.learning_rate, log=True)
        what = f"{cell}, {draw.hidden} units, learning rate {draw.learning_rate:.3g}"
        counted = f"draw {number + 1}"
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = self.problem.attempt(self.cells[cell], draw, Path(folder))
            except DivergedError as error:
                trial.set_user_attr("seconds", time.monotonic() - begun)
                say(f"{counted}: {what}: diverged")
                raise optuna.TrialPruned from error
        for key, value in asdict(found).items():
            trial.set_user_attr(key, value)
        loss, score = self.problem.loss, self.problem.score
        validation = f"validation {found.validation:.4f}" + f" {loss}" * (loss != score)
        say(f"{counted}: {what}: {validation}, test {found.test:.4f} {score}")
        return found.validation


def _open(storage: str, name: str, overwrite: bool) -> optuna.Study:
    try:
        url = make_url(storage)
    except ArgumentError as error:
        raise SettingError(
            f"--storage {storage}: expected a database, as sqlite:///study.db or "
            "postgresql://user:password@host/name."
        ) from error
    try:
        with _quiet():
            try:
                return _create(storage, name, overwrite)
            except (IntegrityError, ProgrammingError):
                # Another machine makes the same tables at this moment.
                time.sleep(SIGN_OF_LIFE)
                return _create(storage, name, overwrite)
    except ImportError as error:
        driver = url.get_driver_name()
        raise SettingError(
            f"{_without_password(storage)}: Python cannot speak to such a database: {driver} is "
            f"missing. {DRIVERS.get(driver, f'Install {driver}.')}"
        ) from error
    except ArgumentError as error:
        raise SettingError(
            f"{_without_password(storage)}: no such kind of database is known. Use sqlite, "
            "postgresql or mysql."
        ) from error
    except LOST as error:
        raise RunError(
            f"{_without_password(storage)} cannot be used: {_first_line(error)}"
        ) from error


def _create(storage: str, name: str, overwrite: bool) -> optuna.Study:
    made = optuna.storages.RDBStorage(storage, heartbeat_interval=SIGN_OF_LIFE, grace_period=DEAD)
    if overwrite and name in optuna.get_all_study_names(made):
        optuna.delete_study(study_name=name, storage=made)
    return optuna.create_study(study_name=name, storage=made, load_if_exists=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's advice is for those who write studies: heartbeats count as experimental there."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def _without_password(storage: str) -> str:
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".") + "."


def _digest(program: Program) -> str:
    return hashlib.sha256(dumps(program).encode()).hexdigest()[:16]


def _place(trial: FrozenTrial) -> tuple[str, int] | None:
    """Which cell, and which draw."""
    cell, number = trial.user_attrs.get("cell"), trial.user_attrs.get("number")
    return (cell, number) if isinstance(cell, str) and isinstance(number, int) else None


def _tried(place: tuple[str, int], trial: FrozenTrial) -> Tried:
    known = trial.user_attrs
    drawn = trial.params["hidden"], trial.params["learning_rate"]
    if trial.state == TrialState.PRUNED:
        return Tried(*place, *drawn, seconds=known.get("seconds", 0.0))
    kept = ("validation", "test", "parameters", "best_epoch", "seconds")
    return Tried(*place, *drawn, **{key: known[key] for key in kept})
