"""Large tables of many series are read at once, and as small ones are."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from conveyor.data import large_table
from conveyor.data.grouped_table import Groups, read_groups
from conveyor.data.table_reading import BY_EVIDENCE, TableReading
from conveyor.errors import DataError

HOURS = [datetime(2024, 1, 1) + timedelta(hours=number) for number in range(40)]


def _table(rows: int = 40, **more: Any) -> pl.DataFrame:
    """Return three series that begin at different hours."""
    draw = np.random.default_rng(0)
    parts = [
        pl.DataFrame(
            {
                "shop": name,
                "city": f"{name}-town",
                "time": HOURS[first:rows],
                "sold": draw.normal(100, 10, rows - first).round(2),
                "price": draw.normal(5, 1, rows - first).round(1),
            }
        )
        for name, first in (("Huế", 0), ("a", 3), ("b", 0))
    ]
    return pl.concat(parts).with_columns(**more)


def _as_text(table: pl.DataFrame, fmt: str = "%Y-%m-%d %H:%M") -> str:
    return table.with_columns(pl.col("time").dt.strftime(fmt)).write_csv()


def _options(**options: Any) -> dict[str, Any]:
    return {"targets": ["sold"], "groups": ["shop"], **options}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Read small tables as large ones, and note which ones were."""
    seen: list[bool] = []
    plain = large_table.read_large

    def noting(*arguments: Any, **options: Any) -> Any:
        table = plain(*arguments, **options)
        seen.append(table is not None)
        return table

    monkeypatch.setattr("conveyor.data.grouped_table.read_large", noting)
    monkeypatch.setattr(large_table, "LARGE_FILE", 0)
    monkeypatch.setattr(large_table, "LARGE_FRAME", 0)
    return seen


def _row_by_row(source: Any, options: dict[str, Any]) -> Groups:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conveyor.data.grouped_table.read_large", lambda *_, **__: None)
        return read_groups(source, **options)


def _assert_same(one: Groups, other: Groups) -> None:
    assert one.name == other.name
    assert (one.columns, one.names, one.static) == (other.columns, other.names, other.static)
    assert one.notes == other.notes
    for table, expected in zip(one.tables, other.tables, strict=True):
        assert table.name == expected.name
        assert list(table.times or ()) == expected.times
        assert (table.step, table.time_format) == (expected.step, expected.time_format)
        assert (table.time_column, table.last_time) == (expected.time_column, expected.last_time)
        assert table.notes == expected.notes
        for columns, wanted in (
            (table.columns, expected.columns),
            (table.ahead, expected.ahead),
        ):
            assert list(columns) == list(wanted)
            for name, values in wanted.items():
                np.testing.assert_array_equal(columns[name], values)


