"""The frame of the reports: small, self-contained, readable on a phone, in light and in dark, and
for who does not know the words. What only a browser can tell is asked of one."""

import datetime as dt
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

import conveyor
from conveyor.comparing import comparison_report
from conveyor.comparing.ranking import HEAD
from conveyor.errors import SettingError
from conveyor.pages import bundle, frame, terms
from conveyor.pages.glossary import EXPLAINED
from conveyor.pages.vietnamese_names import VIETNAMESE
from conveyor.pages.words import Words, same
from conveyor.tasks.classic.classics import CLASSICS
from conveyor.tasks.forecast.comparison import METRICS
from conveyor.tasks.task_registry import TASKS
from tests.series import write_series
from tests.training.browser import CHROMIUM, Page, browser
from tests.warm_python import run

MOST_BYTES = 1_500_000
REPORTS = ("forecast", "series", "comparison")

# When all charts are in light colours, or in dark ones; a page that never is is given up.
REDRAWN = """
new Promise((done) => {
  const look = () => [...document.querySelectorAll(".plot")].every(
    (plot) => plot.dataset.colours === "%s") ? done() : setTimeout(look, 50);
  look();
})
"""

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of a fitted forecaster and one of a comparison."""
    folder = tmp_path_factory.mktemp("reports")
    series = write_series(folder / "series.csv")
    conveyor.fit(
        "forecast", series, target="value", horizon=4, history=7, hidden=4, epochs=2,
        members=2, out=folder / "fit", say=lambda line: None,
    )  # fmt: skip
    several = _several_series(folder / "shops.csv")
    conveyor.fit(
        "forecast", several, target="sold", series="shop", future="promo", horizon=4, history=7,
        hidden=4, members=1, epochs=1, out=folder / "several", say=lambda line: None,
    )  # fmt: skip
    compared = run(
        "-m", "conveyor.cli.start", "compare", str(series), "--cells", "lstm,gru",
        "--target", "value", "--horizon", "3", "--history", "7", "--hidden", "3:8",
        "--epochs", "1", "--trials", "2", "--out", "compare", folder=folder,
    )  # fmt: skip
    assert compared.code == 0, compared.err
    return {
        "forecast": folder / "fit" / "report.html",
        "series": folder / "several" / "report.html",
        "comparison": folder / "compare" / "report.html",
    }


def _several_series(path: Path) -> Path:
    """Fourteen shops with a promotion every third day: more than are listed at once."""
    lines = ["shop,day,sold,promo"]
    draw = np.random.default_rng(0)
    for shop in range(1, 15):
        for day in range(84):
            date, promo = dt.date(2024, 1, 1) + dt.timedelta(days=day), int(day % 3 == 0)
            sold = 10 * shop * (1 + promo + (day % 7) / 7) + draw.normal()
            lines.append(f"{shop},{date},{f'{sold:.3f}' if day < 80 else ''},{promo}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def write(folder: Path, *parts: str, title: str = "a page") -> Path:
    """A page of these parts."""
    frame.page(folder / "page.html", same(title), parts, "width = 4", "en")
    return folder / "page.html"


def luminance(colour: str) -> float:
    """The relative luminance of ``rgb(r, g, b)`` or ``#rrggbb``, from 0 to 1, as WCAG has it."""
    if colour.startswith("#"):
        values = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    else:
        values = [int(each) for each in re.findall(r"\d+", colour)[:3]]
    shares = [each / 255 for each in values]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def papers() -> dict[str, str]:
    """The colours of the paper, light and dark, of the style sheet."""
    light, dark = re.findall(r"--paper: (#\w{6})", frame.text_of("page.css"))
    return {"light": light, "dark": dark}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_small(name: str, reports: dict[str, Path]) -> None:
    assert reports[name].stat().st_size < MOST_BYTES


