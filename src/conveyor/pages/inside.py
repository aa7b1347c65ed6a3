"""Writing ``inspect.html``, the page that looks inside a network: maps of its gates and states over
time, the belt of its memory, and where gradients go.

It draws all itself, on canvases and in SVG, and needs no plotly.js: a page is some hundred
kilobytes. Numbers stand in it as bytes.
"""

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.frame import inside_script, text_of, write_document
from conveyor.pages.words import Language, Words, number_text

Numbers = NDArray[np.float64]

# The decimal logarithm of a gradient's share that is still told from none, and how many decades
# above it are: a byte is a 25th of a decade.
FLOOR, DECADES = -8.0, 10.0


@dataclass(frozen=True)
class Map:
    """A map of units over time.

    Args:
        name: the local name of the cell.
        title: the heading, which says what it is.
        about: a line below it.
        values: [steps, units].
        ends: between what they lie; None for from the least to the largest, 0 in the middle.
        ordered: whether its rows are the units of the memory, in their order.
    """

    name: str
    title: Words
    about: Words
    values: Numbers
    ends: tuple[float, float] | None
    ordered: bool


@dataclass(frozen=True)
class Remembering:
    """A unit that remembers for long.

    Args:
        row: its place among the units of the maps.
        unit: its number.
        steps: after so many 1/e of it is left.
        opens: the steps that put the most on it, in words.
        closes: the steps that keep the least of it, in words.
    """

    row: int
    unit: int
    steps: float
    opens: Words
    closes: Words


@dataclass(frozen=True)
class LayerInside:
    """A layer of the page, in one direction.

    Args:
        name: what it is called.
        memory: the local name of its memory.
        units: the numbers of the units that are shown, in order.
        maps: of every local name.
        put_on, taken_off: of the memory, [steps, units].
        belt: what stands above the belt: a heading and a line.
        remembering: the units with the longest time constants.
        note: what is left out; None for nothing.
    """

    name: Words
    memory: str
    units: tuple[int, ...]
    maps: tuple[Map, ...]
    put_on: Numbers
    taken_off: Numbers
    belt: tuple[Words, Words]
    remembering: tuple[Remembering, ...]
    note: Words | None = None


class Reach(NamedTuple):
    """How far back a share of a gradient is left.

    Args:
        steps: so many steps.
        farther: whether the sequence begins there, or the gradient was followed no farther.
    """

    steps: int
    farther: bool


@dataclass(frozen=True)
class NetworkGradients:
    """Where gradients go in a network.

    Args:
        name: what the network is called.
        about: a line about it.
        shares: of the gradient of each output step, what is left at each step, [outputs, steps];
            NaN where it was not worked out.
        reach: of each output step, how far back a tenth and a hundredth of its gradient is left.
        shade: the role of its colour: ours, third, baseline.
        dashed: whether its line is dashed.
        main: whether it is the network that the page is about.
    """

    name: Words
    about: Words
    shares: Numbers
    reach: Sequence[tuple[Reach, Reach]]
    shade: str
    dashed: bool = False
    main: bool = False


@dataclass(frozen=True)
class Inside:
    """All that the page shows.

    Args:
        heading: of the page.
        title: what is read.
        verdict: the answers first: a sentence each.
        steps: the numbers of the steps that are shown, from 0.
        labels: what stands at each of them.
        named: whether the labels say more than the number of the step.
        symbols: whether the labels are what is read.
        features: the numbers that are read, by name; empty for symbols.
        answers: what the network answers at each step; empty for none.
        contributions: of each step to ``asked``; None where there is no answer.
        asked: what is answered.
        layers: see ``LayerInside``.
        outputs: the places of the output steps whose gradients are shown.
        gradients: the network's and others'; empty for none.
        equations: each as parts, a text and the local name that it links to, or None.
        notes: what a reader should know besides: what was left out, how it was measured.
        settings: as text.
    """

    heading: Words
    title: Words
    verdict: Sequence[Words]
    steps: Sequence[int]
    labels: Sequence[str]
    named: bool
    symbols: bool
    features: Mapping[str, Sequence[float]]
    answers: Sequence[str]
    contributions: Sequence[float] | None
    asked: Words | None
    layers: Sequence[LayerInside]
    outputs: Sequence[int]
    gradients: Sequence[NetworkGradients]
    equations: Sequence[Sequence[tuple[str, str | None]]]
    notes: Sequence[Words]
    settings: str


