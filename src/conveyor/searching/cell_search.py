"""Search for cells: change known ones at random, and keep what learns tasks well.

Jozefowicz, Zaremba & Sutskever 2015, section 3. A mutant is first compared with all that were drawn
before (``canonical_cell``), then it takes the memory test (``screen``), then it is tried on one
task after the other with the same random settings as every other cell, and given up where it stays
more than a tenth behind the GRU. What is left is the list from which parents are drawn.
"""

import math
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from conveyor.cells.cell_registry import find
from conveyor.comparing.study import Space, Study, Trial
from conveyor.comparing.trial import Outcome, run_trial
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError, counted, named
from conveyor.networks.network import LOSS
from conveyor.searching.canonical_cell import NotACell, canonical_key, cell_digest
from conveyor.searching.cell_graph import CellGraph, graph_of
from conveyor.searching.cell_source import cell_source, program_from_source
from conveyor.searching.mutation import mutated
from conveyor.searching.screen import PASSED, ScreenSettings, screened
from conveyor.searching.search_database import Mutant, SearchDatabase
from conveyor.tasks.task import Say, Task

# The cell that others are measured by, as in the paper.
REFERENCE = "gru"

# The list of parents is no longer; a cell that stays further behind the reference on a task is not
# tried on the next. Both as in the paper, section 3.1.
LISTED, BEHIND = 100, 0.9

# After a mutant has joined the list, a random cell of it is given more draws as often: the paper
# does either at each turn.
MORE_DRAWS = 1 / 3

# What is counted besides mutants: all that were drawn, those that are known, and those that are no
# graph, because a value would be computed from itself or nothing could be changed.
DRAWN, KNOWN, NO_GRAPH = "drawn", "known already", "no cell comes out"

# A memory test that was claimed longer ago than so many of its time limits is free again.
_STALE = 10
# A fit that was claimed longer ago, in seconds, is free again.
_STALE_FIT = 6 * 3600

