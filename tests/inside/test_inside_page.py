"""The page that looks inside a network, in a browser: what it shows, in both languages, light and
dark, on a phone, by mouse and by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.inside.compared import Compared, after_training, untrained
from conveyor.inside.look import Look, look
from conveyor.pages import inside_data
from conveyor.pages.inside import write_inside
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from tests.training.browser import CHROMIUM, Page, browser
from tests.training.test_page import MOST_BYTES, contrast, luminance

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

TEXT = "Trăm năm trong cõi người ta,\n</script> & <b>"

READY = """
new Promise((done) => {
  const look = () => document.body.dataset.drawn ? done() : setTimeout(look, 20);
  look();
})
"""
# When what has changed is drawn: two frames later.
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


def a_look(text: str = TEXT, **settings: Any) -> Look:
    """Look inside a fresh network that reads a text, or numbers if there is none."""
    torch.manual_seed(0)
    steps = len(text) or 30
    layer = conveyor.Recurrent("lstm", 3, 12, **settings).eval()
    x = torch.randn(steps, 1, 3)
    read = ReadSequence(
        title=same(text or "numbers"),
        inputs=x,
        labels=tuple(text) or tuple(map(str, range(1, steps + 1))),
        answer=lambda output: output[-1].sum(-1),
        asked=Words("the <sum>", "tổng"),
        symbols=bool(text),
        # In a script's object a name that is a number would come first.
        features={}
        if text
        else {Words("<a>", "<á>"): tuple(x[:, 0, 0].tolist()), same("7"): (0.0,) * steps},
        answers=tuple(f"{letter} 40 %" for letter in text),
    )
    network = Compared(after_training(layer.program), Words("one <i>", "một"), layer, x)
    return look(read, network, untrained(layer, x), settings="hidden = 12", say=print)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of a text and one of numbers, which has two layers."""
    folder = tmp_path_factory.mktemp("pages")
    write_inside(folder / "text.html", a_look().page, "en")
    write_inside(folder / "numbers.html", a_look("", num_layers=2).page, "vi")
    return {"text": folder / "text.html", "numbers": folder / "numbers.html"}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def opened(chromium: Page, path: Path, **how: Any) -> None:
    chromium.fetched.clear()
    chromium.complaints.clear()
    chromium.show(**how)
    chromium.open(path)
    chromium.ask(READY)


@pytest.mark.parametrize("name", ["text", "numbers"])
def test_the_page_is_drawn_without_a_network_and_without_a_complaint(
    name: str, pages: dict[str, Path], chromium: Page
) -> None:
    opened(chromium, pages[name])
    assert chromium.fetched == [pages[name].as_uri()]
    assert chromium.complaints == []
    rows = chromium.ask("[...document.querySelectorAll('.row[id]')].map((row) => row.id)")
    expected = ["row-contributions", *(f"row-gradient-{n}" for n in range(4)), "row-belt"]
    expected += [f"row-{letter}" for letter in "figoch"]
    assert rows == ["row-input"] * (name == "numbers") + expected
    # Something is drawn in each: marks in SVG, more than one colour on a canvas.
    assert min(chromium.ask("[...document.querySelectorAll('.row svg')].map("
                            "(svg) => svg.children.length)")) > 0  # fmt: skip
    assert min(chromium.ask("""[...document.querySelectorAll(".row canvas")].map((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    })""")) > 4  # fmt: skip


