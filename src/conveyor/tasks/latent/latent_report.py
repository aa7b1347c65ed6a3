"""The sections of the report on sequences with latent values."""

from collections.abc import Iterable, Mapping, Sequence

import plotly.graph_objects as go
import torch
from torch import Tensor

from conveyor.pages.frame import OTHER, OURS, chart, count_axis, line_mode, paragraph, table
from conveyor.pages.words import Words, decimal_text, joined, number_text
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.results import Section

# Sequences of each kind that are shown, and of those that were hardest to predict.
_SHOWN, _HARDEST = {"pictures": 16, "music": 3, "strokes": 4, "table": 4}, 3
# A divergence of fewer nats of a step says nothing.
_COLLAPSED = 0.005


def sections(
    scored: ScoredSequences,
    beside: ScoredSequences | None,
    forecasts: Mapping[str, Mapping[str, float]],
) -> Iterable[Section]:
    """Yield the sections: what is drawn, how rows go on, what the bound is made of, and what was
    hard to predict.

    Args:
        scored: the network on the test set.
        beside: the one without latent values; None for none.
        forecasts: the CRPS of columns by who forecasts them; empty for none.
    """
    yield Section(Words("Samples", "Mạng sinh ra gì"), _samples(scored, beside))
    if forecasts:
        yield Section(Words("Continuations", "Chuỗi đi tiếp ra sao"), _forecasts(forecasts))
    yield Section(
        Words("What the latent values contribute", "Giá trị ẩn cho biết gì"), _parts(scored)
    )
    yield Section(Words("Hardest to predict", "Khó đoán nhất"), _hardest(scored))


def _row(title: Words, pictures: Iterable[str], kind: str) -> str:
    figures = "".join(f"<div>{picture}</div>" for picture in pictures)
    return f'<h3>{title.html()}</h3><div class="drawn {kind}">{figures}</div>'


def _samples(scored: ScoredSequences, beside: ScoredSequences | None) -> str:
    network = scored.network
    kind, count = network.kind, _SHOWN[network.kind.name]
    about = Words(
        "Random samples, not selected. At each step the network samples latent values given its "
        "state, then the step given both.",
        "Mỗi mẫu được sinh từng bước: rút giá trị ẩn từ những gì mạng nhớ, rồi rút bước đó từ cả "
        "hai. Không chọn lọc mẫu nào.",
    )

    def pictures(sequences: Sequence[Tensor], what: str) -> list[str]:
        return [kind.picture(each, f"{what} {n}") for n, each in enumerate(sequences, 1)]

    true = scored.examples.sequences[:count]
    steps = None if kind.per_sequence else max(map(len, true))
    parts = [
        paragraph(about),
        _row(
            Words(f"samples of {network.title}", f"do {network.title} sinh ra"),
            pictures(network.sample(count, steps, seed=1), "drawn"),
            kind.name,
        ),
    ]
    if beside is not None:
        parts.append(
            _row(
                Words(
                    "samples of the network without latent values", "sinh ra không có giá trị ẩn"
                ),
                pictures(beside.network.sample(count, steps, seed=1), "drawn without them"),
                kind.name,
            )
        )
    of_test = Words(f"{kind.noun}s of the test set", f"{kind.noun_vi} của phần kiểm tra")
    parts.append(_row(of_test, pictures(true, "true"), kind.name))
    return "".join(parts)


def _forecasts(forecasts: Mapping[str, Mapping[str, float]]) -> str:
    about = Words(
        "The network reads the first half of each test sequence and samples 100 continuations. "
        "The CRPS is about their distance from the actual rows, in the units of the column; less "
        "is better.",
        "Mạng đọc nửa đầu mỗi chuỗi kiểm tra rồi sinh 100 khả năng cho nửa sau. CRPS cho biết "
        "chúng cách thực tế bao xa, theo đơn vị của cột; càng thấp càng tốt.",
    )
    first, *_ = forecasts
    columns = list(forecasts[first])
    rows = [
        ([column, *(decimal_text(forecasts[name][column]) for name in forecasts)], False)
        for column in columns
    ]
    return paragraph(about) + table(["CRPS", *forecasts], rows)


