"""What a search found: ``search.json``, a file for each of the best cells, and the report."""

import html
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from conveyor.comparing.ranking import NO_SCORE
from conveyor.compiler.show import show
from conveyor.data.files import json_text, write_whole
from conveyor.errors import named
from conveyor.pages.frame import heading, page, paragraph, table
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Language, Words, cell_text, counted_words, joined
from conveyor.searching.cell_graph import graph_of
from conveyor.searching.cell_search import BEHIND, DRAWN, REFERENCE, SOURCE, CellSearch
from conveyor.searching.cell_source import cell_source
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.results import Metric
from conveyor.tasks.run import REPORT

SEARCH = "search.json"

# With fewer fresh seeds no interval says anything: three, and it is at least not one of them.
FEWEST_SEEDS = 3

# The folder of the cells that are written as files, and how many of them are.
CELLS, WRITTEN = "cells", 10

# Which scores are better.
_BETTER = {
    "less": Words("less is better", "càng thấp càng tốt"),
    "more": Words("more is better", "càng cao càng tốt"),
    None: Words("neither way is better", "không chiều nào tốt hơn"),
}

# The head of a column.
INTERVAL = "95 % interval"

_COUNTED = {
    DRAWN: Words("drawn", "đã sinh"),
    "known already": Words("known already", "đã biết"),
    "no cell comes out": Words("no cell comes out", "không tạo thành tế bào hợp lệ"),
    "its output does not depend on its input": Words(
        "output does not depend on the input", "đầu ra không phụ thuộc đầu vào"
    ),
    "it remembers nothing": Words("remembers nothing", "không nhớ gì"),
    "nothing of it is learned": Words("nothing of it is learned", "không có gì để học"),
    "it has too many operations": Words("too many operations", "quá nhiều phép tính"),
    "new": Words("new cells", "tế bào mới"),
    "took the memory test": Words("took the memory test", "đã làm bài thử trí nhớ"),
    "passed it": Words("passed it", "qua bài thử"),
    "in the list": Words("in the list", "trong danh sách"),
}


@dataclass(frozen=True)
class FreshScores:
    """The scores of a cell's fits with fresh seeds on the test set of a task.

    Args:
        cell: its name.
        task: whose test set it is.
        scores: one for each seed that gave one.
        lost: how many seeds gave none.
        parameters: of the network.
        hidden: its units.
    """

    cell: str
    task: str
    scores: tuple[float, ...]
    lost: int
    parameters: int
    hidden: int

    @property
    def mean(self) -> float:
        """The mean score; infinite where there is none."""
        return float(np.mean(self.scores)) if self.scores else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean of resampled seeds lies in 95 of 100 resamples (bootstrap)."""
        if not self.scores:
            return math.inf, math.inf
        count = len(self.scores)
        return interval_of(bootstrap_draws(count) @ np.array(self.scores) / count)


def fresh_scores(search: CellSearch) -> dict[tuple[str, str], FreshScores]:
    """Return the scores of all finalists that were fitted with fresh seeds, by task and cell."""
    scores: dict[tuple[str, str], FreshScores] = {}
    for (task, cell), outcomes in search.fresh_fits().items():
        best = search.best(task, cell)
        there = tuple(outcome.test for outcome in outcomes if not outcome.lost)
        scores[task, cell] = FreshScores(
            cell,
            task,
            there,
            len(outcomes) - len(there),
            max(outcome.parameters for outcome in outcomes),
            0 if best is None else best.hidden,
        )
    return scores


@dataclass(frozen=True)
class SearchOutcome:
    """What the best cells scored, and which of them is ahead.

    Args:
        metrics: of the tasks, by name.
        scores: by task and cell.
        standings: the fitness of each cell that has scores, the best first.
        known: the cells that the search began with.
    """

    metrics: dict[str, Metric]
    scores: dict[tuple[str, str], FreshScores]
    standings: dict[str, float]
    known: tuple[str, ...]

    @property
    def head(self) -> tuple[str, ...]:
        """The heads of the columns."""
        return ("", "fitness", *(text for task in self.metrics for text in (task, INTERVAL)))

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A row for each cell: its fitness, and mean and interval on each task."""
        rows = []
        for cell, fitness in self.standings.items():
            texts = [text for task in self.metrics for text in self._texts(task, cell)]
            rows.append((cell, f"{fitness:.3f}", *texts))
        return rows

    def _texts(self, task: str, cell: str) -> tuple[str, str]:
        scored = self.scores.get((task, cell))
        if scored is None or not scored.scores:
            return NO_SCORE, ""
        metric = self.metrics[task]
        seeds = len(scored.scores)
        of = f" ({seeds} of {seeds + scored.lost})" if scored.lost else ""
        return f"{metric.text(scored.mean)}{of}", metric.span(*scored.interval)

    @property
    def described(self) -> Words:
        """What is counted on each task, and whether less or more is better."""
        said = [
            joined(
                [task, joined(["(", name_of(metric.name), ", ", _BETTER[metric.better], ")"], "")]
            )
            for task, metric in self.metrics.items()
        ]
        return joined([Words("Scores:", "Điểm số:"), joined(said, ", ")])

    def ahead(self, cell: str, other: str) -> bool:
        """Return whether a cell is ahead of another on every task, with intervals apart; it is not
        if one of its fits gave no score."""
        for task, metric in self.metrics.items():
            ours, theirs = self.scores.get((task, cell)), self.scores.get((task, other))
            if ours is None or theirs is None:
                return False
            if ours.lost or min(len(ours.scores), len(theirs.scores)) < FEWEST_SEEDS:
                return False
            worst = max(ours.interval, key=metric.order)
            best = min(theirs.interval, key=metric.order)
            if not metric.is_better(worst, best):
                return False
        return True

    @property
    def verdict(self) -> Words:
        """Whether a mutant is ahead of all cells that the search began with."""
        mutants = [cell for cell in self.standings if cell not in self.known]
        scored = [
            cell for cell in mutants if any((task, cell) in self.scores for task in self.metrics)
        ]
        known = joined(list(self.known), ", ")
        if not scored:
            return Words(
                "No mutant has been fitted with fresh seeds yet, so there is no result.",
                "Chưa có tế bào đột biến nào được huấn luyện với hạt giống mới nên chưa kết luận "
                "được.",
            )
        seeds = max(len(scores.scores) for scores in self.scores.values())
        if seeds < FEWEST_SEEDS:
            return Words(
                f"With {counted_words(seeds, 'fresh seed', '').en} nothing can be said: give "
                f"{named('fresh', FEWEST_SEEDS)} or more.",
                f"Chỉ với {seeds} hạt giống mới thì chưa kết luận được: hãy cho "
                f"{named('fresh', FEWEST_SEEDS)} trở lên.",
            )
        winners = [c for c in scored if all(self.ahead(c, other) for other in self.known)]
        if winners:
            return Words(
                f"{winners[0]} is ahead of {known.en} on every task, and the intervals do not "
                "overlap.",
                f"{winners[0]} hơn {known.vi} ở mọi bài toán, và các khoảng không chồng lên nhau.",
            )
        return Words(
            f"No mutant is ahead of {known.en} on every task with intervals that do not overlap. "
            f"The best by validation is {scored[0]}.",
            f"Không tế bào đột biến nào hơn {known.vi} ở mọi bài toán với các khoảng không chồng "
            f"lên nhau. Tốt nhất theo phần kiểm định là {scored[0]}.",
        )


