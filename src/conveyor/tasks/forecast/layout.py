"""The shape of a forecaster's windows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The shape of windows: how many columns are targets (the first), how many steps are read
    and foretold, and how many steps back the baseline's season lies."""

    targets: int
    history: int
    horizon: int
    season: int = 1
