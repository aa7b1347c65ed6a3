"""The sections of the report on a classic task."""

from collections.abc import Iterable

import plotly.graph_objects as go
import torch
from torch import Tensor

from conveyor.data.synthetic import Batch
from conveyor.pages.frame import OURS, TRUTH, chart, count_axis, line_mode, paragraph, table
from conveyor.pages.pixel_image import pixel_image
from conveyor.pages.words import Words, decimal_text, number_text
from conveyor.tasks.classic.classics import Classic
from conveyor.tasks.results import Section
from conveyor.tasks.sequence_costs import SequenceCosts

# Sequences of the test set that are shown: single answers in a table, and whole sequences.
_ANSWERS, _SEQUENCES = 10, 2


def sections(
    classic: Classic, asked: Batch, answers: Tensor, costs: SequenceCosts
) -> Iterable[Section]:
    """Yield what the task is, and what the network answers to some sequences.

    Args:
        classic: the task.
        asked: the sequences of the test set.
        answers: the network's answers to them.
        costs: of the answers.
    """
    yield Section(Words("The task", "Bài toán"), paragraph(classic.about))
    examples = (
        _single_answers(classic, asked, answers)
        if asked.at_end
        else _whole_sequences(classic, asked, answers, costs)
    )
    yield Section(Words("Examples", "Ví dụ"), examples)


def _single_answers(classic: Classic, asked: Batch, answers: Tensor) -> str:
    first = asked.taken(torch.arange(min(_ANSWERS, len(asked.lengths))))
    answers = answers[: len(first.lengths)]
    about = Words(
        f"The first {len(first.lengths)} sequences of the test set: the reference and the output "
        "after the last step.",
        f"{len(first.lengths)} chuỗi đầu của phần kiểm tra: câu đúng và câu mạng viết sau bước "
        "cuối.",
    )
    if classic.wanted == "class":
        rows = [
            ([str(number + 1), str(int(true)), str(int(said))], False)
            for number, (true, said) in enumerate(
                zip(first.targets, answers.argmax(-1), strict=True)
            )
        ]
    else:
        rows = [
            ([str(number + 1), *(decimal_text(float(one), ".3f") for one in pair)], False)
            for number, pair in enumerate(zip(first.targets[:, 0], answers[:, 0], strict=True))
        ]
    return paragraph(about) + table(["sequence", "reference", "output"], rows)


def _whole_sequences(classic: Classic, asked: Batch, answers: Tensor, costs: SequenceCosts) -> str:
    if classic.wanted == "numbers":
        about = Words(
            "The reference and the output at each step.", "Câu đúng và câu mạng viết ở từng bước."
        )
    else:
        about = Words(
            "The reference and, below it, the probability that the network gives to each symbol. "
            "Time runs from left to right, and each row is a symbol; bright is likely.",
            "Câu đúng và, bên dưới, xác suất mà mạng gán cho từng ký hiệu. Thời gian chạy từ trái "
            "sang phải, mỗi hàng là một ký hiệu; càng sáng càng chắc.",
        )
    parts = [paragraph(about)]
    for number in range(min(_SEQUENCES, len(asked.lengths))):
        one = asked.taken(torch.tensor([number]))
        said = answers[: int(one.lengths[0]), number]
        name = title = Words(f"sequence {number + 1}", f"chuỗi {number + 1}")
        if classic.right is None:
            mean = number_text(float(costs.of_each[number]), ".3g")
            title = Words(f"{name.en}: {classic.loss} {mean.en}", f"{name.vi}: {mean.vi}")
        parts.append(f"<h3>{title.html()}</h3>")
        if classic.wanted == "numbers":
            parts.append(_lines(one.targets[:, 0, 0], said[:, 0], name.en))
        else:
            parts.append(_maps(one, said, classic, name.en))
    return "".join(parts)


def _lines(true: Tensor, said: Tensor, name: str) -> str:
    figure = go.Figure()
    steps = list(range(1, len(true) + 1))
    for label, values, colour in (("reference", true, TRUTH), ("output", said, OURS)):
        figure.add_scatter(
            x=steps,
            y=values.tolist(),
            name=label,
            mode=line_mode(len(steps)),
            line_color=colour,
        )
    count_axis(figure, "step", len(steps))
    return chart(figure, name)


def _maps(one: Batch, answers: Tensor, classic: Classic, name: str) -> str:
    if classic.wanted == "class":
        true = torch.nn.functional.one_hot(one.targets[:, 0], classic.outputs).float()
        said = answers.softmax(-1)
    else:
        true, said = one.targets[:, 0], answers.sigmoid()
    figures = "".join(
        f"<div>{pixel_image(values.T.numpy(), f'{label}: {name}')}</div>"
        for label, values in (("reference", true), ("output", said))
    )
    return f'<div class="drawn music">{figures}</div>'