def test_the_colours_of_a_map_are_its_numbers(pages: dict[str, Path], chromium: Page) -> None:
    """A gate of 1 has our colour, one of 0 that of the paper, and those between lie between."""
    opened(chromium, pages["text"])
    view = a_look()
    shown = next(one for one in view.page.layers[0].maps if one.name == "f")
    steps, units = shown.values.shape
    colours = chromium.ask(
        f"""[...Array({steps * units}).keys()].map((place) => {{
          const canvas = document.querySelector("#row-f canvas");
          const x = (Math.floor(place / {units}) + 0.5) * canvas.width / {steps};
          const y = (place % {units} + 0.5) * canvas.height / {units};
          return canvas.getContext("2d").getImageData(x, y, 1, 1).data[0];
        }})"""
    )
    red = np.array(colours).reshape(steps, units)
    expected = 255 * (1 - shown.values)  # from white to #0072B2, which has no red
    # The step and the unit that are chosen have a frame.
    inner = np.abs(red - expected)[: steps - 1]
    assert np.median(inner) < 2
    assert (inner < 3).mean() > 0.9


def test_a_pointer_reads_values_and_a_click_chooses(pages: dict[str, Path], chromium: Page) -> None:
    opened(chromium, pages["text"])
    one = a_look().page.layers[0]
    values = next(shown.values for shown in one.maps if shown.name == "f")
    left, top, width, height = chromium.ask(
        "(() => { const canvas = document.querySelector('#row-f canvas');"
        "canvas.scrollIntoView({ block: 'center' });"
        "const box = canvas.getBoundingClientRect();"
        "return [box.x, box.y, box.width, box.height]; })()"
    )
    step, row = 5, 3
    place = {
        "x": left + (step + 0.5) * width / len(TEXT),
        "y": top + (row + 0.5) * height / values.shape[1],
    }
    chromium.send("Input.dispatchMouseEvent", type="mouseMoved", **place)
    said = chromium.ask("document.querySelector('.pointer').textContent")
    assert said == f"f {values[step, row]:.2f} · unit {one.units[row]} · step 6 ‘n’"
    for kind in ("mousePressed", "mouseReleased"):
        chromium.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
    chromium.ask(DRAWN)
    readout = chromium.ask("document.querySelector('.readout').textContent")
    assert readout.startswith(
        f"step 6 ‘n’; expects next n 40 %unit {one.units[row]}: f {values[step, row]:.2f}"
    )
    assert chromium.ask("document.querySelector('.read .here').textContent") == "n"


def test_the_keyboard_reaches_steps_and_units(pages: dict[str, Path], chromium: Page) -> None:
    opened(chromium, pages["text"])
    chromium.ask("document.getElementById('step').focus()")
    for kind in ("keyDown", "keyUp"):
        chromium.send("Input.dispatchKeyEvent", type=kind, key="ArrowLeft",
                      windowsVirtualKeyCode=37)  # fmt: skip
    chromium.ask(DRAWN)
    assert chromium.ask("document.getElementById('step').getAttribute('aria-valuetext')") == (
        f"step {len(TEXT) - 1} ‘b’"
    )
    focusable = chromium.ask(
        "[...document.querySelectorAll('button, input, select, a[href], [tabindex=\"0\"]')]"
        ".filter((element) => !element.getAttribute('aria-label') && "
        "!element.textContent.trim() && !element.closest('label')).length"
    )
    assert focusable == 0


def test_a_letter_leads_to_its_map(pages: dict[str, Path], chromium: Page) -> None:
    opened(chromium, pages["text"])
    for letter in "figoch":
        chromium.ask(f"document.querySelector('a[data-row=row-{letter}]').click()")
        pointed = "[...document.querySelectorAll('.row.pointed')].map((row) => row.id)"
        assert chromium.ask(pointed) == [f"row-{letter}"]


def test_the_table_says_how_far_the_gradient_reaches(
    pages: dict[str, Path], chromium: Page
) -> None:
    opened(chromium, pages["text"])
    page = a_look().page
    for step in (len(TEXT) - 1, 10):
        chromium.ask(f"choose({{ step: {step} }})")
        chromium.ask(DRAWN)
        output = page.outputs.index(step)
        rows = chromium.ask(
            "[...document.querySelectorAll('#horizons tbody tr')].map("
            "(row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent))"
        )
        assert rows == [
            [f"{'≥ ' * reach.farther}{reach.steps}" for reach in network.reach[output]]
            for network in page.gradients
        ]


