"""Which cell is best, and how sure that is, from the trials of a study."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from conveyor.comparing.study import Trial
from conveyor.comparing.trial import advice
from conveyor.errors import named

# Resamples: the ends of a 95 % interval then differ by some hundredths of its width each time.
RESAMPLES = 10_000


@dataclass(frozen=True)
class Ranked:
    """One cell. ``best`` is its trial with the least validation loss, and what it is ranked by is
    that trial's score on the test part. ``interval`` holds that score in 95 % of resamples, and
    ``first`` is the share of resamples in which the cell came first: the draws are drawn again with
    replacement, the same for all cells (bootstrap; Efron 1979). ``lost`` counts its trials without
    a score by reason. ``seconds`` are the median of a trial."""

    cell: str
    best: Trial
    interval: tuple[float, float]
    first: float
    tried: int
    lost: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As ``ranking.json`` holds it."""
        return {**asdict(self), "test": self.best.test}


def rank(trials: Sequence[Trial], cells: Iterable[str], seed: int = 0) -> list[Ranked]:
    """Cells, best first, on the draws that all of them were tried with; none of them where there is
    no such draw. A cell none of whose trials has a score comes last."""
    cells = sorted(cells)
    tried = [{each.number for each in trials if each.cell == cell} for cell in cells]
    numbers = sorted(set.intersection(*tried))
    if not numbers:
        return []
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
    wins = (scores == scores.min(0)) & np.isfinite(scores)
    shares = wins / wins.sum(0).clip(1)  # cells that are equal share the first place
    ranked = []
    for row, cell in enumerate(cells):
        own = [each for each in trials if each.cell == cell]
        reasons = Counter(each.lost for each in own if each.lost)
        # Not interpolated: an infinite score stays one.
        low, high = np.quantile(scores[row], (0.025, 0.975), method="nearest")
        ranked.append(
            Ranked(
                cell,
                min(own, key=lambda each: each.validation),
                (float(low), float(high)),
                float(shares[row].mean()),
                len(own),
                dict(reasons.most_common()),
                median(each.seconds for each in own),
            )
        )
    # Where scores are equal, as where all are right, by validation loss.
    return sorted(ranked, key=lambda each: (each.best.test, each.best.validation))


# What the rows of a ranking are under.
HEAD = (
    "",
    "score",
    "95 % interval",
    "first",
    "hidden",
    "rate",
    "parameters",
    "s",
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


def lost(ranked: Sequence[Ranked]) -> str | None:
    """How many trials of which cells have no score, and why, in a sentence; None if all have."""
    counts = [
        f"{count} of {each.cell} ({reason})"
        for each in ranked
        for reason, count in each.lost.items()
    ]
    return f"trials without a score: {', '.join(counts)}." if counts else None


# As sure as papers ask differences to be; and from fewer draws nobody can be sure of anything.
SURE, FEW = 0.95, 10


def verdict(ranked: Sequence[Ranked], baselines: Mapping[str, float]) -> str:
    """Who won, and how sure that is, in a sentence; and one more where a baseline did."""
    best = ranked[0]
    if best.best.lost:
        reason = max(best.lost, key=lambda each: best.lost[each])
        return f"no trial has a score: {reason}. {advice(reason)}"
    name = min(baselines, key=lambda each: baselines[each], default=None)
    beaten = ""
    if name is not None and baselines[name] <= best.best.test:
        how = "wins" if baselines[name] < best.best.test else "is as good"
        beaten = f" But the baseline {how}: {name} has {baselines[name]:.4g}, {best.cell} "
        beaten += (
            f"{best.best.test:.4g}. Train longer ({named('epochs')}), or draw from larger widths."
        )
    tried = min(each.tried for each in ranked)
    comes = f"it comes first in {100 * best.first:.0f} % of resamples of {tried} draws"
    if len(ranked) == 1:
        found = f"{best.cell} alone was tried. Name more {named('cells')} to compare it with."
    elif tried < FEW:
        found = (
            f"{best.cell} is best so far; fewer than {FEW} draws say little. Give more "
            f"{named('trials')}."
        )
    elif best.first < SURE:
        found = f"{best.cell} is best, but not surely: {comes}. More "
        found += f"{named('trials')} would make it surer."
    else:
        found = f"{best.cell} is best: {comes}."
    return found + beaten


# What the columns of a ranking mean, in a line.
LEGEND = "interval: the score in 95 % of resamples of the draws; first: how often the cell is it"


def _between(ranked: Ranked) -> str:
    low, high = ranked.interval
    return f"{low:.3g}–{high:.3g}"
