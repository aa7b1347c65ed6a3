"""Large tables of many series are read at once, and as small ones are."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from conveyor.data import large_table, plain_lines
from conveyor.data.clock import Clock
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


def _over(first: datetime, hours: int) -> pl.DataFrame:
    """Return the table with a row every so many hours, from a time on."""
    return _table(time=first + hours * (pl.col("time") - HOURS[0]))


OCTOBER = datetime(2024, 10, 20)
BERLIN, DAY_FIRST = TableReading(timezone="Europe/Berlin"), TableReading(day_first=True)
MONTH = _over(datetime(2024, 1, 20), 6)
QUOTED = "".join(
    ",".join(f'"{value}"' for value in line.split(",")) + "\n"
    for line in _as_text(_table()).splitlines()
)
COMMAS = _as_text(_table()).replace(",", ";").replace(".", ",")
# 1.178,91 beside 0,5.
THOUSANDS = (
    _table()
    .with_columns(
        time=pl.col("time").dt.strftime("%Y-%m-%d %H:%M"),
        sold=pl.format("1.{},91", pl.col("sold").cast(pl.Int64) % 100 + 100),
        price=pl.col("price").cast(pl.String).str.replace(".", ",", literal=True),
    )
    .write_csv(separator=";")
)
# Clocks in Berlin go through 02:00 to 03:00 twice on 27 October, and skip it on 31 March.
_WALLS = pl.datetime_range(
    datetime(2024, 10, 26, 20), datetime(2024, 10, 28), "1h", time_zone="Europe/Berlin", eager=True
).dt.strftime("%Y-%m-%d %H:%M")
AUTUMN = "\n".join(
    ["shop,city,time,sold,price"]
    + [f"{name},x,{wall},{n}.5,1.5" for name in "ab" for n, wall in enumerate(_WALLS)]
)
SPRING = _as_text(
    _over(datetime(2024, 3, 30), 1).filter(pl.col("time") != datetime(2024, 3, 31, 2))
)

# Two rows of one time, in one series; in another three.
TWICE = _as_text(_table().sort("time", maintain_order=True))
TWICE += "".join(line + "\n" for line in [TWICE.splitlines()[5], *TWICE.splitlines()[9:11]])
TWICE += TWICE.splitlines()[9] + "\n"
# Midnight of this day is skipped there.
SKIPPED = {"Africa/Cairo": datetime(2023, 4, 28), "Asia/Beirut": datetime(2024, 3, 31)}

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
    "day first": (_as_text(_table(), "%d/%m/%Y %H:%M"), _options(reading=DAY_FIRST)),
    "day first, as rows show": (_as_text(MONTH, "%d.%m.%Y %H:%M"), _options()),
    "month first": (_as_text(MONTH, "%m/%d/%Y %H:%M"), _options()),
    "days, day first": (_as_text(DAYS, "%d-%m-%Y"), _options()),
    "quotes": (QUOTED, _options()),
    "quotes of some": (_as_text(_table()).replace("b-town", '"b, town"'), _options()),
    "quotes, Windows, no end": (QUOTED.replace("\n", "\r\n").rstrip(), _options()),
    "decimal commas": (COMMAS, _options()),
    "decimal commas, said": (COMMAS, _options(reading=TableReading(decimal=","))),
    "thousands": (THOUSANDS, _options()),
    "thousands, said": (THOUSANDS, _options(reading=TableReading(decimal=","))),
    "thousands with commas": (THOUSANDS.translate(str.maketrans(",.", ".,")), _options()),
    "whole thousands, said": (
        THOUSANDS.replace(",91", ""),
        _options(reading=TableReading(decimal=",")),
    ),
    "a zone": (_as_text(_table()), _options(reading=BERLIN)),
    "a zone in autumn": (AUTUMN, _options(reading=BERLIN)),
    "a zone in spring": (SPRING, _options(reading=BERLIN)),
    "days of a zone": (_as_text(_over(OCTOBER, 24), "%Y-%m-%d"), _options(reading=BERLIN)),
    "an offset": (_as_text(_table()), _options(reading=TableReading(timezone="+07:00"))),
    "a gap in a zone": (
        _as_text(_over(OCTOBER, 24).filter(pl.col("time") != OCTOBER + timedelta(days=3))),
        _options(reading=BERLIN, fill_gaps=True),
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


@pytest.mark.parametrize("zone", SKIPPED)
@pytest.mark.parametrize("days", [39, 35, 20, 4, 0])
@pytest.mark.parametrize("gap", [False, True])
def test_days_that_begin_after_midnight(
    zone: str, days: int, gap: bool, tmp_path: Path, at_once: list[bool]
) -> None:
    """So many days after the first one clocks skip midnight: of the last row, of one between, of
    the last one before a gap, of the first one."""
    table = _over(SKIPPED[zone] - timedelta(days=days), 24)
    if gap:
        table = table.filter(pl.col("time") != SKIPPED[zone] + timedelta(days=-1 if days else 1))
    path = tmp_path / "days.csv"
    path.write_text(_as_text(table, "%Y-%m-%d"), encoding="utf-8")
    options = _options(reading=TableReading(timezone=zone), fill_gaps=gap)
    groups, expected = read_groups(path, **options), _row_by_row(path, options)
    assert at_once == [True]
    _assert_same(groups, expected)
    for one, other in zip(groups.tables, expected.tables, strict=True):
        assert [str(time) for time in one.times or ()] == [str(t) for t in other.times or ()]


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
    "a space for a zero of a month": lambda text: text.replace(
        "b,b-town,2024-01-01", "b,b-town,2024- 1-01", 1
    ),
    "a space for a zero of a day": lambda text: text.replace(
        "b,b-town,2024-01-01", "b,b-town,2024-01- 1", 1
    ),
    "a sign of a year": lambda text: text.replace("b,b-town,2024-01-01", "b,b-town,+024-01-01", 1),
    "a space for a zero of an hour": lambda text: text.replace(" 01:00", "  1:00"),
    "a carriage return within": lambda text: text.replace("\nb,b-town", "\nb,b\rtown", 1),
    "a value more and one less": lambda text: (
        text.replace("\nb,b-town", "\nb,x,b-town", 1).rstrip().rsplit(",", 1)[0] + "\n"
    ),
    "a value less and one more": lambda text: (
        text.replace("\nb,b-town,", "\nb,", 1).rstrip() + ",1"
    ),
    "a unit": lambda text: text.rstrip() + " kg\n",
    "a number with a comma": lambda text: text.rstrip().rsplit(".", 1)[0] + "\n",
    "a value more": lambda text: text.rstrip() + ",1\n",
    "a value less": lambda text: text.rstrip().rsplit(",", 1)[0] + "\n",
    "no name": lambda text: text.replace("\nb,", "\n,", 1),
    "too large": lambda text: text.rstrip() + "e300\n",
    "a word": lambda text: text.rstrip().rsplit(",", 1)[0] + ",many\n",
    "no UTF-8": lambda text: text.rstrip() + "\xff\n",
    "a quote within": lambda text: text.replace("\nb,b-town", '\nb,b"town"', 1),
    "a quote twice": lambda text: text.replace("\nb,b-town", '\nb,"b ""town"""', 1),
    "a quote over lines": lambda text: text.replace("\nb,b-town", '\nb,"b\ntown"', 1),
    "quotes and a value less": lambda text: (
        text.replace("\nb,b-town", '\nb,"b,town"', 1).rstrip().rsplit(",", 1)[0] + "\n"
    ),
}


