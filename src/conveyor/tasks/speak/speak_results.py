"""The scores of a voice beside baselines, in numbers and in sentences."""

from typing import Any

import polars as pl

from conveyor.pages.words import Words, counted_words, joined, number_text
from conveyor.tasks.results import Metric, Results, Row, Scores, label_beside
from conveyor.tasks.speak.scored_speech import ScoredSpeech
from conveyor.tasks.speak.speak_report import sections
from conveyor.tasks.speak.true_speech import Nearness
from conveyor.tasks.word_edits import WordEdits

MCD = Metric("mcd", "MCD", "dB", digits=".2f", apart="difference")
LENGTH = Metric("length_off", "length off", digits=".1f", percent=True, apart="difference")
HEARD = Metric("recognised_wer", "recogniser's WER", digits=".1f", percent=True, apart="difference")

MEAN, TRUE, RESYNTHESISED = "mean recording", "true recordings", "true, resynthesised"

ADVICE = Words(
    "Train longer, or give more recordings.", "Hãy huấn luyện lâu hơn, hoặc cho thêm bản ghi âm."
)


def results_of(scored: ScoredSpeech) -> Results:
    """Return the scores of a voice beside those of baselines."""
    true, listener = scored.true, scored.listener

    def row(near: Nearness, edits: WordEdits | None) -> Row:
        values: Row = near.over()
        if listener is None:
            return values
        return (*values, None if edits is None else edits.rate())

    baselines: dict[str, Row] = {}
    if true.mean_nearness is not None:
        baselines[MEAN] = row(true.mean_nearness, true.heard(true.mean_waves, listener))
    bounds = {
        TRUE: row(true.true_nearness, true.heard(true.true_waves, listener)),
        RESYNTHESISED: row(true.resynthesis_nearness, true.heard(true.resynthesised, listener)),
    }
    ours = label_beside(scored.network.title, {**baselines, **bounds})
    rows = {ours: row(scored.nearness, scored.edits), **baselines, **bounds}
    scores = Scores(
        "",
        (MCD, LENGTH) if listener is None else (MCD, LENGTH, HEARD),
        rows,
        ADVICE,
        mixed=tuple(bounds),
        remark=_remark(scored),
    )
    count = sum(saying.sounds for saying in scored.sayings)
    by_speaker: dict[str, list[int]] = {}
    for number, saying in enumerate(scored.sayings):
        by_speaker.setdefault(saying.name, []).append(number)
    details: dict[str, Any] = {
        "mcd_interval": None if scored.interval is None else list(scored.interval),
        "sayings": len(scored.sayings),
        "sayings_in_all": scored.true.saying_count,
        "sounds": count,
        "finished": scored.finished_share,
        "came_to_the_last_letter": scored.last_letter_share,
        "frame_error": scored.frame_error,
        "mcd_by_speaker": {
            name: scored.nearness.over(numbers)[0] for name, numbers in by_speaker.items()
        },
        "leaks": scored.leaks,
    }
    return Results(
        (scores,),
        counted_words(count, "sound", "đoạn âm thanh"),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _remark(scored: ScoredSpeech) -> Words:
    remarks = []
    count, there_are = len(scored.sayings), scored.true.saying_count
    if count < there_are:
        several = number_text(there_are, ",.0f")
        remarks.append(
            Words(
                f"{count} of {several.en} pairs of text and speaker are scored, drawn from each "
                "speaker in turn.",
                f"Chỉ chấm điểm {count} trong {several.vi} cặp câu và người nói, rút lần lượt từ "
                "từng người.",
            )
        )
    if scored.interval is not None:
        pairs = Words("pairs of text and speaker", "câu và người nói")
        remarks.append(MCD.interval_over(pairs, scored.interval, unit=" dB"))
    cut_off = 1 - scored.finished_share
    if cut_off:
        share = number_text(100 * cut_off, ".1f")
        remarks.append(
            Words(
                f"{share.en} % of the sounds did not stop by themselves and were cut off.",
                f"Có {share.vi} % số đoạn không tự dừng nên bị cắt.",
            )
        )
    return joined(remarks)


def _test_table(scored: ScoredSpeech) -> pl.DataFrame:
    """Return the scores of each saying."""
    sayings, near = scored.sayings, scored.nearness
    columns: dict[str, Any] = {
        "text": [saying.text for saying in sayings],
        "speaker": [saying.name for saying in sayings],
        "recordings": [len(saying.numbers) for saying in sayings],
        "sounds": [saying.sounds for saying in sayings],
        "mcd": near.distortion,
        "length_off": near.length,
    }
    if scored.true.mean_nearness is not None:
        columns["mcd_of_the_mean_recording"] = scored.true.mean_nearness.distortion
    return pl.DataFrame(columns)