@pytest.mark.parametrize("name", REPORTS)
def test_headings_are_in_order(name: str, reports: dict[str, Path]) -> None:
    text = reports[name].read_text(encoding="utf-8")
    levels = [int(each) for each in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    for before, after in pairwise(levels):
        assert after <= before + 1


@pytest.mark.parametrize("name", REPORTS)
def test_every_word_in_the_head_of_a_table_is_explained(
    name: str, reports: dict[str, Path]
) -> None:
    text = reports[name].read_text(encoding="utf-8")
    heads = re.findall(r'<th scope="col">(.*?)</th>', text)
    assert heads
    for head in heads:
        box = re.search('class="term" popovertarget="(.*?)"', head)
        assert box, head
        assert text.count(f'id="{box[1]}"') == 1


def test_the_words_of_the_reports_are_explained() -> None:
    for word in (*filter(None, HEAD), "nats per character", "perplexity", "seasonal naive"):
        assert word in EXPLAINED, word
    for word, meaning in EXPLAINED.items():
        assert word == word.lower()
        for text in meaning:
            assert text.endswith("."), word
            assert len(text) < 200, word
        assert meaning.en != meaning.vi
    assert len({terms._identifier(each) for each in EXPLAINED}) == len(EXPLAINED)


def test_the_vietnamese_names_are_of_words_that_the_package_uses() -> None:
    files = Path(conveyor.__file__).parent.rglob("*.py")
    lists = ("glossary.py", "vietnamese_names.py", "speech_glossary.py", "picture_glossary.py")
    texts = [path.read_text(encoding="utf-8") for path in files if path.name not in lists]
    for word in VIETNAMESE:
        assert any(f'"{word}"' in text for text in texts), word


def test_a_word_is_explained_once_as_it_is_shown() -> None:
    body = terms.term("MAE") + terms.term("MAE") + terms.term("a<b")
    assert body.endswith("a&lt;b")
    boxes = terms.explanations(body)
    assert boxes.count("popover ") == 1
    assert "<strong>MAE</strong>" in boxes


def test_what_a_page_is_told_is_shown_as_text(tmp_path: Path) -> None:
    table = frame.table(("", "<b>"), [(("<i>", "</table>"), False)])
    text = write(tmp_path, table, title="</title><script>").read_text(encoding="utf-8")
    assert '<html lang="en">' in text
    assert "<title>&lt;/title&gt;&lt;script&gt;" in text
    for wrong in ("<b>", "<i>", "</title><script>"):
        assert wrong not in text
    figure = go.Figure()
    figure.add_scatter(x=["</script>"], y=[1], name="x")
    words = [Words("</script>", "</script>x")]
    drawn = frame.chart(figure, "name", words=words)
    assert drawn.count("</script>") == drawn.count("<script ") == 2


def test_no_element_has_a_script_in_an_attribute() -> None:
    figure = go.Figure()
    figure.add_scatter(x=[1], y=[1])
    parts = frame.chart(figure, "name") + frame.table(("", "MAE"), [(("a", "1"), True)])
    assert not re.search(r"<[^>]*\son\w+=", parts)


@pytest.mark.parametrize("colour", [*frame.DARK, *comparison_report._COLOURS])
def test_every_colour_can_be_seen_on_dark_paper(colour: str) -> None:
    dark = frame.DARK[colour]
    if dark.startswith("#"):
        assert contrast(dark, papers()["dark"]) >= 4.5


@pytest.mark.parametrize("colour", [frame.OURS, frame.BASELINE, frame.TRUTH])
def test_the_colours_that_matter_can_be_seen_on_white(colour: str) -> None:
    assert contrast(colour, papers()["light"]) >= 3
    assert len(set(frame.DARK.values())) == len(frame.DARK)


def test_what_html_reads_is_in_no_packed_script() -> None:
    assert len(set(bundle.ALPHABET)) == 85
    assert not set(bundle.ALPHABET) & set("<&")
    packed = bundle.plotlyjs()
    assert set(packed.text) <= set(bundle.ALPHABET)
    assert len(packed.text) % 5 == 0
    assert "plotly.js v" in packed.notice


PACKED = {
    "nothing": "",
    "one": "x",
    "letters": "/* whose */ äö 中 😀",
    "repeats": "ab" * 3000,
    "many": "".join(chr(33 + n * n % 9000) for n in range(9000)),
}


@in_a_browser
def test_what_is_packed_is_unpacked(tmp_path: Path, chromium: Page) -> None:
    chromium.open(write(tmp_path))
    for name, script in PACKED.items():
        found = chromium.ask(
            f"new TextDecoder().decode(fromLzma(fromBase85({bundle.pack(script)!r}, "
            f"{bundle.ALPHABET!r}), {len(script.encode())}))"
        )
        assert found == script, name


@in_a_browser
def test_plotlyjs_is_unpacked_to_the_last_byte(tmp_path: Path, chromium: Page) -> None:
    """A page runs what it has unpacked as a script of its head."""
    chromium.open(write(tmp_path))
    chromium.ask("new Promise((done) => { const look = () => globalThis.Plotly ? done() : "
                 "setTimeout(look, 50); look(); })")  # fmt: skip
    assert chromium.ask("[...document.head.querySelectorAll('script')].at(-1).textContent") == (
        get_plotlyjs()
    )


@in_a_browser
@pytest.mark.parametrize("name", REPORTS)
def test_charts_are_drawn_without_a_network_in_the_colours_of_the_system(
    name: str, reports: dict[str, Path], chromium: Page
) -> None:
    """The colours change also while the page is open."""
    chromium.fetched.clear()
    chromium.complaints.clear()
    chromium.show()
    chromium.open(reports[name])
    drawn = "[...document.querySelectorAll('.chart')].map((c) => c.querySelectorAll('%s').length)"
    charts = chromium.ask(drawn % ".main-svg")
    assert len(charts) >= 3
    assert min(charts) > 0
    assert min(chromium.ask(drawn % ".trace")) > 0
    assert chromium.ask("document.querySelectorAll('.untold').length") == 0
    assert chromium.fetched == [reports[name].as_uri()]
    assert chromium.complaints == []
    seen: dict[bool, dict[str, Any]] = {}
    for dark in (False, True):
        chromium.show(dark=dark)
        chromium.ask(REDRAWN % ("dark" if dark else "light"))
        seen[dark] = chromium.ask("""({
          paper: getComputedStyle(document.body).backgroundColor,
          ink: getComputedStyle(document.body).color,
          behind: [...document.querySelectorAll(".main-svg")].map((e) => e.style.background),
          texts: [...document.querySelectorAll(".plot text")].map((e) => getComputedStyle(e).fill),
          lines: [...document.querySelectorAll(".trace path, .trace .box")]
            .map((e) => getComputedStyle(e).stroke),
        })""")
    for dark, found in seen.items():
        assert (luminance(found["paper"]) < 0.05) == dark
        for text in (found["ink"], *found["texts"]):
            assert contrast(text, found["paper"]) >= 4.5
        for behind in filter(None, found["behind"]):
            assert "rgba(0, 0, 0, 0)" in behind
    assert seen[True]["texts"]
    assert seen[True]["lines"] != seen[False]["lines"]


# Words that are the same in both languages: names of cells, metrics and settings, and commands.
SAME = re.compile(
    r"lstm \+ linear|lstm|gru|value|promo|sold|MAE|RMSE|MASE|sMAPE|WAPE|Theta|English|Tiếng Việt|"
    r"inspect\.html|trial|(cd|conveyor) .*|[-+–\d.,:% ()]*", re.IGNORECASE
)  # fmt: skip

# The texts that are seen, of the page and of its charts.
SEEN = """
(() => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const texts = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (element.closest("script, details, [popover]") || !element.getClientRects().length) continue;
    if (node.textContent.trim()) texts.push(node.textContent.trim());
  }
  return texts;
})()
"""


# Numbers of the boxes in which wide tables scroll.
BOXES = "[...document.querySelectorAll('.wide')].map((box) => %s)"


def fits_a_phone(chromium: Page) -> bool:
    """Whether a page of 390 pixels scrolls down only; a wide table scrolls in a box of its own."""
    ends = chromium.ask(BOXES % "box.getBoundingClientRect().right")
    ends.append(chromium.ask("document.documentElement.scrollWidth"))
    return bool(chromium.ask("innerWidth") == 390 and max(ends) <= 390)


def test_a_number_is_never_broken_on_a_phone(tmp_path: Path, chromium: Page) -> None:
    """A column is as wide as its longest number, in all rows."""
    head = ["", "MASE", "sMAPE", "WAPE", "MAE", "RMSE", "in 80 % band"]
    rows = [
        (["lstm + linear", "0.855", "4.23 %", "14.04 %", "1,133,329", "2,189,522", "79 %"], True),
        (["seasonal naive", "1.097", "5.42 %", "5.38 %", "177,529", "256,564", ""], False),
    ]
    chromium.open(write(tmp_path, frame.table(head, rows)))
    chromium.show(width=390, touch=True)
    boxes = "[...document.querySelectorAll('td')].map((cell) => cell.getBoundingClientRect())"
    heights = chromium.ask(f"{boxes}.filter((box) => box.height).map((box) => box.height)")
    assert len(heights) == 12
    assert max(heights) < 1.5 * min(heights)
    over = "[...document.querySelectorAll('td')].map((cell) => cell.scrollWidth - cell.clientWidth)"
    assert max(chromium.ask(over)) <= 0
    ends = chromium.ask(f"{boxes}.filter((box) => box.width).map((box) => box.right)")
    assert ends[-12:-6] == pytest.approx(ends[-6:], abs=0.5)
    assert fits_a_phone(chromium)


@in_a_browser
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_speaks_one_language_at_a_time_and_fits_a_phone(
    name: str, reports: dict[str, Path], chromium: Page
) -> None:
    """Whatever is seen in both languages is a name, a number or a command."""
    chromium.complaints.clear()
    chromium.show(width=390, touch=True)
    chromium.open(reports[name])
    assert fits_a_phone(chromium)
    chromium.ask(REDRAWN % "light")
    seen: dict[str, set[str]] = {}
    for language in ("en", "vi"):
        chromium.ask(f"document.querySelector('.languages [value={language}]').click()")
        chromium.ask("new Promise((done) => setTimeout(done, 300))")
        assert chromium.ask("document.documentElement.lang") == language
        seen[language] = {text.replace("\xa0", " ") for text in chromium.ask(SEEN)}
        assert fits_a_phone(chromium)
        if name == "comparison":  # its numbers stand under the names of the rows
            assert max(chromium.ask(BOXES % "box.scrollWidth - box.clientWidth")) == 0
    shared = seen["en"] & seen["vi"]
    assert {text for text in shared if not SAME.fullmatch(text)} == set()
    assert len(seen["vi"] - shared) > 15
    title = {
        "forecast": "Dự báo series.csv",
        "series": "Dự báo shops.csv",
        "comparison": "So sánh các tế bào trên series.csv",
    }
    assert chromium.ask("document.title") == f"{title[name]} · conveyor"
    assert any("," in text for text in seen["vi"] if re.fullmatch(r"[\d.,]+", text))
    assert chromium.complaints == []


@in_a_browser
def test_a_word_is_explained_in_the_language_of_the_page(
    reports: dict[str, Path], chromium: Page
) -> None:
    chromium.show()
    chromium.open(reports["forecast"])
    chromium.ask("document.querySelector('.languages [value=vi]').click()")
    chromium.ask("document.querySelector('.term[popovertarget=word-mae]').click()")
    said = chromium.ask("document.querySelector('#word-mae').innerText")
    assert "Sai số tuyệt đối trung bình" in said
    assert "error" not in said


def test_a_report_begins_in_the_language_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = write_series(tmp_path / "series.csv")
    monkeypatch.setenv("LC_ALL", "vi_VN.UTF-8")
    for language, begins in ((None, "vi"), ("en", "en")):
        conveyor.fit(
            "forecast", series, target="value", horizon=4, history=7, hidden=4, epochs=1,
            members=1, out=tmp_path / begins, language=language, say=lambda line: None,
        )  # fmt: skip
        text = (tmp_path / begins / "report.html").read_text(encoding="utf-8")
        assert f'<html lang="{begins}">' in text
    with pytest.raises(SettingError, match="language is 'fr'"):
        conveyor.fit("forecast", series, target="value", out=tmp_path / "fr", language="fr")
    assert not (tmp_path / "fr").exists()


@in_a_browser
def test_what_is_pointed_at_in_a_chart_has_a_name(reports: dict[str, Path], chromium: Page) -> None:
    chromium.show()
    chromium.open(reports["forecast"])
    left, top, width, height = chromium.ask(
        "(() => { const curve = document.getElementById('curve');"
        "curve.scrollIntoView({ block: 'center' });"
        "const box = curve.getBoundingClientRect();"
        "return [box.x, box.y, box.width, box.height]; })()"
    )
    for share in (0.2, 0.15, 0.1):
        point = {"x": left + share * width, "y": top + height / 2}
        chromium.send("Input.dispatchMouseEvent", type="mouseMoved", **point)
    said = chromium.ask(
        "new Promise((done) => { const look = () => { const texts = "
        "[...document.querySelectorAll('#curve .hoverlayer text')].map((t) => t.textContent);"
        "texts.length ? done(texts) : setTimeout(look, 50); }; look(); })"
    )
    assert said[0] == "epoch 1"
    assert said[1].startswith("training : ")


@in_a_browser
def test_a_page_may_fetch_nothing(tmp_path: Path, chromium: Page) -> None:
    chromium.open(write(tmp_path, '<img src="https://example.org/a.png">'))
    assert any("Content Security Policy" in each for each in chromium.complaints)
    chromium.complaints.clear()


@in_a_browser
def test_words_are_explained_to_a_mouse_a_finger_and_the_keyboard(
    tmp_path: Path, chromium: Page
) -> None:
    path = write(tmp_path, frame.table(("", "MAE", "RMSE"), [(("naive", "1", "2"), False)]))
    opened = "[...document.querySelectorAll(':popover-open')].map((box) => box.id)"

    def at(word: int, kind: str) -> dict[str, Any]:
        x, y = chromium.ask(
            f"(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])"
            f"(document.querySelectorAll('.term')[{word}].getBoundingClientRect())"
        )
        return {"x": x, "y": y, "type": kind}

    chromium.show()
    chromium.open(path)
    assert chromium.ask(opened) == []
    chromium.send("Input.dispatchMouseEvent", **at(0, "mouseMoved"))
    assert chromium.ask(opened) == ["word-mae"]
    chromium.send("Input.dispatchMouseEvent", **at(1, "mouseMoved"))
    assert chromium.ask(opened) == ["word-rmse"]
    chromium.send("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
    assert chromium.ask(opened) == []

    for wanted in ("English", "Tiếng Việt", "table", "word-mae", "word-rmse"):
        for kind in ("rawKeyDown", "keyUp"):
            chromium.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                          windowsVirtualKeyCode=9)  # fmt: skip
        assert chromium.ask(opened) == ([wanted] if wanted.startswith("word-") else [])

    chromium.show(width=390, touch=True)
    chromium.open(path)
    place = at(1, "touchStart")
    points = [{"x": place["x"], "y": place["y"]}]
    chromium.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=points)
    chromium.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert chromium.ask(f"new Promise((done) => setTimeout(() => done({opened}), 500))") == [
        "word-rmse"
    ]
    assert chromium.ask("document.querySelector('#word-rmse').getBoundingClientRect().right") <= 390


