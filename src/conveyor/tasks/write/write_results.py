"""The scores of a writer beside baselines."""

from collections.abc import Mapping
from math import log
from typing import Any

import polars as pl

from conveyor.pages.words import Words, counted_words, joined
from conveyor.tasks.results import Metric, Results, Scores
from conveyor.tasks.write.scored_strokes import ScoredStrokes
from conveyor.tasks.write.write_report import sections

NATS = Metric("nats", "nats per movement", "nats per movement", digits=".3f", apart="difference")

ADVICE = Words(
    "Train longer, or give more texts.", "Hãy huấn luyện lâu hơn, hoặc cho thêm chữ viết."
)


def results_of(scored: ScoredStrokes, others: Mapping[str, float]) -> Results:
    """Return the scores of a network beside those of baselines."""
    remark = []
    if scored.interval is not None:
        remark.append(NATS.interval_over(Words("texts", "dòng chữ"), scored.interval))
    across, down = scored.network.deviation.tolist()
    across /= scored.network.sizes.stretch
    counts = scored.examples.lengths
    details: dict[str, Any] = {
        "interval": None if scored.interval is None else list(scored.interval),
        "movements": sum(counts),
        "deviation": [across, down],
        # A density in other units is another number: this is it in the units of the file.
        "nats_in_units_of_the_points": scored.mean + log(across * down),
        "nats_per_text": scored.mean * sum(counts) / len(counts),
    }
    scores = Scores.of(
        "",
        (NATS,),
        title=scored.network.title,
        ours=(scored.mean,),
        baselines={name: (value,) for name, value in others.items()},
        advice=ADVICE,
        remark=joined(remark),
    )
    return Results(
        (scores,),
        counted_words(len(counts), "text", "dòng chữ"),
        details,
        draw=lambda: sections(scored),
        answers=lambda: _test_table(scored),
    )


def _test_table(scored: ScoredStrokes) -> pl.DataFrame:
    """Return the score of each text."""
    return pl.DataFrame(
        {
            "place": scored.examples.places,
            "text": scored.examples.texts,
            "movements": scored.examples.lengths,
            "nats": [float(each.double().sum()) for each in scored.nats],
        }
    )
