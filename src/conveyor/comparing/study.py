"""Comparing cells: the same random draws tried with each, kept in a ledger.

A study can be gone on with, and several machines can work on one in a database: each takes the next
draw and cell that nobody has tried or is at.
"""

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from conveyor.comparing import ledger
from conveyor.comparing.ledger import Ledger, Place
from conveyor.comparing.trial import Attempt, Draw, try_draw, untrained
from conveyor.compiler.program import Program, dumps
from conveyor.data.records import to_record
from conveyor.errors import RunError, SettingError, counted, named
from conveyor.tasks.settings import NetworkSettings, Training, settings_of
from conveyor.tasks.task import Task

# What a study knows its data and its cells by, besides their settings.
DATA, EQUATIONS = "data", "equations of"


@dataclass(frozen=True)
class Space:
    """What is drawn, log-uniformly, from the least to the most, both included."""

    hidden: tuple[int, int]
    learning_rate: tuple[float, float]

    def __post_init__(self) -> None:
        for name, (least, most) in (("hidden", self.hidden), ("learning rate", self.learning_rate)):
            if not 0 < least <= most < math.inf:
                raise SettingError(f"{name} is {least:g}:{most:g}; expected least:most, above 0.")
        Training(learning_rate=self.learning_rate[1])  # they know the largest that can be
        NetworkSettings(hidden=self.hidden[1])

    def draw(self, seed: int, number: int) -> Draw:
        """The same draw for the same seed and number, whatever the cell: cells are compared on
        equal draws."""
        chance = np.random.default_rng([seed, number])

        def between(least: float, most: float) -> float:
            return min(max(math.exp(chance.uniform(math.log(least), math.log(most))), least), most)

        hidden = round(between(*self.hidden))
        rate = between(*self.learning_rate)
        return Draw(hidden, rate, int(chance.integers(2**31)))

    def distributions(self) -> dict[str, BaseDistribution]:
        """The same as Optuna's records hold it."""
        return {
            "hidden": IntDistribution(*self.hidden, log=True),
            "learning_rate": FloatDistribution(*self.learning_rate, log=True),
        }


@dataclass(frozen=True, kw_only=True)
class Tried(Attempt):
    """One trial that has ended: which cell with which draw, and how it went."""

    cell: str
    number: int
    hidden: int
    learning_rate: float