SOURCE = "found by conveyor search from {parent}: {changes}"


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How long a search looks, and where.

    Args:
        mutants: how many new cells are drawn.
        screen: how many of them take the memory test, the first ones; all if it is None.
        survivors: how many of those that pass it are tried on the tasks, the first ones; all if it
            is None.
        draws: of width and learning rate that each cell is tried with on each task.
        finalists: how many of the best are fitted with fresh seeds, besides those that the search
            began with.
        fresh: with how many seeds.
        seed: of all draws.
        test: what the memory test may cost.
    """

    mutants: int = 300
    screen: int | None = None
    survivors: int | None = None
    draws: int = 6
    finalists: int = 5
    fresh: int = 5
    seed: int = 0
    test: ScreenSettings = field(default_factory=ScreenSettings)

    def __post_init__(self) -> None:
        for name, least in (("mutants", 0), ("draws", 1), ("finalists", 0), ("fresh", 1)):
            if getattr(self, name) < least:
                value = getattr(self, name)
                raise SettingError(f"{named(name)} is {value}; expected {least} or more.")
        for name in ("screen", "survivors"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise SettingError(f"{named(name)} is {value}; expected 0 or more.")


@dataclass(frozen=True)
class Standing:
    """How well a cell does.

    Args:
        cell: its name.
        fitness: the least, over tasks, of its best score by the reference's: above 1 it is ahead
            everywhere. 0 where it was given up before the last task.
        ratios: by task.
    """

    cell: str
    fitness: float
    ratios: Mapping[str, float]


def ratio(ours: Trial, theirs: Trial) -> float:
    """Return how many times as good one trial is as another on the validation part: their loss by
    ours; where a score decides, our score by theirs.

    Raises:
        SettingError: a loss is not above 0, so that no ratio says which is better.
    """
    if ours.lost or theirs.lost:
        return 0.0 if ours.lost else math.inf
    if theirs.decided_by != LOSS:
        best = 1 - theirs.validation
        return (1 - ours.validation) / best if best else math.inf
    if min(ours.validation, theirs.validation) <= 0:
        raise SettingError(
            "the loss of this task may be 0 or less, as that of densities: the search compares "
            "losses by their ratio. Take another task."
        )
    return theirs.validation / ours.validation


class CellSearch:
    """A search over cells, which may go on where it stopped, on several machines at once.

    Args:
        storage: a database, see ``conveyor.comparing.study.Study``.
        name: of the search in it.
        tasks: with their data made ready, by name, in the order in which cells are tried on them.
        cells: the programs to begin with, by name; the reference is added.
        space: what is drawn of width and learning rate.
        settings: how long it looks.
        overwrite: delete what is stored under this name.

    Raises:
        SettingError: a cell cannot be changed, a task cannot use one, or a search of that name was
            begun with something else.
        RunError: the database cannot be used.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        tasks: Mapping[str, Task[Any]],
        *,
        cells: Mapping[str, Program],
        space: Space,
        settings: SearchSettings,
        overwrite: bool = False,
    ) -> None:
        self.begun_with = {REFERENCE: trace(find(REFERENCE)), **cells}
        self._graphs = {cell: graph_of(program) for cell, program in self.begun_with.items()}
        self._digests = {
            cell_digest(key): cell
            for cell, graph in self._graphs.items()
            if isinstance(key := canonical_key(graph), str)
        }
        self.settings, self.space = settings, space
        self.studies = {
            task: Study(
                storage,
                f"{name}: {task}",
                prepared,
                cells=self.begun_with,
                space=space,
                seed=settings.seed,
                overwrite=overwrite,
            )
            for task, prepared in tasks.items()
        }
        for study in self.studies.values():
            for cell in self.begun_with:
                study.draw(cell, 0)  # raises where there are too few parameters for one unit
        self.database = SearchDatabase(storage, name, overwrite=overwrite)
        self.database.begin(self.described())

    def described(self) -> dict[str, Any]:
        """Return what must be the same when the search is continued."""
        return {
            "tasks": {task: study.task.digest for task, study in self.studies.items()},
            "cells": sorted(self._digests),
            "seed": self.settings.seed,
            "test": list(asdict(self.settings.test).items()),
            **self.space.described(),
        }

    def run(self, say: Say) -> None:
        """Look for cells, and fit the best with fresh seeds.

        Args:
            say: receives a line after each step.

        Raises:
            RunError: the database cannot be used. What was found is stored.
        """
        for study in self.studies.values():
            study.run(self.settings.draws, say)
        self._go_on(say)
        while self._turn(say):
            pass
        self._fit_finalists(say)

    # Mutants.

    def _turn(self, say: Say) -> bool:
        """Try a mutant that waits, or draw one; return whether there was anything to do."""
        if self._may_screen():
            for name in self.database.untried():
                if self.database.claim(name, _STALE * self.settings.test.seconds):
                    self._try(self._mutant(name), say)
                    return True
        counts = self.database.counts()
        drawn = counts.get(DRAWN, 0)
        if len(self._mutants) >= self.settings.mutants:
            self._mutants = {mutant.name: mutant for mutant in self.database.mutants()}
        if len(self._mutants) >= self.settings.mutants:
            return False
        # Of machines that draw at once, one draws what the other knows and goes on.
        self._draw(Random(f"{self.settings.seed}/{drawn}"), say)
        return True

    @cached_property
    def _mutants(self) -> dict[str, Mutant]:
        """The mutants that are known here, by name."""
        return {mutant.name: mutant for mutant in self.database.mutants()}

    def _mutant(self, name: str) -> Mutant:
        if name not in self._mutants:
            self._mutants = {mutant.name: mutant for mutant in self.database.mutants()}
        return self._mutants[name]

    def _may_screen(self) -> bool:
        limit = self.settings.screen
        return limit is None or self.database.tried() < limit

    def _draw(self, random: Random, say: Say) -> None:
        """Change a cell of the list, and store the mutant if it is new."""
        parents = [*self.begun_with, *(standing.cell for standing in self.listed())]
        parent = random.choice(parents)
        self.database.count(DRAWN)
        changed = mutated(self._graph(parent), random)
        if changed is None:
            self.database.count(NO_GRAPH)
            return
        graph, changes = changed
        key = canonical_key(graph)
        if isinstance(key, NotACell):
            self.database.count(key.reason)
            return
        digest = cell_digest(key)
        name = f"m{digest}"
        if digest in self._digests or name in self._mutants:
            self.database.count(KNOWN)
            return
        doc = f"A mutant of {parent}: {', '.join(changes)}."
        written_by = SOURCE.format(parent=parent, changes=", ".join(changes))
        program = program_from_source(cell_source(graph, name, doc, written_by), name)
        mutant = Mutant(name, parent, changes, program, None)
        if not self.database.add(name, parent, changes, program):
            self.database.count(KNOWN)
        self._mutants[name] = mutant
        number = len(self._mutants)
        if number % 500 == 0:
            say(f"{counted(number, 'cell')} drawn")

    def _graph(self, cell: str) -> CellGraph:
        if cell not in self._graphs:
            self._graphs[cell] = graph_of(self._mutant(cell).program)
        return self._graphs[cell]

    def _try(self, mutant: Mutant, say: Say) -> None:
        """Give a mutant the memory test, and what passes the tasks."""
        # The digest is the seed: the same mutant gets the same test on every machine.
        seed = int(mutant.name[1:], 16) % 2**31
        try:
            result = screened(mutant.program, self.settings.test, seed)
        except BaseException:
            self.database.release(mutant.name)
            raise
        self.database.store(mutant.name, result)
        self._mutants[mutant.name] = replace(mutant, screened=result)
        self._look_again()
        if not result.passed:
            return
        say(
            f"{mutant.name}, from {mutant.parent}: remembers {100 * result.accuracy:.0f} % of the "
            f"letters after {counted(result.steps, 'step')}"
        )
        if self._may_go_on(mutant.name) and self._try_on_tasks(mutant, say):
            random = Random(f"{self.settings.seed}/{mutant.name}")
            if random.random() < MORE_DRAWS:
                listed = (standing.cell for standing in self.listed())
                self._more_draws(random.choice([*self.begun_with, *listed]), say)

    @cached_property
    def _passed(self) -> list[str]:
        """The mutants that passed the memory test, in the order in which they were drawn."""
        return self.database.passed(PASSED)

    def _look_again(self) -> None:
        """See what other machines have found meanwhile."""
        vars(self).pop("_passed", None)
        self._known_trials.clear()

    def _go_on(self, say: Say) -> None:
        """Try on the tasks what passed the memory test before, and was not tried to the end."""
        for name in list(self._passed):
            if self._may_go_on(name):
                self._try_on_tasks(self._mutant(name), say)

    def _may_go_on(self, name: str) -> bool:
        """Return whether a cell that passed the memory test is one of those that are tried."""
        limit = self.settings.survivors
        return limit is None or self._passed.index(name) < limit

    def _try_on_tasks(self, mutant: Mutant, say: Say) -> bool:
        """Try a cell on one task after the other, as long as it is not too far behind; return
        whether it is in the list then."""
        draws = self.settings.draws
        for task, study in self.studies.items():
            study.add({mutant.name: mutant.program})
            if len(self._trials(task, mutant.name)) < draws:
                study.run(draws, say, [mutant.name])
                self._forget(task)
            if self._ratio(task, mutant.name) < BEHIND:
                return False
        return True

    def _more_draws(self, cell: str, say: Say) -> None:
        """Give a cell of the list as many draws again, on all tasks."""
        for task, study in self.studies.items():
            count = len(self._trials(task, cell)) + self.settings.draws
            study.run(count, say, [cell])
            self._forget(task)

    # How well cells do.

    @cached_property
    def _known_trials(self) -> dict[str, dict[str, list[Trial]]]:
        return {}

    def _forget(self, task: str) -> None:
        self._known_trials.pop(task, None)

    def _trials(self, task: str, cell: str) -> list[Trial]:
        """Return a cell's trials on a task."""
        if task not in self._known_trials:
            by_cell: dict[str, list[Trial]] = {}
            cells = {*self.begun_with, *self._passed}
            for trial in self.studies[task].trials(cells):
                by_cell.setdefault(trial.cell, []).append(trial)
            self._known_trials[task] = by_cell
        return self._known_trials[task].get(cell, [])

    def best(self, task: str, cell: str) -> Trial | None:
        """Return a cell's trial of the least validation loss, or of the best score; None where it
        was not tried."""
        return min(self._trials(task, cell), key=lambda trial: trial.validation, default=None)

    def _ratio(self, task: str, cell: str) -> float:
        ours, theirs = self.best(task, cell), self.best(task, REFERENCE)
        return 0.0 if ours is None or theirs is None else ratio(ours, theirs)

    def standing(self, cell: str) -> Standing:
        """Return how well a cell does."""
        ratios: dict[str, float] = {}
        for task in self.studies:
            if self.best(task, cell) is None:
                return Standing(cell, 0.0, ratios)
            ratios[task] = self._ratio(task, cell)
        return Standing(cell, min(ratios.values()), ratios)

    def listed(self) -> list[Standing]:
        """Return the mutants of the list, the best first."""
        standings = [self.standing(name) for name in self._passed]
        there = [standing for standing in standings if standing.fitness >= BEHIND]
        return sorted(there, key=lambda standing: -standing.fitness)[:LISTED]

    # The best of them.

    def finalists(self) -> list[str]:
        """Return the cells that are fitted with fresh seeds: the best mutants, and those that the
        search began with."""
        best = [standing.cell for standing in self.listed()[: self.settings.finalists]]
        return [*best, *self.begun_with]

    def program(self, cell: str) -> Program:
        """Return a cell's program."""
        return self.begun_with[cell] if cell in self.begun_with else self._mutant(cell).program

    def mutant(self, cell: str) -> Mutant | None:
        """Return how a cell was made; None of one that the search began with."""
        return None if cell in self.begun_with else self._mutant(cell)

    def _fit_finalists(self, say: Say) -> None:
        """Fit each finalist with fresh seeds, at the width and the rate that did best."""
        done = self.database.fits()
        for cell in self.finalists():
            for task, study in self.studies.items():
                for number in range(self.settings.fresh):
                    if (task, cell, number) not in done:
                        self._fit_fresh(study, task, cell, number, say)

    def _fit_fresh(self, study: Study, task: str, cell: str, number: int, say: Say) -> None:
        best = self.best(task, cell)
        if best is None or best.lost or not self.database.claim_fit(task, cell, number, _STALE_FIT):
            return
        # No draw has this seed: those are below 2^31.
        draw = replace(study.draw(cell, best.number), seed=2**31 + number)
        try:
            with tempfile.TemporaryDirectory() as folder:
                outcome = run_trial(study.task, self.program(cell), draw, Path(folder), say)
        except BaseException:
            self.database.store_fit(task, cell, number, None)
            raise
        self.database.store_fit(task, cell, number, asdict(outcome))
        said = outcome.lost or f"test {study.task.metric.said(outcome.test).en}"
        say(f"{task}: {cell} with fresh seed {number + 1}: {said}")

    def fresh_fits(self) -> dict[tuple[str, str], list[Outcome]]:
        """Return how fits with fresh seeds went, by task and cell."""
        fits: dict[tuple[str, str], list[Outcome]] = {}
        for (task, cell, _), stored in sorted(self.database.fits().items()):
            fits.setdefault((task, cell), []).append(Outcome(**stored))
        return fits

    def counts(self) -> dict[str, int]:
        """Return how many cells were drawn, how many of them were given up and why, how many took
        the memory test, passed it, and are in the list."""
        mutants = self.database.mutants()
        tried = [mutant for mutant in mutants if mutant.screened is not None]
        return {
            **self.database.counts(),
            "new": len(mutants),
            "took the memory test": len(tried),
            "passed it": sum(m.screened.passed for m in tried if m.screened is not None),
            "in the list": len(self.listed()),
        }

    def screening_seconds(self) -> float:
        """Return how long all memory tests took together."""
        times: Iterable[float] = (
            mutant.screened.seconds
            for mutant in self.database.mutants()
            if mutant.screened is not None
        )
        return sum(times)

    def family(self, cell: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return a cell and what it was made of, back to one that the search began with: names, and
        what was changed to make each."""
        line: list[tuple[str, tuple[str, ...]]] = []
        mutant = self.mutant(cell)
        while mutant is not None:
            line.append((mutant.name, mutant.changes))
            cell = mutant.parent
            mutant = self.mutant(cell)
        return [*line, (cell, ())]
