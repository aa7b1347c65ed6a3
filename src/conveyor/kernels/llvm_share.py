"""Who does what: how the work of a pass is cut up and shared out to threads.

Rows are shared out where there are enough of them: no thread waits for another inside a step.
Units are shared out where rows are few or the weights are more than a core's own cache holds:
then each thread reads its own part of the weights, and all wait for each other once a phase.
Sums are the same to the last bit either way (see ``llvm_panel``), so only time depends on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from conveyor.kernels.llvm_layout import PARTS, Layout, Part
from conveyor.kernels.llvm_machine import Machine
from conveyor.kernels.llvm_panel import MOST_VECTORS, best_vectors, most_rows
from conveyor.kernels.steps import Integers, Steps

# What the cost rule takes for true; orders of magnitude are enough. Multiply-adds of vectors: two
# per cycle at 3 GHz. Pointwise work: a vector of an LSTM's units, five exponentials among it, was
# measured at some 60 ns. The barrier: 0.3 µs. Starting a team: some µs.
VECTOR_FMAS_PER_NS = 6.0
UNIT_NS = 60.0
BARRIER_NS = 400.0
TEAM_NS = 5000.0
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
    """Who does what. ``bounds`` are the threads' first rows in the loop."""

    threads: int
    by_rows: bool
    outside_by_rows: bool
    bounds: Integers
    panels: dict[str, Panels]
    stretches: Integers

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


def _loop_ns(
    layout: Layout, widths: dict[str, int], lanes: int, rows: float, tiles_part: float
) -> float:
    """Nanoseconds of one step for so many rows and a part of the units, by a simple model."""
    total = 0.0
    for phase in layout.parts["loop"]:
        tiles = -(-widths[phase.axis] // lanes) if phase.axis else 1
        fmas = 0.0
        for product in phase.products:
            for run in layout.runs[product.results]:
                k = widths[run.operand_axis] * run.segments
                fmas += tiles * run.together * k
        reads = fmas * lanes * 4 * -(-rows // 6) / BYTES_PER_NS
        total += max(fmas * rows / VECTOR_FMAS_PER_NS, reads) * tiles_part
        if phase.operations:
            heavy = len(phase.operations) / 12
            total += rows * tiles * UNIT_NS * min(1.0, heavy) * tiles_part
    return total


def multiply_adds(layout: Layout, part: Part, widths: Mapping[str, int]) -> int:
    """Multiply-adds of a part's products for one row; as many numbers are their weights."""
    return sum(
        widths[run.result_axis] * run.together * widths[run.operand_axis] * run.segments
        for phase in layout.parts[part]
        for product in phase.products
        for run in layout.runs[product.results]
    )


def _bounds(steps: Steps, threads: int) -> Integers:
    """First rows of the threads, so that each has as many rows of all steps together."""
    done = np.cumsum(np.concatenate([[0], steps.lengths]))
    goals = done[-1] * np.arange(threads + 1) / threads
    found = np.searchsorted(done, goals, side="left")
    found[0], found[-1] = 0, steps.batch
    return np.ascontiguousarray(found, dtype=np.int64)


def _stretches(steps: Steps, rows_wanted: int, *, backwards: bool) -> Integers:
    """The table of stretches: first step, last + 1, first row, rows, in the order of visits."""
    first, count = steps.visited(backwards=backwards)
    table = []
    begin = rows = 0
    for step in range(steps.steps):
        if step > begin and rows + count[step] > rows_wanted:
            table.append((begin, step, int(first[begin:step].min()), rows))
            begin, rows = step, 0
        rows += int(count[step])
    table.append((begin, steps.steps, int(first[begin:].min()), rows))
    return np.ascontiguousarray(table, dtype=np.int64)


def share(
    layout: Layout,
    machine: Machine,
    widths: dict[str, int],
    steps: Steps,
    *,
    size: int,
    most_threads: int,
) -> Share:
    """Decide.

    Args:
        widths: of every axis.
        size: bytes of a number.
        most_threads: no more than so many.
    """
    lanes = machine.vector_bytes // size
    mean_rows = steps.rows / max(1, steps.steps)
    axes = [p.axis for p in layout.parts["loop"] if p.axis]
    tiles = min((-(-widths[axis] // lanes) for axis in axes), default=1)
    phases = len(layout.parts["loop"])
    alone = _loop_ns(layout, widths, lanes, mean_rows, 1.0) * steps.steps
    best = (alone, 1, True)
    fits = multiply_adds(layout, "loop", widths) * size <= CACHE_BYTES
    for threads in range(2, most_threads + 1):
        if steps.batch >= threads and (fits or layout.whole_rows):
            rows = -(-mean_rows // threads)
            time = _loop_ns(layout, widths, lanes, rows, 1.0) * steps.steps + TEAM_NS
            best = min(best, (time, threads, True))
        if not layout.whole_rows:
            own = -(-tiles // threads) / tiles
            time = _loop_ns(layout, widths, lanes, mean_rows, own) + phases * BARRIER_NS
            best = min(best, (time * steps.steps + TEAM_NS, threads, False))
    _, threads, by_rows = best

    row_bytes = sum(
        -(-(widths[c.axis] if c.axis else 1) // lanes) * lanes * size
        for array in layout.arrays.values()
        if array.rows == "stretch"
        for c in array.columns
    )
    stretch_rows = max(STRETCH_ROWS, STRETCH_BYTES // max(1, row_bytes))
    stretches = _stretches(steps, stretch_rows, backwards=layout.reverse)
    outside_rows = int(stretches[:, 3].max())
    outside_by_rows = layout.whole_rows or outside_rows >= ROWS_FOR_EACH * threads
    panels = {}
    for part in PARTS:
        for number, phase in enumerate(layout.parts[part]):
            if not phase.products or phase.axis is None:
                continue
            together = max(
                run.together for product in phase.products for run in layout.runs[product.results]
            )
            in_loop = part == "loop"
            height = -(-steps.batch // (threads if by_rows else 1)) if in_loop else outside_rows
            parts = 1 if (by_rows if in_loop else outside_by_rows) else threads
            count = -(-widths[phase.axis] // lanes)
            panels[f"{part}{number}"] = _phase_panels(
                machine, together=together, tiles=count, rows=height, parts=parts
            )
    return Share(threads, by_rows, outside_by_rows, _bounds(steps, threads), panels, stretches)
