"""The scores of networks with latent values beside baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from torch import Tensor

from conveyor.pages.words import Words, counted_words, joined
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
    "Train longer, or increase the weight of the divergence slowly (--kl-warmup 300).",
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
    return [metric.interval_over(Words(f"{kind.noun}s", kind.noun_vi), scored.interval)]


def fit_of(plain: PlainFit) -> dict[str, Any]:
    """Return how the network beside was fitted, as ``metrics.json`` holds it."""
    return {
        "epochs": plain.epochs,
        "best_epoch": plain.best,
        "seconds": round(plain.seconds, 1),
        "parameters": plain.network.parameter_count,
    }


def scores_of(
    scored: ScoredSequences,
    counted: Mapping[str, MethodNats],
    beside: tuple[str, ScoredSequences] | None,
    *,
    advice: Words,
    remark: Words,
) -> Scores:
    """Return the nats of a network beside those of baselines, with what may be chance.

    Args:
        scored: the network on the test set.
        counted: nats of methods that are not computed here, by name.
        beside: the name and the scores of the network that was fitted beside it.
        advice: what may help where a baseline wins.
        remark: what the numbers are.
    """
    metrics = metrics_of(scored.network.kind, scored.draws)
    methods = dict(counted)
    if beside is not None:
        name, other = beside
        methods = {name: MethodNats(other.estimate, tuple(other.nats)), **methods}
    return Scores.of(
        "",
        metrics,
        title=scored.network.title,
        ours=(scored.estimate, scored.bound, scored.divergence),
        baselines={name: (nats.mean, None, None) for name, nats in methods.items()},
        advice=advice,
        remark=joined([remark, *interval_remark(scored, metrics[0])]),
        alike=tuple(
            name for name, nats in methods.items() if nats.each and scored.may_be_chance(nats.each)
        ),
    )


def results_of(
    scored: ScoredSequences,
    counted: Mapping[str, MethodNats],
    plain: PlainFit | None,
    known: Sequence[Tensor] | None = None,
) -> Results:
    """Return the scores of a network beside those of baselines.

    Args:
        scored: the network on the test set.
        counted: nats of methods without a network.
        plain: the network without latent values; None for none.
        known: sequences that were learned from; None where they are not known.
    """
    kind, draws = scored.network.kind, scored.draws
    beside = None if plain is None else ScoredSequences(plain.network, scored.examples, 1)
    remark = Words(
        f"The nats of {scored.network.title} are an upper bound, estimated with {draws} samples "
        "of the latent values; those of the others are exact.",
        f"Số nat của {scored.network.title} là cận trên, ước lượng với {draws} lần rút giá trị "
        "ẩn; số nat của các phương pháp khác là chính xác.",
    )
    details: dict[str, Any] = {
        "interval": None if scored.interval is None else list(scored.interval),
        "draws": draws,
        "steps": sum(scored.examples.lengths),
        "divergence_by_step": [round(nats, 4) for nats in scored.divergence_by_step.tolist()],
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
    other = None if beside is None else (WITHOUT, beside)
    return Results(
        (scores_of(scored, counted, other, advice=ADVICE, remark=remark),),
        counted_words(len(scored.examples), kind.noun, kind.noun_vi),
        details,
        draw=lambda: sections(scored, beside, forecasts),
        answers=lambda: table_of(
            scored, beside, {"steps": scored.examples.lengths}, "nats without latent values"
        ),
    )


def table_of(
    scored: ScoredSequences,
    beside: ScoredSequences | None,
    more: Mapping[str, list[Any]],
    column: str,
) -> pl.DataFrame:
    """Return the scores of each sequence, nats of all its steps.

    Args:
        scored: the network.
        beside: the network that was fitted beside it; None for none.
        more: further columns behind the first.
        column: the name of the column of the network beside it.
    """
    columns: dict[str, list[Any]] = {
        "number": list(range(1, len(scored.examples) + 1)),
        **more,
        "nats": scored.nats,
        "bound": [float(drawn.bound.double().sum()) for drawn in scored.drawn],
        "divergence": [float(drawn.divergence.double().sum()) for drawn in scored.drawn],
    }
    if beside is not None:
        columns[column] = beside.nats
    return pl.DataFrame(columns)
