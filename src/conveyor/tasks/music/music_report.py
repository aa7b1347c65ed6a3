"""The sections of the report on music."""

from collections.abc import Iterable

import plotly.graph_objects as go
from torch import Tensor

from conveyor.data.synthetic import Batch
from conveyor.networks.output_heads import label_losses
from conveyor.pages.frame import OURS, chart, count_axis, line_mode, paragraph
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.words import Words, number_text
from conveyor.tasks.results import Section

# Pieces that are shown, and of those that were hardest to predict.
_SHOWN, _HARDEST = 3, 3


def sections(asked: Batch, answers: Tensor, nats: Tensor) -> Iterable[Section]:
    """Yield what the network expects, its nats over time, and the hardest pieces.

    Args:
        asked: the pieces of the test set.
        answers: the network's logits of each key, [T, N, 88].
        nats: a step of each piece, [N].
    """
    about = Words(
        "Each piece as a piano roll, and the probability of each key that the network predicts "
        "from the steps before. Time runs from left to right, high notes are at the top; the "
        "first step is not predicted.",
        "Mỗi bản nhạc dưới dạng piano roll, và xác suất của từng phím mà mạng dự đoán từ các bước "
        "trước. Thời gian chạy từ trái sang phải, nốt cao ở trên; bước đầu không được dự đoán.",
    )
    first = range(min(_SHOWN, len(nats)))
    yield Section(
        Words("Predictions", "Dự đoán"), paragraph(about) + _rolls(asked, answers, nats, first)
    )
    yield Section(Words("Nats over time", "Số nat theo thời gian"), _over_time(asked, answers))
    hardest = nats.argsort(descending=True, stable=True)[:_HARDEST].tolist()
    yield Section(
        Words("Hardest to predict", "Khó đoán nhất"), _rolls(asked, answers, nats, hardest)
    )


def _rolls(asked: Batch, answers: Tensor, nats: Tensor, numbers: Iterable[int]) -> str:
    parts = []
    for number in numbers:
        steps = int(asked.lengths[number])
        mean = number_text(float(nats[number]), ".2f")
        title = Words(
            f"piece {number + 1}: {mean.en} nats per step",
            f"bản nhạc {number + 1}: {mean.vi} nat mỗi bước",
        )
        rolls = (
            ("actual", asked.targets[:steps, number]),
            ("predicted", answers[:steps, number].sigmoid()),
        )
        figures = "".join(
            f"<div>{pixel_image(roll.T.flip(0).numpy(), f'{name}: piece {number + 1}')}</div>"
            for name, roll in rolls
        )
        parts.append(f'<h3>{title.html()}</h3><div class="drawn music">{figures}</div>')
    return "".join(parts)


def nats_by_step(asked: Batch, answers: Tensor) -> Tensor:
    """Return the mean nats at each step, over the pieces that have it, [T]; of steps that a quarter
    of all pieces have, or more.

    Args:
        asked, answers: see ``sections``.
    """
    losses = label_losses(answers, asked.targets).double()
    counts = asked.counted.sum(1)
    means = losses.masked_fill(~asked.counted, 0).sum(1) / counts.clamp(min=1)
    return means[4 * counts >= len(asked.lengths)]


def _over_time(asked: Batch, answers: Tensor) -> str:
    about = Words(
        "The mean over all pieces that are long enough, up to the step that only a quarter of them "
        "reach. A network that remembers predicts later steps better.",
        "Trung bình trên mọi bản nhạc đủ dài, đến bước mà chỉ một phần tư số đó đạt tới. Mạng có "
        "trí nhớ thì dự đoán các bước sau tốt hơn.",
    )
    means = nats_by_step(asked, answers)
    figure = go.Figure()
    figure.add_scatter(
        # The first step is not predicted.
        x=list(range(2, len(means) + 2)),
        y=means.tolist(),
        name="nats per step",
        mode=line_mode(len(means)),
        line_color=OURS,
    )
    count_axis(figure, "step", len(means) + 1)
    figure.update_yaxes(title="nats", rangemode="tozero", hoverformat=".3f")
    return paragraph(about) + chart(figure, "nats over time")
