"""The scores of what a network heard beside baselines, in numbers and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from conveyor.pages.words import Words, counted_words, joined
from conveyor.tasks.results import Metric, Results, Row, Scores
from conveyor.tasks.transcribe.scored_recordings import ScoredRecordings
from conveyor.tasks.transcribe.transcribe_report import sections
from conveyor.tasks.word_edits import WordEdits

WER = Metric("wer", "WER", digits=".1f", percent=True, apart="difference")
CER = Metric("cer", "CER", digits=".1f", percent=True, apart="difference")
SER = Metric("ser", "wrong recordings", digits=".1f", percent=True, apart="difference")
METRICS = (WER, CER, SER)

ADVICE = Words(
    "Use the baseline, or give more recordings.",
    "Hãy dùng phương pháp ấy, hoặc cho thêm bản ghi âm.",
)


def row_of(edits: WordEdits) -> Row:
    """Return the values of ``METRICS``."""
    return edits.rate(), edits.letter_rate, edits.wrong_share


def results_of(scored: ScoredRecordings, others: Mapping[str, Sequence[str]]) -> Results:
    """Return the scores of a network beside the answers of baselines."""
    edits, texts = scored.edits, scored.examples.texts
    interval = edits.interval()
    remark = []
    if interval is not None:
        remark.append(WER.interval_over(Words("recordings", "bản ghi âm"), interval))
    if scored.blank_share == 1 and not scored.looks:
        remark.append(
            Words(
                "It outputs nothing yet, as every network with CTC does at first. Give it more "
                "epochs.",
                "Mạng chưa viết được gì, như mọi mạng học bằng CTC lúc đầu: hãy cho học thêm lượt.",
            )
        )
    other, left_out, put_in, said = edits.counts.sum(0)
    speakers = {
        name: edits.rate([n for n, its in enumerate(scored.examples.speakers) if its == name])
        for name in dict.fromkeys(scored.examples.speakers)
    }
    details: dict[str, Any] = {
        "beam": scored.beam,
        "wer_interval": None if interval is None else list(interval),
        "words": int(said),
        "other_words": int(other),
        "left_out": int(left_out),
        "put_in": int(put_in),
        "best_path": dict(
            zip([m.key for m in METRICS], row_of(scored.best_path_edits), strict=True)
        ),
        "nats_a_label": scored.nats,
        "blank_share": scored.blank_share,
        "wer_by_speaker": speakers,
        "leaks": scored.leaks,
        "speakers_learned_from": scored.shared_speakers,
    }
    scores = Scores.of(
        "",
        METRICS,
        title=scored.network.title,
        ours=row_of(edits),
        baselines={name: row_of(WordEdits.of(texts, answers)) for name, answers in others.items()},
        advice=ADVICE,
        remark=joined(remark),
    )
    return Results(
        (scores,),
        counted_words(len(texts), "recording", "bản ghi âm"),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _test_table(scored: ScoredRecordings) -> pl.DataFrame:
    """Return all that was answered."""
    examples, counts = scored.examples, scored.edits.counts
    columns: dict[str, Any] = {
        "recording": list(map(str, examples.files)),
        "said": examples.texts,
        "written": scored.texts,
        "word_edits": counts[:, :3].sum(1).astype(int),
        "words": counts[:, 3].astype(int),
        "log_probability": [each.log_probability for each in scored.heard],
    }
    if examples.speakers:
        columns["speaker"] = examples.speakers
    return pl.DataFrame(columns)
