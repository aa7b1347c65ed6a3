"""Which cell is best, and how sure that is, from the trials of a study."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np

from conveyor.comparing.study import Trial
from conveyor.comparing.trial import advice, reason_words
from conveyor.errors import named
from conveyor.pages.words import Words, joined
from conveyor.tasks.results import Metric, Scores, label_beside

# Resamples: the ends of a 95 % interval then differ by some hundredths of its width each time.
RESAMPLES = 10_000

# The share of resamples from which on a cell is surely first, the 95 % that papers ask of a
# difference; and with fewer draws than FEW a verdict says that they say little.
SURE, FEW = 0.95, 10

# Heads of the columns of a ranking. The share of resamples stands before the interval, which a
# narrow page cuts off.
HEAD = (
    "",
    "score",
    "first",
    "95 % interval",
    "hidden",
    "rate",
    "parameters",
    "s",
)

# What the columns mean, in a line of the command line's table.
LEGEND = (
    "first: in how many resamples of the draws the cell comes first; interval: its score in 95 % "
    "of them"
)

# What a table says where no trial gave a finite score.
NO_SCORE = "no score"


@dataclass(frozen=True)
class RankedCell:
    """A cell's trials in short. ``ranking.json`` stores the fields under these names.

    Args:
        cell: its name.
        best: the trial that did best on the validation set; its score on the test set ranks
            the cell.
        interval: holds that score in 95 % of resamples, in which the draws are drawn again with
            replacement, the same for all cells (bootstrap; Efron 1979); from the lower number to
            the higher, infinite where a resample has no score.
        first: the share of resamples in which the cell comes first.
        tried: how many draws it was tried with.
        lost: how many trials have no score, by reason.
        seconds: the median of its trials.
    """

    cell: str
    best: Trial
    interval: tuple[float, float]
    first: float
    tried: int
    lost: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the fields as ``ranking.json`` holds them."""
        return {**asdict(self), "test": self.best.test}


def rank(
    trials: Sequence[Trial], cells: Iterable[str], metric: Metric, seed: int = 0
) -> tuple[RankedCell, ...]:
    """Rank cells by the draws that all of them were tried with.

    Args:
        trials: finished ones; those of other draws are left out.
        cells: their names.
        metric: says whether less or more of a score is better.
        seed: of the resamples.

    Returns:
        The cells, best first; of equal scores the one first that did better on the validation set,
        and cells without a score last. Empty where no draw was tried with every cell.
    """
    names = sorted(cells)
    tried = [{trial.number for trial in trials if trial.cell == cell} for cell in names]
    numbers = sorted(set.intersection(*tried))
    if not numbers:
        return ()
    shared = [trial for trial in trials if trial.cell in names and trial.number in numbers]
    validation = np.full((len(names), len(numbers)), np.inf)
    costs = validation.copy()
    for trial in shared:
        index = names.index(trial.cell), numbers.index(trial.number)
        validation[index], costs[index] = trial.validation, metric.order(trial.test)
    source = np.random.default_rng(seed)
    resamples = source.integers(len(numbers), size=(RESAMPLES, len(numbers)))
    # What each cell's best trial costs, [cells, resamples].
    resampled = np.stack(
        [
            cost[resamples[np.arange(RESAMPLES), losses[resamples].argmin(1)]]
            for losses, cost in zip(validation, costs, strict=True)
        ]
    )
    is_first = (resampled == resampled.min(0)) & np.isfinite(resampled)
    shares = is_first / is_first.sum(0).clip(1)  # equal cells share the first place
    ranked = []
    for row, cell in enumerate(names):
        of_cell = [trial for trial in shared if trial.cell == cell]
        reasons = Counter(trial.lost for trial in of_cell if trial.lost)
        ranked.append(
            RankedCell(
                cell,
                min(of_cell, key=lambda trial: trial.validation),
                _interval(resampled[row], metric),
                float(shares[row].mean()),
                len(of_cell),
                dict(reasons.most_common()),
                median(trial.seconds for trial in of_cell),
            )
        )
    return tuple(
        sorted(ranked, key=lambda cell: (metric.order(cell.best.test), cell.best.validation))
    )


def _interval(costs: np.ndarray, metric: Metric) -> tuple[float, float]:
    """Return between which scores 95 % of resamples lie, given what they cost."""
    # Not interpolated: an infinite cost stays one.
    least, most = map(float, np.quantile(costs, (0.025, 0.975), method="nearest"))
    return (-most, -least) if metric.better == "more" else (least, most)


