"""Writing a report, one self-contained page of HTML, of charts and tables.

A report is a single file that opens without a network, also years later and out of a mail: styles,
scripts, plotly.js and data are inside, and its policy forbids to fetch anything. ``bundle`` makes
plotly.js small. The page and its charts follow the system's light or dark colours, speak English
or Vietnamese, and words of the field explain themselves (``terms``).
"""

import html
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from conveyor.data.files import write_whole
from conveyor.pages.bundle import ALPHABET, plotlyjs
from conveyor.pages.glossary import name_of
from conveyor.pages.terms import explanations, term
from conveyor.pages.words import Language, Words, cell_text, language_buttons

# Okabe & Ito's colours, which people who are colour-blind can tell apart.
OURS, BASELINE, THIRD = "#0072B2", "#D55E00", "#009E73"
OTHER, TRUTH = "#999999", "#111111"
# The band of a forecast: our colour, transparent.
BAND = "rgba(0,114,178,.18)"

# The colours for dark paper, by those for light paper: of the roles above, and of compared cells.
DARK = {
    OURS: "#4DA9F2",
    BASELINE: "#FF8F45",
    OTHER: "#8B949E",
    TRUTH: "#F0F3F6",
    BAND: "rgba(77,169,242,.24)",
    THIRD: "#2BC79A",
    "#CC79A7": "#E79FC9",
    "#56B4E9": "#A5DCFF",
    "#E69F00": "#F4C04A",
}

# A line of fewer points has markers, and an axis of as many counts or fewer a tick at each count.
MARKED = 12

# Numbers of a chart are written to a millionth of what they span: a screen has some thousand
# pixels.
_PARTS = 1e-6

_NO_SCRIPT = Words("Charts need JavaScript.", "Biểu đồ cần JavaScript.")

# How a date begins the day, as plotly writes it; it reads it without, too.
_MIDNIGHT = "T00:00:00"

# Nothing is fetched, whatever a script asks for. plotly saves a chart as an image through a blob.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
)


@cache
def text_of(name: str) -> str:
    """Return the text of a style sheet or script of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _roles() -> str:
    """Return CSS that names the colours of the roles, for light and for dark paper."""
    roles = {"ours": OURS, "baseline": BASELINE, "third": THIRD, "other": OTHER, "truth": TRUTH}
    light = " ".join(f"--{role}: {colour};" for role, colour in roles.items())
    dark = " ".join(f"--{role}: {DARK[colour]};" for role, colour in roles.items())
    if_dark = "@media screen and (prefers-color-scheme: dark)"
    return f":root {{ {light} }}\n{if_dark} {{ :root {{ {dark} }} }}\n"


def inside_script(json_text: str) -> str:
    """Return JSON that does not end the script element around it."""
    return json_text.replace("<", "\\u003c")


def page(path: Path, title: Words, parts: Sequence[str], settings: str, language: Language) -> None:
    """Write a page whose settings are folded up at its end.

    Args:
        path: the file.
        title: the heading, as text.
        parts: the parts of the body, as HTML: what ``chart`` and ``table`` return, paragraphs,
            headings from ``<h2>`` on.
        settings: the settings, as text.
        language: that it begins in; the other is a button away.

    Raises:
        SaveError: the file could not be written.
    """
    body = "\n".join(parts)
    packed = plotlyjs()
    frame = json.dumps({"alphabet": ALPHABET, "size": packed.size, "dark": DARK})
    write_document(
        path,
        title,
        f"""<div class="above"><h1>{title.html()}</h1>{language_buttons(language)}</div>
{body}
<details class="settings"><summary>{Words("Settings", "Thiết lập").html()}</summary>
<pre id="settings">{html.escape(settings)}</pre></details>
{explanations(body)}""",
        styles=("page.css",),
        scripts=f"""<script type="application/json" id="frame">{inside_script(frame)}</script>
