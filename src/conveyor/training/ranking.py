"""Which cell is best, and how sure that is, from the trials of a study."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from conveyor.training.study import Tried

# Resamples: the ends of a 95 % interval then differ by some hundredths of its width each time.
RESAMPLES = 10_000


@dataclass(frozen=True)
class Ranked:
    """One cell. ``best`` is its trial with the least validation loss, and what it is ranked by is
    that trial's score on the test part. ``interval`` holds that score in 95 % of resamples, and
    ``first`` is the share of resamples in which the cell came first: the draws are drawn again with
    replacement, the same for all cells (bootstrap; Efron 1979). ``seconds`` are the median of a
    trial."""

    cell: str
    best: Tried
    interval: tuple[float, float]
    first: float
    tried: int
    diverged: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As ``ranking.json`` holds it."""
        return {**asdict(self), "test": self.best.test}


def rank(trials: Sequence[Tried], seed: int = 0) -> list[Ranked]:
    """The cells of some trials, best first, on the draws that all of them were tried with (on all,
    where there is none: after an early stop). A cell all of whose trials diverged comes last."""
    cells = sorted({each.cell for each in trials})
    tried = [{each.number for each in trials if each.cell == cell} for cell in cells]
    numbers = sorted(set.intersection(*tried) or set.union(*tried))
    trials = [each for each in trials if each.number in numbers]
    validation = np.full((len(cells), len(numbers)), np.inf)
    test = validation.copy()
    for each in trials:
        place = cells.index(each.cell), numbers.index(each.number)
        validation[place], test[place] = each.validation, each.test
    chance = np.random.default_rng(seed)
    again = chance.integers(len(numbers), size=(RESAMPLES, len(numbers)))
    # The score of each cell's best trial, [cells, resamples].
    scores = np.stack(
        [
            tests[again[np.arange(RESAMPLES), losses[again].argmin(1)]]
            for losses, tests in zip(validation, test, strict=True)
        ]
    )
    wins = scores == scores.min(0)
    shares = wins / wins.sum(0)  # cells that are equal share the first place
    ranked = []
    for row, cell in enumerate(cells):
        own = [each for each in trials if each.cell == cell]
        # Not interpolated: an infinite score stays one.
        low, high = np.quantile(scores[row], (0.025, 0.975), method="nearest")
        ranked.append(
            Ranked(
                cell,
                min(own, key=lambda each: each.validation),
                (float(low), float(high)),
                float(shares[row].mean()),
                len(own),
                sum(each.diverged for each in own),
                median(each.seconds for each in own),
            )
        )
    return sorted(ranked, key=lambda each: each.best.test)


# What the rows of a ranking are under.
HEAD = (
    "",
    "score",
    "95 % interval",
    "first",
    "hidden",
    "rate",
    "parameters",
    "seconds",
)


def rows(ranked: Sequence[Ranked], baselines: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The ranking as text, a row for each cell, and one for each baseline."""
    found: list[tuple[str, ...]] = []
    for each in ranked:
        best = each.best
        shown = (f"{best.test:.4g}", _between(each), f"{100 * each.first:.0f} %")
        numbers = (f"{best.hidden}", f"{best.learning_rate:.2g}", f"{best.parameters:,}")
        found.append((each.cell, *shown, *numbers, f"{each.seconds:.1f}"))
    blank = ("",) * (len(HEAD) - 2)
    found += [(name, f"{score:.4g}", *blank) for name, score in baselines.items()]
    return found


def diverged(ranked: Sequence[Ranked]) -> str | None:
    """How many trials of which cells diverged, in a sentence; None if none did."""
    lost = [f"{each.diverged} of {each.cell}" for each in ranked if each.diverged]
    return f"trials that diverged: {', '.join(lost)}." if lost else None


# As sure as papers ask differences to be; and from fewer draws nobody can be sure of anything.
SURE, FEW = 0.95, 10


def verdict(ranked: Sequence[Ranked], baselines: Mapping[str, float]) -> str:
    """Who won, and how sure that is, in a sentence; and one more where a baseline did."""
    best = ranked[0]
    if best.best.diverged:
        return "every trial diverged. Draw from smaller rates: --learning-rate."
    name = min(baselines, key=lambda each: baselines[each], default=None)
    lost = ""
    if name is not None and baselines[name] <= best.best.test:
        lost = f" But the baseline wins: {name} has {baselines[name]:.4g}, {best.cell} "
        lost += f"{best.best.test:.4g}. Train longer (--epochs), or draw from larger widths."
    tried = min(each.tried for each in ranked)
    comes = f"it comes first in {100 * best.first:.0f} % of resamples of {tried} draws"
    if len(ranked) == 1:
        found = f"{best.cell} alone was tried. Name more --cells to compare it with."
    elif tried < FEW:
        found = (
            f"{best.cell} is best so far; fewer than {FEW} draws say little. Give more --trials."
        )
    elif best.first < SURE:
        found = f"{best.cell} is best, but not surely: {comes}. More --trials would make it surer."
    else:
        found = f"{best.cell} is best: {comes}."
    return found + lost


# What the columns of a ranking mean, in a line.
LEGEND = "interval: the score in 95 % of resamples of the draws; first: how often the cell is it"


def _between(ranked: Ranked) -> str:
    low, high = ranked.interval
    return f"{low:.4g}–{high:.4g}"
