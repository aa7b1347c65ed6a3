"""Tables of several series: each is read as if it stood in a table of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from conveyor.data.grouped_table import Groups, read_groups
from conveyor.data.table_reading import TableReading
from conveyor.errors import DataError, SettingError
from tests.data.single_table import read_table

ROWS = {"B": 30, "A": 20, "C": 25}


def _long(**more: Any) -> pl.DataFrame:
    """Three daily series below each other, which begin and end at different days."""
    draw = np.random.default_rng(0)
    parts = []
    for number, (name, rows) in enumerate(ROWS.items()):
        begin = pl.date(2024, 1, 1 + 3 * number)
        days = pl.select(pl.date_range(begin, begin + pl.duration(days=rows - 1), "1d")).to_series()
        values, price = draw.normal(size=(2, rows)).round(3)
        parts.append(pl.DataFrame({"shop": name, "day": days, "sold": values, "price": price}))
    return pl.concat(parts).with_columns(**more)


def _read(frame: Any, **options: Any) -> Groups:
    return read_groups(frame, ["sold"], options.pop("groups", ["shop"]), **options)


def test_each_series_is_read_as_in_a_table_of_its_own(tmp_path: Path) -> None:
    frame = _long()
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    path = tmp_path / "long.csv"
    shuffled.write_csv(path)
    for source in (frame, shuffled, path):
        groups = _read(source)
        by_name = dict(zip(groups.names, groups.tables, strict=True))
        assert set(by_name) == {(name,) for name in ROWS}
        for (name,), table in by_name.items():
            single = read_table(frame.filter(pl.col("shop") == name).drop("shop"), ["sold"])
            assert table.times == single.times
            assert (table.step, table.time_format) == (single.step, single.time_format)
            assert set(table.columns) == set(single.columns)
            for column, values in single.columns.items():
                np.testing.assert_array_equal(table.columns[column], values)
    assert _read(frame).names == (("B",), ("A",), ("C",))


def test_ends_before_the_others_are_told() -> None:
    notes = _read(_long()).notes
    assert "3 series by shop: B, A, C" in notes
    assert (
        "2 series of 3 end before 2024-01-31, and are forecast from there: B (2024-01-30), "
        "A (2024-01-23)"
    ) in notes


def test_a_note_on_one_series_names_it() -> None:
    gap = _long().filter((pl.col("shop") != "A") | (pl.col("day") != pl.date(2024, 1, 10)))
    with pytest.raises(DataError, match=r"series A, row \d+.* 2024-01-1") as error:
        _read(gap)
    # The row of the whole table, not of the series.
    assert "row 36" in str(error.value)
    notes = _read(gap, fill_gaps=True).notes
    assert "A: 1 missing row became a row of missing values" in notes


def test_several_columns_name_a_series_and_numbers_do() -> None:
    frame = _long(shop=pl.col("shop").replace_strict({"A": 1, "B": 2, "C": 1}), dept=pl.col("shop"))
    groups = _read(frame, groups=["shop", "dept"])
    assert groups.names == (("2", "B"), ("1", "A"), ("1", "C"))
    assert "dept" not in groups.tables[0].columns
    as_floats = _read(frame.with_columns(pl.col("shop").cast(pl.Float64)), groups=["shop", "dept"])
    assert as_floats.names == groups.names


def test_what_is_no_series_is_an_error() -> None:
    frame = _long()
    with pytest.raises(DataError, match="there is no column 'store'"):
        _read(frame, groups=["store"])
    nameless = frame.with_columns(
        shop=pl.when(pl.int_range(pl.len()) == 33).then(pl.lit(" ")).otherwise("shop")
    )
    with pytest.raises(DataError, match="row 34, column shop: there is no value"):
        _read(nameless)
    with pytest.raises(DataError, match="no column holds times"):
        _read(frame.drop("day"))
    with pytest.raises(DataError, match="time is none"):
        _read(frame, time="none")
    with pytest.raises(DataError, match="none of 75 series has 3 rows"):
        _read(frame, groups=["day", "shop"], time="day")


def test_names_that_are_missing_or_too_large_are_no_tracebacks() -> None:
    number = pl.col("shop").replace_strict({"A": 1.0, "B": 2.0, "C": float("nan")})
    with pytest.raises(DataError, match="row 51, column shop: there is no value"):
        _read(_long(shop=number))
    large = pl.col("shop").replace_strict({"A": 1e19, "B": 2.0, "C": 3.0})
    assert len(_read(_long(shop=large)).names) == 3


def test_many_rows_of_one_time_are_joined_whatever_most_rows_are() -> None:
    frame = pl.concat([_long()] * 3)
    with pytest.raises(DataError, match="repeats the time of row"):
        _read(frame)
    groups = _read(frame, reading=TableReading(duplicates="sum"))
    plain = _read(_long())
    np.testing.assert_allclose(
        groups.tables[0].columns["sold"], 3 * plain.tables[0].columns["sold"]
    )


def test_a_series_of_two_values_is_left_out_and_told() -> None:
    short = pl.concat([_long(), _long().filter(shop="A")[:2].with_columns(shop=pl.lit("new"))])
    groups = _read(short)
    assert ("new",) not in groups.names
    assert "1 series with fewer than 3 values is left out: new" in groups.notes


def test_a_series_with_gaps_follows_the_step_of_the_others() -> None:
    """Most of its own rows are two days apart."""
    every_second = (pl.col("shop") != "A") | (pl.col("day").dt.day() % 2 == 0)
    table = dict(
        zip(
            (groups := _read(_long().filter(every_second), fill_gaps=True)).names,
            groups.tables,
            strict=True,
        )
    )[("A",)]
    assert str(table.step) == "1 day"
    assert len(table) == 19
    assert np.isnan(table.columns["sold"][1::2]).all()


def test_the_future_of_each_series_is_its_own() -> None:
    frame = _long(
        sold=pl.when(pl.int_range(pl.len()).over("shop") < pl.len().over("shop") - 4).then("sold"),
    )
    groups = _read(frame, known=["price"])
    for (name,), table in zip(groups.names, groups.tables, strict=True):
        own = frame.filter(shop=name)
        assert len(table) == len(own) - 4
        np.testing.assert_array_equal(table.ahead["price"], own["price"][-4:])


@pytest.mark.parametrize("how", ["sum", "mean", "last"])
def test_rows_of_one_time_become_one(how: str) -> None:
    frame = _long()
    repeated = frame.filter((pl.col("shop") == "A") & (pl.col("day").dt.day() < 12))
    more = repeated.with_columns(sold=pl.col("sold") + 1, price=pl.lit(7.0))
    both = pl.concat([frame, more, repeated[:1].with_columns(sold=pl.lit(None, pl.Float64))])
    with pytest.raises(DataError, match=r"repeats the time of row .*duplicates='sum'"):
        _read(both)
    groups = _read(both, reading=TableReading(duplicates=how))
    got = dict(zip(groups.names, groups.tables, strict=True))
    plain = dict(zip((one := _read(frame)).names, one.tables, strict=True))
    np.testing.assert_array_equal(got[("B",)].columns["sold"], plain[("B",)].columns["sold"])
    sold, price = (plain[("A",)].columns[name] for name in ("sold", "price"))
    count = len(repeated)
    want = {"sum": 2 * sold + 1, "mean": sold + 0.5, "last": sold + 1}[how]
    beside = {"sum": (price + 7) / 2, "mean": (price + 7) / 2, "last": np.full(len(price), 7.0)}
    if how != "last":  # of three rows, one lacks the value and repeats the price
        beside[how][0] = (2 * price[0] + 7) / 3
    else:
        want[0], beside[how][0] = np.nan, price[0]
    np.testing.assert_allclose(got[("A",)].columns["sold"][:count], want[:count])
    np.testing.assert_allclose(got[("A",)].columns["price"][:count], beside[how][:count])
    np.testing.assert_array_equal(got[("A",)].columns["sold"][count:], sold[count:])
    assert any(note.startswith(f"A: {count + 1} rows repeat the time") for note in groups.notes)


def test_no_other_way_to_join_rows() -> None:
    with pytest.raises(SettingError, match="expected one of sum, mean, last"):
        TableReading(duplicates="max")


def test_names_of_numbers_do_not_depend_on_the_other_rows() -> None:
    frame = _long(shop=pl.col("shop").replace_strict({"A": 1.5, "B": 2.0, "C": 10.0}))
    assert _read(frame).names == (("2",), ("1.5",), ("10",))
    assert _read(frame.filter(pl.col("shop") == 2.0)).names == (("2",),)


def test_errors_offer_only_what_a_table_of_several_series_has() -> None:
    gap = _long().filter((pl.col("shop") != "A") | (pl.col("day") != pl.date(2024, 1, 10)))
    with pytest.raises(DataError, match="fill_gaps=True to treat them as missing values") as error:
        _read(gap)
    assert "time=" not in str(error.value)
    wrong = _long(day=pl.col("day").cast(pl.String)).with_columns(
        day=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("soon")).otherwise("day")
    )
    with pytest.raises(DataError, match="'soon' is not a time") as error:
        _read(wrong)
    assert "time=" not in str(error.value)


def _open_on(weekdays: set[int], shop: str, rows: int = 40) -> pl.DataFrame:
    days = pl.select(pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 31), "1d")).to_series()
    chosen = pl.DataFrame({"shop": shop, "day": days}).filter(
        (pl.col("day").dt.weekday() - 1).is_in(list(weekdays))
    )[:rows]
    return chosen.with_columns(sold=pl.int_range(pl.len()).cast(pl.Float64))


def test_days_of_the_week_are_those_of_any_series() -> None:
    """Monday to Friday beside Monday to Saturday: Saturdays of the first are missing values."""
    week, longer = set(range(5)), set(range(6))
    frame = pl.concat([_open_on(week, "A"), _open_on(longer, "B"), _open_on(week, "C")])
    with pytest.raises(DataError, match="fill_gaps=True"):
        _read(frame)
    groups = _read(frame, fill_gaps=True)
    assert {str(table.step) for table in groups.tables} == {"day from Monday to Saturday"}
    saturdays = np.isnan(groups.tables[0].columns["sold"])
    assert groups.tables[0].times is not None
    assert {
        time.weekday() for time, nan in zip(groups.tables[0].times, saturdays, strict=True) if nan
    } == {5}
    daily = pl.concat([frame, _open_on(set(range(7)), "D")])
    assert {str(table.step) for table in _read(daily, fill_gaps=True).tables} == {"1 day"}
    # One that is too short to show a rule does not change it.
    new = pl.concat([_open_on(week, "A"), _open_on(week, "B"), _open_on(week, "new", 4)])
    assert {str(table.step) for table in _read(new).tables} == {"day from Monday to Friday"}


def test_duplicates_sum_the_series_of_a_table_that_is_read_as_one() -> None:
    frame = _long().filter(pl.col("day").is_between(pl.date(2024, 1, 8), pl.date(2024, 1, 20)))
    with pytest.raises(DataError, match="tells 3 series apart"):
        read_table(frame.drop("price"), ["sold"])
    table = read_table(frame.drop("price"), ["sold"], reading=TableReading(duplicates="sum"))
    want = frame.group_by("day").agg(pl.col("sold").sum()).sort("day")["sold"].to_numpy()
    np.testing.assert_allclose(table.columns["sold"], want)


def test_values_are_counted_after_rows_of_one_time_are_one() -> None:
    twice = _long().filter(pl.col("shop") == "A")[:2]
    frame = pl.concat([_long().filter(pl.col("shop") != "A"), twice, twice])
    notes = _read(frame, reading=TableReading(duplicates="sum")).notes
    assert "1 series with fewer than 3 values is left out: A" in notes
