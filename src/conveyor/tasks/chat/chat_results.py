"""The scores of replies beside baselines, in numbers and in sentences."""

from dataclasses import replace
from typing import Any

import polars as pl

from conveyor.pages.glossary import name_of
from conveyor.pages.words import Words, cell_text, counted_words, joined, number_text
from conveyor.tasks.chat.chat_report import sections
from conveyor.tasks.chat.reply_baselines import FREQUENT, KNESER_NEY, RETRIEVAL
from conveyor.tasks.chat.scored_replies import (
    ALONE,
    COUNTED,
    ScoredReplies,
    cut_share,
    found_interval,
)
from conveyor.tasks.chat.true_among import by_chance
from conveyor.tasks.chat.variety import commonest_share, distinct
from conveyor.tasks.pairs.judge import PERPLEXITY
from conveyor.tasks.results import Metric, Results, Row, Scores

FOUND = Metric("found", "found", digits=".1f", percent=True, better="more", apart="difference")
METRICS = (
    FOUND,
    PERPLEXITY,
    Metric("distinct_1", "distinct-1", digits=".3f", better="more"),
    Metric("distinct_2", "distinct-2", digits=".3f", better="more"),
    Metric("commonest", "most frequent", digits=".1f", percent=True),
)
CHANCE = "by chance"
# The network without what it is mixed with, and with all that it could be mixed with.
NETWORK, WITH_COUNTS = "network alone", "with counts"

ADVICE = Words("Give more dialogues.", "Hãy cho thêm hội thoại.")

WHAT_IT_IS = Words(
    "Do not expect a conversation: with few dialogues the replies of retrieval read better, "
    "because people wrote them.",
    "Mạng chưa phải là người trò chuyện: khi ít hội thoại, câu mà cách truy hồi đáp đọc hay hơn, "
    "vì do người viết.",
)


def _answers_row(texts: list[str]) -> tuple[float, float, float]:
    return distinct(texts, 1), distinct(texts, 2), commonest_share(texts)


def results_of(scored: ScoredReplies) -> Results:
    """Return the scores of a network beside those of baselines."""
    found = {name: scored.found_by(name) for name in scored.rankings}
    perplexity, bits = scored.per_token(scored.log_probabilities)
    texts = [each.text for each in scored.written]
    low, high = found_interval(scored.found)
    low_text, high_text = (cell_text(FOUND.text(end)) for end in (low, high))
    remark = []
    if low < high:
        remark.append(
            Words(
                f"95 % interval over replies: {low_text.en} to {high_text.en}.",
                f"Trong 95 trên 100 mẫu rút từ các câu đáp này, mạng nhận ra từ {low_text.vi} đến "
                f"{high_text.vi}.",
            )
        )
    details: dict[str, Any] = {
        "found_interval": [low, high],
        "found_by": {name: float(each.mean()) for name, each in found.items()},
        "bits_per_character": bits,
        "by_chance": by_chance(scored.trials),
        "trials": len(scored.trials),
        "answered": len(texts),
        "true_replies": dict(
            zip(
                ("distinct_1", "distinct_2", "commonest"),
                _answers_row([scored.asked.references[number][0] for number in scored.answered]),
                strict=True,
            )
        ),
        "cut_off": cut_share(scored.written),
        "unknown": scored.unknown,
        "leaks": scored.leaks,
    }
    rows: dict[str, Row] = {}
    mixture = scored.network.mixture
    if mixture is not None:
        alone, alone_bits = scored.per_token(scored.by_network_alone)
        counted, counted_bits = scored.per_token(scored.with_counts)
        details["weights"] = {
            "written": mixture.weights._asdict(), "with_counts": mixture.with_counts._asdict()
        }  # fmt: skip
        details["network_alone_bits_per_character"] = alone_bits
        details["with_counts_bits_per_character"] = counted_bits
        rows[NETWORK] = (float(found[ALONE].mean()), alone, None, None, None)
        rows[WITH_COUNTS] = (float(found[COUNTED].mean()), counted, None, None, None)
    simple = scored.simple
    if simple is None:
        rows[CHANCE] = (by_chance(scored.trials), None, None, None, None)
    else:
        by_retrieval = simple.found(scored.pairs, scored.trials)
        details["retrieval_interval"] = list(found_interval(by_retrieval))
        rows[RETRIEVAL] = (
            float(by_retrieval.mean()), None, *_answers_row(scored.retrieved or []),
        )  # fmt: skip
        of_counts, counts_bits = scored.per_token(
            simple.counts.log_probabilities(scored.pairs.targets)
        )
        details["kneser_ney_bits_per_character"] = counts_bits
        by_counts = simple.found_by_counts(scored.pairs, scored.trials)
        rows[KNESER_NEY] = (float(by_counts.mean()), of_counts, None, None, None)
        rows[FREQUENT] = (
            None, None, *_answers_row([simple.commonest] * len(texts)),
        )  # fmt: skip
        remark += [_compared(perplexity, of_counts), WHAT_IT_IS]
    scores = Scores.of(
        "",
        METRICS,
        title=scored.network.title,
        ours=(float(scored.found.mean()), perplexity, *_answers_row(texts)),
        baselines=rows,
        advice=ADVICE,
        remark=joined(remark),
    )
    if mixture is not None:
        scores = replace(scores, mixed=(NETWORK, WITH_COUNTS))
    return Results(
        (scores,),
        _count(scored),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _count(scored: ScoredReplies) -> Words:
    """Return of how much each column of the scores is."""
    contexts, said = scored.sides.counted(len(scored.asked)), name_of(FOUND.name)
    pairs = counted_words(len(scored.pairs.targets), "reply", "câu đáp", "replies")
    trials = counted_words(len(scored.trials), "reply", "câu đáp", "replies")
    written = cell_text(f"{len(scored.answered):,}")
    return Words(
        f"{pairs.en} to {contexts.en}; {said.en} is of {trials.en}, perplexity of {pairs.en}, the "
        f"others of {written.en} that it wrote",
        f"{pairs.vi} cho {contexts.vi}; {said.vi} tính trên {trials.vi}, perplexity trên "
        f"{pairs.vi}, các cột khác trên {written.vi} câu mạng viết",
    )


def _compared(ours: float, counts: float) -> Words:
    """Return whose perplexity is the smaller, in a sentence."""
    one, other = number_text(ours, ".1f"), number_text(counts, ".1f")
    if ours < counts:
        return Words(
            f"Its perplexity, {one.en}, is below that of Kneser-Ney, {other.en}.",
            f"Perplexity của mạng, {one.vi}, thấp hơn của Kneser-Ney, {other.vi}.",
        )
    return Words(
        f"Its perplexity, {one.en}, is not below that of Kneser-Ney, {other.en}, which knows "
        "replies alone.",
        f"Perplexity của mạng, {one.vi}, không thấp hơn của Kneser-Ney, {other.vi}, vốn chỉ biết "
        "các câu đáp.",
    )


def _test_table(scored: ScoredReplies) -> pl.DataFrame:
    """Return all that was answered."""
    asked, answered = scored.asked, scored.answered
    table = pl.DataFrame(
        {
            "place": [asked.places[number] for number in answered],
            "source": [asked.shown[number] for number in answered],
            "target": [" | ".join(asked.references[number]) for number in answered],
            "written": [each.text for each in scored.written],
            "log_probability": [each.log_probability for each in scored.written],
        }
    )
    if scored.retrieved is None:
        return table
    return table.with_columns(pl.Series("retrieved", scored.retrieved))
