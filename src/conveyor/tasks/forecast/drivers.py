"""What drives a forecast, for its report: what is taken out of the series before the network."""

from collections.abc import Iterator
from math import expm1

from conveyor.data.timeline import Step
from conveyor.pages.frame import paragraph, table
from conveyor.pages.words import Words
from conveyor.tasks.forecast.cycle_names import cycle_words
from conveyor.tasks.forecast.decomposition import Decomposition
from conveyor.tasks.forecast.forecast_frame import ForecastFrame
from conveyor.tasks.results import Section

_TITLE = Words("What drives it", "Điều gì chi phối dự báo")

_EFFECTS = Words(
    "What one more of each column that is known ahead adds to a forecast. The network learns what "
    "this leaves over.",
    "Mỗi cột biết trước, khi tăng thêm một, làm dự báo thay đổi bao nhiêu. Mạng học phần còn lại.",
)


def driver_sections(frame: ForecastFrame) -> Iterator[Section]:
    """Yield what is taken out of each series, and the effects of columns that are known ahead."""
    lines = [
        paragraph(_taken_out(target if len(frame.targets) > 1 else "", series, frame.step))
        for target, series in zip(frame.targets, frame.series, strict=True)
    ]
    if frame.known:
        rows = [
            ([name, *(_effect(frame, series, number) for series in frame.series)], False)
            for number, name in enumerate(frame.known)
        ]
        lines += [paragraph(_EFFECTS), table(["", *frame.targets], rows)]
    yield Section(_TITLE, "".join(lines))


def _effect(frame: ForecastFrame, series: Decomposition, number: int) -> str:
    """Return what one more of a known column adds, or multiplies by."""
    effect = series.effects[number] / frame.known_units.spread[number]
    return f"{100 * expm1(min(effect, 50)):+,.3g} %" if series.logarithm else f"{effect:+,.4g}"


def _taken_out(target: str, series: Decomposition, step: Step | None) -> Words:
    english, vietnamese = [], []
    if series.logarithm:
        english.append("growth in proportion to its level (its logarithm is forecast)")
        vietnamese.append("mức tăng tỷ lệ với độ lớn (dự báo trên lô-ga-rít)")
    for cycle in series.cycles:
        words = cycle_words(cycle, step)
        english.append(words.en)
        vietnamese.append(words.vi)
    begin = f"{target}: " if target else ""
    if not english:
        return Words(
            f"{begin}Nothing but the last value is taken out before the network reads the series.",
            f"{begin}Trước khi mạng đọc chuỗi, chỉ giá trị cuối được tách ra.",
        )
    return Words(
        f"{begin}Before the network reads the series, these are taken out, and put back into its "
        f"forecasts: {', '.join(english)}.",
        f"{begin}Trước khi mạng đọc chuỗi, những phần sau được tách ra rồi ghép lại vào dự báo: "
        f"{', '.join(vietnamese)}.",
    )