<script type="text/plain" id="plotly">{packed.text}</script>
<script>
{packed.notice}
{text_of("unpack.js")}{text_of("page.js")}{text_of("languages.js")}</script>""",
        language=language,
    )


def heading(words: Words, level: int = 2) -> str:
    """Return a heading as a part of a page."""
    return f"<h{level}>{words.html()}</h{level}>"


def paragraph(words: Words, kind: str = "") -> str:
    """Return a paragraph as a part of a page.

    Args:
        words: its text.
        kind: its class in the style sheet; empty for none.
    """
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{words.html()}</p>"


def write_document(
    path: Path,
    title: Words,
    main: str,
    *,
    styles: Sequence[str],
    scripts: str,
    language: Language = "en",
) -> None:
    """Write a page that fetches nothing; see ``document``.

    Raises:
        SaveError: the file could not be written.
    """
    write_whole(path, document(title, main, styles=styles, scripts=scripts, language=language))


def document(
    title: Words,
    main: str,
    *,
    styles: Sequence[str],
    scripts: str,
    language: Language = "en",
    policy: str = _POLICY,
) -> str:
    """Return a page.

    Args:
        title: what stands in the browser's tab.
        main: what the page shows, as HTML.
        styles: the names of its style sheets in this folder.
        scripts: its scripts, as HTML.
        language: that it begins in.
        policy: what it may load; by default nothing.
    """
    names = {code: html.escape(f"{text} · conveyor") for code, text in title._asdict().items()}
    in_both = ""
    if title.en != title.vi:
        in_both = "".join(f' data-{code}="{name}"' for code, name in names.items())
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title{in_both}>{names[language]}</title>
<style>
{_roles()}{"".join(map(text_of, styles))}</style>
</head>
<body>
<main>
{main}
</main>
{scripts}
</body>
</html>
"""


def _texts(figure: go.Figure) -> Iterator[str]:
    """Yield the texts of a figure that stand beside its data."""
    yield from (trace.name for trace in figure.data if trace.name)
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        yield from filter(None, (axis.title.text, *(axis.ticktext or ())))
    yield from (note.text for note in figure.layout.annotations)


