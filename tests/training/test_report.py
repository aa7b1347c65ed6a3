"""The report, opened in a real browser that runs its scripts."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

import conveyor
from conveyor.tasks.forecast.forecast_settings import (
    ForecastData,
    ForecastNetwork,
    ForecastSettings,
)
from conveyor.tasks.settings import Training
from conveyor.tasks.task_registry import find
from conveyor.tasks.text.text_settings import TextData, TextNetwork, TextSettings, TextTraining
from conveyor.training.fitting import fit_task
from conveyor.training.launch import silence
from tests.series import write_series, write_verses
from tests.training.browser import CHROMIUM, browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


class _Elements(HTMLParser):
    """What stands in a page: ids, classes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.classes: list[str] = []
        self.sources: list[str] = []
        self.texts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        self.classes += (found.get("class") or "").split()
        if tag in ("script", "link", "img"):
            self.sources += [v for v in (found.get("src"), found.get("href")) if v]
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.texts.append(data.strip())


def _opened(page: Path, profile: Path) -> _Elements:
    """The page's elements after its scripts have run."""
    # It waits until the charts are drawn; --dump-dom went by a budget of time, and did not always.
    with browser(profile) as opened:
        opened.show()
        opened.open(page)
        html = opened.ask("document.documentElement.outerHTML")
    elements = _Elements()
    elements.feed(html)
    return elements


def _drawn_lines(elements: _Elements) -> int:
    """plotly draws every line of a chart as an element of this class."""
    return elements.classes.count("js-line")


def test_the_forecast_report_shows_everything(tmp_path: Path) -> None:
    settings = ForecastSettings(
        data=ForecastData(target=("value",), horizon=4, history=7),
        network=ForecastNetwork(hidden=4),
        training=Training(epochs=3),
    )
    run = tmp_path / "run"
    fit_task(find("forecast").task, write_series(tmp_path / "a<b>.csv"), settings, run, say=silence)
    elements = _opened(run / "report.html", tmp_path / "profile")
    assert {"forecast0", "horizon0", "curve", "settings"} <= elements.ids
    assert elements.classes.count("main-svg") >= 3 * 2  # plotly draws each chart in layers
    # truth, ours, seasonal naive; three errors by horizon; two curves
    assert _drawn_lines(elements) >= 8
    assert elements.classes.count("js-fill") >= 1  # the band
    for word in ("actual", "seasonal naive", "lstm + linear", "validation", "steps ahead"):
        assert word in elements.texts, word
    assert "Forecast of a<b>.csv" in elements.texts  # a name cannot inject markup
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"{metrics['scores'][0]['rows']['naive']['mae']:.4g}" in elements.texts
    assert not elements.sources  # self-contained: nothing is fetched


def test_the_text_report_shows_everything(tmp_path: Path) -> None:
    settings = TextSettings(
        data=TextData(chunk=20),
        network=TextNetwork(hidden=8, embedding=4),
        training=TextTraining(epochs=2, batch=4),
    )
    run = tmp_path / "run"
    fit_task(find("text").task, write_verses(tmp_path / "kieu.txt"), settings, run, say=silence)
    elements = _opened(run / "report.html", tmp_path / "profile")
    assert {"curve", "settings"} <= elements.ids
    assert _drawn_lines(elements) >= 2
    for word in ("unigram", "3-gram", "lstm", "nats per character", "perplexity"):
        assert word in elements.texts, word
    assert elements.classes.count("sample") == 3
    model = conveyor.load(run)
    for temperature in (0.5, 0.8, 1.0):
        sample = "".join(model.generate("", 400, temperature=temperature, top_p=0.95))
        assert sample.strip() in elements.texts
    assert not elements.sources
