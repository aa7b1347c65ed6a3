"""The chart of training and validation loss by epoch."""

import math
from collections.abc import Iterable

import plotly.graph_objects as go

from conveyor.pages.frame import DECIMALS, OTHER, OURS, chart, count_axis, line_mode, log_numbers
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Words, number_text
from conveyor.training.curve import Row

# A loss that falls to a tenth shows its last part on a logarithmic axis only.
LOG_FROM = 10.0

# The first training loss is the mean over an epoch that began untrained. It is left out of sight
# where it would leave the other losses less than a third of the height.
OUTLIER_FROM = 2.0

# A logarithmic axis of so many decades has ticks at 1, 2 and 5 of each, a longer one at 1: more
# would not fit its height on a phone.
FEW_DECADES = 3.0


def curve_chart(curve: tuple[Row, ...], loss: str, kept: int = 0) -> str:
    """Return the chart as a part of a page. Its vertical axis begins near the least loss.

    Args:
        curve: (epoch, training loss, validation loss) for each epoch, one or more.
        loss: what the loss is, in words.
        kept: the epoch whose weights were kept; 0 for the one with the least validation loss.
    """
    epochs = [epoch for epoch, _, _ in curve]
    training = [value for _, value, _ in curve]
    validation = [value for _, _, value in curve]
    figure = go.Figure()
    for name, values, colour in (
        ("training", training, OTHER),
        ("validation", validation, OURS),
    ):
        figure.add_scatter(
            x=epochs, y=values, name=name, mode=line_mode(len(epochs)), line_color=colour
        )
    finite = [row for row in curve if math.isfinite(row[2])]
    if finite:
        best = curve[kept - 1] if kept else min(finite, key=lambda row: row[2])
        figure.add_scatter(
            x=[best[0]],
            y=[best[2]],
            name="best epoch",
            mode="markers",
            cliponaxis=False,  # whole at the edge, too
            marker={"color": OURS, "size": 11, "symbol": "circle-open", "line": {"width": 2}},
        )
    count_axis(figure, "epoch", max(epochs))
    margin = min(0.03 * (epochs[-1] - epochs[0]) or 0.5, 0.5)  # less than an epoch: none is 0
    figure.update_xaxes(range=[epochs[0] - margin, epochs[-1] + margin])
    words = _scale(figure, training, validation, loss)
    return chart(figure, "curve", words=words)


def _scale(
    figure: go.Figure, training: list[float], validation: list[float], loss: str
) -> list[Words]:
    """Set the vertical axis: where it begins and ends, and whether it is logarithmic. Return the
    texts that this needs."""
    figure.update_yaxes(title=loss, hoverformat=DECIMALS)
    first, others = training[0], _finite([*training[1:], *validation])
    if not others:
        return []
    low, high = min(others), max(others)
    drawn = [*others, *_finite([first])]
    if min(drawn) > 0 and high >= LOG_FROM * low:
        ticks = _log_ticks(min(drawn), max(drawn))
        title = Words(f"{loss}, log scale", f"{name_of(loss).vi}, thang log")
        labels = [number_text(tick, "g") for tick in ticks]
        figure.update_yaxes(
            title=title.en, type="log", tickvals=ticks, ticktext=[label.en for label in labels]
        )
        return [title, *labels]
    if high > low and first - high > OUTLIER_FROM * (high - low):
        margin = 0.06 * (high - low)
        figure.update_yaxes(range=[low - margin, high + margin])
        loss_of_first = number_text(first, ".4g")
        note = Words(
            f"↑ training loss of the first epoch: {loss_of_first.en}",
            f"↑ huấn luyện, lượt đầu: {loss_of_first.vi}",
        )
        figure.add_annotation(
            text=note.en,
            x=0,
            y=1,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
        )
        return [note]
    return []


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers for a logarithmic axis from ``low`` to ``high``."""
    return log_numbers(low, high, (1, 2, 5) if math.log10(high / low) <= FEW_DECADES else (1,))
