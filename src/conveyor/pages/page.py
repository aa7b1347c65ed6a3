"""One self-contained page of HTML: its frame, charts and tables."""

import html
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from conveyor.data.files import write_whole

# Okabe & Ito's colours, which the colour-blind can tell apart.
OURS, BASELINE, OTHER, TRUTH = "#0072B2", "#D55E00", "#999999", "#111111"
# What our model says of the futures: our colour, to be looked through.
BAND = "rgba(0,114,178,.18)"

# A line of fewer points has a marker at each, and an axis of fewer steps a number at each.
MARKED = 12

_STYLE = """
:root { color-scheme: light; background: #fff; }  /* as the charts are */
body { font: 16px/1.5 system-ui, sans-serif; color: #111; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .25rem .9rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
tr.ours td { font-weight: 600; color: #0072B2; }
.wide { overflow-x: auto; } td { white-space: nowrap; }
@media (max-width: 32rem) { th, td { padding: .25rem .4rem; } }
pre { background: #f5f5f5; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.verdict { font-size: 1.05rem; }
"""


def page(path: Path, title: str, parts: Sequence[str], settings: str) -> None:
    """Write a page of some parts, with the settings folded up at its end.

    Raises:
        SaveError: the file could not be written.
    """
    body = "\n".join(parts)
    write_whole(
        path,
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)} · conveyor</title>
<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head>
<body><h1>{html.escape(title)}</h1>
{body}
<details><summary>Settings</summary><pre id="settings">{html.escape(settings)}</pre></details>
</body></html>
""",
    )


def chart(figure: go.Figure, name: str, *, height: int = 420, hover: str = "x unified") -> str:
    """A figure as a part of a page. Its texts are shown as they are: plotly reads tags in them."""
    for trace in figure.data:
        trace.name = html.escape(trace.name, quote=False) if trace.name else None
    for text in (*figure.select_xaxes(), *figure.select_yaxes()):
        text.title.text = html.escape(text.title.text or "", quote=False) or None
    for note in figure.layout.annotations:
        note.text = html.escape(note.text, quote=False)
    figure.update_layout(
        template="plotly_white",
        height=height,
        # Above: plotly's buttons, and below them what stands over a line.
        margin={"l": 60, "r": 20, "t": 48, "b": 50},
        # Below: a narrow page breaks its lines, and above they would meet the buttons.
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        hovermode=hover,
    )
    drawn: str = figure.to_html(
        include_plotlyjs=False, full_html=False, div_id=name, config={"displaylogo": False}
    )
    return drawn


def line_mode(points: int) -> str:
    """How plotly draws a line of so many points: with markers where they can be told apart, and of
    one point a marker is all there is to see. Left to itself it draws markers below 20 points."""
    return "lines+markers" if points < MARKED else "lines"


def count_axis(figure: go.Figure, title: str, last: int) -> None:
    """A horizontal axis of what is counted: no ticks between two whole numbers."""
    figure.update_xaxes(title=title, dtick=1 if last <= MARKED else None)


def table(head: Sequence[str], rows: Sequence[tuple[Sequence[str], bool]]) -> str:
    """Return a table as a part of a page; each row comes with whether it is ours, and stands
    out."""
    cells = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    lines = [f"<tr>{cells}</tr>"]
    for row, is_ours in rows:
        mark = ' class="ours"' if is_ours else ""
        lines.append(
            f"<tr{mark}>" + "".join(f"<td>{html.escape(each)}</td>" for each in row) + "</tr>"
        )
    return f'<div class="wide"><table class="scores">{"".join(lines)}</table></div>'


def sample(title: str, text: str) -> str:
    """Return a text that a model wrote as a part of a page."""
    return f'<p>{html.escape(title)}</p>\n<pre class="sample">{html.escape(text)}</pre>'
