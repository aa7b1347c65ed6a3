"""Frames and networks of forecasters for tests."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.forecast_frame import ForecastFrame, Units
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.series_panel import Panel

# A series that is read as it is, less its mean.
PLAIN = Decomposition(
    logarithm=False, figures=(), waves=(), effects=(), centre=0.0, change=1.0, spread=1.0,
    naive_error=1.0,
)  # fmt: skip


def frame_of(*series: Decomposition, **fields: Any) -> ForecastFrame:
    """A frame of some series, with a past column if ``past`` names one."""
    series = series or (PLAIN,)
    past, known = fields.pop("past", ()), fields.pop("known", ())
    values: dict[str, Any] = {
        "targets": tuple("abcdefg"[: len(series)]),
        "history": 6,
        "horizon": 4,
        "season": 3,
        "levels": (80,),
        "past_units": Units((1.0,) * len(past), (3.0,) * len(past)),
        "known_units": Units((0.5,) * len(known), (0.5,) * len(known)),
        "rows": 40,
    }
    return ForecastFrame(series=series, past=past, known=known, **{**values, **fields})


def forecaster_of(frame: ForecastFrame, **sizes: Any) -> Forecaster:
    """An untrained forecaster, whose linear part is not that of the naive forecast."""
    torch.manual_seed(0)
    model = Forecaster("gru", frame, **{"hidden": 5, **sizes}).eval()
    for member in model.members:
        linear: Any = member.linear
        if linear is not None:
            torch.nn.init.normal_(linear.weight)
    return model


def panel_of(frame: ForecastFrame, rows: int = 40, first: int = 0, ahead: int = 0) -> Panel:
    """Random walks, and what stands beside them."""
    draw = np.random.default_rng(1)
    targets = draw.standard_normal((rows, len(frame.targets))).cumsum(0)
    past = draw.standard_normal((rows, len(frame.past)))
    known = draw.integers(0, 2, (rows + ahead, len(frame.known))).astype(float)
    return Panel(targets, past, known, first)


def changed(panel: Panel, targets: NDArray[np.float64]) -> Panel:
    """The same panel with other targets."""
    return Panel(targets, panel.past, panel.known, panel.first)
