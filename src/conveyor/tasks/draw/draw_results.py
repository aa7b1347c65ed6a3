"""The scores of DRAW beside baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from conveyor.pages.words import Words, counted_words, joined
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.draw.draw_report import sections
from conveyor.tasks.latent.latent_results import fit_of, interval_remark, metrics_of
from conveyor.tasks.latent.method_nats import MethodNats
from conveyor.tasks.latent.plain_fit import PlainFit
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.results import Results, Scores

# What tables call the network beside.
VAE = "variational autoencoder"

ADVICE = Words(
    "Train longer (--epochs), or give more glimpses (--glimpses 16).",
    "Hãy huấn luyện lâu hơn (--epochs), hoặc tăng số lần nhìn (--glimpses 16).",
)


def results_of(
    scored: ScoredSequences,
    counted: Mapping[str, MethodNats],
    plain: PlainFit | None,
    known: Sequence[Tensor] | None = None,
) -> Results:
    """Return the scores of a network beside those of baselines.

    Args:
        scored: the network on the test part.
        counted: nats of methods whose latent values are not drawn here.
        plain: the autoencoder; None for none.
        known: pictures that were learned from; None where they are not known.
    """
    metrics = metrics_of(scored.network.kind, scored.draws)
    rows: dict[str, tuple[float | None, ...]] = {}
    beside: ScoredSequences | None = None
    each = {name: nats.each for name, nats in counted.items() if nats.each}
    if plain is not None:
        beside = ScoredSequences(plain.network, scored.examples, scored.draws)
        rows[VAE] = (beside.estimate, None, None)
        each[VAE] = tuple(beside.nats)
    rows |= {name: (nats.mean, None, None) for name, nats in counted.items()}
    remark = [
        Words(
            f"Nats of networks with latent values are at most these, estimated with {scored.draws} "
            "draws of them; those of the mean of each pixel are exact.",
            "Với mạng có giá trị ẩn, số nat là cận trên, ước lượng với "
            f"{scored.draws} lần rút; số nat của trung bình từng điểm ảnh là chính xác.",
        )
    ]
    remark += interval_remark(scored, metrics[0])
    details: dict[str, Any] = {
        "interval": None if scored.interval is None else list(scored.interval),
        "draws": scored.draws,
        "divergence_by_glimpse": [round(nats, 4) for nats in scored.divergence_by_step.tolist()],
        "parameters": scored.network.parameter_count,
    }
    if plain is not None and beside is not None:
        details["baseline"] = {
            "bound": beside.bound,
            "divergence": beside.divergence,
            **fit_of(plain),
        }
    scores = Scores.of(
        "",
        metrics,
        title=scored.network.title,
        ours=(scored.estimate, scored.bound, scored.divergence),
        baselines=rows,
        advice=ADVICE,
        remark=joined(remark),
        alike=tuple(name for name, nats in each.items() if _may_be_chance(scored, nats)),
    )
    return Results(
        (scores,),
        counted_words(len(scored.examples), "picture", "ảnh"),
        details,
        draw=lambda: sections(scored, beside, known),
        answers=lambda: _test_table(scored, beside),
    )


def _may_be_chance(scored: ScoredSequences, others: Sequence[float]) -> bool:
    """Return whether neither the network nor a method with these nats of each picture is the better
    one in 95 of 100 samples of the pictures."""
    if len(scored.examples) < 2:
        return True
    apart = np.array(scored.nats) - np.array(others)
    low, high = interval_of(bootstrap_draws(len(apart)) @ apart / len(apart))
    return low <= 0 <= high


def _test_table(scored: ScoredSequences, beside: ScoredSequences | None) -> pl.DataFrame:
    """Return the nats of each picture."""
    columns: dict[str, list[Any]] = {
        "number": list(range(1, len(scored.examples) + 1)),
        "nats": scored.nats,
        "bound": [float(drawn.bound.double().sum()) for drawn in scored.drawn],
        "divergence": [float(drawn.divergence.double().sum()) for drawn in scored.drawn],
    }
    if beside is not None:
        columns["nats of the autoencoder"] = beside.nats
    return pl.DataFrame(columns)
