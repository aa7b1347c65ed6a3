"""The scores of a tagger beside baselines, in numbers and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from conveyor.pages.glossary import name_of
from conveyor.pages.words import Words, counted_words, joined, number_text
from conveyor.tasks.answer_counts import SAMPLES, alike_by_chance, chance_of
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.results import Results, Row, Scores
from conveyor.tasks.span_scores import span_scores
from conveyor.tasks.tag.scored_tags import ScoredTags
from conveyor.tasks.tag.tag_report import sections
from conveyor.tasks.tag.tag_scores import (
    SentenceCounts,
    Tags,
    metrics_of,
    row_of,
)

ADVICE = Words(
    "Use the baseline, or give more sentences.",
    "Hãy dùng phương pháp ấy, hoặc cho thêm câu.",
)


def results_of(
    scored: ScoredTags,
    others: Mapping[str, Tags],
    of_intents: Mapping[str, float],
    strongest: str | None,
) -> Results:
    """Return the scores of a tagger beside the answers of baselines.

    Args:
        scored: what the tagger said.
        others: the tags that each baseline says.
        of_intents: the accuracy of baselines that say what sentences are about.
        strongest: the baseline whose distance is tested; None for none.
    """
    gold, said, iob2 = scored.gold, scored.predicted, scored.iob2
    ours = SentenceCounts.of(gold, said, iob2=iob2)
    draws = bootstrap_draws(len(gold), SAMPLES)
    samples = ours.drawn(draws)
    low, high = interval_of(samples)
    title = scored.network.title
    remark = [_of_a_hundred(ours.score, low, high, title=title, iob2=iob2)]
    metrics = metrics_of(iob2=iob2, intents=bool(scored.network.intents))
    details: dict[str, Any] = {f"{metrics[0].key}_interval": [low, high]}
    alike: tuple[str, ...] = ()
    if strongest is not None:
        theirs = SentenceCounts.of(gold, others[strongest], iob2=iob2)
        chance = chance_of(samples, theirs.drawn(draws))
        details["bootstrap_p"] = chance
        alike, words = alike_by_chance(strongest, chance, bootstrap=True)
        remark = [*words, *remark]
    details |= _details(scored)
    rows: dict[str, Row] = {
        name: (*row_of(gold, tags, scored.known, iob2=iob2), *_intent(scored, of_intents.get(name)))
        for name, tags in others.items()
    }
    mine = (*row_of(gold, said, scored.known, iob2=iob2), *_intent(scored, scored.intents_right))
    scores = Scores.of(
        "",
        metrics,
        title=title,
        ours=mine,
        baselines=rows,
        advice=ADVICE,
        remark=joined(remark),
        alike=alike,
    )
    count = counted_words(len(gold), "sentence", "câu")
    return Results(
        (scores,),
        count,
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _intent(scored: ScoredTags, value: float | None) -> tuple[float | None, ...]:
    return (value,) if scored.network.intents else ()


def _details(scored: ScoredTags) -> dict[str, Any]:
    known = [each for of_words in scored.known for each in of_words]
    details: dict[str, Any] = {
        "tags": {
            name: {"precision": p, "recall": r, "f1": f, "support": count}
            for name, (p, r, f, count) in scored.by_tag().items()
        },
        "words": len(known),
        "unknown": 1 - sum(known) / max(len(known), 1),
        "leaks": scored.leaks,
    }
    if scored.iob2:
        details["spans"] = {
            kind: {
                "precision": each.precision,
                "recall": each.recall,
                "f1": each.f1,
                "support": each.gold,
            }
            for kind, each in span_scores(scored.gold, scored.predicted).by_type.items()
        }
    return details


def _of_a_hundred(score: float, low: float, high: float, *, title: str, iob2: bool) -> Words:
    """Return the score with its interval, as a sentence. Where nothing is right, or all, samples
    say nothing."""
    ends = ends_vi = ""
    if low < high:
        ends = f" (95 % interval: {100 * low:.1f} to {100 * high:.1f})"
        low_vi, high_vi = (number_text(100 * end, ".1f").vi for end in (low, high))
        ends_vi = f" (khoảng tin cậy 95 %: {low_vi} đến {high_vi})"
    if iob2:
        said = number_text(100 * score, ".1f")
        return Words(
            f"The span F1 of {title} is {said.en} %{ends}.",
            f"F1 theo cụm của {name_of(title).vi} là {said.vi} %{ends_vi}.",
        )
    return Words(
        f"Of 100 words {title} tags about {100 * score:.0f} right{ends}.",
        f"Cứ 100 từ thì {name_of(title).vi} gán đúng nhãn khoảng {100 * score:.0f} từ{ends_vi}.",
    )


def _test_table(scored: ScoredTags) -> pl.DataFrame:
    """Return all that was answered, a row for each word."""
    rows: list[Sequence[object]] = []
    for number, (sentence, answer) in enumerate(
        zip(scored.sentences, scored.answers, strict=True), 1
    ):
        about = [sentence.intent, answer.intent] if scored.network.intents else []
        rows += [
            [number, f"line {line}", word, tag, said, chance, *about]
            for line, word, tag, said, chance in zip(
                sentence.lines,
                sentence.words,
                sentence.tags,
                answer.tags,
                answer.probabilities,
                strict=True,
            )
        ]
    names = ["sentence", "place", "word", "tag", "predicted", "probability"]
    names += ["intent", "predicted intent"] if scored.network.intents else []
    return pl.DataFrame(rows, schema=names, orient="row")
