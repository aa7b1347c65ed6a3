"""Search for cells: change known ones at random, and keep what learns tasks well.

Jozefowicz, Zaremba & Sutskever 2015, section 3. A mutant is first compared with all that were drawn
before (``canonical_cell``), then it takes the memory test (``screen``), then it is tried on one
task after the other with the same random settings as every other cell, and given up where it stays
more than a tenth behind the GRU. What is left is the list from which parents are drawn.
"""

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from conveyor.cells.cell_registry import find
from conveyor.comparing.storage import GRACE_PERIOD, HEARTBEAT_INTERVAL, POLL_INTERVAL
from conveyor.comparing.study import Space, Study, Trial, width_of
from conveyor.comparing.trial import Outcome, run_trial
from conveyor.compiler.program import Program
from conveyor.compiler.trace import trace
from conveyor.errors import RunError, SettingError, counted, named
from conveyor.networks.network import LOSS
from conveyor.searching.canonical_cell import NotACell, canonical_key, cell_digest
from conveyor.searching.cell_graph import CellGraph, graph_of
from conveyor.searching.cell_source import cell_source, program_from_source
from conveyor.searching.mutation import mutated
from conveyor.searching.screen import PASSED, ScreenSettings, screened
from conveyor.searching.search_database import FreshFit, Mutant, SearchDatabase
from conveyor.tasks.task import Say, Task

# The cell that others are measured by, as in the paper.
REFERENCE = "gru"

# The list of parents is no longer; a cell that stays further behind the reference on a task is not
# tried on the next. Both as in the paper, section 3.1.
LISTED, BEHIND = 100, 0.9

# After a mutant has joined the list, a random cell of it is given more draws as often: the paper
# does either at each turn.
MORE_DRAWS = 1 / 3

# A greater difference than any between two fits; the exponential of it is a number.
_MOST_NATS = 100.0