SHUFFLED = _table().sample(fraction=1.0, shuffle=True, seed=1)
DAYS = _table(time=HOURS[0] + 24 * (pl.col("time") - HOURS[0]))
GAP = _table().filter(pl.col("time") != HOURS[7])
EMPTY_END = _table(sold=pl.when(pl.col("time") < HOURS[36]).then("sold"))
TEXTS = {
    "plain": (_as_text(_table()), _options()),
    "shuffled": (_as_text(SHUFFLED), _options()),
    "in order of time": (_as_text(_table().sort("time", maintain_order=True)), _options()),
    "with a T": (_as_text(_table(), "%Y-%m-%dT%H:%M:%S"), _options()),
    "Windows": (_as_text(_table()).replace("\n", "\r\n"), _options()),
    "tabs": (_as_text(_table()).replace(",", "\t"), _options()),
    "no end of line": (_as_text(_table()).rstrip(), _options()),
    "NA": (_as_text(_table()).replace(",5.0\n", ",NA\n"), _options()),
    "missing": (_as_text(_table(price=pl.when(pl.col("price") > 4).then("price"))), _options()),
    "gap": (_as_text(GAP), _options(fill_gaps=True)),
    "two columns": (_as_text(_table()), _options(groups=["city", "shop"])),
    "static": (_as_text(_table()), _options(static=["city"])),
    "only targets": (_as_text(_table()), _options(only_targets=True)),
    "future": (_as_text(EMPTY_END), _options(known=["price"])),
    "empty end": (_as_text(EMPTY_END), _options()),
    "nines": (_as_text(_table(price=pl.Series([-999.0] * 3 + [1.5] * 114))), _options()),
    "missing as": (
        _as_text(_table(price=pl.Series([-999.0] * 3 + [1.5] * 114))),
        _options(reading=TableReading(missing=(-999.0,))),
    ),
    "a short one": (
        _as_text(_table().filter((pl.col("shop") != "a") | (pl.col("time") < HOURS[5]))),
        _options(),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_read_as_row_by_row(name: str, tmp_path: Path, at_once: list[bool]) -> None:
    text, options = TEXTS[name]
    path = tmp_path / "long.csv"
    path.write_text(text, encoding="utf-8", newline="")
    groups = read_groups(path, **options)
    assert at_once == [True]
    _assert_same(groups, _row_by_row(path, options))


@pytest.mark.parametrize(
    "table", [_table(), SHUFFLED, DAYS, _table(time=pl.col("time").cast(pl.Datetime("ns")))]
)
def test_frames_and_parquet_too(table: pl.DataFrame, tmp_path: Path, at_once: list[bool]) -> None:
    path = tmp_path / "long.parquet"
    table.write_parquet(path)
    for source in (table, path):
        _assert_same(read_groups(source, **_options()), _row_by_row(source, _options()))
    assert at_once == [True, True]


# What is written otherwise in one row, late in the table: it is read row by row, or refused.
ODD = {
    "a quote": lambda text: text.replace("b,b-town", '"b",b-town', 1),
    "a comment": lambda text: text + "# end\n",
    "a blank line": lambda text: text.replace("\nb,", "\n\nb,", 1),
    "another form of time": lambda text: text.replace("b,b-town,2024-01-01", "b,b-town,2024/01/01"),
    "a day without zeros": lambda text: text.replace("b,b-town,2024-01-01", "b,b-town,2024-1-01"),
    "a unit": lambda text: text.rstrip() + " kg\n",
    "a number with a comma": lambda text: text.rstrip().rsplit(".", 1)[0] + "\n",
    "a value more": lambda text: text.rstrip() + ",1\n",
    "a value less": lambda text: text.rstrip().rsplit(",", 1)[0] + "\n",
    "no name": lambda text: text.replace("\nb,", "\n,", 1),
    "too large": lambda text: text.rstrip() + "e300\n",
    "a word": lambda text: text.rstrip().rsplit(",", 1)[0] + ",many\n",
    "no UTF-8": lambda text: text.rstrip() + "\xff\n",
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_told_as_row_by_row(
    name: str, tmp_path: Path, at_once: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.csv"
    text = ODD[name](_as_text(_table()))
    path.write_bytes(text.encode("latin-1" if name == "no UTF-8" else "utf-8", "replace"))
    # The first rows show nothing odd.
    monkeypatch.setattr(large_table, "_SAMPLE", 1500)
    try:
        expected: Groups | str = _row_by_row(path, _options())
    except DataError as error:
        expected = str(error)
    try:
        groups: Groups | str = read_groups(path, **_options())
    except DataError as error:
        groups = str(error)
    if isinstance(expected, str) or isinstance(groups, str):
        assert groups == expected
    else:
        _assert_same(groups, expected)
    assert at_once == ([True] if name == "a number with a comma" else [False])


def test_small_tables_are_read_row_by_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_once: list[bool]
) -> None:
    monkeypatch.undo()
    path = tmp_path / "long.csv"
    path.write_text(_as_text(_table()), encoding="utf-8")
    assert (
        large_table.read_large(
            path,
            ["sold"],
            ["shop"],
            time=None,
            only_targets=False,
            covariates=None,
            known=(),
            static=(),
            reading=BY_EVIDENCE,
        )
        is None
    )
    assert not at_once


def test_errors_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(_as_text(GAP), encoding="utf-8")
    with pytest.raises(DataError, match=r"line 9, column time: 2024-01-01 08:00 does not come 1"):
        read_groups(path, **_options())


def test_a_clock_is_a_sequence_of_times() -> None:
    clock = large_table.Clock(np.array([0, 3_600_000_000, 7_200_000_001]))
    times = [datetime(1970, 1, 1, hour) for hour in range(3)]
    times[2] = times[2].replace(microsecond=1)
    assert list(clock) == times
    assert clock[-1] == times[-1]
    assert list(clock[1:]) == times[1:]
    assert len(clock) == 3
