"""Who does what: how the work of a pass is cut up and shared out to threads.

Rows are shared out where there are enough of them: no thread waits for another inside a step.
Units are shared out where rows are few or the weights are more than a core's own cache holds:
then each thread reads its own part of the weights, and all wait for each other once a phase.
Sums are the same to the last bit either way (see ``panel``), so only time depends on it.
What is done place by place of a memory goes row by row: there rows are shared out, or nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conveyor.kernels.layout.values import MemoryLayout, Part, PhaseKey
from conveyor.kernels.llvm.machine import Machine
from conveyor.kernels.llvm.panel import MOST_VECTORS, best_vectors, most_rows
from conveyor.kernels.steps import Integers, Steps

# What the cost rule takes for true; orders of magnitude are enough. Multiply-adds of vectors: two
# per cycle at 3 GHz. Pointwise work: a vector of an LSTM's units, five exponentials among it, was
# measured at some 60 ns. The barrier: 0.1 to 0.6 µs. Starting a team: some µs.
VECTOR_FMAS_PER_NS = 6.0
UNIT_NS = 60.0
BARRIER_NS = 400.0
TEAM_NS = 5000.0
# The rule is not sure where it predicts one thread and several to differ by less than this. At B 1,
# H 64, T 400 it predicts that two threads are 1.25 times as fast as one; on one machine they were
# 1.54 times as fast and 0.73 times: 1.7 times slower than predicted.
NEAR = 2.0
# A call of less than four starts of a team is one thread's: to time it would take as long as could
# be gained.
TINY_NS = 4 * TEAM_NS
# Where a step takes so long, the rule is sure. A thread that a neighbour interrupts is back after
# some milliseconds, which is much for a short step and little for a long one: beside one busy
# process on two cores, two threads took 1.3 to 2 times as long as one at 0.2 to 0.6 ms a step, and
# 1.1 times at 1.2 and 5 ms (LSTM, H 256 and 512). To time a long call both ways costs most. In
# predicted time, of which these were 0.07 to 0.24, and 0.48 to 1.8 ms.
LONG_STEP_NS = 0.4e6
# From the second-level cache, and how much of it weights may fill. 1 MiB: Zen 4 and 5; Intel's
# server cores have 2.
BYTES_PER_NS = 60.0
CACHE_BYTES = 1 << 20
# Before and after the loop, so many rows for each thread are enough to share out rows.
ROWS_FOR_EACH = 64
# A stretch's values pass from one product to the next; they shall still be in the cache.
STRETCH_BYTES = 1 << 20
STRETCH_ROWS = 128


@dataclass(frozen=True)
class Panels:
    """How a phase's products are cut: vectors of units in a group, vectors in a panel, rows."""

    group: int
    panel: int
    rows: int


@dataclass(frozen=True)
class Share:
    """Who does what. ``bounds`` are the threads' first rows in the loop; no stretch has more than
    ``stretch_rows``."""

    threads: int
    by_rows: bool
    outside_by_rows: bool
    bounds: Integers
    panels: dict[PhaseKey, Panels]
    stretches: Integers
    stretch_rows: int

    @property
    def partition(self) -> str:
        """For people."""
        if self.threads == 1:
            return "one thread"
        part = "batch" if self.by_rows else "units"
        return f"{self.threads} threads, each with a part of the {part}"


