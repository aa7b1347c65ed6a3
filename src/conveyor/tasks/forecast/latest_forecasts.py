"""The forecasts after the ends of many series, made together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conveyor.tasks.forecast.forecast_frame import MOST_READ
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.raw_forecasts import group_forecasts
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.tail import end_of

Numbers = NDArray[np.float64]


def latest_forecasts(network: Forecaster, panels: Sequence[Panel]) -> list[Numbers]:
    """Return quantiles [horizon, N, quantiles] of the steps after the end of each panel.

    Args:
        network: the forecaster.
        panels: of several groups.
    """
    # Of long series no more than is read: what comes before would only take memory.
    most = MOST_READ + network.frame.history - 1
    ends = [panel if len(panel) <= most else end_of(panel, most) for panel in panels]
    return [
        forecasts[0] for forecasts in group_forecasts(network, [(end, [len(end)]) for end in ends])
    ]
