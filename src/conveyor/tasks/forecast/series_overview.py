"""How well each of many series is forecast, for the report."""

from collections.abc import Sequence

import numpy as np

from conveyor.pages.frame import folded, paragraph, table
from conveyor.pages.words import Words, cell_text
from conveyor.tasks.forecast.comparison import METRICS, Comparison
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.results import Section

# So many of the worst series are shown at once; the others when they are asked for, up to as many
# as a page can hold: metrics.json holds them all.
_WORST, _MOST_SHOWN = 10, 100

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
    for comparison in ranked[:_MOST_SHOWN]:
        ours, best = comparison.scores[comparison.ours], comparison.best_baseline
        rows.append(
            (
                [
                    comparison.label,
                    mase.text(ours.mase),
                    wape.text(ours.wape),
                    best,
                    mase.text(comparison.scores[best].mase),
                    f"{len(comparison.truth):,}",
                ],
                False,
            )
        )
    worse = sum(
        comparison.scores[comparison.best_baseline].mae < comparison.scores[comparison.ours].mae
        for comparison in comparisons
    )
    said = Words(
        f"Of {len(comparisons):,} series, a baseline is better on {worse:,}; which baseline is the "
        f"best of a series is only known afterwards. The worst come first.",
        f"Trong {len(comparisons):,} chuỗi, phương pháp cơ sở tốt hơn ở {worse:,} chuỗi; phương "
        f"pháp nào tốt nhất cho từng chuỗi thì sau này mới biết. Chuỗi kém nhất đứng đầu.",
    )
    body = paragraph(said) + table(head, rows[:_WORST])
    if len(rows) > _WORST:
        rest = rows[_WORST:]
        left = len(ranked) - _MOST_SHOWN
        more = Words(f"{len(rest):,} more series", f"{cell_text(f'{len(rest):,}').vi} chuỗi khác")
        body += folded(more, table(head, rest))
        if left > 0:
            also = f"{left:,} more are in metrics.json."
            numeral = cell_text(f"{left:,}").vi
            body += paragraph(Words(also, f"{numeral} chuỗi nữa ở trong metrics.json."))
    return Section(_TITLE, body)