def outcome_of(search: CellSearch) -> SearchOutcome:
    """Return what a search found so far."""
    scores = fresh_scores(search)
    cells = search.finalists()
    standings = {cell: search.standing(cell).fitness for cell in cells}
    ordered = dict(sorted(standings.items(), key=lambda item: -item[1]))
    metrics = {task: study.task.metric for task, study in search.studies.items()}
    return SearchOutcome(metrics, scores, ordered, tuple(search.begun_with))


def written_cells(search: CellSearch, folder: Path) -> list[tuple[str, Path]]:
    """Write the best mutants as files that every command reads, and return their names and paths.

    Raises:
        SaveError: a file could not be written.
    """
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    written = []
    for standing in search.listed()[:WRITTEN]:
        mutant = search.mutant(standing.cell)
        assert mutant is not None  # what is listed is a mutant
        source = SOURCE.format(parent=mutant.parent, changes=", ".join(mutant.changes))
        text = cell_source(graph_of(mutant.program), mutant.name, mutant.program.doc, source)
        path = folder / CELLS / f"{mutant.name}.py"
        write_whole(path, text)
        written.append((mutant.name, path))
    return written


def write_search(
    folder: Path, search: CellSearch, *, title: str, repeat: str, language: Language
) -> SearchOutcome:
    """Write ``search.json``, the best cells and the report, and return what they say.

    Args:
        folder: where they are written.
        search: what was looked for.
        title: of the data.
        repeat: the command line of the search.
        language: that the report begins in.

    Raises:
        SaveError: a file could not be written.
    """
    outcome = outcome_of(search)
    files = written_cells(search, folder)
    counts = search.counts()
    content = {
        "tasks": list(search.studies),
        "verdict": outcome.verdict.en,
        "counts": counts,
        "seconds of memory tests": search.screening_seconds(),
        "fitness": {standing.cell: asdict(standing) for standing in search.listed()},
        "families": {name: search.family(name) for name, _ in files},
        "equations": {name: show(search.program(name)) for name, _ in files},
        "fresh": [asdict(scores) for scores in outcome.scores.values()],
        "settings": search.described(),
    }
    write_whole(folder / SEARCH, json_text(content))
    parts = [
        paragraph(outcome.verdict, "verdict"),
        paragraph(_how(search)),
        paragraph(outcome.described),
        table(outcome.head, [(row, row[0] not in outcome.known) for row in outcome.rows]),
        heading(Words("What was tried", "Đã thử những gì")),
        paragraph(_counted(counts, search.screening_seconds())),
        heading(Words("The best cells", "Những tế bào tốt nhất")),
    ]
    if not files:
        parts.append(
            paragraph(Words("No mutant is in the list.", "Danh sách chưa có tế bào đột biến nào."))
        )
    for name, path in files:
        parts += _cell_parts(search, name, path.relative_to(folder))
    parts += [
        heading(Words("How to reproduce it", "Cách lặp lại")),
        f"<pre>{html.escape(repeat)}</pre>",
    ]
    settings = "\n".join(f"{key} = {value}" for key, value in search.described().items())
    heading_words = Words(f"Search over cells on {title}", f"Tìm kiếm tế bào trên {title}")
    page(folder / REPORT, heading_words, parts, settings, language)
    return outcome