IN_PRICES = {"a unit", "a word", "too large"}


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        (COMMAS.rstrip() + "5\nb;b;2024-01-03 00:00;1.5;2\n", TableReading(decimal=",")),
        (COMMAS.rstrip() + "5\nb;b;2024-01-03 00:00;1.5;2\n", BY_EVIDENCE),
        (COMMAS.replace(",", ".") + "b;b;2024-01-03 00:00;1,5;2\n", BY_EVIDENCE),
        (_as_text(MONTH, "%d/%m/%Y %H:%M").rstrip()[:-30] + "\n", DAY_FIRST),
        (_as_text(MONTH, "%d/%m/%Y %H:%M") + "c,c,12/13/2024 00:00,1,2\n", DAY_FIRST),
        (AUTUMN.replace("27 01:00", "27 02:00"), BERLIN),
        (SPRING.replace("03-31 03:00", "03-31 02:00"), BERLIN),
        (_as_text(_table()), TableReading(timezone="Europe/Berlin", duplicates="sum")),
        *((TWICE, TableReading(duplicates=how)) for how in ("sum", "mean", "last")),
        (TWICE, BY_EVIDENCE),
        (TWICE, TableReading(timezone="Europe/Berlin", duplicates="sum")),
    ],
)
def test_options_that_do_not_fit_are_told_as_row_by_row(
    tmp_path: Path, text: str, reading: TableReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.csv"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(large_table, "_SAMPLE", 1500)
    answers: list[Groups | str] = []
    for read in (_row_by_row, lambda source, options: read_groups(source, **options)):
        try:
            answers.append(read(path, _options(reading=reading)))
        except DataError as error:
            answers.append(str(error))
    expected, groups = answers
    if isinstance(expected, str) or isinstance(groups, str):
        assert groups == expected
    else:
        _assert_same(groups, expected)


def test_a_packed_file_is_read_at_once(tmp_path: Path, at_once: list[bool]) -> None:
    path = tmp_path / "long.csv.gz"
    path.write_bytes(gzip.compress(_as_text(_table()).encode()))
    _assert_same(read_groups(path, **_options()), _row_by_row(path, _options()))
    assert at_once == [True]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="no whole gzip file"):
        read_groups(path, **_options())


