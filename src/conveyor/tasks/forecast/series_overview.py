"""How well each of many series is forecast, for the report."""

from collections.abc import Iterator, Sequence

import numpy as np
from plotly.subplots import make_subplots

from conveyor.pages.frame import BASELINE, OURS, TRUTH, chart, paragraph
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.forecast.comparison import METRICS, Comparison, medians
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecast_results import scored_series
from conveyor.tasks.forecast.series_table import MOST_SHOWN, series_table
from conveyor.tasks.results import Section

# So many of the worst series are seen at once.
_WORST = 10

_TITLE = Words("Each series", "Từng chuỗi")

# Small charts are drawn of so many of the worst series, and of as many about the middle, side by
# side in so many columns: two fit a phone.
_SMALL, _COLUMNS = 4, 2
_SMALL_TITLE = Words("At a glance", "Nhìn nhanh")
_LONGEST_NAME = 24


def shown_of(comparisons: Sequence[Comparison], frame: ForecastFrame) -> list[Comparison]:
    """Return the series that charts are drawn of: all, or of many the worst, the middle and the
    best one."""
    if not frame.has_overview:
        return list(comparisons)
    ranked = _ranked(comparisons)
    chosen = (0, len(ranked) // 2, len(ranked) - 1)
    return [ranked[number] for number in sorted(set(chosen))]


def _ranked(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the series, the worst first, by their error beside the seasonal naive forecast's;
    those without a score last."""

    def order(comparison: Comparison) -> tuple[bool, float]:
        error = comparison.scores[comparison.ours].mase
        return not np.isfinite(error), -error if np.isfinite(error) else 0.0

    return sorted(comparisons, key=order)


def overview_sections(
    comparisons: Sequence[Comparison], drawn_of: int | None = None
) -> Iterator[Section]:
    """Yield a table of all series that are scored, and small charts of some.

    Args:
        comparisons: of all series that are scored.
        drawn_of: of how many series they are drawn; None for all.
    """
    yield overview_section(comparisons, drawn_of)
    glance = small_multiples(comparisons)
    if glance is not None:
        yield glance


def overview_section(comparisons: Sequence[Comparison], drawn_of: int | None = None) -> Section:
    """Return a table of all series that are scored, the worst first; see ``overview_sections``."""
    ranked = _ranked(comparisons)
    by_key = {metric.key: metric for metric in METRICS}
    mase, wape = by_key["mase"], by_key["wape"]
    head = ["", mase.name, wape.name, "best baseline", "its MASE", "forecasts"]
    rows = []
    for comparison in ranked[:MOST_SHOWN]:
        ours, best = comparison.scores[comparison.ours], comparison.best_baseline
        rows.append(
            [
                comparison.label,
                mase.text(ours.mase),
                wape.text(ours.wape),
                best,
                mase.text(comparison.scores[best].mase),
                f"{len(comparison.truth):,}",
            ]
        )
    worse = sum(
        comparison.scores[comparison.best_baseline].mae < comparison.scores[comparison.ours].mae
        for comparison in comparisons
    )
    of_series = scored_series(len(comparisons), drawn_of)
    better = counted_words(worse, "series", "chuỗi", "series")
    said = Words(
        f"Of {of_series.en}, a baseline is better on {worse:,}; which baseline is the best of a "
        "series is only known afterwards. The worst come first.",
        f"Trong {of_series.vi}, phương pháp cơ sở tốt hơn ở {better.vi}; phương pháp nào tốt nhất "
        "cho từng chuỗi thì sau này mới biết. Chuỗi kém nhất đứng đầu.",
    )
    body = paragraph(said) + series_table(head, rows, _WORST)
    left = len(ranked) - MOST_SHOWN
    if left > 0:
        more = counted_words(left, "more", "chuỗi nữa", "more")
        body += paragraph(
            Words(f"{more.en} are in metrics.json.", f"{more.vi} ở trong metrics.json.")
        )
    return Section(_TITLE, body)


def small_multiples(comparisons: Sequence[Comparison]) -> Section | None:
    """Return small charts of the last forecast of some series, the worst and those about the
    middle; None of so few series that each has a chart of its own anyway.

    Args:
        comparisons: of all series.
    """
    ranked = [one for one in _ranked(comparisons) if len(one.truth)]
    if len(ranked) <= 2 * _SMALL:
        return None
    middle = max((len(ranked) - _SMALL) // 2, _SMALL)
    chosen = [*ranked[:_SMALL], *ranked[middle : middle + _SMALL]]
    figure = make_subplots(
        rows=len(chosen) // _COLUMNS,
        cols=_COLUMNS,
        subplot_titles=[_short(one.label) for one in chosen],
        vertical_spacing=0.09,
        horizontal_spacing=0.16,
    )
    for number, one in enumerate(chosen):
        place = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        baseline = one.best_baseline
        for values, name, line in (
            (one.baselines[baseline][-1], "best baseline", {"color": BASELINE, "dash": "dot"}),
            (medians(one.quantiles[-1]), one.ours, {"color": OURS}),
            (one.truth[-1], "actual", {"color": TRUTH}),
        ):
            figure.add_scatter(
                x=list(range(1, len(values) + 1)),
                y=[None if np.isnan(value) else float(value) for value in values],
                name=name,
                legendgroup=name,
                showlegend=number == 0,
                mode="lines+markers" if len(values) == 1 else "lines",
                line={**line, "width": 1.5},
                **place,
            )
    figure.update_xaxes(rangemode="tozero", nticks=5)
    figure.update_yaxes(nticks=4)
    figure.update_annotations(font_size=12)
    said = Words(
        f"The last forecast of the {_SMALL} worst series, then of {_SMALL} in the middle, "
        "beside what came; each has a scale of its own, and steps ahead from left to right.",
        f"Dự báo cuối cùng của {_SMALL} chuỗi kém nhất, rồi của {_SMALL} chuỗi ở khoảng giữa, cạnh "
        "giá trị thực; mỗi hình có thang đo riêng, các bước phía trước đi từ trái sang phải.",
    )
    height = 150 * len(chosen) // _COLUMNS + 120
    return Section(_SMALL_TITLE, paragraph(said) + chart(figure, "glance", height=height))


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 1] + "…"
