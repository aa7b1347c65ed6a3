"""The scores of what a network wrote beside baselines, in numbers and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from conveyor.pages.words import Words, cell_text, joined, number_text
from conveyor.tasks.pairs.pair_report import sections
from conveyor.tasks.pairs.scored_pairs import ScoredPairs, cut_share
from conveyor.tasks.results import Results, Row, Scores

ADVICE = Words(
    "Use the baseline, or give more pairs.", "Hãy dùng phương pháp ấy, hoặc cho thêm cặp câu."
)


def results_of(scored: ScoredPairs, others: Mapping[str, Sequence[str]]) -> Results:
    """Return the scores of a network beside the answers of baselines."""
    judge, references = scored.judge, scored.asked.references
    first = judge.metrics[0]
    ours = judge.row(scored.texts, references)
    interval = judge.interval(scored.texts, references)
    greedy = judge.row([each.text for each in scored.greedy], references)
    remark = []
    if interval[0] < interval[1]:  # where nothing is right, or all, samples say nothing
        remark.append(first.interval_over(Words(*scored.sides.source_name[1:]), interval))
    cut = cut_share(scored.written)
    if cut > 0.01:
        share = number_text(100 * cut, ".0f")
        remark.append(
            Words(
                f"{share.en} % of the outputs did not end and were cut off.",
                f"{share.vi} % câu trả lời không có điểm kết và bị cắt.",
            )
        )
    if scored.copying is not None:
        copied = cell_text(f"{scored.copied:,}")
        remark.append(
            Words(
                f"Unknown words in the output: {copied.en}. Each was replaced by the source word "
                "with the largest attention, or by its translation in the training pairs.",
                f"Số từ chưa biết mà mạng viết: {copied.vi}; mỗi từ được thay bằng từ nguồn mà "
                "mạng nhìn nhiều nhất, hoặc bằng từ mà các cặp huấn luyện cho là bản dịch của nó.",
            )
        )
    details: dict[str, Any] = {
        "beam": scored.beam,
        f"{first.key}_interval": list(interval),
        "beam_1": dict(zip([metric.key for metric in judge.metrics], greedy, strict=True)),
        "cut_off": cut,
        "repeated": scored.repeated_share(scored.written),
        "unknown": scored.unknown,
        "leaks": scored.leaks,
    }
    if scored.copying is not None:
        details["copied"] = scored.copied
    rows: dict[str, Row] = {
        name: (*judge.row(answers, references), None) for name, answers in others.items()
    }
    scores = Scores.of(
        "",
        judge.all_metrics,
        title=scored.network.title,
        ours=(*ours, scored.perplexity),
        baselines=rows,
        advice=ADVICE,
        remark=joined(remark),
    )
    return Results(
        (scores,),
        scored.sides.counted(len(scored.asked)),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _test_table(scored: ScoredPairs) -> pl.DataFrame:
    """Return all that was answered."""
    asked = scored.asked
    return pl.DataFrame(
        {
            "place": asked.places,
            "source": asked.shown,
            "target": [" | ".join(texts) for texts in asked.references],
            "written": scored.texts,
            "log_probability": [each.log_probability for each in scored.written],
        }
    )