def _parts(scored: ScoredSequences) -> str:
    kind = scored.network.kind
    digits = ".2f" if kind.per_sequence else ".3f"
    of = kind.noun if kind.per_sequence else "step"
    given = scored.bound - scored.divergence
    collapsed = float(scored.divergence_by_step.mean()) < _COLLAPSED
    if collapsed:
        said = Words(
            "The latent values contribute almost nothing here: the posterior has collapsed, and "
            "the network ignores them. Increasing the weight of the divergence slowly "
            "(--kl-warmup) or fewer hidden units may change that.",
            "Ở đây giá trị ẩn hầu như không nói gì: mạng hoạt động như thể không có chúng (hậu "
            "nghiệm sụp đổ). Có thể thử cho trọng số phân kỳ tăng dần (--kl-warmup) hoặc giảm số "
            "đơn vị ẩn.",
        )
    else:
        nats = number_text(scored.divergence, digits)
        of_vi = kind.noun_vi if kind.per_sequence else "bước"
        said = Words(
            f"The divergence is {nats.en} nats per {of}: this is what the latent values "
            "contribute. The rest remains when they are known.",
            f"{nats.vi} nat của mỗi {of_vi} là phần giá trị ẩn cho biết (độ phân kỳ); phần còn lại "
            "vẫn phải rút ngẫu nhiên khi đã biết chúng.",
        )
    rows = [
        (["given the latent values", f"{given:{digits}}"], False),
        (["divergence", f"{scored.divergence:{digits}}"], False),
        (["bound", f"{scored.bound:{digits}}"], False),
        (["estimate", f"{scored.estimate:{digits}}"], True),
    ]
    return (
        paragraph(said)
        + table(["", f"nats per {of}"], rows)
        + paragraph(_over_time(scored, collapsed=collapsed))
        + _chart(scored)
    )


def _over_time(scored: ScoredSequences, *, collapsed: bool) -> Words:
    kind = scored.network.kind
    over_time = Words(
        f"Over time: the mean over all {kind.noun}s that are long enough, up to the step that "
        "only a quarter of them reach.",
        f"Theo thời gian, lấy trung bình trên mọi {kind.noun_vi} đủ dài, đến chỗ chỉ còn một phần "
        "tư số đó.",
    )
    if collapsed:
        return over_time
    most = int(scored.divergence_by_step.argmax()) + 1
    told = Words(
        f"The divergence is largest at step {most}.",
        f"Giá trị ẩn cho biết nhiều nhất ở bước {most}.",
    )
    return joined([over_time, told])


def _chart(scored: ScoredSequences) -> str:
    divergence, losses = scored.divergence_by_step, scored.losses_by_step
    steps = list(range(1, len(divergence) + 1))
    figure = go.Figure()
    for name, values, colour in (
        ("divergence", divergence, OURS),
        ("given the latent values", losses, OTHER),
    ):
        figure.add_scatter(
            x=steps,
            y=values.tolist(),
            name=name,
            mode=line_mode(len(steps)),
            line_color=colour,
        )
    count_axis(figure, "step", len(steps))
    figure.update_yaxes(title="nats", hoverformat=".3f")
    return chart(figure, "divergence")


def _hardest(scored: ScoredSequences) -> str:
    kind = scored.network.kind
    counts = [1 if kind.per_sequence else length for length in scored.examples.lengths]
    means = torch.tensor(scored.nats) / torch.tensor(counts)
    order = means.argsort(descending=True, stable=True)[:_HARDEST].tolist()
    of = Words(kind.noun, kind.noun_vi) if kind.per_sequence else Words("step", "bước")
    parts = []
    for number in order:
        nats = number_text(float(means[number]), ".2f")
        parts.append(
            _row(
                Words(
                    f"{kind.noun} {number + 1}: {nats.en} nats per {of.en}",
                    f"{kind.noun_vi} {number + 1}: {nats.vi} nat mỗi {of.vi}",
                ),
                [kind.picture(scored.examples.sequences[number], f"{kind.noun} {number + 1}")],
                kind.name,
            )
        )
    return "".join(parts)