def _phase_panels(machine: Machine, *, together: int, tiles: int, rows: int, parts: int) -> Panels:
    """For a phase with ``together`` joined products over ``tiles`` vectors of units."""
    few = rows <= 2
    wanted = MOST_VECTORS if few else best_vectors(machine)
    group = max(1, min(wanted // together, -(-tiles // parts)))
    vectors = group * together
    count = -(-vectors // wanted)
    panel = -(-vectors // count)
    return Panels(group, panel, most_rows(panel, machine))


def multiply_adds(layout: MemoryLayout, part: Part, widths: Mapping[str, int]) -> int:
    """Multiply-adds of a part's products for one row; as many numbers are their weights."""
    return sum(
        widths[product.result_axis]
        * product.together
        * widths[product.operand_axis]
        * product.segments
        for phase in layout.parts[part]
        for product in layout.products(phase)
    )


@dataclass(frozen=True)
class _PhaseWork:
    """A phase for one row: vectors of units, multiply-adds of vectors, and how much pointwise
    work there is, of an LSTM's at most. ``together`` products are joined, 0 if there are none."""

    key: PhaseKey
    tiles: int
    fmas: float
    pointwise: float
    together: int


@dataclass(frozen=True)
class Work:
    """What there is to share out, whatever the steps are. ``weights`` are bytes read in every
    step; ``row_bytes`` what a row of a stretch takes."""

    machine: Machine
    lanes: int
    phases: tuple[_PhaseWork, ...]
    weights: int
    row_bytes: int
    whole_rows: bool
    reverse: bool

    @staticmethod
    def of(layout: MemoryLayout, machine: Machine, widths: Mapping[str, int], size: int) -> "Work":
        """Of a pass with axes of these widths and numbers of so many bytes."""
        lanes = machine.vector_bytes // size

        def tiles(axis: str | None) -> int:
            return -(-widths[axis] // lanes) if axis else 1

        phases = []
        for key, phase in layout.phases:
            products = list(layout.products(phase))
            # A walk has its vectors at each place.
            of_phase = tiles(phase.axis) * (widths[phase.place] if phase.place else 1)
            fmas = sum(
                of_phase * product.together * widths[product.operand_axis] * product.segments
                for product in products
            )
            phases.append(
                _PhaseWork(
                    key,
                    of_phase,
                    fmas,
                    min(1.0, len(phase.operations) / 12),
                    max([product.together for product in products], default=0) if phase.axis else 0,
                )
            )
        stretched = [a for a in layout.arrays.values() if a.rows in ("stretch", "late")]
        columns = [column for array in stretched for column in array.columns]
        return Work(
            machine,
            lanes,
            tuple(phases),
            multiply_adds(layout, "loop", widths) * size,
            sum(tiles(column.axis) for column in columns) * lanes * size,
            layout.whole_rows,
            layout.reverse,
        )

    @property
    def loop(self) -> list[_PhaseWork]:
        """The phases of the loop."""
        return [phase for phase in self.phases if phase.key.part == "loop"]


def _loop_ns(work: Work, rows: float, tiles_part: float) -> float:
    """Nanoseconds of one step for so many rows and a part of the units, by a simple model."""
    total = 0.0
    for phase in work.loop:
        reads = phase.fmas * work.lanes * 4 * -(-rows // 6) / BYTES_PER_NS
        total += max(phase.fmas * rows / VECTOR_FMAS_PER_NS, reads) * tiles_part
        total += rows * phase.tiles * UNIT_NS * phase.pointwise * tiles_part
    return total


def _bounds(steps: Steps, threads: int) -> Integers:
    """First rows of the threads, so that each has as many rows of all steps together."""
    if threads == 1:
        return np.array([0, steps.batch], dtype=np.int64)
    done = np.cumsum(np.concatenate([[0], steps.lengths]))
    goals = done[-1] * np.arange(threads + 1) / threads
    bounds = np.searchsorted(done, goals, side="left")
    bounds[0], bounds[-1] = 0, steps.batch
    return np.ascontiguousarray(bounds, dtype=np.int64)


def _stretches(
    steps: Steps, rows_wanted: int, *, backwards: bool
) -> list[tuple[int, int, int, int]]:
    """The table of stretches: first step, last + 1, first row, rows, in the order of visits."""
    first, count = steps.visited(backwards=backwards)
    if steps.rows <= rows_wanted:
        return [(0, steps.steps, min(int(first[0]), int(first[-1])), steps.rows)]
    done = np.concatenate([[0], np.cumsum(count)])
    table = []
    begin = 0
    while begin < steps.steps:
        end = int(np.searchsorted(done, done[begin] + rows_wanted, side="right"))
        end = max(begin + 1, end - 1)
        # Rows of visited steps go up or down, so the first row is that of one of the ends.
        low = min(int(first[begin]), int(first[end - 1]))
        table.append((begin, end, low, int(done[end] - done[begin])))
        begin = end
    return table


class Team(NamedTuple):
    """How many threads, whether they share out rows in the loop, and the nanoseconds of a call that
    the rule predicts."""

    ns: float
    threads: int
    by_rows: bool


def teams(work: Work, steps: Steps, most_threads: int) -> list[Team]:
    """Return the teams that could do it, one thread first."""
    mean_rows = steps.rows / max(1, steps.steps)
    loop = work.loop
    tiles = min((phase.tiles for phase in loop), default=1)
    teams = [Team(_loop_ns(work, mean_rows, 1.0) * steps.steps, 1, True)]
    for threads in range(2, most_threads + 1):
        if steps.batch >= threads and (work.weights <= CACHE_BYTES or work.whole_rows):
            rows = -(-mean_rows // threads)
            time = _loop_ns(work, rows, 1.0) * steps.steps + TEAM_NS
            teams.append(Team(time, threads, True))
        if not work.whole_rows:
            own = -(-tiles // threads) / tiles
            time = _loop_ns(work, mean_rows, own) + len(loop) * BARRIER_NS
            teams.append(Team(time * steps.steps + TEAM_NS, threads, False))
    return teams


def rivals(work: Work, steps: Steps, most_threads: int) -> tuple[Team, Team | None]:
    """Return the team that the rule chooses, and the one that it would choose next, if it is not
    sure: one thread and several, of which neither is predicted to be ``NEAR`` times as fast, and
    steps that are short."""
    one, *more = teams(work, steps, most_threads)
    if not more:
        return one, None
    best, other = sorted((one, min(more)))
    near = other.ns < NEAR * best.ns
    unsure = near and TINY_NS <= one.ns < LONG_STEP_NS * steps.steps
    return best, other if unsure else None


def share(work: Work, steps: Steps, *, most_threads: int) -> Share:
    """Decide who does what; no more than ``most_threads`` do it."""
    return share_with(work, steps, rivals(work, steps, most_threads)[0])


def share_with(work: Work, steps: Steps, team: Team) -> Share:
    """Return who does what in a team."""
    _, threads, by_rows = team
    stretch_rows = max(STRETCH_ROWS, STRETCH_BYTES // max(1, work.row_bytes))
    stretches = _stretches(steps, stretch_rows, backwards=work.reverse)
    outside_rows = max(rows for _, _, _, rows in stretches)
    outside_by_rows = work.whole_rows or outside_rows >= ROWS_FOR_EACH * threads
    panels = {}
    for phase in work.phases:
        if phase.together:
            in_loop = phase.key.part == "loop"
            height = -(-steps.batch // (threads if by_rows else 1)) if in_loop else outside_rows
            parts = 1 if (by_rows if in_loop else outside_by_rows) else threads
            panels[phase.key] = _phase_panels(
                work.machine, together=phase.together, tiles=phase.tiles, rows=height, parts=parts
            )
    bounds = _bounds(steps, threads)
    table = np.array(stretches, dtype=np.int64)
    return Share(threads, by_rows, outside_by_rows, bounds, panels, table, outside_rows)
