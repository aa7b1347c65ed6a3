"""One self-contained page of HTML: its frame, charts and tables.

A report is a single file that opens without a network, also years later and out of a mail: styles,
scripts, plotly.js and data stand in it, and it forbids itself to fetch anything. How plotly.js is
made small is told in ``bundle``. The page and its charts follow the system's light or dark colours,
and words of the field explain themselves (``terms``).
"""

import html
import json
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path

import plotly.graph_objects as go

from conveyor.data.files import write_whole
from conveyor.pages.bundle import ALPHABET, plotlyjs
from conveyor.pages.terms import explanations, term

# Okabe & Ito's colours, which the colour-blind can tell apart.
OURS, BASELINE, OTHER, TRUTH = "#0072B2", "#D55E00", "#999999", "#111111"
# What our model says of the futures: our colour, to be looked through.
BAND = "rgba(0,114,178,.18)"

# On dark paper the same roles, and the other colours of cells beside each other, are lighter.
DARK = {
    OURS: "#4DA9F2",
    BASELINE: "#FF8F45",
    OTHER: "#8B949E",
    TRUTH: "#F0F3F6",
    BAND: "rgba(77,169,242,.24)",
    "#009E73": "#2BC79A",
    "#CC79A7": "#E79FC9",
    "#56B4E9": "#A5DCFF",
    "#E69F00": "#F4C04A",
}

# A line of fewer points has a marker at each, and an axis of fewer steps a number at each.
MARKED = 12

# Nothing is fetched, whatever a script asks for; plotly saves a chart as an image by a blob.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


@cache
def _beside(name: str) -> str:
    """Return a style sheet or script that stands beside this file."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _roles() -> str:
    """Return the colours by role as CSS, for light paper and for dark."""
    roles = {"ours": OURS, "baseline": BASELINE, "other": OTHER, "truth": TRUTH}
    light = " ".join(f"--{role}: {colour};" for role, colour in roles.items())
    dark = " ".join(f"--{role}: {DARK[colour]};" for role, colour in roles.items())
    asked = "@media screen and (prefers-color-scheme: dark)"
    return f":root {{ {light} }}\n{asked} {{ :root {{ {dark} }} }}\n"


def _data(value: str) -> str:
    """Return JSON that no script element ends in."""
    return value.replace("<", "\\u003c")


def page(path: Path, title: str, parts: Sequence[str], settings: str) -> None:
    """Write a page of some parts, with the settings folded up at its end.

    Args:
        path: of the page.
        title: its heading, as text.
        parts: of its body, as HTML: what ``chart`` and ``table`` return, paragraphs, headings
            from ``<h2>`` on.
        settings: as text.

    Raises:
        SaveError: the file could not be written.
    """
    body = "\n".join(parts)
    packed = plotlyjs()
    frame = json.dumps({"alphabet": ALPHABET, "size": packed.size, "dark": DARK})
    write_whole(
        path,
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)} · conveyor</title>
<style>
{_roles()}{_beside("page.css")}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
{body}
<details class="settings"><summary>Settings</summary>
<pre id="settings">{html.escape(settings)}</pre></details>
{explanations(body)}
</main>
<script type="application/json" id="frame">{_data(frame)}</script>
<script type="text/plain" id="plotly">{packed.text}</script>
<script>
{packed.notice}
{_beside("unpack.js")}{_beside("page.js")}</script>
</body>
</html>
""",
    )


def chart(figure: go.Figure, name: str, *, height: int = 420, hover: str = "x unified") -> str:
    """Return a figure as a part of a page.

    Its texts are shown as they are: plotly would read tags in them. Colours are those of light
    paper; the page exchanges them by ``DARK``, and sets fonts and lines.

    Args:
        figure: is changed.
        name: of the element; one that no other chart of the page has.
        height: in pixels.
        hover: plotly's ``hovermode``.
    """
    for trace in figure.data:
        trace.name = html.escape(trace.name, quote=False) if trace.name else None
    for text in (*figure.select_xaxes(), *figure.select_yaxes()):
        text.title.text = html.escape(text.title.text or "", quote=False) or None
    for note in figure.layout.annotations:
        note.text = html.escape(note.text, quote=False)
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        # Above: plotly's buttons, and below them what stands over a line.
        margin={"l": 60, "r": 20, "t": 48, "b": 50},
        # Below: a narrow page breaks its lines, and above they would meet the buttons.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        hovermode=hover,
    )
    return (
        f'<figure class="chart"><div class="plot" id="{html.escape(name)}"'
        f' style="height:{height}px"></div><noscript><p class="untold">Charts need JavaScript.'
        f'</p></noscript><script type="application/json" class="figure">'
        f"{_data(figure.to_json())}</script></figure>"
    )


def line_mode(points: int) -> str:
    """How plotly draws a line of so many points: with markers where they can be told apart, and of
    one point a marker is all there is to see. Left to itself it draws markers below 20 points."""
    return "lines+markers" if points < MARKED else "lines"


def count_axis(figure: go.Figure, title: str, last: int) -> None:
    """A horizontal axis of what is counted: no ticks between two whole numbers."""
    figure.update_xaxes(title=title, dtick=1 if last <= MARKED else None)


def time_axis(figure: go.Figure, times: Sequence[object]) -> None:
    """Set what a horizontal axis of times shows where it is pointed at: a month, a day or a minute,
    whichever tells the times apart. plotly itself would show no days of times a week apart.

    Args:
        figure: is changed.
        times: dates, or dates and times; numbers of rows leave the axis as it is.
    """
    days = [time for time in times if isinstance(time, date)]  # a datetime is a date, too
    clock = [time for time in days if isinstance(time, datetime)]
    if not days:
        return
    shown = "%b %Y" if all(time.day == 1 for time in days) else "%-d %b %Y"
    if any((time.hour, time.minute, time.second) != (0, 0, 0) for time in clock):
        shown = "%-d %b %Y, %H:%M:%S" if any(time.second for time in clock) else "%-d %b %Y, %H:%M"
    figure.update_xaxes(hoverformat=shown)


def table(head: Sequence[str], rows: Sequence[tuple[Sequence[str], bool]]) -> str:
    """Return a table as a part of a page; known words in its head and first column are explained.

    Args:
        head: of the columns, as text.
        rows: as text, the first of each its name; each with whether it is ours, and stands out.
    """
    # An empty one is no heading.
    cells = "".join(f'<th scope="col">{term(each)}</th>' if each else "<td></td>" for each in head)
    lines = []
    for (name, *numbers), is_ours in rows:
        mark = ' class="ours"' if is_ours else ""
        shown = "".join(f"<td>{html.escape(each)}</td>" for each in numbers)
        lines.append(f'<tr{mark}><th scope="row">{term(name)}</th>{shown}</tr>')
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Scores"><table class="scores">'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def sample(title: str, text: str) -> str:
    """Return a text that a model wrote as a part of a page."""
    return f'<p>{html.escape(title)}</p>\n<pre class="sample">{html.escape(text)}</pre>'
