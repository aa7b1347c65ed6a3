"""The scores of networks with latent values beside baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from torch import Tensor

from conveyor.pages.words import Words, cell_text, counted_words, joined
from conveyor.tasks.latent.kind import Kind
from conveyor.tasks.latent.latent_report import sections
from conveyor.tasks.latent.method_nats import MethodNats
from conveyor.tasks.latent.plain_fit import PlainFit
from conveyor.tasks.latent.row_forecasts import forecast_scores
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.latent.table_kind import TableKind
from conveyor.tasks.results import Metric, Results, Scores

# What tables call the network without latent values.
WITHOUT = "network without latent values"

ADVICE = Words(
    "Train longer, or let the divergence weigh little at first (--kl-warmup 300).",
    "Hãy huấn luyện lâu hơn, hoặc lúc đầu tính độ phân kỳ nhẹ hơn (--kl-warmup 300).",
)


def metrics_of(kind: Kind, draws: int) -> tuple[Metric, Metric, Metric]:
    """Return what is told of a network: the estimate, which decides, the bound and its part."""
    of = kind.noun if kind.per_sequence else "step"
    unit = f"nats per {of}"
    digits = ".2f" if kind.per_sequence else ".3f"
    return (
        Metric("nats", f"nats per {of}", unit, digits=digits, apart="difference"),
        Metric("bound", "bound", unit, digits=digits, apart="difference"),
        Metric("divergence", "divergence", unit, digits=digits, better=None),
    )


def interval_remark(scored: ScoredSequences, metric: Metric) -> list[Words]:
    """Return in which range the nats of 95 of 100 samples lie, as a sentence; nothing of one
    sequence."""
    if scored.interval is None:
        return []
    kind = scored.network.kind
    low, high = (cell_text(metric.text(end)) for end in scored.interval)
    return [
        Words(
            f"In 95 of 100 samples of these {kind.noun}s it has {low.en} to {high.en}.",
            f"Trong 95 trên 100 mẫu rút từ các {kind.noun_vi} này, mạng đạt từ {low.vi} đến "
            f"{high.vi}.",
        )
    ]


def fit_of(plain: PlainFit) -> dict[str, Any]:
    """Return how the network beside was fitted, as ``metrics.json`` holds it."""
    return {
        "epochs": plain.epochs,
        "best_epoch": plain.best,
        "seconds": round(plain.seconds, 1),
        "parameters": plain.network.parameter_count,
    }


def results_of(
    scored: ScoredSequences,
    counted: Mapping[str, MethodNats],
    plain: PlainFit | None,
    known: Sequence[Tensor] | None = None,
) -> Results:
    """Return the scores of a network beside those of baselines.

    Args:
        scored: the network on the test part.
        counted: nats of methods without a network.
        plain: the network without latent values; None for none.
        known: sequences that were learned from; None where they are not known.
    """
    kind, draws = scored.network.kind, scored.draws
    metrics = metrics_of(kind, draws)
    rows: dict[str, tuple[float | None, ...]] = {}
    beside = None
    if plain is not None:
        beside = ScoredSequences(plain.network, scored.examples, 1)
        rows[WITHOUT] = (beside.estimate, None, None)
    rows |= {name: (nats.mean, None, None) for name, nats in counted.items()}
    remark = [
        Words(
            f"The nats of {scored.network.title} are at most these, estimated with {draws} draws "
            "of the latent values; those of others are exact.",
            f"Số nat của {scored.network.title} là cận trên, ước lượng với {draws} lần rút giá trị "
            "ẩn; số nat của các phương pháp khác là chính xác.",
        )
    ]
    remark += interval_remark(scored, metrics[0])
    details: dict[str, Any] = {
        "interval": None if scored.interval is None else list(scored.interval),
        "draws": draws,
        "steps": sum(scored.examples.lengths),
        "divergence_by_step": [round(each, 4) for each in scored.divergence_by_step.tolist()],
        "parameters": scored.network.parameter_count,
    }
    if plain is not None:
        details["baseline"] = fit_of(plain)
    forecasts: dict[str, dict[str, float]] = {}
    if known is not None and isinstance(kind, TableKind):
        networks = {scored.network.title: scored.network}
        if beside is not None:
            networks[WITHOUT] = beside.network
        forecasts = forecast_scores(networks, known, scored.examples.sequences)
        details["crps"] = forecasts
    scores = Scores.of(
        "",
        metrics,
        title=scored.network.title,
        ours=(scored.estimate, scored.bound, scored.divergence),
        baselines=rows,
        advice=ADVICE,
        remark=joined(remark),
    )
    return Results(
        (scores,),
        counted_words(len(scored.examples), kind.noun, kind.noun_vi),
        details,
        draw=lambda: sections(scored, beside, forecasts),
        answers=lambda: _test_table(scored, beside),
    )


def _test_table(scored: ScoredSequences, beside: ScoredSequences | None) -> pl.DataFrame:
    """Return the scores of each sequence, nats of all its steps."""
    columns: dict[str, list[Any]] = {
        "number": list(range(1, len(scored.examples) + 1)),
        "steps": scored.examples.lengths,
        "nats": scored.nats,
        "bound": [float(each.bound.double().sum()) for each in scored.drawn],
        "divergence": [float(each.divergence.double().sum()) for each in scored.drawn],
    }
    if beside is not None:
        columns["nats without latent values"] = beside.nats
    return pl.DataFrame(columns)
