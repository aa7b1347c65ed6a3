"""How far the truths of series lay from their forecasts: what bands are calibrated by."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from conveyor.tasks.forecast.baselines import Numbers
from conveyor.tasks.forecast.calibration import band_errors, mean_width
from conveyor.tasks.forecast.comparison import medians
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.raw_forecasts import raw_forecasts
from conveyor.tasks.forecast.series_panel import Origins


class Outside(NamedTuple):
    """How far the truths of a series lay from their forecasts.

    Attributes:
        errors: of bands that are not moved, [origins, horizon, levels], see ``band_errors``.
        width: the mean width of these bands, [horizon, levels].
        deviations: from the middle, in units of the band, [origins, horizon].
    """

    errors: Numbers
    width: Numbers
    deviations: Numbers

    @staticmethod
    def of_none(frame: ForecastFrame) -> "Outside":
        """Return that of a series without forecasts."""
        shape = frame.horizon, len(frame.levels)
        return Outside(np.zeros((0, *shape)), np.ones(shape), np.zeros((0, frame.horizon)))


def outside_of(network: Forecaster, origins_of: Sequence[Origins]) -> list[Outside]:
    """Return how far truths lay from the forecasts of a network, of each series.

    Args:
        network: the forecaster.
        origins_of: of each group, where forecasts begin.
    """
    frame, outside = network.frame, []
    levels = len(frame.levels)
    scored = [(origins.panel, origins.numbers) for origins in origins_of if len(origins)]
    raw_of = raw_forecasts(network, scored)
    for origins in origins_of:
        if not len(origins):
            outside += [Outside.of_none(frame)] * len(frame.targets)
            continue
        for _, quantiles, truth in next(raw_of):
            errors = band_errors(quantiles, truth)
            widths = quantiles[..., : -levels - 1 : -1] - quantiles[..., :levels]
            width = mean_width(widths, errors)
            # Where a band has no width yet, all of its step are as wide.
            units = np.where(widths[..., 0] > 0, widths[..., 0], width[:, 0])
            outside.append(Outside(errors, width, (truth - medians(quantiles)) / units))
    return outside