# What is counted besides mutants: all that were drawn, those that are known, and those that are no
# graph, because a value would be computed from itself or nothing could be changed.
DRAWN, KNOWN, NO_GRAPH = "drawn", "known already", "no cell comes out"

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
        fitness: the least, over tasks, of how many times as good its best trial is as the
            reference's, see ``ratio``: above 1 it is ahead everywhere. 0 where it was given up
            before the last task.
        ratios: by task.
    """

    cell: str
    fitness: float
    ratios: Mapping[str, float]


def ratio(ours: Trial, theirs: Trial, *, nats: bool) -> float:
    """Return how many times as good one trial is as another on the validation set.

    Where a score decides, it is our score by theirs. Where the loss is in nats, it is how many
    times as probable (or dense) the right answer is to us, on the geometric mean: the exponential
    of the difference. Otherwise it is their loss by ours.

    Args:
        ours: a trial.
        theirs: one that has a score.
        nats: whether the loss is in nats.
    """
    if ours.lost:
        return 0.0
    if theirs.decided_by != LOSS:
        best = 1 - theirs.validation
        return (1 - ours.validation) / best if best else math.inf
    if nats:
        return math.exp(min(theirs.validation - ours.validation, _MOST_NATS))
    return theirs.validation / ours.validation if ours.validation else math.inf


def in_nats(task: Task[Any]) -> bool:
    """Return whether a task's loss is a logarithm of probabilities or densities."""
    return "nats" in task.loss.split()


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
        # What cannot be searched raises here: before anything is stored or deleted.
        if space.parameters is not None:
            for prepared in tasks.values():
                for program in self.begun_with.values():
                    width_of(prepared, program, space.parameters)
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
        self.database = SearchDatabase(storage, name, overwrite=overwrite)
        self.database.begin(self.described())

    def described(self) -> dict[str, Any]:
        """Return what must be the same when the search is continued."""
        digests = {cell: digest for digest, cell in self._digests.items()}
        return {
            **{f"data of {task}": study.task.digest for task, study in self.studies.items()},
            **{f"equations of {cell}": digests.get(cell, "") for cell in self.begun_with},
            "tasks": ", ".join(self.studies),
            "seed": self.settings.seed,
            **{f"memory test: {name}": v for name, v in asdict(self.settings.test).items()},
            **self.space.described(),
        }

    def run(self, say: Say) -> None:
        """Look for cells, and fit the best with fresh seeds.

        Args:
            say: receives a line after each step.

        Raises:
            RunError: the database cannot be used. What was found is stored.
        """
        for task, study in self.studies.items():
            study.run(self.settings.draws, say)
            best = self.best(task, REFERENCE)
            if best is None or best.lost:
                why = "it was not tried" if best is None else best.lost
                raise RunError(
                    f"no draw of {REFERENCE} has a score on {task} ({why}), so that nothing can be "
                    f"measured by it. Give more {named('draws')}, smaller rates "
                    f"({named('learning_rate')}) or more {named('minutes')}."
                )
        self._go_on(say)
        self._until_done(lambda: self._turn(say), "memory test", say)
        self._until_done(lambda: self._fit_finalists(say), "fit with a fresh seed", say)

    def _until_done(self, work: Callable[[], int], noun: str, say: Say) -> None:
        """Work until nothing is left, and wait for what others are at, as long as one that was cut
        off takes to become free.

        Args:
            work: does something, and returns how many pieces of work are left that others are at;
                -1 after it has done something itself.
            noun: what a piece of work is called.
            say: receives that it waits, and what others still do at the end.
        """
        waited = 0
        while left := work():
            if left < 0:
                waited = 0
                continue
            if waited > GRACE_PERIOD + HEARTBEAT_INTERVAL:
                still = counted(left, f"{noun} still runs", f"{noun}s still run")
                say(f"{still} elsewhere: the same command shows more later")
                return
            if not waited:
                say(f"{counted(left, noun)} of other processes, or cut off: waiting")
            time.sleep(POLL_INTERVAL)
            waited += POLL_INTERVAL

    # Mutants.

    def _turn(self, say: Say) -> int:
        """Try a mutant that waits, or draw one, and return -1; or how many wait for others."""
        untried = self.database.untried() if self._may_screen() else []
        for name in untried:
            with self.database.claimed(name) as ours:
                if ours:
                    self._screen(self._mutant(name))
            if ours:
                self._after_test(self._mutant(name), say)
                return -1
        counts = self.database.counts()
        drawn = counts.get(DRAWN, 0)
        if len(self._mutants) >= self.settings.mutants:
            self._read_mutants_again()
        if len(self._mutants) >= self.settings.mutants:
            return len(untried)
        # Of machines that draw at once, one draws what the other knows and goes on.
        self._draw(Random(f"{self.settings.seed}/{drawn}"), say)
        return -1

    @cached_property
    def _mutants(self) -> dict[str, Mutant]:
        """The mutants that are known here, by name."""
        return {mutant.name: mutant for mutant in self.database.mutants()}

    def _mutant(self, name: str) -> Mutant:
        if name not in self._mutants:
            self._read_mutants_again()
        return self._mutants[name]

    def _read_mutants_again(self) -> None:
        """Forget the mutants that are known here: they are read when they are asked for."""
        vars(self).pop("_mutants", None)

    def _may_screen(self) -> bool:
        limit = self.settings.screen
        return limit is None or self.database.tried() < limit

    def _draw(self, random: Random, say: Say) -> None:
        """Change a cell of the list, and store the mutant if it is new."""
        parent = random.choice([*self.begun_with, *self._parents])
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

    def _screen(self, mutant: Mutant) -> None:
        """Give a mutant the memory test."""
        # The digest is the seed: the same mutant gets the same test on every machine.
        seed = int(mutant.name[1:], 16) % 2**31
        result = screened(mutant.program, self.settings.test, seed)
        self.database.store(mutant.name, result)
        self._mutants[mutant.name] = replace(mutant, screened=result)

    def _after_test(self, mutant: Mutant, say: Say) -> None:
        """Try what passed the memory test on the tasks."""
        self._look_again()
        result = mutant.screened
        if result is None or not result.passed:
            return
        say(
            f"{mutant.name}, from {mutant.parent}: remembers {100 * result.accuracy:.0f} % of the "
            f"letters after {counted(result.steps, 'step')}"
        )
        if self._may_go_on(mutant.name) and self._try_on_tasks(mutant, say):
            random = Random(f"{self.settings.seed}/{mutant.name}")
            if random.random() < MORE_DRAWS:
                self._more_draws(random.choice([*self.begun_with, *self._parents]), say)

    @cached_property
    def _passed(self) -> list[str]:
        """The mutants that passed the memory test, in the order in which they were drawn."""
        return self.database.passed(PASSED)

    def _look_again(self) -> None:
        """See what other machines have found meanwhile."""
        vars(self).pop("_passed", None)
        self._known_trials.clear()
        vars(self).pop("_parents", None)

    @cached_property
    def _parents(self) -> list[str]:
        """The names of the list: thousands of mutants may be drawn while it stays the same."""
        return [standing.cell for standing in self.listed()]

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
        vars(self).pop("_parents", None)

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
        if ours is None or theirs is None or theirs.lost:
            return 0.0
        return ratio(ours, theirs, nats=in_nats(self.studies[task].task))

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

    def _fit_finalists(self, say: Say) -> int:
        """Fit a finalist with a fresh seed, at the width and the rate that did best, and return -1;
        or how many fits wait for others."""
        done = self.database.fits()
        waiting = [fit for fit in self._fresh_fits() if fit not in done]
        for fit in waiting:
            with self.database.claimed_fit(fit) as ours:
                if ours:
                    self._fit_fresh(fit, say)
            if ours:
                return -1
        return len(waiting)

    def _fresh_fits(self) -> list[FreshFit]:
        """Return the fits with fresh seeds that the finalists have, done or not."""
        fits = []
        for cell in self.finalists():
            for task in self.studies:
                best = self.best(task, cell)
                if best is not None and not best.lost:
                    numbers = range(self.settings.fresh)
                    fits += [FreshFit(task, cell, best.number, number) for number in numbers]
        return fits

    def _fit_fresh(self, fit: FreshFit, say: Say) -> None:
        study = self.studies[fit.task]
        # No draw has this seed: those are below 2^31.
        draw = replace(study.draw(fit.cell, fit.draw), seed=2**31 + fit.number)
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_trial(study.task, self.program(fit.cell), draw, Path(folder), say)
        self.database.store_fit(fit, asdict(outcome))
        said = outcome.lost or f"test {study.task.metric.said(outcome.test).en}"
        say(f"{fit.task}: {fit.cell} with fresh seed {fit.number + 1}: {said}")

    def fresh_fits(self) -> dict[tuple[str, str], list[Outcome]]:
        """Return how the finalists' fits with fresh seeds went, by task and cell."""
        done = self.database.fits()
        fits: dict[tuple[str, str], list[Outcome]] = {}
        for fit in self._fresh_fits():
            if fit in done:
                fits.setdefault((fit.task, fit.cell), []).append(Outcome(**done[fit]))
        return fits

    def counts(self) -> dict[str, int]:
        """Return how many cells were drawn, how many of them were given up and why, how many took
        the memory test, passed it, and are in the list."""
        tests = self.database.tests()
        return {
            **self.database.counts(),
            "new": len(self.database.untried()) + len(tests),
            "took the memory test": len(tests),
            "passed it": sum(test.passed for test in tests),
            "in the list": len(self.listed()),
        }

    def screening_seconds(self) -> float:
        """Return how long all memory tests took together."""
        return sum(test.seconds for test in self.database.tests())

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
