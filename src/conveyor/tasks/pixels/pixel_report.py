"""The sections of the report on digits that are read pixel by pixel."""

import html
from collections.abc import Iterable

import plotly.graph_objects as go
import torch
from torch import Tensor

from conveyor.data.pixels import Images, pixels
from conveyor.layers.state import main_output
from conveyor.networks.readout import Readout
from conveyor.pages.frame import OURS, chart, count_axis, line_mode, paragraph
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.words import Words
from conveyor.tasks.confusion import confusion_of, confusion_table
from conveyor.tasks.results import Section

# Wrong answers that are shown, the most confident ones.
_WORST = 16
# Images over which the decision is followed: 784 steps of 128 units take 40 MB.
_FOLLOWED = 100


def sections(
    network: Readout, asked: Images, answers: Tensor, order: Tensor | None
) -> Iterable[Section]:
    """Yield the confusion matrix, the worst mistakes, and where in the image it is decided.

    Args:
        network: the network.
        asked: the images of the test set.
        answers: the logits of each, [N, 10].
        order: in which the pixels are read; None for line by line.
    """
    yield Section(Words("Confusion matrix", "Ma trận nhầm lẫn"), _confusion(asked, answers))
    if bool((answers.argmax(-1) != asked.labels).any()):
        yield Section(Words("Worst mistakes", "Những lần sai nhất"), _worst(asked, answers))
    yield Section(
        Words("When the network decides", "Mạng quyết định lúc nào"),
        _decision(network, asked, order),
    )


def _confusion(asked: Images, answers: Tensor) -> str:
    about = Words(
        "Rows are true digits, columns are predicted digits. Correct answers are on the diagonal. "
        "The darker a cell, the larger its share of the row.",
        "Mỗi hàng là chữ số đúng, mỗi cột là chữ số mạng chọn. Đường chéo là những lần đúng; ô "
        "càng đậm, tỷ lệ trong hàng càng lớn.",
    )
    classes = answers.shape[1]
    matrix = confusion_of(answers.argmax(-1), asked.labels, classes)
    corner = Words("true ↓ predicted →", "đúng ra ↓ mạng chọn →")
    return paragraph(about) + confusion_table(
        matrix.tolist(), [str(digit) for digit in range(classes)], corner
    )


def _worst(asked: Images, answers: Tensor) -> str:
    about = Words(
        "The wrong answers that the network gave with the highest probability.",
        "Những câu trả lời sai mà mạng cho xác suất cao nhất.",
    )
    sure, predicted = answers.softmax(-1).max(-1)
    wrong = (predicted != asked.labels).nonzero()[:, 0]
    worst = wrong[sure[wrong].argsort(descending=True, stable=True)[:_WORST]].tolist()
    figures = []
    for number in worst:
        true, said = int(asked.labels[number]), int(predicted[number])
        about_one = Words(
            f"{true} as {said}, {100 * float(sure[number]):.0f} %",
            f"{true} thành {said}, {100 * float(sure[number]):.0f} %",
        )
        picture = pixel_image(asked.images[number].numpy(), html.escape(about_one.en))
        figures.append(f"<div>{picture}<small>{about_one.html()}</small></div>")
    return paragraph(about) + f'<div class="drawn pictures">{"".join(figures)}</div>'


@torch.no_grad()
def _decision(network: Readout, asked: Images, order: Tensor | None) -> str:
    count = min(_FOLLOWED, len(asked.labels))
    about = Words(
        f"The probability of the true digit if the network had to answer after so many pixels: the "
        f"mean over {count} images of the test set. It learned to answer after the last pixel.",
        f"Xác suất của chữ số đúng nếu mạng phải trả lời sau chừng ấy điểm ảnh: trung bình trên "
        f"{count} ảnh của phần kiểm tra. Mạng chỉ học trả lời sau điểm ảnh cuối.",
    )
    true = mean_probability_of_the_true(network, asked, order, count)
    figure = go.Figure()
    figure.add_scatter(
        x=list(range(1, len(true) + 1)),
        y=[round(100 * value, 2) for value in true.tolist()],
        name="probability of the true digit",
        mode=line_mode(len(true)),
        line_color=OURS,
    )
    count_axis(figure, "pixels read", len(true))
    figure.update_yaxes(title="percent", range=[0, 103])
    return paragraph(about) + chart(figure, "decision")


@torch.no_grad()
def mean_probability_of_the_true(
    network: Readout, asked: Images, order: Tensor | None, count: int
) -> Tensor:
    """Return the mean probability of the true digit of the first ``count`` images, after each
    pixel, [T]."""
    batch = pixels(Images(*(tensor[:count] for tensor in asked)), order)
    output = main_output(network.recurrent(batch.inputs, lengths=batch.lengths)[0])
    probabilities = network.head(output).softmax(-1)
    true = batch.targets.expand(len(output), -1)[..., None]
    means: Tensor = probabilities.gather(-1, true)[..., 0].double().mean(1)
    return means
