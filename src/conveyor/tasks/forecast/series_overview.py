"""How well each of many series is forecast, for the report."""

from collections.abc import Sequence

import numpy as np

from conveyor.pages.frame import paragraph
from conveyor.pages.words import Words, counted_words
from conveyor.tasks.forecast.comparison import METRICS, Comparison
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.series_table import MOST_SHOWN, series_table
from conveyor.tasks.results import Section

# So many of the worst series are seen at once.
_WORST = 10

_TITLE = Words("Each series", "Từng chuỗi")


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


def overview_section(comparisons: Sequence[Comparison]) -> Section:
    """Return a table of all series, the worst first."""
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
    of_series = counted_words(len(comparisons), "series", "chuỗi", "series")
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
