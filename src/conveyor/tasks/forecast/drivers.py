"""What drives a forecast, for its report: what is taken out of the series before the network."""

from collections.abc import Iterator
from math import expm1

from conveyor.data.timeline import Step
from conveyor.pages.frame import paragraph, table
from conveyor.pages.words import Words, decimal_text
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

_EFFECTS_OF_MANY = Words(
    "What one more of each column that is known ahead adds to a forecast, in percent of the mean "
    "of the series. The network learns what this leaves over.",
    "Mỗi cột biết trước, khi tăng thêm một, làm dự báo thay đổi bao nhiêu phần trăm so với trung "
    "bình của chuỗi. Mạng học phần còn lại.",
)

_PROPORTION = Words(
    "changes in proportion to its level (its logarithm is forecast)",
    "mức thay đổi tỷ lệ với độ lớn (dự báo trên lô-ga-rít)",
)


def driver_sections(frame: ForecastFrame) -> Iterator[Section]:
    """Yield what is taken out of each series, and the effects of columns that are known ahead; of
    many series how often, and how large these are."""
    if frame.has_overview:
        lines = [paragraph(_often_taken_out(frame))]
    else:
        lines = [
            paragraph(_taken_out(target if len(frame.targets) > 1 else "", series, frame.step))
            for target, series in zip(frame.labels, frame.series, strict=True)
        ]
    if frame.known:
        many = frame.has_overview
        head = ["median", "lowest", "highest"] if many else list(frame.labels)
        rows = []
        for number, name in enumerate(frame.known):
            of_each = [_effect(frame, series, number) for series in frame.series]
            rows.append(([name, *(_effects(frame, number) if many else of_each)], False))
        lines += [paragraph(_EFFECTS_OF_MANY if many else _EFFECTS), table(["", *head], rows)]
    yield Section(_TITLE, "".join(lines))


def _often_taken_out(frame: ForecastFrame) -> Words:
    """Return of how many series each thing is taken out."""
    logarithms = sum(series.logarithm for series in frame.series)
    counts: dict[str, tuple[Words, int]] = {}
    if logarithms:
        counts["logarithm"] = _PROPORTION, logarithms
    for series in frame.series:
        for cycle in series.cycles:
            words = cycle_words(cycle, frame.step)
            counts[words.en] = words, counts.get(words.en, (words, 0))[1] + 1
    if not counts:
        return Words(
            "Nothing but the last value is taken out before the network reads a series.",
            "Trước khi mạng đọc một chuỗi, chỉ giá trị cuối được tách ra.",
        )
    english = ", ".join(f"{words.en} ({count:,} series)" for words, count in counts.values())
    vietnamese = ", ".join(f"{words.vi} ({count:,} chuỗi)" for words, count in counts.values())
    return Words(
        f"Before the network reads a series, these are taken out, and put back into its forecasts: "
        f"{english}.",
        f"Trước khi mạng đọc một chuỗi, những phần sau được tách ra rồi ghép lại vào dự báo: "
        f"{vietnamese}.",
    )


def _effects(frame: ForecastFrame, number: int) -> list[str]:
    """Return the median, the lowest and the highest effect of a known column, in percent of each
    series' mean, or of what it is multiplied by."""
    shares = sorted(
        100 * expm1(min(effect, 50)) if series.logarithm else 100 * effect / abs(series.centre)
        for series in frame.series
        for effect in [series.effects[number] / frame.known_units.spread[number]]
        if series.logarithm or series.centre
    )
    if not shares:
        return ["", "", ""]
    return [
        f"{decimal_text(value, '+.3g')} %"
        for value in (shares[len(shares) // 2], shares[0], shares[-1])
    ]


def _effect(frame: ForecastFrame, series: Decomposition, number: int) -> str:
    """Return what one more of a known column adds, or multiplies by."""
    effect = series.effects[number] / frame.known_units.spread[number]
    if series.logarithm:
        return f"{decimal_text(100 * expm1(min(effect, 50)), '+.3g')} %"
    return decimal_text(effect, "+.4g")


def _taken_out(target: str, series: Decomposition, step: Step | None) -> Words:
    english, vietnamese = [], []
    if series.logarithm:
        english.append(_PROPORTION.en)
        vietnamese.append(_PROPORTION.vi)
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