def test_lines_are_looked_through_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a piece ends: within a quoted value, or a line end of two characters."""
    path = tmp_path / "lines.csv"
    path.write_bytes(b'a,b\r\n"x, y",1\r\nz,"2"\r\n"",\r\nq,4')
    for piece in range(1, 40):
        monkeypatch.setattr(plain_lines, "_PIECE", piece)
        assert plain_lines.check_lines(path, ",", 2)
    for wrong in (
        b"a,b\n1,2,3\n4\n",
        b"a,b\n1,2,3\n4",
        b"a,b\n1\n2,3,4\n",
        b"a,b\n1,\r2\n",
        b"a,b\n1,2\n3\n",
        b'a,b\n"1,2"\n',
        b'a,b\n1,"2\n',
        b"a,b\n1,2\n\n",
        b"a,b\n1,2,",
    ):
        path.write_bytes(wrong)
        for piece in (1, 3, 100):
            monkeypatch.setattr(plain_lines, "_PIECE", piece)
            with pytest.raises(plain_lines.NotPlain):
                plain_lines.check_lines(path, ",", 2)


@pytest.mark.parametrize(
    ("name", "only_targets"),
    # What is odd in a column that is not read is no matter.
    [*((name, False) for name in ODD), *((name, True) for name in ODD if name not in IN_PRICES)],
)
def test_what_is_odd_is_told_as_row_by_row(
    name: str,
    only_targets: bool,
    tmp_path: Path,
    at_once: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "long.csv"
    text = ODD[name](_as_text(_table()))
    path.write_bytes(text.encode("latin-1" if name == "no UTF-8" else "utf-8", "replace"))
    # The first rows show nothing odd.
    monkeypatch.setattr(large_table, "_SAMPLE", 1500)
    try:
        expected: Groups | str = _row_by_row(path, _options(only_targets=only_targets))
    except DataError as error:
        expected = str(error)
    try:
        groups: Groups | str = read_groups(path, **_options(only_targets=only_targets))
    except DataError as error:
        groups = str(error)
    if isinstance(expected, str) or isinstance(groups, str):
        assert groups == expected
    else:
        _assert_same(groups, expected)
    assert at_once == [name in {"a number with a comma", "a quote"}]


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
    clock = Clock(np.array([0, 3_600_000_000, 7_200_000_001]))
    times = [datetime(1970, 1, 1, hour) for hour in range(3)]
    times[2] = times[2].replace(microsecond=1)
    assert list(clock) == times
    assert clock[-1] == times[-1]
    assert list(clock[1:]) == times[1:]
    assert len(clock) == 3
