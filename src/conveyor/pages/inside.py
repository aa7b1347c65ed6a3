"""Writing ``inspect.html``, the page that looks inside a network: maps of its gates and states over
time, the belt of its memory, and where gradients go.

It draws all itself, on canvases and in SVG, and needs no plotly.js: a page is some hundred
kilobytes.
"""

import html
import math
from pathlib import Path

from conveyor.pages.frame import heading, inside_script, paragraph, text_of, write_document
from conveyor.pages.inside_data import Inside, page_data
from conveyor.pages.words import Language, Words, language_buttons, number_text


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
    options = []
    if inside.gradients:
        gradient = Words("the gradient of the chosen step", "gradient của bước đã chọn")
        options.append(("gradient", gradient))
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
            Words("37 % (1/e) is left after", "còn 37 % (1/e) sau"),
            Words("written most at", "ghi nhiều nhất ở"),
            Words("forgets most at", "quên nhiều nhất ở"),
        )
    )
    for place, layer in enumerate(inside.layers):
        rows = []
        for unit in layer.remembering:
            if math.isinf(unit.steps) or unit.steps >= 1e6:
                steps = Words("never", "không bao giờ")
            else:
                number = number_text(unit.steps, ".3g" if unit.steps < 999 else ",.0f")
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
    back = Words("How many steps back so much is left", "Lùi bao nhiêu bước thì còn")
    head = '<td></td><th scope="col">10&nbsp;%</th><th scope="col">1&nbsp;%</th>'
    return "\n".join(
        (
            heading(
                Words(
                    "Where the gradient of the chosen step goes",
                    "Gradient của bước đã chọn đi tới đâu",
                )
            ),
            paragraph(
                Words(
                    "An arc leads from the output of the chosen step (▲) to each earlier step that "
                    "its gradient reaches. The thicker it is, the more is left; below 1 % none is "
                    "drawn. The network cannot learn from a step that no gradient reaches: the "
                    "vanishing gradient. Networks before training are random and have learned "
                    "nothing. A trained one may look back less than they do: what it learned is "
                    "how far its data ask it to look.",
                    "Mỗi cung nối đầu ra của bước đã chọn (▲) với một bước trước đó mà gradient "
                    "còn tới được. Cung càng dày thì gradient còn lại càng nhiều; dưới 1 % thì "
                    "không vẽ. Gradient không tới được bước nào thì mạng không học được gì từ bước "
                    "ấy: đó là hiện tượng gradient biến mất. Mạng trước khi huấn luyện là ngẫu "
                    "nhiên và chưa học gì. Mạng đã huấn luyện có thể nhìn lại ngắn hơn: nó học "
                    "được là dữ liệu cần nhìn lại bao xa.",
                )
            ),
            '<div id="arcs"></div>',
            heading(Words("How much is left", "Còn lại bao nhiêu"), 3),
            '<ul class="networks"></ul>',
            '<section class="row"><svg id="distances" role="img" data-label-en="Share of the '
            'gradient that is left, by steps back" data-label-vi="Phần gradient còn lại theo số '
            'bước lùi"></svg></section>',
            '<div class="wide" tabindex="0" role="region" data-label-en="How far back" '
            f'data-label-vi="Nhìn lại bao xa"><table id="horizons"><caption class="note">'
            f"{back.html()}</caption>"
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
    sentences = "".join(f"<li>{words.html()}</li>" for words in inside.verdict)
    parts = [
        f'<div class="above"><h1>{inside.heading.html()}</h1>{language_buttons(language)}</div>',
        paragraph(inside.title, "title"),
        f'<ul class="verdict">{sentences}</ul>' if sentences else "",
        _controls(inside),
        _text(inside),
        '<div id="strips"></div>',
        _gradients() if inside.gradients else "",
        heading(Words("What is inside, step by step", "Bên trong, từng bước một")),
        paragraph(
            Words(
                "Each row of a map is a unit, each column a step. Units that move alike stand "
                "together. Point at a map to read a value, click to choose its step and unit.",
                "Mỗi hàng của bản đồ là một đơn vị, mỗi cột là một bước. Những đơn vị biến đổi "
                "giống nhau đứng cạnh nhau. Rê chuột lên bản đồ để đọc giá trị, bấm để chọn bước "
                "và đơn vị.",
            )
        ),
        *(paragraph(layer.note, "note") for layer in inside.layers[:1] if layer.note),
        '<div id="layer-rows"></div>',
        heading(Words("The equations of a step", "Công thức của một bước")),
        paragraph(
            Words(
                "A letter leads to its map. x is what is read, W and U are matrices of weights, b "
                "biases, @ is their product; h' is h of the step before, as is every letter with "
                "a prime.",
                "Bấm vào một chữ để tới bản đồ của nó. x là đầu vào, W và U là ma trận trọng số, b "
                "là độ lệch, @ là phép nhân ma trận; h' là h của bước trước, mọi chữ có dấu phẩy "
                "trên cũng vậy.",
            )
        ),
        _equations(inside),
        heading(Words("Units that remember", "Những đơn vị nhớ lâu")),
        paragraph(
            Words(
                "The ten whose memory lasts longest in this sequence, by what is carried over at "
                "each step: the forget gate of an LSTM. A unit may remember for longer than the "
                "gradient of all units together reaches.",
                "Mười đơn vị nhớ lâu nhất trong chuỗi này, tính theo phần được giữ lại ở mỗi bước: "
                "cổng quên của LSTM. Một đơn vị có thể nhớ lâu hơn tầm với của gradient tính trên "
                "mọi đơn vị.",
            )
        ),
        _units(inside),
        '<section id="made">',
        heading(Words("How it was measured", "Cách đo"), 3),
        *(paragraph(note, "note") for note in inside.notes),
        f'<details class="settings"><summary>{Words("Settings", "Thiết lập").html()}</summary>'
        f'<pre id="settings">{html.escape(inside.settings)}</pre></details></section>',
    ]
    data = page_data(inside)
    write_document(
        path,
        inside.heading,
        "\n".join(parts) + '\n<div class="pointer" hidden></div>',
        styles=("page.css", "inside.css"),
        scripts=(
            f'<script type="application/json" id="inside">{inside_script(data)}</script>\n'
            f"<script>\n{text_of('inside.js')}</script>\n"
            f"<script>\n{text_of('languages.js')}</script>"
        ),
        language=language,
    )
