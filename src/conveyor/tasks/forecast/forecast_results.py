"""The scores of a forecaster, as reports and ``metrics.json`` hold them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from conveyor.pages.words import Words, counted_words, number_text
from conveyor.tasks.forecast.comparison import Comparison, overall, scaled_errors, scores_of
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.results import Results, Section


def results_of(
    network: Forecaster,
    comparisons: Sequence[Comparison],
    draw: Callable[[], Iterable[Section]] = tuple,
    *,
    drawn_of: int | None = None,
) -> Results:
    """Return the scores of each series, or of many series together.

    Args:
        network: the forecaster.
        comparisons: of each series.
        draw: gives the sections of the report.
        drawn_of: of how many series those that are scored are drawn; None for all.
    """
    frame, level = network.frame, network.frame.levels[0]
    windows = sum(len(comparison.truth) for comparison in comparisons)
    details: dict[str, Any] = {
        "windows": windows if frame.has_overview else len(comparisons[0].truth),
        "scaled": scaled_errors(network, comparisons),
        "by_horizon": {
            comparison.label: {
                label: list(errors.by_horizon) for label, errors in comparison.scores.items()
            }
            for comparison in comparisons
        },
    }
    if frame.bands is not None:
        details["bands"] = {"windows": frame.bands.windows, "pooled": frame.bands.pooled}
    if not frame.has_overview:
        return Results(
            tuple(scores_of(comparison, level) for comparison in comparisons),
            counted_words(len(comparisons[0].truth), "window", "cửa sổ"),
            details,
            draw=draw,
        )
    details["by_horizon"] = {}
    details["series"] = [scores_of(comparison, level).as_json() for comparison in comparisons]
    of_series = scored_series(len(comparisons), drawn_of)
    of_windows = counted_words(windows, "window", "cửa sổ")
    count = Words(f"{of_windows.en} of {of_series.en}", f"{of_windows.vi} của {of_series.vi}")
    if drawn_of is not None:
        details["series_drawn_of"] = drawn_of
    return Results((overall(comparisons, level),), count, details, draw=draw)


def scored_series(scored: int, drawn_of: int | None) -> Words:
    """Return how many series are scored, and of how many they are drawn, if not all are."""
    words = counted_words(scored, "series", "chuỗi", "series")
    if drawn_of is None:
        return words
    of = number_text(drawn_of, ",")
    return Words(
        f"{words.en} drawn at random from {of.en}", f"{words.vi} chọn ngẫu nhiên trong {of.vi}"
    )