@dataclass(frozen=True)
class Ranking:
    """Ranked cells beside baselines: tables, reports and ``ranking.json`` are written from it.

    Args:
        metric: of the scores.
        cells: at least one, best first.
        baselines: scores by name.
    """

    metric: Metric
    cells: tuple[RankedCell, ...]
    baselines: Mapping[str, float]

    @property
    def best(self) -> RankedCell:
        """The cell that comes first."""
        return self.cells[0]

    def label(self, cell: str) -> str:
        """Return what a cell is called in tables and sentences."""
        return label_beside(cell, self.baselines)

    def score(self, value: float) -> str:
        """Return a score as tables write it."""
        return self.metric.text(value) if math.isfinite(value) else NO_SCORE

    @cached_property
    def rows(self) -> list[tuple[str, ...]]:
        """The rows under ``HEAD``: one for each cell, then one for each baseline."""
        rows: list[tuple[str, ...]] = []
        for ranked in self.cells:
            best = ranked.best
            rows.append(
                (
                    self.label(ranked.cell),
                    self.score(best.test),
                    f"{100 * ranked.first:.0f} %",
                    self._interval(ranked.interval),
                    f"{best.hidden}",
                    f"{best.learning_rate:.2g}",
                    f"{best.parameters:,}",
                    f"{ranked.seconds:.1f}",
                )
            )
        blank = ("",) * (len(HEAD) - 2)
        return rows + [(name, self.score(value), *blank) for name, value in self.baselines.items()]

    def _interval(self, interval: tuple[float, float]) -> str:
        low, high = interval
        if math.isfinite(low) and math.isfinite(high):
            return self.metric.span(low, high)
        if math.isinf(low) and math.isinf(high):
            return NO_SCORE
        return f"{self.score(low)}–{self.score(high)}"

    @property
    def without_score(self) -> Words | None:
        """How many trials of which cells have no score, and why, in a sentence; None if all have
        one."""
        counts = []
        for ranked in self.cells:
            cell = self.label(ranked.cell)
            for reason, count in ranked.lost.items():
                why = reason_words(reason)
                counts.append(
                    Words(f"{count} of {cell} ({why.en})", f"{count} của {cell} ({why.vi})")
                )
        if not counts:
            return None
        listed = joined(counts, ", ")
        return Words(
            f"trials without a score: {listed.en}.", f"lần thử không có điểm: {listed.vi}."
        )

    @property
    def direction(self) -> Words:
        """Which scores are better, in words."""
        if self.metric.better == "more":
            return Words("more is better", "càng cao càng tốt")
        return Words("less is better", "càng thấp càng tốt")

    @cached_property
    def verdict(self) -> Words:
        """Which cell is best and how sure that is, and how it compares with the baselines."""
        best = self.best
        if best.best.lost:
            reason = max(best.lost, key=lambda reason: best.lost[reason])
            why = reason_words(reason)
            begin = Words(
                f"no trial has a score: {why.en}.", f"không lần thử nào có điểm: {why.vi}."
            )
            return joined([begin, advice(reason)])
        if not self.baselines:
            return self._first_cell()
        scores = self._beside_baselines()
        if scores.wins:
            return joined([self._first_cell(), scores.verdict])
        return joined([self._first_cell(), Words("But", "Nhưng"), scores.verdict_after("But")])

    def _beside_baselines(self) -> Scores:
        """Return the best cell's score beside those of the baselines."""
        return Scores.of(
            "",
            (self.metric,),
            title=self.best.cell,
            ours=(self.best.best.test,),
            baselines={name: (value,) for name, value in self.baselines.items()},
            advice=Words(
                f"Train longer ({named('epochs')}), or draw from larger widths "
                f"({named('hidden')}).",
                f"Hãy huấn luyện lâu hơn ({named('epochs')}), hoặc rút kích thước lớn hơn "
                f"({named('hidden')}).",
            ),
        )

    def _first_cell(self) -> Words:
        """Return which cell is best and how sure that is."""
        name, draws = self.label(self.best.cell), min(ranked.tried for ranked in self.cells)
        percent = f"{100 * self.best.first:.0f} %"
        share = Words(
            f"it comes first in {percent} of resamples of {draws} draws",
            f"nó đứng đầu trong {percent} số lần lấy mẫu lại từ {draws} lần rút",
        )
        cells, trials = named("cells"), named("trials")
        if len(self.cells) == 1:
            return Words(
                f"{name} alone was tried. Name more {cells} to compare it with.",
                f"Chỉ thử {name}. Hãy nêu thêm {cells} để so sánh.",
            )
        if draws < FEW:
            return Words(
                f"{name} is best so far; fewer than {FEW} draws say little. Give more {trials}.",
                f"Đến giờ {name} tốt nhất; dưới {FEW} lần rút thì chưa nói được nhiều. Hãy tăng "
                f"{trials}.",
            )
        if self.best.first < SURE:
            return Words(
                f"{name} is best, but not surely: {share.en}. More {trials} would make it surer.",
                f"{name} tốt nhất nhưng chưa chắc: {share.vi}. Tăng {trials} thì chắc hơn.",
            )
        return Words(f"{name} is best: {share.en}.", f"{name} tốt nhất: {share.vi}.")

    def as_json(self) -> dict[str, Any]:
        """Return the ranking as ``ranking.json`` holds it."""
        return {
            "score": self.metric.name,
            "better": self.metric.better,
            "verdict": self.verdict.en,
            "ranking": [ranked.as_json() for ranked in self.cells],
            "baselines": dict(self.baselines),
        }
