"""The scores of a network of samples beside baselines, in numbers and in sentences."""

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conveyor.pages.words import Words, cell_text, counted_words, joined, number_text
from conveyor.tasks.results import Metric, Results, Scores
from conveyor.tasks.sound.scored_sound import ScoredSound
from conveyor.tasks.sound.sound_report import sections

Numbers = NDArray[np.float64]

BITS = Metric("bits_per_sample", "bits per sample", "bits per sample", ".3f", apart="difference")
NATS = Metric("nats_per_sample", "nats per sample", digits=".3f")

_ADVICE = Words(
    "Train longer, or give more recordings.", "Hãy huấn luyện lâu hơn, hoặc cho thêm bản ghi âm."
)


def _row(nats: list[Numbers]) -> tuple[float, float]:
    """Return bits and nats per sample."""
    mean = float(np.concatenate(nats).mean())
    return mean / math.log(2), mean


def bits_of(nats: list[Numbers]) -> float:
    """Return bits per sample."""
    return _row(nats)[0]


def results_of(scored: ScoredSound) -> Results:
    """Return the scores of a network beside those of baselines."""
    baselines = {name: _row(nats) for name, nats in scored.theirs.items()}
    scores = Scores.of(
        "",
        (BITS, NATS),
        title=scored.network.title,
        ours=_row(scored.ours),
        baselines=baselines,
        advice=_ADVICE,
        remark=_remark(scored),
        alike=tuple(name for name in baselines if scored.alike(name)),
    )
    details: dict[str, Any] = {
        "rate": scored.network.rate,
        "samples": scored.sample_count,
        "recordings": len(scored.levels),
        "interval": None if scored.interval is None else list(scored.interval),
        "leaks": scored.leaks,
        "parameters": scored.network.parameter_count,
    }
    return Results(
        (scores,),
        counted_words(scored.sample_count, "sample", "mẫu âm thanh"),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _remark(scored: ScoredSound) -> Words:
    remarks = [
        Words(
            "A sample has one of 256 levels, which is 8 bits without compression.",
            "Mỗi mẫu là một trong 256 mức, lưu bằng 8 bit.",
        )
    ]
    if scored.interval is not None:
        low, high = (cell_text(BITS.text(end)) for end in scored.interval)
        remarks.append(
            Words(
                f"95 % interval over recordings: {low.en} to {high.en}.",
                f"Trong 95 trên 100 tập rút từ các bản ghi âm này, mạng đạt từ {low.vi} đến "
                f"{high.vi}.",
            )
        )
    if scored.sample_count < scored.part.samples:
        first = number_text(scored.sample_count, ",.0f")
        remarks.append(
            Words(
                f"Only the first {first.en} samples are scored.",
                f"Chỉ chấm điểm {first.vi} mẫu đầu.",
            )
        )
    return joined(remarks)


def _test_table(scored: ScoredSound) -> pl.DataFrame:
    """Return the scores of each recording."""
    columns: dict[str, Any] = {
        "recording": scored.part.names[: len(scored.levels)],
        "samples": [len(levels) for levels in scored.levels],
        "bits_per_sample": [float(each.mean()) / math.log(2) for each in scored.ours],
    }
    for name, nats in scored.theirs.items():
        columns[name] = [float(each.mean()) / math.log(2) for each in nats]
    return pl.DataFrame(columns)
