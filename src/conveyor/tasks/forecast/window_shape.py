"""The shape of a forecaster's windows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WindowShape:
    """The shape of windows.

    Attributes:
        targets: the number of targets, which are the first columns.
        history: the number of steps that are read.
        horizon: the number of steps that are predicted.
        season: the number of steps in a season of the seasonal naive baseline.
    """

    targets: int
    history: int
    horizon: int
    season: int = 1
