"""A table as people have it: several stores, dates that begin with the day, words for yes and no,
rows that stand twice. A run goes on reading later tables as its own."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.data.number_column import read_numbers
from conveyor.data.raw_table import read_raw
from conveyor.data.table_reading import TableReading
from conveyor.data.time_column import read_time_column
from conveyor.errors import DataError
from tests.heard import Heard

QUICK: dict[str, Any] = {"horizon": 4, "history": 7, "hidden": 4, "members": 1, "epochs": 1}
START, ROWS = date(2024, 2, 1), 60


def _lines(first: int, count: int, planned: int = 0, order: str = "%d/%m/%Y") -> list[str]:
    """Return rows of two stores: from a day on so many, with what is planned below."""
    draw = np.random.default_rng(first)
    lines = []
    for number in range(first, first + count + planned):
        day = f"{START + timedelta(number):{order}}"
        for store, level in (("North", 100), ("South", 300)):
            promoted = number % 5 == 0
            value = level * (1.5 if promoted else 1) + draw.normal() * 3
            sold = f"{value:.2f}" if number < first + count else ""
            lines.append(f"{day},{store},{sold},{'yes' if promoted else 'no'}")
    return lines


def _write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(["day,store,sold,promo", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["%d/%m/%Y", "%m/%d/%Y"])
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, conveyor.Run, Heard]:
    """How dates are written, a run on a table of them, and what was said."""
    folder, heard = tmp_path_factory.mktemp("messy"), Heard()
    lines = _lines(0, ROWS, 4, request.param)
    np.random.default_rng(0).shuffle(lines)
    fitted = conveyor.fit(
        "forecast",
        _write(folder / "sales.csv", lines),
        out=folder / "run",
        target="sold",
        series="store",
        future="promo",
        say=heard,
        **QUICK,
    )
    return request.param, fitted, heard


def test_later_dates_are_read_in_the_order_of_the_runs(
    run: tuple[str, conveyor.Run, Heard], tmp_path: Path
) -> None:
    """The days of 1 to 12 April can be days of other months, and nothing but the run shows it."""
    order, fitted, _ = run
    later = _write(tmp_path / "later.csv", _lines(ROWS, 8, 4, order))
    with pytest.raises(DataError, match="and no row shows which"):
        read_time_column(read_raw(later), "day")
    fitted = conveyor.load(fitted.folder)
    assert fitted.predict(later, say=Heard())["day"][0] == f"{date(2024, 4, 9):{order}}"
    with pytest.raises(DataError, match="there is no window to score"):
        fitted.evaluate(later, say=Heard())
    before = (fitted.folder / "model.json").read_bytes()
    fitted.update(later, say=Heard())
    assert fitted.predict()["day"][0] == f"{date(2024, 4, 9):{order}}"
    (fitted.folder / "model.json").write_bytes(before)


def test_dates_of_another_form_are_read_as_they_are(tmp_path: Path) -> None:
    """The order of a run decides only where dates can be read in several ways."""
    path = tmp_path / "iso.csv"
    path.write_text("day\n2024-04-01\n2024-04-02\n", encoding="utf-8")
    reading = TableReading(time_format="%d/%m/%Y")
    assert read_time_column(read_raw(path), "day", reading).times[1].day == 2
    path.write_text("day\n13/04/2024\n14/04/2024\n", encoding="utf-8")
    reading = TableReading(time_format="%m/%d/%Y")
    assert read_time_column(read_raw(path), "day", reading).times[1].day == 14
    path.write_text("day\n01/04/2024\n02/04/2024\n", encoding="utf-8")
    reading = TableReading(time_format="%Y-%m-%d")
    with pytest.raises(DataError, match="Write times as 2024-01-31") as raised:
        read_time_column(read_raw(path), "day", reading)
    assert "day_first" not in str(raised.value)  # which is an option of a fit


def test_words_for_yes_and_no_are_numbers(run: tuple[str, conveyor.Run, Heard]) -> None:
    *_, heard = run
    assert "the effect of promo" in heard.text


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["yes", "no", "yes"], [1, 0, 1]),
        (["Có", "không", "có"], [1, 0, 1]),
        (["TRUE", "", "false"], [1, None, 0]),
        (["y", "y", "n"], [1, 1, 0]),
    ],
)
def test_pairs_of_words(words: list[str], numbers: list[float | None]) -> None:
    values = read_numbers(pl.Series("promo", words)).values
    assert [None if np.isnan(value) else value for value in values] == numbers


@pytest.mark.parametrize("words", [["yes", "maybe"], ["x", ""], ["ja", "no"], ["yes", "1"]])
def test_other_words_are_no_numbers(words: list[str]) -> None:
    assert read_numbers(pl.Series("promo", words)).bad.any()


def test_planned_rows_of_a_shuffled_table_are_named_by_their_days(
    run: tuple[str, conveyor.Run, Heard],
) -> None:
    order, _, heard = run
    ends = [f"{START + timedelta(days):{order}}" for days in (ROWS, ROWS + 3, ROWS - 1)]
    assert f"the last 4 rows ({ends[0]} to {ends[1]}) have no value of sold" in heard.text
    assert f"forecasts begin after {ends[2]}" in heard.text


def test_rows_that_stand_twice_do_not_hide_that_there_are_series(tmp_path: Path) -> None:
    lines = _lines(0, ROWS)
    path = _write(tmp_path / "twice.csv", [*lines, lines[8]])
    options: dict[str, Any] = {"target": "sold", "say": Heard(), **QUICK}
    with pytest.raises(DataError, match="series='store'"):
        conveyor.fit("forecast", path, out=tmp_path / "run", **options)
    with pytest.raises(DataError, match="both rows have the same numbers") as raised:
        conveyor.fit("forecast", path, out=tmp_path / "run", series="store", **options)
    assert "duplicates='last', which keeps one" in str(raised.value)
    other = lines[8].replace(",no", ",yes") if ",no" in lines[8] else lines[8].replace("yes", "no")
    path = _write(tmp_path / "other.csv", [*lines, other])
    with pytest.raises(DataError, match="repeats the time of") as raised:
        conveyor.fit("forecast", path, out=tmp_path / "run", series="store", **options)
    assert "same numbers" not in str(raised.value)


def test_a_frame_is_not_changed_by_a_file_of_it(tmp_path: Path) -> None:
    """What is written as a workbook or Parquet is read as the same table."""
    from conveyor.data.table_file import in_file  # noqa: PLC0415

    frame = pl.DataFrame({"day": ["2024-01-01", "2024-01-02"], "sold": [1.25, 1234.5]})
    for ending in (".xlsx", ".parquet", ".csv"):
        path = tmp_path / f"table{ending}"
        path.write_bytes(in_file(frame, ending))
        assert read_raw(path).frame["sold"].cast(pl.Float64).to_list() == [1.25, 1234.5]


def test_a_picture_marks_the_promotions(
    run: tuple[str, conveyor.Run, Heard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="the extra charts is not installed")
    labels: list[str] = []
    draw = figures.Figure.legend

    def legend(figure: Any, handles: list[Any], names: list[str], **how: Any) -> Any:
        labels.extend(names)
        marks = handles[names.index("promo")]
        assert len(marks.get_xdata()) > 5
        return draw(figure, handles, names, **how)

    monkeypatch.setattr(figures.Figure, "legend", legend)
    *_, fitted, _ = run
    fitted.predict(chart=tmp_path / "next.png", language="vi")
    assert labels == ["dải 80 %", "thực tế", "dự báo", "promo"]
    assert (tmp_path / "next.png").stat().st_size > 10_000
