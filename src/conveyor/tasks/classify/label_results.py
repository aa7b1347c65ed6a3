"""The scores of a classifier of several labels beside baselines, in numbers and in sentences."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
from torch import Tensor

from conveyor.data.token_vocabulary import unknown_counts
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Words, joined, number_text
from conveyor.tasks.answer_counts import SAMPLES, alike_by_chance, chance_of
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.classify.class_results import ADVICE
from conveyor.tasks.classify.label_report import ScoredLabels, of_labels, sections
from conveyor.tasks.classify.label_scores import METRICS, LabelTable, counts_of, row_of
from conveyor.tasks.results import Results, Row, Scores


def label_results(
    scored: ScoredLabels, others: Mapping[str, Tensor], regression: str | None
) -> Results:
    """Return the scores of a classifier beside the answers of baselines.

    Args:
        scored: what the classifier said.
        others: which labels each baseline says, bool [N, classes].
        regression: the baseline whose distance is tested; None for none.
    """
    targets, title = scored.examples.targets, scored.network.title
    draws = bootstrap_draws(len(targets), SAMPLES)
    samples = counts_of(scored.said, targets).drawn(draws)
    low, high = interval_of(samples)
    remark = [_of_all(counts_of(scored.said, targets).score, low, high, title)]
    details: dict[str, Any] = {"micro_f1_interval": [low, high]}
    alike: tuple[str, ...] = ()
    if regression is not None:
        scored = replace(scored, beside=others[regression])
        chance = chance_of(samples, counts_of(others[regression], targets).drawn(draws))
        details["bootstrap_p"] = chance
        alike, words = alike_by_chance(regression, chance, bootstrap=True)
        remark = [*words, *remark]
    details |= _details(scored)
    rows: dict[str, Row] = {name: row_of(said, targets) for name, said in others.items()}
    scores = Scores.of(
        "",
        METRICS,
        title=title,
        ours=row_of(scored.said, targets),
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


def _of_all(score: float, low: float, high: float, title: str) -> Words:
    said, lowest, highest = (number_text(100 * each, ".1f") for each in (score, low, high))
    return Words(
        f"The micro F1 of {title} is {said.en} % (95 % interval: {lowest.en} to {highest.en}).",
        f"F1 gộp của {name_of(title).vi} là {said.vi} % (khoảng tin cậy 95 %: {lowest.vi} đến "
        f"{highest.vi}).",
    )


def _details(scored: ScoredLabels) -> dict[str, Any]:
    table = LabelTable.of(scored.said, scored.examples.targets)
    several = scored.network.several
    assert several is not None
    unknown = unknown_counts(scored.examples.sequences)
    return {
        "labels": {
            name: {
                "precision": float(table.precision[number]),
                "recall": float(table.recall[number]),
                "f1": float(table.f1[number]),
                "support": int(table.support[number]),
            }
            for number, name in enumerate(scored.classes)
        },
        "thresholds": dict(zip(scored.network.classes, several.thresholds, strict=True)),
        "leaks": scored.leaks,
        "unknown": {
            "tokens": int(unknown.sum()) / max(sum(scored.examples.lengths), 1),
            "texts": int((unknown > 0).sum()) / max(len(unknown), 1),
        },
    }


def _test_table(scored: ScoredLabels) -> pl.DataFrame:
    """Return all that was answered."""
    return pl.DataFrame(
        {
            "place": scored.examples.places,
            scored.noun.one: scored.examples.shown,
            "labels": of_labels(scored, [*scored.examples.targets.bool()]),
            "predicted": of_labels(scored, [*scored.said]),
            **{
                f"probability of {name}": scored.answers[:, number].tolist()
                for number, name in enumerate(scored.classes)
            },
        }
    )
