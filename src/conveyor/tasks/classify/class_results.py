"""The scores of a classifier beside baselines, in numbers and in sentences."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from torch import Tensor

from conveyor.data.token_vocabulary import unknown_counts
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Words, joined
from conveyor.tasks.answer_counts import alike_by_chance
from conveyor.tasks.classify.class_scores import (
    METRICS,
    ClassTable,
    accuracy_interval,
    mcnemar,
    row_of,
)
from conveyor.tasks.classify.classify_report import Scored, sections
from conveyor.tasks.classify.noun import Noun
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.confusion import confusion_of
from conveyor.tasks.results import Results, Row, Scores

ADVICE = Words(
    "Use the baseline, or give more examples.", "Hãy dùng phương pháp ấy, hoặc cho thêm ví dụ."
)


def results_of(scored: Scored, others: Mapping[str, Tensor], regression: str | None) -> Results:
    """Return the scores of a classifier beside the answers of baselines."""
    targets, answers = scored.examples.targets, scored.answers
    right = answers.argmax(-1) == targets
    low, high = accuracy_interval(right)
    remark = [_of_a_hundred(right, low, high, title=scored.network.title, noun=scored.noun)]
    details: dict[str, Any] = {"accuracy_interval": [low, high]}
    alike: tuple[str, ...] = ()
    if regression is not None:
        chance = mcnemar(right, others[regression].argmax(-1) == targets)
        details["mcnemar_p"] = chance
        if right.any():
            alike, words = alike_by_chance(regression, chance, bootstrap=False)
            remark = [*words, *remark]
    table = ClassTable.of(confusion_of(answers.argmax(-1), targets, len(scored.classes)))
    details["classes"] = {
        name: {
            "precision": float(table.precision[number]),
            "recall": float(table.recall[number]),
            "f1": float(table.f1[number]),
            "support": int(table.support[number]),
        }
        for number, name in enumerate(scored.classes)
    }
    details["leaks"] = scored.leaks
    if isinstance(scored.network.reader, TextReader):
        unknown, examples = unknown_counts(scored.examples.sequences), scored.examples
        details["unknown"] = {
            "tokens": int(unknown.sum()) / max(sum(examples.lengths), 1),
            "texts": int((unknown > 0).sum()) / max(len(examples), 1),
        }
    rows: dict[str, Row] = {name: row_of(each, targets) for name, each in others.items()}
    scores = Scores.of(
        "",
        METRICS,
        title=scored.network.title,
        ours=row_of(answers, targets),
        baselines=rows,
        advice=ADVICE,
        remark=joined(remark),
        alike=alike,
    )
    return Results(
        (scores,),
        scored.noun.counted(len(targets)),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _of_a_hundred(right: Tensor, low: float, high: float, *, title: str, noun: Noun) -> Words:
    """Return how many of a hundred are right, as a sentence."""
    share = 100 * float(right.double().mean())
    return Words(
        f"Of 100 {noun.many} {title} gets about {share:.0f} right (95 % interval: "
        f"{100 * low:.0f} to {100 * high:.0f}).",
        f"Cứ 100 {noun.vi} thì {name_of(title).vi} đúng khoảng {share:.0f} (khoảng tin cậy 95 %: "
        f"{100 * low:.0f} đến {100 * high:.0f}).",
    )


def _test_table(scored: Scored) -> pl.DataFrame:
    """Return all that was answered."""
    best = scored.answers.max(-1)
    names = scored.classes
    return pl.DataFrame(
        {
            "place": scored.examples.places,
            scored.noun.one: scored.examples.shown,
            "label": [names[number] for number in scored.examples.targets.tolist()],
            "predicted": [names[number] for number in best.indices.tolist()],
            "probability": best.values.exp().tolist(),
        }
    )
