"""Where in a recording a network hears each label that is written."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from torch import Tensor

from conveyor.networks.ctc import BLANK, ctc_alignment


class PlacedLabel(NamedTuple):
    """A label and where it is heard.

    Attributes:
        label: its number.
        step: where it is heard.
        share: how sure the network is there: of CTC the label's probability, of attention the
            weight of the step.
    """

    label: int
    step: int
    share: float


def placed_by_ctc(log_probabilities: Tensor, labels: Sequence[int]) -> list[PlacedLabel]:
    """Return labels where they begin on the likeliest path.

    Args:
        log_probabilities: of the blank and the labels at each step, [steps, 1 + labels].
        labels: that are placed.

    Raises:
        DataError: there are more labels than steps hold.
    """
    placed, step = [], 0
    for symbol, run in groupby(ctc_alignment(log_probabilities, labels)):
        count = len(list(run))
        if symbol != BLANK:
            surest = float(log_probabilities[step : step + count, symbol].max().exp())
            placed.append(PlacedLabel(symbol, step, surest))
        step += count
    return placed


def placed_by_attention(weights: Tensor, labels: Sequence[int]) -> list[PlacedLabel]:
    """Return labels at the steps that were looked at most.

    Args:
        weights: of the steps for each label, [labels or more, steps].
        labels: that are placed.
    """
    return [
        PlacedLabel(label, int(row.argmax()), float(row.max()))
        for label, row in zip(labels, weights, strict=False)
    ]


def placed_in_words(
    placed: Sequence[PlacedLabel], names: Sequence[str], step_seconds: float
) -> str:
    """Return where each label is heard: "three<0.42 s 0.93".

    Args:
        placed: the labels.
        names: of labels, that of label 1 first.
        step_seconds: from one step to the next.
    """
    return " ".join(
        f"{names[each.label - 1].replace(' ', '␣')}<{each.step * step_seconds:.2f} s "
        f"{each.share:.2f}"
        for each in placed
    )