def test_units_that_remember_are_chosen_by_their_buttons(
    pages: dict[str, Path], chromium: Page
) -> None:
    opened(chromium, pages["numbers"])
    second = a_look("", num_layers=2).page.layers[1]
    chromium.ask(
        "(() => { const select = document.getElementById('layer'); select.value = '1';"
        "select.dispatchEvent(new Event('change')); })()"
    )
    chromium.ask(DRAWN)
    assert chromium.ask(
        "[...document.querySelectorAll('.units')].map((table) => table.hidden)"
    ) == [True, False]
    unit = second.remembering[2]
    chromium.ask("document.querySelectorAll('.units:not([hidden]) button')[2].click()")
    chromium.ask(DRAWN)
    readout = chromium.ask("document.querySelector('.readout').textContent")
    assert f"đơn vị {unit.unit}:" in readout
    value = next(shown.values for shown in second.maps if shown.name == "f")[-1, unit.row]
    assert f"f {value:.2f}".replace(".", ",") in readout


@pytest.mark.parametrize("name", ["text", "numbers"])
def test_both_languages_are_a_button_away(
    name: str, pages: dict[str, Path], chromium: Page
) -> None:
    opened(chromium, pages[name])
    begins = "en" if name == "text" else "vi"
    assert chromium.ask("document.documentElement.lang") == begins
    heads = {"en": "Inside an LSTM", "vi": "Bên trong mạng LSTM"}
    gates = {"en": "f: forget gate", "vi": "f: cổng quên"}
    for language in ("vi", "en", "vi"):
        chromium.ask(f"document.querySelector('.languages button[value={language}]').click()")
        chromium.ask(DRAWN)
        assert chromium.ask("document.querySelector('h1').innerText") == heads[language]
        assert chromium.ask("document.querySelector('#row-f h3').innerText") == gates[language]
        assert chromium.ask("document.title") == f"{heads[language]} · conveyor"
        shown = chromium.ask(
            "[...document.querySelectorAll('main span[lang]')].filter("
            "(span) => span.offsetParent !== null).map((span) => span.lang)"
        )
        assert set(shown) == {language}
        readout = chromium.ask("document.querySelector('.readout').textContent")
        assert ("," in re.findall(r"f \d([.,])\d\d", readout)) == (language == "vi")


def test_no_sentence_is_said_in_one_language_alone(pages: dict[str, Path]) -> None:
    main = pages["text"].read_text(encoding="utf-8").partition("<script")[0]
    assert main.count('<span lang="en">') == main.count('<span lang="vi">') > 20


