"""A study: every cell is tried with the same random draws, and each trial is stored.

A stopped study can be continued, and several machines can share one in a database: each takes the
next draw and cell that has neither finished nor runs elsewhere.
"""

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from conveyor.comparing import storage as trial_storage
from conveyor.comparing.storage import TrialKey, TrialStorage
from conveyor.comparing.trial import Draw, Outcome, build_network, run_trial
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps
from conveyor.data.records import to_record
from conveyor.errors import RunError, SettingError, counted, named
from conveyor.networks.network import LOSS
from conveyor.pages.words import decimal_text
from conveyor.tasks.settings import NetworkSettings, Training, settings_of
from conveyor.tasks.task import Say, Task

# No width that is found for a number of parameters is greater: 10^9 parameters of an Elman network.
MOST_UNITS = 1 << 15

# Under these names a study stores the digests of its data and of its cells' equations.
DATA, EQUATIONS = "data", "equations of"


@dataclass(frozen=True)
class Space:
    """The ranges that hyperparameters are drawn from, log-uniformly, both ends included.

    Args:
        hidden: least and most units.
        learning_rate: least and greatest rate.
        parameters: how many parameters the network of every cell has at most, instead of a width
            that is drawn: the width is the greatest that has no more. None: the width is drawn.

    Raises:
        SettingError: a range is not from a positive number to one that is no less, or
            ``parameters`` is below 1.
    """

    hidden: tuple[int, int]
    learning_rate: tuple[float, float]
    parameters: int | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in (("hidden", self.hidden), ("learning rate", self.learning_rate)):
            if not 0 < least <= most < math.inf:
                raise SettingError(f"{name} is {least:g}:{most:g}; expected least:most, above 0.")
        if self.parameters is not None and self.parameters < 1:
            raise SettingError(
                f"{named('parameters')} is {self.parameters}; expected a whole number from 1."
            )
        # The settings check the upper ends.
        Training(learning_rate=self.learning_rate[1])
        NetworkSettings(hidden=self.hidden[1])

    def draw(self, seed: int, number: int) -> Draw:
        """Return the draw of that number, the same for all cells.

        Args:
            seed: of the study.
            number: from 0.
        """
        source = np.random.default_rng([seed, number])

        def between(least: float, most: float) -> float:
            return min(max(math.exp(source.uniform(math.log(least), math.log(most))), least), most)

        hidden = round(between(*self.hidden))
        rate = between(*self.learning_rate)
        return Draw(hidden, rate, int(source.integers(2**31)))

    def described(self) -> dict[str, Any]:
        """Return what is set, by name."""
        if self.parameters is None:
            return {"hidden": self.hidden, "learning_rate": self.learning_rate}
        # Under the name of the width too, so that one way is not taken for the other.
        return {
            "hidden": "by parameters",
            "learning_rate": self.learning_rate,
            "parameters": self.parameters,
        }

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the ranges as Optuna stores them."""
        widths = self.hidden if self.parameters is None else (1, MOST_UNITS)
        return {
            "hidden": IntDistribution(*widths, log=True),
            "learning_rate": FloatDistribution(*self.learning_rate, log=True),
        }


@dataclass(frozen=True, kw_only=True)
class Trial(Outcome):
    """A finished trial: which cell with which draw, and how it went."""

    cell: str
    number: int
    hidden: int
    learning_rate: float


class Study:
    """The trials of some cells on a task.

    Args:
        storage: a database as SQLAlchemy names it: ``sqlite:///study.db``,
            ``postgresql://user:password@host/name``, ``mysql+pymysql://...``.
        name: of the study in the database.
        task: with its data made ready.
        cells: programs by name.
        space: what is drawn.
        seed: of the draws.
        overwrite: delete the trials that are stored under this name.

    Raises:
        SettingError: ``storage`` is no database, the task cannot use a cell, or a study of that
            name was begun with other data, settings or cells of these names.
        RunError: the database cannot be used.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        task: Task[Any],
        *,
        cells: Mapping[str, Program],
        space: Space,
        seed: int,
        overwrite: bool = False,
    ) -> None:
        self.task, self.cells, self.space, self.seed = task, dict(cells), space, seed
        self._widths: dict[str, int] = {}
        # A cell that the task cannot use raises here: before any trial runs or is deleted.
        for program in self.cells.values():
            build_network(task, program, Draw(space.hidden[0], space.learning_rate[0], 0))
        self._storage = TrialStorage(storage, name, overwrite=overwrite)
        with self._storage.reachable():
            self._check_same()

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What must be the same when the study is continued, as a database returns it."""
        identity = {DATA: self.task.digest, **self.described()}
        for name, program in self.cells.items():
            identity[f"{EQUATIONS} {name}"] = _digest(program)
        as_stored: dict[str, Any] = json.loads(json.dumps(identity))
        return as_stored

    def _stored_identity(self) -> dict[str, Any]:
        """Return what the stored study was begun with, under the names that settings have now."""
        stored = dict(self._storage.attributes())
        for setting in settings_of(type(self.task.settings)):
            former = ".".join(setting.former or ())
            if former in stored:
                stored.setdefault(f"{setting.part}.{setting.name}", stored[former])
        return stored

    def _differences(self) -> list[str]:
        """Return in words how the stored study differs from this one."""
        stored = self._stored_identity()
        return [
            f"other {key} than now"
            if key == DATA or key.startswith(f"{EQUATIONS} ")
            else f"{key}: {stored[key]} there, {value} now"
            for key, value in self._identity.items()
            if key in stored and stored[key] != value
        ]

    def _check_same(self) -> None:
        """Raise if the stored study differs from this one; store what it does not have yet."""
        differences = self._differences()
        if differences:
            raise SettingError(
                f"the {self._storage.description} was begun with something else: "
                f"{'; '.join(differences)}. Give the same, or another {named('out')} or "
                f"{named('study')}, or begin anew: {named('overwrite', True)}."
            )
        stored = self._storage.attributes()
        for key, value in self._identity.items():
            if key not in stored:
                self._storage.set_attribute(key, value)

    def _check_still_same(self) -> None:
        """Raise if another process has begun a different study under this name meanwhile."""
        if self._differences():
            raise RunError(
                f"the {self._storage.description} was begun anew by another process, with "
                f"something else ({named('overwrite', True)}). Give this one another "
                f"{named('out')} or {named('study')}."
            )

    def described(self) -> dict[str, Any]:
        """Return what all trials have in common, and the ranges of what is drawn."""
        settings = {"task": self.task.name, "seed": self.seed, **self.space.described()}
        drawn = ("network.cell", "network.hidden", "training.learning_rate", "training.seed")
        for part, values in asdict(self.task.settings).items():
            for name, value in values.items():
                if f"{part}.{name}" not in drawn:
                    settings[f"{part}.{name}"] = value
        return settings

    def trials(self, cells: Container[str] | None = None) -> list[Trial]:
        """Return the finished trials of this study's cells, by draw and then by cell.

        Args:
            cells: names of others, whose trials are returned instead.

        Raises:
            RunError: the database cannot be used, or a stored trial cannot be read.
        """
        with self._storage.reachable():
            finished = self._storage.finished()
        where = f"the {self._storage.description}, a trial"
        try:
            trials = [
                _trial(key, stored, where)
                for key, stored in finished.items()
                if key.cell in (self.cells if cells is None else cells)
            ]
        except SettingError as error:
            raise RunError(f"{error} Restore the database, or begin anew with another.") from error
        return sorted(trials, key=lambda trial: (trial.number, trial.cell))

    def add(self, cells: Mapping[str, Program]) -> None:
        """Add cells to those of the study.

        Args:
            cells: programs by name.

        Raises:
            SettingError: the task cannot use a cell, or the study holds another of this name.
            RunError: the database cannot be used.
        """
        new = {name: program for name, program in cells.items() if name not in self.cells}
        for program in new.values():
            build_network(self.task, program, Draw(self.space.hidden[0], 1.0, 0))
        if new:
            self.cells |= new
            vars(self).pop("_identity", None)
            with self._storage.reachable():
                self._check_same()

    def draw(self, cell: str, number: int) -> Draw:
        """Return the draw of that number for a cell: the same for all, but for the width where the
        number of parameters is given.

        Raises:
            SettingError: the smallest network of the cell has more parameters.
        """
        draw = self.space.draw(self.seed, number)
        if self.space.parameters is None:
            return draw
        if cell not in self._widths:
            self._widths[cell] = width_of(self.task, self.cells[cell], self.space.parameters)
        return replace(draw, hidden=self._widths[cell])

    def run(self, count: int, say: Say, cells: Iterable[str] | None = None) -> int:
        """Try every cell with the first ``count`` draws, except for trials that are stored.

        Args:
            count: of draws.
            say: receives a line after each trial.
            cells: only these; all if it is None.

        Returns:
            How many of these trials still run in other processes.

        Raises:
            RunError: the database cannot be used, or another process has begun the study anew. What
                has finished is stored.
        """
        names = self.cells if cells is None else list(cells)
        keys = [TrialKey(cell, number) for number in range(count) for cell in names]
        # In this time a trial without any heartbeat gets one, and becomes stale.
        longest_wait = 2 * trial_storage.GRACE_PERIOD + trial_storage.HEARTBEAT_INTERVAL
        waited = 0
        with self._storage.reachable(" What was tried is kept: give the same command again."):
            while True:
                self._check_still_same()
                running, finished = self._storage.running(), self._storage.finished()
                unfinished = [key for key in keys if key not in finished]
                unclaimed = next((key for key in unfinished if key not in running), None)
                if unclaimed is not None:
                    self._try(unclaimed, say)
                    waited = 0
                elif unfinished and waited < longest_wait:
                    if not waited:
                        trials = counted(len(unfinished), "trial runs", "trials run")
                        say(f"{trials} elsewhere, or were cut off: waiting")
                    elif waited == trial_storage.GRACE_PERIOD:
                        # A trial that had sent a heartbeat and was cut off is free by now.
                        self._storage.watch_running()
                    time.sleep(trial_storage.POLL_INTERVAL)
                    waited += trial_storage.POLL_INTERVAL
                else:
                    return len(unfinished)

    def _try(self, key: TrialKey, say: Say) -> None:
        """Run one trial and store how it went, unless another process claims it first."""
        draw = self.draw(key.cell, key.number)
        drawn = {"hidden": draw.hidden, "learning_rate": draw.learning_rate}
        trial_id = self._storage.claim(key, drawn, self.space.distributions())
        if trial_id is None:
            return
        begun = time.monotonic()
        try:
            with self._storage.heartbeat(trial_id), tempfile.TemporaryDirectory() as folder:
                outcome = run_trial(self.task, self.cells[key.cell], draw, Path(folder), say)
        except BaseException:
            self._storage.release(trial_id)
            raise
        self._check_still_same()
        if outcome.lost:
            stored = {"seconds": time.monotonic() - begun, "lost": outcome.lost}
            was_ours = self._storage.finish(key, trial_id, stored)
        else:
            was_ours = self._storage.finish(key, trial_id, asdict(outcome), outcome.validation)
        if not was_ours:
            say("another process has finished this trial: going on")
            return
        units, rate = counted(draw.hidden, "unit"), f"{draw.learning_rate:.3g}"
        say(
            f"draw {key.number + 1}: {key.cell}, {units}, learning rate {rate}: "
            f"{self._in_words(outcome)}"
        )

    def _in_words(self, outcome: Outcome) -> str:
        """Return a trial's validation loss and score, or why it has none."""
        if outcome.lost:
            return outcome.lost
        task = self.task
        if outcome.decided_by != LOSS:
            loss = f"{outcome.decided_by} {100 * (1 - outcome.validation):.1f} %"
        elif task.loss == task.metric.name:
            loss = task.metric.text(outcome.validation)
        else:
            loss = f"{decimal_text(outcome.validation)} {task.loss}"
        return f"validation {loss}, test {task.metric.said(outcome.test).en}"


