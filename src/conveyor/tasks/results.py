"""Scores beside the baselines that they have to beat: printed, stored, drawn and ranked from one
record."""

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from conveyor.errors import visible
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Language, Words, cell_text, decimal_text, joined

Row = tuple[float | None, ...]


@dataclass(frozen=True)
class Metric:
    """A number that says how good an answer is.

    Args:
        key: its name in ``metrics.json``.
        name: what tables call it.
        unit: of a difference, in a sentence: "nats per character"; empty for the data's own.
        digits: how a number is written, see ``decimal_text``.
        percent: it is a share, and written in percent.
        better: whether less or more is better; None where neither is, as of a coverage.
        apart: how two are told apart in a sentence: by a share of the larger, or by their
            difference, where that means the same anywhere on the scale (nats).
    """

    key: str
    name: str
    unit: str = ""
    digits: str = ".4g"
    percent: bool = False
    better: Literal["less", "more"] | None = "less"
    apart: Literal["share", "difference"] = "share"

    def text(self, value: float | None) -> str:
        """Return a value as tables write it; nothing for None."""
        if value is None:
            return ""
        return f"{self._number(value)} %" if self.percent else self._number(value)

    def span(self, low: float, high: float) -> str:
        """Return two values as tables write an interval: "0.1–0.2", "10–20 %"."""
        return f"{self._number(low)}–{self.text(high)}"

    def _number(self, value: float) -> str:
        return decimal_text(100 * value if self.percent else value, self.digits)

    def said(self, value: float) -> Words:
        """Return a value as a sentence says it: "MAE 0.5", or "1.2 nats per character"."""
        number = cell_text(self.text(value))
        unit = self.unit or (self.name if self.percent else "")
        return joined([number, name_of(unit)] if unit else [name_of(self.name), number])

    def interval_over(
        self, things: Words, interval: tuple[float, float], *, unit: str = ""
    ) -> Words:
        """Return a sentence that says how surely a score is known.

        Args:
            things: what samples are drawn of, in the plural.
            interval: in which 95 of 100 of them lie.
            unit: behind the last number, where the metric's text has none.
        """
        low, high = (cell_text(self.text(end)) for end in interval)
        return Words(
            f"95 % interval over {things.en}: {low.en} to {high.en}{unit}.",
            f"Trong 95 trên 100 mẫu rút từ các {things.vi} này, mạng đạt từ {low.vi} đến "
            f"{high.vi}{unit}.",
        )

    def order(self, value: float) -> float:
        """Return a key that sorts values, the best first, and what is not finite last."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.better == "more" else value

    def is_better(self, one: float, other: float) -> bool:
        """Return whether one value is better than another; what is not finite never is."""
        return self.order(one) < self.order(other)


@dataclass(frozen=True)
class Scores:
    """How good answers of one kind were.

    Args:
        subject: what is answered: a column; empty where there is one kind only.
        metrics: of each row; the first decides who wins.
        rows: the values by who gave the answers, ours first, then baselines.
        advice: what to do where a baseline wins, as sentences.
        mixed: whose answers are no baselines, for they are made of ours, too, or of the truth.
        remark: what else a reader should know, as sentences, whoever wins.
        alike: the baselines whose distance to ours may be chance.
    """

    subject: str
    metrics: tuple[Metric, ...]
    rows: Mapping[str, Row]
    advice: Words | None = None
    mixed: tuple[str, ...] = ()
    remark: Words | None = None
    alike: tuple[str, ...] = ()

    @staticmethod
    def of(
        subject: str,
        metrics: tuple[Metric, ...],
        *,
        title: str,
        ours: Row,
        baselines: Mapping[str, Row],
        advice: Words | None = None,
        remark: Words | None = None,
        alike: tuple[str, ...] = (),
    ) -> "Scores":
        """Return the scores of a model of that title."""
        label = label_beside(title, baselines)
        return Scores(
            subject, metrics, {label: ours, **baselines}, advice, remark=remark, alike=alike
        )

    @property
    def ours(self) -> str:
        """Whose row is ours."""
        return next(iter(self.rows))

    def value(self, label: str) -> float:
        """Return the first metric of a row, NaN where there is none."""
        first = self.rows[label][0]
        return math.nan if first is None else first

    @property
    def best_baseline(self) -> str | None:
        """Whose baseline is the best by the first metric; None where no baseline has a value."""
        ours = {self.ours, *self.mixed}
        scored = [
            label for label in self.rows if label not in ours and not math.isnan(self.value(label))
        ]
        return min(scored, key=lambda label: self.metrics[0].order(self.value(label)), default=None)

    @property
    def wins(self) -> bool:
        """Whether we have a first metric, and it is better than every baseline's, not by chance."""
        mine, best = self.value(self.ours), self.best_baseline
        if math.isnan(mine) or best in self.alike:
            return False
        return best is None or self.metrics[0].is_better(mine, self.value(best))

    @property
    def verdict(self) -> Words:
        """Who won, in a sentence."""
        begin = f"{self.subject}:" if self.subject else ""
        return joined([begin, self.verdict_after(begin)])

    def verdict_after(self, begin: str) -> Words:
        """Return who won, as the rest of a sentence that has this beginning; may be empty."""
        return joined([self._winner(begin), self.remark or ""])

    def _winner(self, begin: str) -> Words:
        metric, ours, best = self.metrics[0], self.ours, self.best_baseline
        mine, ours_vi = self.value(ours), name_of(ours).vi
        if math.isnan(mine):
            return Words(
                "There are no observed values here, so nothing can be scored.",
                "Ở đây không có giá trị quan sát nào nên không thể chấm điểm.",
            )
        if best is None:
            said = metric.said(mine)
            return Words(f"{ours} has {said.en}.", f"{ours_vi} đạt {said.vi}.")
        theirs, name = self.value(best), name_of(best)
        if best in self.alike:
            said, other = metric.said(mine), cell_text(metric.text(theirs))
            no = "không" if begin else "Không"
            compared = Words(
                f"{ours} and {name.en} cannot be distinguished: {ours} has {said.en}, {name.en} "
                f"{other.en}. The difference may be due to chance.",
                f"{no} phân biệt được {ours_vi} và {name.vi}: {ours_vi} đạt {said.vi}, {name.vi} "
                f"đạt {other.vi}; chênh lệch này có thể chỉ là ngẫu nhiên.",
            )
            return joined([compared, "" if metric.is_better(mine, theirs) else self.advice or ""])
        if not self.wins:
            said, own = metric.said(theirs), cell_text(metric.text(mine))
            # Who reads that two equal numbers differ does not believe either.
            equal = metric.text(theirs) == metric.text(mine)
            the, the_vi = "The baseline", "Phương pháp cơ sở"
            if begin:  # in the middle of a sentence
                the, the_vi = "the baseline", "phương pháp cơ sở"
            how = "is as good" if equal else "wins"
            better = "cũng tốt như vậy" if equal else "tốt hơn"
            compared = Words(
                f"{the} {how}: {name.en} has {said.en}, {ours} {own.en}.",
                f"{the_vi} {better}: {name.vi} đạt {said.vi}, {ours_vi} đạt {own.vi}.",
            )
            decided = self._decided(best) if equal else None
            if decided is None:
                return joined([compared, self.advice or ""])
            second, is_ours = decided
            measured, first = name_of(second.name), ours if is_ours else name.en
            apart = Words(
                f"By {measured.en} {first} is better.",
                f"Xét theo {measured.vi} thì {ours_vi if is_ours else name.vi} tốt hơn.",
            )
            return joined([compared, apart, "" if is_ours else self.advice or ""])
        more = "more" if metric.better == "more" else "less"
        higher = "cao" if metric.better == "more" else "thấp"
        if metric.apart == "difference":
            if metric.percent:
                apart = cell_text(f"{100 * abs(mine - theirs):.1f}")
                apart = Words(f"{apart.en} percentage points", f"{apart.vi} điểm phần trăm")
            else:
                # What is written with few digits differs in few.
                digits = metric.digits if metric.digits in (".1f", ".2f") else ".3f"
                number = cell_text(decimal_text(abs(mine - theirs), digits))
                apart = joined([number, name_of(metric.unit)])
            said = name_of(metric.name) if metric.percent else Words("", "")
            english, vietnamese = joined([more, said]).en, joined([said, higher]).vi
            return Words(
                f"{ours} beats {name.en}: {apart.en} {english}.",
                f"{ours_vi} tốt hơn {name.vi}: {vietnamese} hơn {apart.vi}.",
            )
        share, measured = _share(mine, theirs), name_of(metric.name)
        return Words(
            f"{ours} beats {name.en}: {share.en} {more} {measured.en}.",
            f"{ours_vi} tốt hơn {name.vi}: {measured.vi} {higher} hơn {share.vi}.",
        )

    def _decided(self, best: str) -> tuple[Metric, bool] | None:
        """Return the first further metric by which ours and a baseline differ in what is written,
        and whether ours is better; None without one."""
        rows = zip(self.metrics, self.rows[self.ours], self.rows[best], strict=True)
        for metric, mine, theirs in list(rows)[1:]:
            if mine is not None and theirs is not None and metric.text(mine) != metric.text(theirs):
                return metric, metric.is_better(mine, theirs)
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the scores as ``metrics.json`` holds them."""
        keys = [metric.key for metric in self.metrics]
        return {
            "subject": self.subject,
            "wins": self.wins,
            "verdict": self.verdict.en,
            "rows": {label: dict(zip(keys, row, strict=True)) for label, row in self.rows.items()},
        }


def label_beside(title: str, baselines: Container[str]) -> str:
    """Return what a model of that title is called in a table that also holds these baselines: a
    user's cell may have a baseline's name."""
    return f"{title} (cell)" if title in baselines else title


def _share(mine: float, theirs: float) -> Words:
    if theirs == 0:
        return Words("far", "nhiều")
    share = 100 * abs(1 - mine / theirs)
    if 99.5 <= share < 100:  # "100 % less" would be nothing left
        return cell_text(f"{min(share, 99.9):.1f} %")
    return cell_text(f"{decimal_text(share, '.0f' if share >= 1 else '.1g')} %")


def heads(scores: Iterable[Scores]) -> list[str]:
    """Return the heads of a table of scores that all have the same metrics."""
    several = list(scores)
    subject = ["target"] if len(several) > 1 else []
    return [*subject, "", *(metric.name for metric in several[0].metrics)]


def lines(scores: Iterable[Scores]) -> list[tuple[list[str], bool]]:
    """Return the lines under ``heads``, each with whether it is ours."""
    several = list(scores)
    table = []
    for block in several:
        for label, row in block.rows.items():
            is_ours = label == block.ours
            subject = [visible(block.subject) if is_ours else ""] if len(several) > 1 else []
            values = [m.text(value) for m, value in zip(block.metrics, row, strict=True)]
            table.append(([*subject, visible(label), *values], is_ours))
    return table


class Section(NamedTuple):
    """A part of a report below its scores: a title, and HTML."""

    title: Words
    body: str


class Prediction(NamedTuple):
    """What a network answers, and how a page shows it.

    Attributes:
        answer: a polars data frame, an array or a list; or the text of a file, as it is written.
        title: of the page.
        sections: gives the sections of the page, when they are asked for; None if there is none.
        picture: writes a picture to a path, in a language; None if there is none.
    """

    answer: Any
    title: Words
    sections: Callable[[], Iterable[Section]] | None = None
    picture: Callable[[Path, Language], None] | None = None


def free_name(taken: Sequence[str], name: str) -> str:
    """Return a name for a new column of a table, with a number where the table has it: what is
    answered never takes the place of what was given."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name} ({number + 1})"
    return free


@dataclass(frozen=True, repr=False)
class Results:
    """How a network did on the test set, or on other data.

    Args:
        scores: a record for each kind of answers, all with the same metrics.
        count: how much was scored, in words: "312 windows".
        details: what ``metrics.json`` holds besides.
        draw: gives the sections of the report, when they are asked for.
        answers: gives all that was answered, as a polars data frame; None for a task that keeps
            none of it.
        vectors: gives the vectors of words that were learned, as a file holds them; None for a task
            that learns none for others to use.
    """

    scores: tuple[Scores, ...]
    count: Words
    details: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[], Iterable[Section]] = tuple
    answers: Callable[[], Any] | None = None
    vectors: Callable[[], str] | None = None

    def __repr__(self) -> str:
        table = [heads(self.scores), *(cells for cells, _ in lines(self.scores))]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        rows = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        verdicts = [scores.verdict.en for scores in self.scores]
        return "\n".join([self.count.en, *rows, *verdicts])
