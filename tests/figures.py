"""The figures of reports, before they become HTML."""

from types import ModuleType
from typing import Any

import plotly.graph_objects as go
import pytest

from conveyor.pages import frame


def noted_figures(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> dict[str, go.Figure]:
    """Return a dictionary that holds the figures of these modules by name, once they draw them."""
    figures: dict[str, go.Figure] = {}

    def noted(figure: go.Figure, name: str, **options: Any) -> str:
        figures[name] = figure
        return frame.chart(figure, name, **options)

    for module in modules:
        monkeypatch.setattr(module, "chart", noted)
    return figures