@pytest.mark.parametrize("name", ["text", "numbers"])
@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_phone_scrolls_down_only(
    name: str, language: str, pages: dict[str, Path], chromium: Page
) -> None:
    opened(chromium, pages[name], width=390, touch=True)
    chromium.ask(f"document.querySelector('.languages button[value={language}]').click()")
    chromium.ask(DRAWN)
    assert chromium.ask("innerWidth") == 390
    assert chromium.ask("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read(dark: bool, pages: dict[str, Path], chromium: Page) -> None:
    """Also the letters on their colours, and the text in drawings."""
    opened(chromium, pages["text"], dark=dark)
    chromium.ask("choose({ step: 20 })")
    chromium.ask(DRAWN)
    paper, *texts = chromium.ask("""[
      [getComputedStyle(document.body).backgroundColor],
      ...[...document.querySelectorAll("main *")].filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
        element.getBoundingClientRect().width > 0 && element.tagName !== "OPTION",
      ).map((element) => {
        const style = getComputedStyle(element);
        const ink = element.closest("svg") ? style.fill : style.color;
        let behind = element;
        while (behind && /rgba\\(0, 0, 0, 0\\)/.test(getComputedStyle(behind).backgroundColor)) {
          behind = behind.parentElement;
        }
        return [element.textContent.slice(0, 20), ink,
                behind ? getComputedStyle(behind).backgroundColor : null];
      }),
    ]""")
    assert (luminance(paper[0]) < 0.05) == dark
    assert len(texts) > 60
    for text, ink, behind in texts:
        assert contrast(ink, behind or paper[0]) >= 4.5, (text, ink, behind)


def test_maps_follow_the_colours_of_the_system(pages: dict[str, Path], chromium: Page) -> None:
    """Also while the page is open."""
    opened(chromium, pages["text"])
    corner = (
        "[...document.querySelector('#row-c canvas').getContext('2d')"
        ".getImageData(3, 3, 1, 1).data].slice(0, 3)"
    )
    light = chromium.ask(corner)
    chromium.show(dark=True)
    chromium.ask(DRAWN)
    chromium.ask(DRAWN)
    assert sum(chromium.ask(corner)) < sum(light)


def test_what_is_read_is_shown_as_text(pages: dict[str, Path], chromium: Page) -> None:
    opened(chromium, pages["text"])
    assert chromium.ask("document.querySelector('.read').textContent") == TEXT
    assert chromium.ask("document.querySelector('.title').textContent") == TEXT
    assert "the <sum>" in chromium.ask("document.querySelector('#row-contributions p').innerText")
    assert "one <i>" in chromium.ask("document.querySelector('#row-gradient-0 p').innerText")
    opened(chromium, pages["numbers"])
    assert chromium.ask("document.querySelector('#row-input p').innerText") == "<á> · 7"
    first = "document.querySelector('#row-input path').getAttribute('d').split('L').map((p) => "
    heights = chromium.ask(first + "Number(p.split(' ')[1]))")
    assert len(set(heights)) > 5  # the first line is <a>, which moves


def test_the_largest_page_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest sequence that is shown whole, with more units and layers than there is room."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent("lstm", 3, 160, 3).eval()
    x = torch.randn(400, 1, 3)
    read = ReadSequence(
        title=same("long"), inputs=x, labels=("ế",) * 400, symbols=True,
        answer=lambda output: output[-1].sum(-1), asked=same("sum"), answers=("ế 100 %",) * 400,
    )  # fmt: skip
    network = Compared(after_training(layer.program), same(""), layer, x)
    monkeypatch.setattr("conveyor.inside.look.contributions_of", lambda *_: torch.randn(400))

    def noise(*_: Any, outputs: Any, **__: Any) -> torch.Tensor:
        return torch.rand(len(outputs), 400, dtype=torch.float64)

    monkeypatch.setattr("conveyor.inside.measures.gradients_between", noise)
    page = look(read, network, untrained(layer, x), settings="", say=print).page
    write_inside(tmp_path / "page.html", page, "en")
    assert (tmp_path / "page.html").stat().st_size < MOST_BYTES


def test_a_start_that_stands_for_an_infinite_number_does_not_stretch_a_scale() -> None:
    table = inside_data._table(np.array([[-3e38, 2.0], [-1.0, 4.0], [np.nan, 1.0]]))
    assert (table["low"], table["high"]) == (-4, 4)
    assert inside_data._table(np.full((2, 2), np.nan))["high"] == 1


def test_a_byte_holds_a_gradient_to_a_25th_of_a_decade() -> None:
    import base64  # noqa: PLC0415 - of this test alone

    shares = np.array([[1.0, 0.1, 1e-5, 0.0, np.nan, 1e3, 1e-12]])
    packed = np.frombuffer(base64.b64decode(inside_data._logarithms(shares)), dtype=np.uint8)
    assert packed[3] == packed[6] == 0
    assert packed[4] == 255
    assert packed[5] == 254
    told = 10 ** (inside_data.FLOOR + inside_data.DECADES * packed[:3] / 254)
    np.testing.assert_allclose(told, shares[0, :3], rtol=0.05)
