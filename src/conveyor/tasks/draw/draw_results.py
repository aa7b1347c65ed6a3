"""The scores of DRAW beside baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from conveyor.pages.words import Words, counted_words
from conveyor.tasks.draw.draw_report import sections
from conveyor.tasks.latent.latent_results import fit_of, scores_of, table_of
from conveyor.tasks.latent.method_nats import MethodNats
from conveyor.tasks.latent.plain_fit import PlainFit
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.results import Results

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
        scored: the network on the test set.
        counted: nats of methods whose latent values are not drawn here.
        plain: the autoencoder; None for none.
        known: pictures that were learned from; None where they are not known.
    """
    beside = None
    if plain is not None:
        beside = ScoredSequences(plain.network, scored.examples, scored.draws)
    remark = Words(
        f"The nats of networks with latent values are upper bounds, estimated with {scored.draws} "
        "samples of the latent values; those of the mean of each pixel are exact.",
        "Với mạng có giá trị ẩn, số nat là cận trên, ước lượng với "
        f"{scored.draws} lần rút; số nat của trung bình từng điểm ảnh là chính xác.",
    )
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
    other = None if beside is None else (VAE, beside)
    return Results(
        (scores_of(scored, counted, other, advice=ADVICE, remark=remark),),
        counted_words(len(scored.examples), "picture", "ảnh"),
        details,
        draw=lambda: sections(scored, beside, known),
        answers=lambda: table_of(scored, beside, {}, "nats of the autoencoder"),
    )