def _how(search: CellSearch) -> Words:
    draws, fresh = search.settings.draws, search.settings.fresh
    fits = counted_words(fresh, "fit", "lần huấn luyện")
    behind = cell_text(f"{100 * (1 - BEHIND):.0f} %")
    return Words(
        f"Fitness says how many times as good the cell is as the {REFERENCE}, on the task where "
        f"that is least: each by the best of {draws} random settings or more on the validation "
        "set, and by probabilities where the loss is in nats. A cell more than "
        f"{behind.en} behind on a task is given up. Fitness was used to choose the cell, so it is "
        f"optimistic. Beside it are scores on the test set of {fits.en} with fresh seeds at "
        "the setting that did best: their mean, and the interval that holds the "
        "mean of 95 % of resamples of these seeds.",
        f"Độ thích nghi cho biết tế bào tốt gấp mấy lần {REFERENCE}, ở bài toán mà số ấy nhỏ nhất: "
        f"mỗi bên lấy thiết lập tốt nhất trong ít nhất {draws} thiết lập ngẫu nhiên trên phần kiểm "
        "định, và so theo xác suất nếu mất mát tính bằng nat. "
        f"Tế bào kém hơn {behind.vi} ở một bài toán thì bị loại. Con số ấy đã dùng để "
        "chọn tế bào nên nó lạc quan. Bên cạnh là điểm trên phần kiểm tra của "
        f"{fits.vi} với hạt giống mới ở thiết lập tốt "
        "nhất: trung bình, và khoảng chứa trung bình của 95 % số lần lấy mẫu lại các hạt giống.",
    )


def _counted(counts: dict[str, int], seconds: float) -> Words:
    """Return how many cells were drawn and what became of them, in a sentence."""
    listed: list[Words | str] = []
    for what, words in _COUNTED.items():
        if counts.get(what):
            number = cell_text(f"{counts[what]:,}")
            listed.append(Words(f"{words.en} {number.en}", f"{words.vi} {number.vi}"))
    minutes = cell_text(f"{seconds / 60:.1f}")
    took = Words(
        f"the memory tests took {minutes.en} minutes", f"các bài thử trí nhớ mất {minutes.vi} phút"
    )
    text = joined([*listed, took], "; ")
    return Words(f"{text.en[0].upper()}{text.en[1:]}.", f"{text.vi[0].upper()}{text.vi[1:]}.")


_CHANGES = {
    "activation changed": Words("activation changed", "đổi hàm kích hoạt"),
    "combination changed": Words("combination changed", "đổi phép kết hợp"),
    "activation inserted": Words("activation inserted", "thêm hàm kích hoạt"),
    "value removed": Words("value removed", "bỏ một giá trị"),
    "replaced by an ancestor": Words("replaced by an ancestor", "thay bằng một giá trị đứng trước"),
    "replaced by two ancestors": Words(
        "replaced by two ancestors", "thay bằng hai giá trị đứng trước"
    ),
    "gate inserted": Words("gate inserted", "thêm cổng"),
}


def _cell_parts(search: CellSearch, name: str, path: Path) -> list[str]:
    """Return a cell's part of the report: what it was made of, its equations, and its file."""
    line = search.family(name)
    steps: list[Words | str] = [Words(f"{line[-1][0]}", f"{line[-1][0]}")]
    for cell, changes in reversed(line[:-1]):
        done = joined([_CHANGES[change] for change in changes], ", ")
        steps.append(Words(f"{cell} ({done.en})", f"{cell} ({done.vi})"))
    program = search.program(name)
    latex = show(program, "latex")
    file = html.escape(path.as_posix())
    ratios = search.standing(name).ratios
    each: list[Words | str] = [
        joined([task, cell_text(f"{value:.3f}")]) for task, value in ratios.items()
    ]
    return [
        heading(Words(name, name), 3),
        paragraph(joined([Words("Family:", "Phả hệ:"), joined(steps, " → ")])),
        paragraph(
            joined([Words("Fitness by task:", "Độ thích nghi từng bài:"), joined(each, "; ")])
        ),
        f"<pre>{html.escape(show(program))}</pre>",
        f"<details><summary>LaTeX</summary><pre>{html.escape(latex)}</pre></details>",
        f"<p><code>{file}:{html.escape(name)}</code></p>",
    ]


def described_counts(search: CellSearch) -> dict[str, int]:
    """Return what was counted, in the order in which it happens to a cell."""
    counts = search.counts()
    return {what: counts[what] for what in _COUNTED if counts.get(what)}