def _bytes(values: Numbers, low: float, high: float) -> str:
    """Return numbers between two as bytes in base 64."""
    scaled = np.nan_to_num((values - low) / (high - low) * 255, nan=0.0, posinf=255, neginf=0)
    return base64.b64encode(np.clip(np.rint(scaled), 0, 255).astype(np.uint8).tobytes()).decode()


def _table(values: Numbers, ends: tuple[float, float] | None = None) -> dict[str, Any]:
    """Return numbers as the page's script reads them."""
    if ends is None:
        finite = np.abs(values[np.isfinite(values)])
        most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
        ends = (-most, most)
    low, high = ends
    return {
        "low": low,
        "high": high,
        "width": values.shape[1],
        "bytes": _bytes(values, low, high),
    }


def _logarithms(shares: Numbers) -> str:
    """Return shares of gradients as bytes: 0 for less than the floor, 255 where there is none."""
    with np.errstate(divide="ignore"):
        scaled = (np.log10(np.maximum(shares, 0)) - FLOOR) / DECADES * 254
    scaled = np.where(np.isnan(shares), 255, np.clip(np.rint(np.nan_to_num(scaled)), 0, 254))
    return base64.b64encode(scaled.astype(np.uint8).tobytes()).decode()


def _words(words: Words) -> dict[str, str]:
    """Return words as escaped HTML, by language."""
    return {language: html.escape(text) for language, text in words._asdict().items()}


def _layer(layer: LayerInside) -> dict[str, Any]:
    title, about = layer.belt
    most_kept = max(range(len(layer.units)), key=lambda row: -_rank(layer, row))
    return {
        "memory": layer.memory,
        "units": layer.units,
        "first": most_kept,
        "belt": {"title": _words(title), "about": _words(about)},
        "putOn": _table(layer.put_on),
        "takenOff": _table(layer.taken_off),
        "maps": [
            {
                "name": one.name,
                "title": _words(one.title),
                "about": _words(one.about),
                "signed": one.ends is None or one.ends[0] < 0,
                "ordered": one.ordered,
                **_table(one.values, one.ends),
            }
            for one in layer.maps
        ],
    }


def _rank(layer: LayerInside, row: int) -> int:
    """Return the place of a unit among those that remember for long; behind them for others."""
    rows = [unit.row for unit in layer.remembering]
    return rows.index(row) if row in rows else len(rows)


def _data(inside: Inside) -> str:
    contents: dict[str, Any] = {
        "steps": list(inside.steps),
        "labels": list(inside.labels),
        "named": inside.named,
        "symbols": inside.symbols,
        "features": {
            html.escape(name): [number if math.isfinite(number) else None for number in values]
            for name, values in inside.features.items()
        },
        "answers": list(inside.answers),
        "layers": [_layer(layer) for layer in inside.layers],
        "inputTitle": _words(Words("What it reads", "Đầu vào")),
        "inputAbout": {
            "en": _key(inside.features),
            "vi": _key(inside.features),
        },
    }
    if inside.contributions is not None and inside.asked is not None:
        contents |= {
            "contributions": [float(f"{number:.4g}") for number in inside.contributions],
            "contributionsTitle": _words(
                Words("What each step contributed to the answer", "Mỗi bước góp gì cho câu trả lời")
            ),
            "asked": _words(
                Words(
                    f"up for, down against: {inside.asked.en}",
                    f"lên là tăng, xuống là giảm: {inside.asked.vi}",
                )
            ),
        }
    if inside.gradients:
        contents["gradients"] = {
            "floor": FLOOR,
            "decades": DECADES,
            "outputs": list(inside.outputs),
            "networks": [
                {
                    "name": _words(network.name),
                    "about": _words(network.about),
                    "bytes": _logarithms(network.shares),
                    "reach": [[one._asdict() for one in pair] for pair in network.reach],
                    "shade": network.shade,
                    "dashed": network.dashed,
                    "main": network.main,
                }
                for network in inside.gradients
            ],
        }
    return json.dumps(contents, ensure_ascii=False, allow_nan=False)


def _key(features: Mapping[str, Sequence[float]]) -> str:
    """Return the names of the lines of the input, in their colours, as HTML."""
    shades = ("ours", "baseline", "third", "quiet")
    return " · ".join(
        f'<b style="color:var(--{shades[place % 4]})">{html.escape(name)}</b>'
        for place, name in enumerate(features)
    )