def _shortened(value: Any) -> Any:
    """Return JSON with numbers no longer than a chart can show, and dates without a time where all
    begin a day."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    numbers = [item for item in value if isinstance(item, float) and math.isfinite(item)]
    part = _PARTS * (max(numbers) - min(numbers)) if numbers else 0.0
    if 0 < part < math.inf:
        places = -math.floor(math.log10(part))
        return [round(item, places) if isinstance(item, float) else item for item in value]
    dates = [item for item in value if item is not None]
    if dates and all(isinstance(item, str) and item.endswith(_MIDNIGHT) for item in dates):
        return [item and item.removesuffix(_MIDNIGHT) for item in value]
    return [_shortened(item) for item in value]


def chart(
    figure: go.Figure,
    name: str,
    *,
    words: Iterable[Words] = (),
    height: int = 420,
    hover: str = "x unified",
) -> str:
    """Return a figure as a part of a page.

    Texts are escaped, because plotly reads tags in them. Colours are those of light paper; the
    page replaces them by ``DARK``, and sets fonts and lines. Texts are English ones, which the page
    replaces by Vietnamese ones: those that the glossary knows, and ``words``.

    Args:
        figure: the chart; it is changed.
        name: the id of its element, which no other chart of the page may have.
        words: texts of the figure that the glossary does not know, in both languages.
        height: the height in pixels.
        hover: plotly's ``hovermode``.
    """
    translated = [*words, *map(name_of, _texts(figure))]
    vietnamese = {
        html.escape(text.en, quote=False): html.escape(text.vi, quote=False)
        for text in translated
        if text.en != text.vi
    }
    for trace in figure.data:
        trace.name = html.escape(trace.name, quote=False) if trace.name else None
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        axis.title.text = html.escape(axis.title.text or "", quote=False) or None
    for note in figure.layout.annotations:
        note.text = html.escape(note.text, quote=False)
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        # At the top: plotly's buttons, and below them annotations of lines.
        margin={"l": 60, "r": 20, "t": 48, "b": 50},
        # At the bottom, because it takes several lines on a narrow page, which would cover the
        # buttons at the top.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        hovermode=hover,
    )
    drawn = json.loads(figure.to_json())  # plotly writes dates, and null for what is no number
    return (
        f'<figure class="chart"><div class="plot" id="{html.escape(name)}"'
        f' style="height:{height}px"></div><noscript>{paragraph(_NO_SCRIPT, "untold")}</noscript>'
        f'<script type="application/json" class="figure">{_json(_shortened(drawn))}</script>'
        f'<script type="application/json" class="vi">{_json(vietnamese)}</script></figure>'
    )


def _json(value: object) -> str:
    """Return a value as JSON that does not end the script element around it."""
    return inside_script(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def line_mode(points: int) -> str:
    """Return plotly's ``mode`` of a line: with markers where they can be told apart. Of one point a
    marker is all that can be seen. By itself plotly draws markers of fewer than 20 points.

    Args:
        points: how many the line has.
    """
    return "lines+markers" if points < MARKED else "lines"


def count_axis(figure: go.Figure, title: str, last: int) -> None:
    """Set a horizontal axis of counts, which has no ticks between two whole numbers.

    Args:
        figure: the chart; it is changed.
        title: what is counted.
        last: the largest count.
    """
    figure.update_xaxes(title=title, dtick=1 if last <= MARKED else None)


def log_numbers(low: float, high: float, mantissas: Sequence[float]) -> list[float]:
    """Return round numbers for the ticks of a logarithmic axis, from the decade below ``low`` to
    that of ``high``.

    Args:
        low, high: the ends of the axis, above 0.
        mantissas: the digits that the numbers begin with, rising.
    """
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    return [float(f"{first}e{decade}") for decade in decades for first in mantissas]


# Numbers under the pointer: by itself plotly writes 1.234567M.
DECIMALS = ",.7~r"


def time_axis(figure: go.Figure, times: Sequence[object]) -> None:
    """Set how a horizontal axis writes the time under the pointer: as a month, a day, or with the
    time of day, whichever tells the times apart. By itself plotly writes no days of weekly times.

    Args:
        figure: the chart; it is changed.
        times: dates, or dates and times; numbers of rows leave the axis as it is.
    """
    days = [time for time in times if isinstance(time, date)]  # a datetime is a date, too
    clock = [time for time in days if isinstance(time, datetime)]
    if not days:
        return
    form = "%b %Y" if all(time.day == 1 for time in days) else "%-d %b %Y"
    if any((time.hour, time.minute, time.second) != (0, 0, 0) for time in clock):
        form = "%-d %b %Y, %H:%M:%S" if any(time.second for time in clock) else "%-d %b %Y, %H:%M"
    figure.update_xaxes(hoverformat=form)


# So many numbers are too many beside the name of a row on a phone, and fit under it. The least of
# them fit beside names that are no longer than this.
UNDER_A_NAME, _SHORT_NAME = range(3, 8), 12


def table(head: Sequence[str], rows: Sequence[tuple[Sequence[str], bool]]) -> str:
    """Return a table as a part of a page. Words of its head and first column are explained where
    ``terms`` knows them.

    Args:
        head: the headings of the columns, as text.
        rows: the cells of each row, as text, its name first, and whether the row is ours, which
            makes it stand out.
    """
    # An empty heading is none to a screen reader.
    titles = "".join(f'<th scope="col">{term(text)}</th>' if text else "<td></td>" for text in head)
    lines = []
    for (name, *numbers), is_ours in rows:
        mark = ' class="ours"' if is_ours else ""
        # A number stays with its percent sign where cells are narrow.
        data = "".join(f"<td>{_cell(number).html()}</td>" for number in numbers)
        data = data.replace(" %", "&nbsp;%")
        lines.append(f'<tr{mark}><th scope="row">{term(name)}</th>{data}</tr>')
    label = 'aria-label="Scores" data-label-en="Scores" data-label-vi="Điểm số"'
    several = len(head) - 1
    # On a phone the numbers of a row stand under its name, where they fit side by side.
    longest = max((len(cells[0]) for cells, _ in rows), default=0)
    fits = several == UNDER_A_NAME[0] and longest <= _SHORT_NAME
    stands_under = several in UNDER_A_NAME and not fits
    under = f' under" style="--numbers: {several}' if stands_under else ""
    return (
        f'<div class="wide" tabindex="0" role="region" {label}><table class="scores{under}">'
        f"<thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def sortable(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, at_once: int, more: Words
) -> str:
    """Return a table whose rows a click on a heading sorts, as a part of a page.

    Args:
        head: see ``table``.
        rows: the cells of each row, as text, its name first.
        at_once: how many rows are seen until the others are asked for.
        more: what the button that shows them says.
    """
    body = table(head, [(row, False) for row in rows])
    # Without scripts all rows are seen, and the button does nothing.
    button = f'<button type="button" class="more" hidden>{more.html()}</button>'
    return (
        f'<div class="sortable" data-at-once="{at_once}">{body}'
        f"{button if len(rows) > at_once else ''}</div>"
    )


def _cell(text: str) -> Words:
    known = name_of(text)
    return cell_text(text) if known.en == known.vi else known


def sample(title: Words, text: str) -> str:
    """Return a text that a model wrote as a part of a page."""
    return f'{paragraph(title)}\n<pre class="sample">{html.escape(text)}</pre>'