def test_every_metric_of_the_tasks_is_explained() -> None:
    names = {metric.name for metric in METRICS} | {each.metric.name for each in CLASSICS.values()}
    tasks = [entry.task for entry in TASKS if hasattr(entry.task, "metric")]
    names |= {task.metric.name for task in tasks if task.name != "forecast"}
    assert {name for name in names if name.lower() not in EXPLAINED} == set()


@in_a_browser
def test_a_table_of_series_is_sorted_by_a_click(reports: dict[str, Path], chromium: Page) -> None:
    chromium.show()
    chromium.open(reports["series"])
    column = """[...document.querySelectorAll(".sortable")].at(-1)"""
    names = f"""[...{column}.querySelectorAll("tbody tr")].map((row) => row.cells[0].textContent)"""
    seen = f"""[...{column}.querySelectorAll("tbody tr")].filter((row) => !row.hidden).length"""
    errors = f"""[...{column}.querySelectorAll("tbody tr")].map(
        (row) => parseFloat(row.cells[1].textContent))"""
    ranked = chromium.ask(names)
    assert len(ranked) == 14
    assert chromium.ask(seen) == 10
    # The worst come first: a click turns what is sorted already to the best.
    assert chromium.ask(errors) == sorted(chromium.ask(errors), reverse=True)
    chromium.ask(f"{column}.querySelectorAll('.sort')[1].click()")
    assert chromium.ask(errors) == sorted(chromium.ask(errors), reverse=True)
    chromium.ask(f"{column}.querySelectorAll('.sort')[1].click()")
    assert chromium.ask(errors) == sorted(chromium.ask(errors))
    assert chromium.ask(f"{column}.querySelectorAll('thead th, thead td')[1].ariaSort") == (
        "ascending"
    )
    chromium.ask(f"{column}.querySelectorAll('.sort')[0].click()")
    assert chromium.ask(names) == sorted(ranked, key=int)
    assert chromium.ask(seen) == 10
    chromium.ask(f"{column}.querySelector('.more').click()")
    assert chromium.ask(seen) == 14
    assert chromium.ask(f"{column}.querySelector('.more').hidden")
    chromium.show(width=390)
    chromium.open(reports["series"])
    heights = f"""[...{column}.querySelectorAll("tbody tr")].filter(
        (row) => row.offsetHeight > 0).length"""
    assert chromium.ask(heights) == 10  # on a telephone, too
    chromium.ask("speak('vi')")
    assert chromium.ask(f"{column}.querySelector('.sort').ariaLabel") == "Sắp xếp"
    assert not chromium.complaints