def _heading(level: int, words: Words) -> str:
    return f"<h{level}>{words.html()}</h{level}>"


def _paragraph(words: Words, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{words.html()}</p>"


def _controls(inside: Inside) -> str:
    layers = ""
    if len(inside.layers) > 1:
        options = "".join(
            f'<option value="{place}" data-en="{html.escape(layer.name.en)}" '
            f'data-vi="{html.escape(layer.name.vi)}">{html.escape(layer.name.en)}</option>'
            for place, layer in enumerate(inside.layers)
        )
        layers = (
            f'<label>{Words("Layer", "Tầng").html()}<select id="layer">{options}</select></label>'
        )
    return (
        f'<div class="controls">{layers}'
        f'<label class="wide-range">{Words("Step", "Bước").html()}'
        '<input type="range" id="step" min="0" value="0"></label>'
        '<button type="button" id="play">Play</button>'
        f'<label class="wide-range">{Words("Unit", "Đơn vị").html()}'
        '<input type="range" id="unit" min="0" value="0"></label>'
        '<p class="readout" aria-live="polite"></p></div>'
    )


def _text(inside: Inside) -> str:
    """Return what is read as letters that can be chosen."""
    if not inside.symbols:
        return ""
    letters = "".join(f"<span>{html.escape(label)}</span>" for label in inside.labels)
    options = [("gradient", Words("the gradient of the chosen step", "gradient của bước đã chọn"))]
    if inside.contributions is not None:
        options.append(("contribution", Words("what it contributed", "phần đóng góp")))
    options.append(("unit", Words("the chosen unit's memory", "bộ nhớ của đơn vị đã chọn")))
    choices = "".join(
        f'<option value="{value}" data-en="{words.en}" data-vi="{words.vi}">{words.en}</option>'
        for value, words in options
    )
    return (
        f'<pre class="read">{letters}</pre>'
        f'<p class="note"><label>{Words("Letters are coloured by", "Tô màu chữ theo").html()} '
        f'<select id="colouring">{choices}</select></label></p>'
    )


def _equations(inside: Inside) -> str:
    lines = []
    for parts in inside.equations:
        line = "".join(
            html.escape(text)
            if name is None
            else f'<a href="#row-{html.escape(name)}" data-row="row-{html.escape(name)}">'
            f"{html.escape(text)}</a>"
            for text, name in parts
        )
        lines.append(line)
    joined = "\n".join(lines)
    return (
        '<pre class="equations" tabindex="0" role="region" data-label-en="Equations" '
        f'data-label-vi="Công thức">{joined}</pre>'
    )


def _units(inside: Inside) -> str:
    tables = []
    head = "".join(
        f'<th scope="col">{words.html()}</th>'
        for words in (
            Words("unit", "đơn vị"),
            Words("1/e is left after", "còn 1/e sau"),
            Words("takes in most at", "nạp vào nhiều nhất ở"),
            Words("lets go most at", "quên nhiều nhất ở"),
        )
    )
    for place, layer in enumerate(inside.layers):
        rows = []
        for unit in layer.remembering:
            if math.isinf(unit.steps) or unit.steps >= 1e6:
                steps = Words("never", "không bao giờ")
            else:
                number = number_text(unit.steps, ".3g" if unit.steps < 1000 else ".0f")
                steps = Words(f"{number.en} steps", f"{number.vi} bước")
            rows.append(
                f'<tr><th scope="row"><button type="button" data-unit="{unit.row}">{unit.unit}'
                f'</button></th><td class="number">{steps.html()}</td><td>{unit.opens.html()}</td>'
                f"<td>{unit.closes.html()}</td></tr>"
            )
        tables.append(
            f'<div class="wide units" data-layer="{place}" tabindex="0" role="region" '
            'data-label-en="Units that remember" data-label-vi="Những đơn vị nhớ lâu">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )
    return "".join(tables)


def _gradients() -> str:
    head = (
        f'<td></td><th scope="col">10 % {Words("is left", "còn lại").html()}</th>'
        f'<th scope="col">1 % {Words("is left", "còn lại").html()}</th>'
    )
    return "\n".join(
        (
            _heading(
                2,
                Words(
                    "Where the gradient of the chosen step goes",
                    "Gradient của bước đã chọn đi tới đâu",
                ),
            ),
            _paragraph(
                Words(
                    "An arc leads from the output of the chosen step (▲) to each earlier step that "
                    "its gradient reaches. The thicker it is, the more is left; below 1 % none is "
                    "drawn. What a step does not receive it cannot learn from: the vanishing "
                    "gradient.",
                    "Mỗi cung nối đầu ra của bước đã chọn (▲) với một bước trước đó mà gradient "
                    "còn tới được. Cung càng dày thì gradient còn lại càng nhiều; dưới 1 % thì "
                    "không vẽ. Bước nào không nhận được gradient thì không học được gì: đó là hiện "
                    "tượng tiêu biến gradient.",
                )
            ),
            '<div id="arcs"></div>',
            _heading(3, Words("How much is left", "Còn lại bao nhiêu")),
            '<ul class="networks"></ul>',
            '<section class="row"><svg id="distances" role="img" data-label-en="Share of the '
            'gradient that is left, by steps back" data-label-vi="Phần gradient còn lại theo số '
            'bước lùi"></svg></section>',
            '<div class="wide" tabindex="0" role="region" data-label-en="How far back" '
            f'data-label-vi="Nhìn lại bao xa"><table id="horizons"><caption class="note">'
            f"{Words('How many steps back', 'Lùi lại bao nhiêu bước thì').html()}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody></tbody></table></div>",
        )
    )


def write_inside(path: Path, inside: Inside, language: Language) -> None:
    """Write the page.

    Args:
        path: the file.
        inside: what it shows.
        language: that it begins in; the other is a button away.

    Raises:
        SaveError: the file could not be written.
    """
    languages = "".join(
        f'<button type="button" value="{code}" lang="{code}" class="language" '
        f'aria-pressed="{"true" if code == language else "false"}">{name}</button>'
        for code, name in (("en", "English"), ("vi", "Tiếng Việt"))
    )
    sentences = "".join(f"<li>{words.html()}</li>" for words in inside.verdict)
    parts = [
        f'<div class="above"><h1>{inside.heading.html()}</h1>'
        f'<div class="languages">{languages}</div></div>',
        _paragraph(inside.title, "title"),
        f'<ul class="verdict">{sentences}</ul>' if sentences else "",
        _controls(inside),
        _text(inside),
        '<div id="strips"></div>',
        _gradients() if inside.gradients else "",
        _heading(2, Words("What is inside, step by step", "Bên trong, từng bước một")),
        _paragraph(
            Words(
                "Each row of a map is a unit, each column a step. Units that move alike stand "
                "together. Point at a map to read a value, click to choose its step and unit.",
                "Mỗi hàng của bản đồ là một đơn vị, mỗi cột là một bước. Những đơn vị biến đổi "
                "giống nhau đứng cạnh nhau. Chỉ vào bản đồ để đọc giá trị, bấm để chọn bước và đơn "
                "vị.",
            )
        ),
        *(_paragraph(layer.note, "note") for layer in inside.layers[:1] if layer.note),
        '<div id="layer-rows"></div>',
        _heading(2, Words("The equations of a step", "Công thức của một bước")),
        _paragraph(
            Words(
                "A letter leads to its map. h' is h of the step before.",
                "Bấm vào một chữ để tới bản đồ của nó. h' là h của bước trước.",
            )
        ),
        _equations(inside),
        _heading(2, Words("Units that remember", "Những đơn vị nhớ lâu")),
        _paragraph(
            Words(
                "The ten whose memory lasts longest in this sequence, by what is carried over at "
                "each step: the forget gate of an LSTM.",
                "Mười đơn vị nhớ lâu nhất trong dãy này, tính theo phần được giữ lại ở mỗi bước: "
                "cổng quên của LSTM.",
            )
        ),
        _units(inside),
        '<section id="made">',
        _heading(3, Words("How it was measured", "Cách đo")),
        *(_paragraph(note, "note") for note in inside.notes),
        f'<details class="settings"><summary>{Words("Settings", "Thiết lập").html()}</summary>'
        f'<pre id="settings">{html.escape(inside.settings)}</pre></details></section>',
    ]
    write_document(
        path,
        inside.heading,
        "\n".join(parts) + '\n<div class="pointer" hidden></div>',
        styles=("page.css", "inside.css"),
        scripts=(
            f'<script type="application/json" id="inside">{inside_script(_data(inside))}</script>\n'
            f"<script>\n{text_of('inside.js')}</script>\n"
            f"<script>\n{text_of('languages.js')}</script>"
        ),
        language=language,
    )
