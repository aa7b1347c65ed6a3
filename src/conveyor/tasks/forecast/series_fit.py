"""Fits what is taken out of each series of a table."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conveyor.errors import DataError
from conveyor.tasks.forecast.decomposition import Decomposition, decompose
from conveyor.tasks.forecast.forecast_frame import Units
from conveyor.tasks.forecast.scores import seasonal_naive_error
from conveyor.tasks.forecast.series_panel import Panel


def fit_series(
    panels: Sequence[Panel],
    *,
    labels: Sequence[str],
    past: Sequence[str],
    known: Sequence[str],
    season: int,
    cycles: Sequence[float],
    short_seasons: bool = True,
    positive: Sequence[NDArray[np.bool_]] | None = None,
    like: Sequence[Decomposition] = (),
    always_logarithm: bool = False,
) -> tuple[Units, Units, tuple[Decomposition, ...]]:
    """Return the units of the past and of the known columns, and what is taken out of each series.

    Args:
        panels: of each group, the rows to fit on.
        labels: of all series, of the first panel's first.
        past, known: the names of these columns.
        season: in steps; 1 for none.
        cycles: of the calendar, in steps.
        short_seasons: whether seasons that are figures are taken out, see ``decompose``.
        positive: of each group, whether each target is above 0 in all rows that may be looked at,
            [N]; None if it is.
        like: what was taken out of each series in fewer rows, see ``decompose``.
        always_logarithm: see ``decompose``.

    Raises:
        DataError: a series cannot be taken apart.
    """
    pasts = np.concatenate([panel.past for panel in panels])
    knowns = [panel.known[: len(panel)] for panel in panels]
    known_rows = np.concatenate(knowns)
    for names, columns in ((past, pasts), (known, known_rows)):
        for name, column in zip(names, columns.T, strict=True):
            if np.isnan(column).all():
                raise DataError(f"column {name} has no value in the training set.")
    past_units, known_units = Units.of(pasts), Units.of(known_rows)
    series: list[Decomposition] = []
    for number, panel in enumerate(panels):
        standardised = known_units.standardised(knowns[number])
        for target, column in enumerate(panel.targets.T):
            series.append(
                decompose(
                    column,
                    standardised,
                    name=labels[len(series)],
                    first=panel.first,
                    season=season,
                    cycles=cycles,
                    naive_error=seasonal_naive_error(column, season),
                    short_seasons=short_seasons,
                    positive=positive is None or bool(positive[number][target]),
                    like=like[len(series)] if like else None,
                    always_logarithm=always_logarithm,
                )
            )
    return past_units, known_units, tuple(series)