class Study:
    """The trials of some cells on a task.

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
        task: Task[Any],
        *,
        cells: Mapping[str, Program],
        space: Space,
        seed: int,
        overwrite: bool = False,
    ) -> None:
        self.task, self.cells, self.space, self.seed = task, dict(cells), space, seed
        # Before hours of work, and before anything is forgotten.
        for program in self.cells.values():
            untrained(task, program, Draw(space.hidden[0], space.learning_rate[0], 0))
        self._ledger = Ledger(storage, name, overwrite=overwrite)
        with self._ledger.reachable():
            self._check_same()

    @cached_property
    def _known_by(self) -> dict[str, Any]:
        """What the study is known by, as a database holds it."""
        mine: dict[str, Any] = {DATA: self.task.digest, **self.described()}
        mine |= {f"{EQUATIONS} {name}": _digest(program) for name, program in self.cells.items()}
        found: dict[str, Any] = json.loads(json.dumps(mine))
        return found

    def _notes(self) -> dict[str, Any]:
        """Return what the study in the database was begun with, by the names that settings have
        now."""
        known = dict(self._ledger.notes())
        for setting in settings_of(type(self.task.settings)):
            old = ".".join(setting.former or ())
            if old in known:
                known.setdefault(f"{setting.part}.{setting.name}", known[old])
        return known

    def _differences(self) -> list[str]:
        """What the study in the database was begun with that is not as it is here."""
        known = self._notes()
        return [
            f"other {key} than now"
            if key == DATA or key.startswith(f"{EQUATIONS} ")
            else f"{key}: {known[key]} there, {value} now"
            for key, value in self._known_by.items()
            if key in known and known[key] != value
        ]

    def _check_same(self) -> None:
        """What was begun must be gone on with as it was."""
        others = self._differences()
        if others:
            raise SettingError(
                f"the {self._ledger.where} was begun with something else: {'; '.join(others)}. "
                f"Give the same, or another {named('out')} or {named('study')}, or begin anew: "
                f"{named('overwrite', True)}."
            )
        known = self._ledger.notes()
        for key, value in self._known_by.items():
            if key not in known:
                self._ledger.note(key, value)

    def _check_still_same(self) -> None:
        """Another process may have begun the study anew while this one worked."""
        if self._differences():
            raise RunError(
                f"the {self._ledger.where} was begun anew by another process, with something else "
                f"({named('overwrite', True)}). Give this one another {named('out')} or "
                f"{named('study')}."
            )

    def described(self) -> dict[str, Any]:
        """What all trials have in common, and what is drawn."""
        found = {"task": self.task.name, "seed": self.seed, **asdict(self.space)}
        drawn = ("network.cell", "network.hidden", "training.learning_rate", "training.seed")
        for part, values in asdict(self.task.settings).items():
            named = {f"{part}.{name}": value for name, value in values.items()}
            found |= {name: value for name, value in named.items() if name not in drawn}
        return found

    def trials(self) -> list[Tried]:
        """All trials of our cells that have ended, a draw of a cell once, by number.

        Raises:
            RunError: the database was lost, or holds a trial that is none.
        """
        with self._ledger.reachable():
            ended = self._ledger.ended()
        where = f"the {self._ledger.where}, a trial"
        try:
            found = [
                _tried(place, trial, where)
                for place, trial in ended.items()
                if place[0] in self.cells
            ]
        except SettingError as error:
            raise RunError(f"{error} Restore the database, or begin anew with another.") from error
        return sorted(found, key=lambda each: (each.number, each.cell))

    def run(self, count: int, say: Callable[[str], None]) -> int:
        """Try ``count`` draws with each cell, less what was tried before.

        Returns:
            How many trials others are still at.

        Raises:
            RunError: the database was lost, or another process has begun the study anew. What was
                tried is kept.
        """
        wanted = [(cell, number) for number in range(count) for cell in self.cells]
        waited = 0
        with self._ledger.reachable(" What was tried is kept: give the same command again."):
            while True:
                self._check_still_same()
                running, ended = self._ledger.running(), self._ledger.ended()
                left = [place for place in wanted if place not in ended]
                unclaimed = next((place for place in left if place not in running), None)
                if unclaimed is not None:
                    self._try(unclaimed, say)
                    waited = 0
                elif left and waited < 2 * ledger.DEAD + ledger.SIGN_OF_LIFE:
                    if not waited:
                        trials = counted(len(left), "trial is", "trials are")
                        say(f"{trials} at work elsewhere, or were cut off: waiting")
                    elif waited == ledger.DEAD:  # what had given signs is free again by now
                        self._ledger.look_after()
                    time.sleep(ledger.PAUSE)
                    waited += ledger.PAUSE
                else:
                    return len(left)

    def _try(self, place: Place, say: Callable[[str], None]) -> None:
        """Make one attempt, unless another was faster to begin it, and write down how it went."""
        draw = self.space.draw(self.seed, place[1])
        drawn = {"hidden": draw.hidden, "learning_rate": draw.learning_rate}
        known = self._ledger.begin(place, drawn, self.space.distributions())
        if known is None:
            return
        what = f"{place[0]}, {counted(draw.hidden, 'unit')}, learning rate {draw.learning_rate:.3g}"
        named_draw = f"draw {place[1] + 1}: {what}"
        begun = time.monotonic()
        try:
            with self._ledger.alive(known), tempfile.TemporaryDirectory() as folder:
                found = try_draw(self.task, self.cells[place[0]], draw, Path(folder), say)
        except BaseException:
            self._ledger.free(known)
            raise
        self._check_still_same()
        if found.lost:
            lost = {"seconds": time.monotonic() - begun, "lost": found.lost}
            ours, said = self._ledger.end(place, known, lost), found.lost
        else:
            ours = self._ledger.end(place, known, asdict(found), found.validation)
            loss, score = self.task.loss, self.task.metric.name
            validation = f"validation {found.validation:.4f}" + f" {loss}" * (loss != score)
            said = f"{validation}, test {found.test:.4f} {score}"
        say(f"{named_draw}: {said}" if ours else "another process has ended this trial: going on")


def _digest(program: Program) -> str:
    return hashlib.sha256(dumps(program).encode()).hexdigest()[:16]


def _tried(place: Place, trial: FrozenTrial, where: str) -> Tried:
    known, (cell, number) = trial.user_attrs, place
    went = {each.name: known[each.name] for each in fields(Attempt) if each.name in known}
    return to_record(Tried, {**went, **trial.params, "cell": cell, "number": number}, where)
