"""The scores of captions beside baselines, in numbers and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from conveyor.pages.words import Words, counted_words, joined
from conveyor.tasks.caption.caption_report import sections
from conveyor.tasks.caption.caption_scores import BLEU_4, METRICS, CaptionScores
from conveyor.tasks.caption.scored_captions import ScoredCaptions
from conveyor.tasks.results import Results, Row, Scores

FREQUENT, NEAREST, BLIND = "most frequent caption", "nearest picture", "blind network"
NEAREST_VIDEO, SHUFFLED = "nearest video", "frames shuffled"


def results_of(scored: ScoredCaptions, others: Mapping[str, Sequence[str]]) -> Results:
    """Return the scores of a network beside the answers of baselines."""
    references, blind = scored.shown.references, scored.blind
    noun, noun_vi = ("video", "video") if scored.network.sizes.frames else ("picture", "ảnh")
    scores = scored.scores
    beside = {name: CaptionScores(answers, references) for name, answers in others.items()}
    if blind is not None:
        beside[BLIND] = CaptionScores([blind.text] * len(references), references)
    if scored.shuffled is not None:
        beside[SHUFFLED] = CaptionScores(scored.shuffled, references)
    rows: dict[str, Row] = {name: its.row() for name, its in beside.items()}
    interval = scores.interval()
    remark = []
    if interval is not None:
        remark.append(BLEU_4.interval_over(Words(f"{noun}s", noun_vi), interval))
    said = len(set(scored.texts))
    if said == 1 and len(references) > 1:
        remark.append(
            Words(
                f"It writes the same caption for every {noun}: it has not learned to use the "
                "input yet.",
                f"Mạng nói về mọi {noun_vi} một câu như nhau: nó chưa nhìn thấy gì.",
            )
        )
    details: dict[str, Any] = {
        "beam": scored.beam,
        "bleu_4_interval": None if interval is None else list(interval),
        "brevity": scores.brevity,
        "greedy": dict(
            zip(
                [metric.key for metric in METRICS],
                CaptionScores([each.text for each in scored.greedy], references).row(),
                strict=True,
            )
        ),
        "different_captions": said,
        "nats_a_symbol": scored.nats,
        "leaks": scored.leaks,
    }
    if blind is not None:
        details["blind"] = {
            "caption": blind.text,
            "nats_a_symbol": blind.nats,
            "steps": blind.steps,
        }
    return Results(
        (
            Scores.of(
                "",
                METRICS,
                title=scored.network.title,
                ours=scores.row(),
                baselines=rows,
                advice=Words(
                    f"Use the baseline, or give more {noun}s.",
                    f"Hãy dùng phương pháp ấy, hoặc cho thêm {noun_vi}.",
                ),
                remark=joined(remark) if remark else None,
                alike=tuple(name for name, its in beside.items() if scores.may_equal(its)),
            ),
        ),
        counted_words(len(references), noun, noun_vi),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _test_table(scored: ScoredCaptions) -> pl.DataFrame:
    """Return all that was answered."""
    return pl.DataFrame(
        {
            "picture": scored.shown.places,
            "written": scored.texts,
            "right": scored.scores.right,
            "captions": [" | ".join(texts) for texts in scored.shown.references],
            "log_probability": [each.log_probability for each in scored.written],
        }
    )