def width_of(task: Task[Any], program: Program, parameters: int) -> int:
    """Return the greatest width whose network has at most so many parameters.

    Args:
        task: what the network is for.
        program: of the cell.
        parameters: 1 or more.

    Raises:
        SettingError: a network of one unit has more, or the task cannot use the cell.
    """

    def count_of(hidden: int) -> int:
        return build_network(task, program, Draw(hidden, 1.0, 0)).parameter_count

    least, most = 1, 2
    if count_of(least) > parameters:
        raise SettingError(
            f"{named('parameters', parameters)}: a network of one unit has {count_of(least):,} "
            "already. Give more."
        )
    while most < MOST_UNITS and count_of(most) <= parameters:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        if count_of(middle) <= parameters:
            least = middle
        else:
            most = middle
    return least


def _digest(program: Program) -> str:
    return hashlib.sha256(dumps(program).encode()).hexdigest()[:16]


def _trial(key: TrialKey, stored: FrozenTrial, where: str) -> Trial:
    """Return a stored trial as a record; ``where`` names it in errors."""
    names = {field.name for field in fields(Outcome)} & stored.user_attrs.keys()
    outcome = {name: stored.user_attrs[name] for name in names}
    return to_record(Trial, {**outcome, **stored.params, **key._asdict()}, where)
