"""The numbers at the axes of charts, as the two languages write them."""

from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import pytest

from conveyor.pages import frame
from conveyor.pages.words import same
from tests.training.browser import CHROMIUM, Page, browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

# plotly puts spaces without a width around an exponent.
TICKS = (
    "[...document.querySelectorAll('.ytick text')]"
    ".map((tick) => tick.textContent.replaceAll('\\u200b', ''))"
)
IN_VIETNAMESE = (
    "speak('vi'); new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("values", "english", "vietnamese"),
    [
        ([1.1e6, 2.6e6], "1.2M", "1.200.000"),
        ([1_100.5, 2_600.0], "1200", "1.200"),
        ([0.11, 0.26], "0.12", "0,12"),
        ([1.1e12, 2.6e12], "1.2T", "1,2×1012"),  # the exponent is raised
    ],
)
def test_an_axis_writes_numbers_as_its_language_does(
    values: list[float], english: str, vietnamese: str, tmp_path: Path, chromium: Page
) -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=values, name="one"))
    path = tmp_path / "page.html"
    frame.page(path, same("a page"), [frame.chart(figure, "chart")], "", "en")
    chromium.open(path)
    assert english in chromium.ask(TICKS)
    chromium.ask(IN_VIETNAMESE)
    assert vietnamese in chromium.ask(TICKS)
