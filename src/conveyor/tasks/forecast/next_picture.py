"""The next forecast as a picture, for a letter or a slide."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from conveyor.data.files import write_output
from conveyor.errors import SettingError, counted, named
from conveyor.pages.glossary import name_of
from conveyor.pages.words import Language, Words, number_text
from conveyor.tasks.forecast.comparison import medians
from conveyor.tasks.forecast.forecast_csv import GroupForecast
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.forecast.next_forecast import End

# So many series fit on a page, so many beside each other.
MOST_DRAWN, _BESIDE = 12, 3

# The colours of pages, see ``pages.frame``.
_OURS, _TRUTH, _EVENT = "#0072B2", "#111111", "#D55E00"

# The signs of holidays and planned events.
_SIGNS = ("D", "s", "^")

# How matplotlib's ``ConciseDateFormatter`` writes years, months, days, hours, minutes and seconds:
# at the ticks, at those that begin a larger unit, and the rest at the end of the axis.
_VIETNAMESE_DATES = {
    "formats": ["%Y", "%m/%Y", "%d", "%H:%M", "%H:%M", "%S.%f"],
    "zero_formats": ["", "%Y", "%m/%Y", "%d/%m", "%H:%M", "%H:%M"],
    "offset_formats": ["", "%Y", "%m/%Y", "%d/%m/%Y", "%d/%m/%Y", "%d/%m/%Y %H:%M"],
}


def check_library(path: Path) -> None:
    """Check that pictures can be drawn.

    Args:
        path: of the picture, for the error.

    Raises:
        SettingError: the library is not installed.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415  # an extra
    except ImportError as error:
        raise SettingError(
            f"{named('chart')} is {path}: pictures are drawn by the library matplotlib, which is "
            "not installed. Install it with: pip install 'conveyor[charts]'. Or give a file that "
            "ends with .html, a page."
        ) from error


def draw_next(
    path: Path,
    frame: ForecastFrame,
    ends: Sequence[End],
    forecasts: Sequence[GroupForecast],
    language: Language,
) -> None:
    """Write a picture of the past of series and of what comes next: the first ``MOST_DRAWN``.

    Args:
        path: of the picture, a PNG.
        frame: the model's frame.
        ends: of groups.
        forecasts: of the steps after each.
        language: of its words.

    Raises:
        SaveError: it could not be written.
        SettingError: the library is not installed.
    """
    check_library(path)
    from matplotlib.figure import Figure  # noqa: PLC0415  # an extra, half a second to import

    end_of = {end.panel.group: end for end in ends}
    series = [(forecast, target) for forecast in forecasts for target in range(len(frame.targets))]
    shown = series[:MOST_DRAWN]
    columns = min(len(shown), _BESIDE)
    rows = -(-len(shown) // columns)
    size = (8.0, 4.5) if columns == 1 else (4.5 * columns, 3.2 * rows)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (forecast, target) in zip(axes, shown, strict=False):
        _draw(axis, end_of[forecast.group], forecast, target, language)
        number = forecast.group * len(frame.targets) + target
        title = frame.labels[number] if len(frame.series) > 1 else frame.targets[0]
        axis.set_title(title, parse_math=False)  # "$" is a currency here
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    # The first series may have no event that another has.
    entries = {
        label: handle
        for axis in axes[: len(shown)]
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [*entries.values()], [*entries], loc="outside lower center", ncols=min(len(entries), 6)
    )
    left = len(series) - len(shown)
    if left:
        note = Words(
            f"and {counted(left, 'more series', 'more series')}",
            f"và {number_text(left, ',.0f').vi} chuỗi khác",
        )
        figure.suptitle(getattr(note, language), fontsize="medium")
    written = BytesIO()
    figure.savefig(written, format="png")
    write_output(path, written.getvalue())


def _draw(axis: Any, end: End, forecast: GroupForecast, target: int, language: Language) -> None:
    """Draw a series into the axes of a figure."""
    back, rows = end.drawn, len(end.panel)
    past, future = end.moments(back, len(forecast.times))
    quantiles = forecast.quantiles[:, target]
    band, truth, middle = (
        getattr(words, language)
        for words in (
            Words(f"{end.frame.levels[0]} % band", f"dải {end.frame.levels[0]} %"),
            Words("actual", "thực tế"),
            Words("forecast", "dự báo"),
        )
    )
    axis.fill_between(
        future, quantiles[:, 0], quantiles[:, -1], color=_OURS, alpha=0.2, lw=0, label=band
    )
    axis.plot(past, end.panel.targets[rows - back :, target], color=_TRUTH, lw=1.2, label=truth)
    axis.plot(future, medians(quantiles), color=_OURS, lw=2, label=middle)
    moments = [*past, *future]
    values = [*end.panel.targets[rows - back :, target], *medians(quantiles)]
    for sign, (name, places) in zip(_SIGNS, end.events(back, len(future)).items(), strict=False):
        event = getattr(name_of(name), language)
        axis.plot(
            [moments[place] for place in places],
            [values[place] for place in places],
            sign,
            color=_EVENT,
            markerfacecolor="none",
            label=event.replace("$", r"\$"),
        )
    # By itself matplotlib writes 2.5 at an axis and 1e6 above it.
    axis.yaxis.set_major_formatter(
        lambda value, _place: getattr(number_text(value, ".6g"), language)
    )
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if end.frame.step is not None and end.last_time:
        from matplotlib.dates import ConciseDateFormatter  # noqa: PLC0415  # an extra

        short: Any = ConciseDateFormatter  # which has no types
        dates = _VIETNAMESE_DATES if language == "vi" else {}
        axis.xaxis.set_major_formatter(short(axis.xaxis.get_major_locator(), **dates))
