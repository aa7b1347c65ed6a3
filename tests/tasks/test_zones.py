"""Forecasts of times with zones: offsets that change, and series of several places."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.data.table_reading import TableReading
from conveyor.errors import DataError, SettingError
from tests.data.single_table import read_table

QUICK: dict[str, Any] = {"horizon": 5, "history": 7, "hidden": 4, "members": 1, "epochs": 1}
BERLIN = ZoneInfo("Europe/Berlin")


def _quiet(line: str) -> None:
    """Say nothing."""


def _days(zone: str, rows: int = 120, begin: datetime = datetime(2024, 1, 1)) -> list[str]:
    """Midnights of a zone with their offsets; the clocks of Berlin change at row 90."""
    place = ZoneInfo(zone)
    return [
        (begin + timedelta(days=row)).replace(tzinfo=place).isoformat(" ") for row in range(rows)
    ]


def _values(rows: int, seed: int = 0) -> list[float]:
    noise = np.random.default_rng(seed).normal(size=rows)
    return list((np.sin(np.arange(rows) * 2 * np.pi / 7) + noise / 5 + 10).round(4))


def test_days_over_a_clock_change_are_fitted_saved_and_read_on(tmp_path: Path) -> None:
    days, values = _days("Europe/Berlin", 130), _values(130)
    frame = pl.DataFrame({"day": days, "sold": values})
    run = conveyor.fit(
        "forecast", frame[:120], out=tmp_path / "run", target="sold", say=_quiet, **QUICK
    )
    assert run.predict()["day"].to_list() == days[120:125]
    # The same rows, and rows from after the change alone.
    assert run.predict(frame[:120], say=_quiet).equals(run.predict())
    later = run.predict(frame[100:], say=_quiet)
    assert later["day"][0] == "2024-05-10 00:00:00+02:00"
    # Its season stands at the same days, whatever the first row of the table.
    np.testing.assert_allclose(
        later["sold"].to_numpy(), run.predict(frame, say=_quiet)["sold"].to_numpy(), atol=0.3
    )


def test_series_of_several_places_each_have_their_own_offset(tmp_path: Path) -> None:
    zones = {"HN": "Asia/Ho_Chi_Minh", "BE": "Europe/Berlin", "UT": "UTC"}
    frame = pl.concat(
        pl.DataFrame({"shop": shop, "day": _days(zone), "sold": _values(120, seed)})
        for seed, (shop, zone) in enumerate(zones.items())
    )
    said: list[str] = []
    run = conveyor.fit(
        "forecast", frame, out=tmp_path / "run", target="sold", series="shop", say=said.append,
        **QUICK,
    )  # fmt: skip
    first = {shop: times[0] for shop, times in run.predict().group_by("shop").agg("day").rows()}
    assert first == {
        "HN": "2024-04-30 00:00:00+07:00",
        "BE": "2024-04-30 00:00:00+02:00",
        "UT": "2024-04-30 00:00:00+00:00",
    }
    assert run.predict(frame, say=_quiet).equals(run.predict())
    # All end on the same day, and only the offset of one changes.
    assert not any("end before" in line for line in said)
    assert sum("the offset from UTC changes" in line for line in said) == 1
    assert any(line.startswith("BE: ") and "changes" in line for line in said)


def _hours(rows: int) -> list[datetime]:
    begin = datetime(2024, 10, 25, tzinfo=ZoneInfo("UTC"))
    return [(begin + timedelta(hours=row)).astimezone(BERLIN) for row in range(rows)]


def test_hours_of_wall_clocks_are_told_apart_by_their_zone(tmp_path: Path) -> None:
    """02:00 stands twice on 27 October 2024: first at +02:00, then at +01:00."""
    texts = [time.strftime("%Y-%m-%d %H:%M") for time in _hours(120)]
    frame = pl.DataFrame({"time": texts, "load": _values(120)})
    assert texts.count("2024-10-27 02:00") == 2
    with pytest.raises(DataError, match="the hour that clocks go through twice"):
        read_table(frame, ["load"])
    run = conveyor.fit(
        "forecast", frame, out=tmp_path / "run", target="load", timezone="Europe/Berlin",
        say=_quiet, **QUICK,
    )  # fmt: skip
    assert run.predict()["time"][0] == "2024-10-30 01:00"
    assert run.predict(frame, say=_quiet).equals(run.predict())
    # A table that ends within the hour goes on with its second half.
    within = run.predict(frame[: texts.index("2024-10-27 02:00") + 1], say=_quiet)
    assert within["time"].to_list()[:2] == ["2024-10-27 02:00", "2024-10-27 03:00"]


def test_days_are_those_of_the_zone_that_is_named() -> None:
    """22:00 and 23:00 of UTC are midnight in Berlin: the clocks change in between."""
    texts = [
        (datetime(2024, 3, 20) + timedelta(days=row))
        .replace(tzinfo=BERLIN)
        .astimezone(ZoneInfo("UTC"))
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        for row in range(20)
    ]
    frame = pl.DataFrame({"day": texts, "y": _values(20)})
    with pytest.raises(DataError, match="does not come 1 day after"):
        read_table(frame, ["y"])
    table = read_table(frame, ["y"], reading=TableReading(timezone="Europe/Berlin"))
    assert table.times is not None
    assert str(table.step) == "1 day"
    assert {time.hour for time in table.times} == {0}
    assert table.last_time == texts[-1]


def test_a_zone_that_is_none_or_another_is_an_error() -> None:
    with pytest.raises(SettingError, match="there is no time zone 'Europe/Berlim'"):
        TableReading(timezone="Europe/Berlim")
    frame = pl.DataFrame(
        {"day": [f"2024-01-{n:02} 00:00+01:00[Europe/Berlin]" for n in range(1, 20)]}
    ).with_columns(y=pl.Series(_values(19)))
    with pytest.raises(DataError, match="name their zone themselves"):
        read_table(frame, ["y"], reading=TableReading(timezone="Asia/Tokyo"))
    two = frame.with_columns(
        day=pl.when(pl.int_range(pl.len()) == 9)
        .then(pl.lit("2024-01-10 00:00+09:00[Asia/Tokyo]"))
        .otherwise("day")
    )
    with pytest.raises(DataError, match=r"Asia/Tokyo.*is not a time of the same form"):
        read_table(two, ["y"])


# The clocks of Berlin, New York, Lord Howe Island (which go back by half an hour) and Sydney.
CHANGES = {
    "Europe/Berlin": (datetime(2024, 3, 31, 1), datetime(2024, 10, 27, 1)),
    "America/New_York": (datetime(2024, 3, 10, 7), datetime(2024, 11, 3, 6)),
    "Australia/Lord_Howe": (datetime(2024, 10, 5, 15, 30), datetime(2024, 4, 6, 15)),
    "Australia/Sydney": (datetime(2024, 10, 5, 16), datetime(2024, 4, 6, 16)),
}


def _around(zone: str, change: datetime, minutes: int) -> list[datetime]:
    """Return the times of a zone for two days on both sides of a clock change, in UTC."""
    begin = change.replace(minute=0) - timedelta(days=2)
    steps = 4 * 24 * 60 // minutes
    return [
        (begin + timedelta(minutes=minutes * step)).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        for step in range(steps)
    ]


def _read_walls(times: list[datetime], zone: str, **options: Any) -> list[datetime]:
    """Return the instants of a table that writes no offsets."""
    texts = [time.strftime("%Y-%m-%d %H:%M") for time in times]
    frame = pl.DataFrame({"time": texts, "y": np.arange(len(texts)) + 0.5})
    table = read_table(frame, ["y"], reading=TableReading(timezone=zone), **options)
    assert table.times is not None
    # The values stand at the times that they were written with.
    order = sorted(range(len(times)), key=lambda row: times[row].astimezone(UTC))
    values = table.columns["y"]
    np.testing.assert_array_equal(values[~np.isnan(values)], np.array(order) + 0.5)
    return [time.astimezone(UTC) for time in table.times]


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("minutes", [15, 30])
@pytest.mark.parametrize("autumn", [False, True])
def test_times_of_both_changes_are_those_that_were_written(
    zone: str, minutes: int, autumn: bool
) -> None:
    times = _around(zone, CHANGES[zone][autumn], minutes)
    expected = [time.astimezone(UTC) for time in times]
    assert _read_walls(times, zone) == expected
    # Loggers write the newest row first, and databases sort by what is written.
    assert _read_walls(times[::-1], zone) == expected
    by_wall = sorted(times, key=lambda time: time.replace(tzinfo=None))
    assert _read_walls(by_wall, zone) == expected


def _half_past(times: list[datetime]) -> list[int]:
    """Return the rows whose time stands twice."""
    walls = [time.replace(tzinfo=None) for time in times]
    return [row for row, wall in enumerate(walls) if walls.count(wall) == 2]


@pytest.mark.parametrize("minutes", [20, 30, 60])
def test_a_table_may_begin_or_end_between_two_equal_hours(minutes: int) -> None:
    times = _around("Europe/Berlin", CHANGES["Europe/Berlin"][1], minutes)
    twice = _half_past(times)
    assert len(twice) == 2 * 60 // minutes
    expected = [time.astimezone(UTC) for time in times]
    for begin in range(twice[0], twice[-1] + 2):
        assert _read_walls(times[begin:], "Europe/Berlin") == expected[begin:]
    for end in range(twice[0], twice[-1] + 2):
        assert _read_walls(times[:end], "Europe/Berlin") == expected[:end]


def test_one_of_two_equal_hours_may_be_missing() -> None:
    times = _around("Europe/Berlin", CHANGES["Europe/Berlin"][1], 60)
    first, second = _half_past(times)
    lacking = [time for row, time in enumerate(times) if row != second]
    with pytest.raises(DataError, match="2024-10-27 03:00 does not come 1 hour after"):
        _read_walls(lacking, "Europe/Berlin")
    filled = _read_walls(lacking, "Europe/Berlin", fill_gaps=True)
    assert filled == [time.astimezone(UTC) for time in times]
    assert first + 1 == second


def _summed(times: list[datetime], values: list[float], zone: str = "Europe/Berlin") -> Any:
    """Return a table that writes no offsets, whose rows of one time are summed."""
    texts = [time.strftime("%Y-%m-%d %H:%M") for time in times]
    frame = pl.DataFrame({"time": texts, "y": values})
    return read_table(frame, ["y"], reading=TableReading(timezone=zone, duplicates="sum"))


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_two_stores_go_through_an_hour_twice(minutes: int, side_by_side: bool, back: bool) -> None:
    """Their rows stand below each other, or side by side; both passes are sums of both stores."""
    times = _around("Europe/Berlin", CHANGES["Europe/Berlin"][1], minutes)
    values = np.random.default_rng(0).integers(1, 9, (2, len(times))) + 0.5
    rows = [(time, values[store, row]) for store in (0, 1) for row, time in enumerate(times)]
    if side_by_side:
        rows = [(time, values[store, row]) for row, time in enumerate(times) for store in (0, 1)]
    rows = rows[::-1] if back else rows
    stamps, numbers = [time for time, _ in rows], [float(number) for _, number in rows]
    if side_by_side and minutes == 60:  # four times 02:00 below each other
        with pytest.raises(DataError, match=r"2024-10-27 02:00 twice, and several rows have this"):
            _summed(stamps, numbers)
        return
    table = _summed(stamps, numbers)
    assert [time.astimezone(UTC) for time in table.times] == [t.astimezone(UTC) for t in times]
    np.testing.assert_array_equal(table.columns["y"], values.sum(0))


def test_one_hour_of_a_store_and_two_of_another_are_doubtful() -> None:
    times = _around("Europe/Berlin", CHANGES["Europe/Berlin"][1], 60)
    first, _ = _half_past(times)
    fewer = times[:first] + times[first + 1 :]
    for rows in (times + fewer, fewer + times, fewer + fewer):
        with pytest.raises(DataError, match="which of the two is meant"):
            _summed(rows, [1.0] * len(rows))
    # A correction at the end does not say of which hour it is.
    with pytest.raises(DataError, match="which of the two is meant"):
        _summed([*times, times[first]], [1.0] * (len(times) + 1))


def test_days_of_two_stores_at_an_hour_that_comes_twice_are_days() -> None:
    begin = datetime(2024, 10, 15, 2, 30)
    days = [begin + timedelta(days=day) for day in range(30)]
    table = _summed(days + days, [1.0] * 30 + [10.0] * 30)
    assert str(table.step) == "1 day"
    np.testing.assert_array_equal(table.columns["y"], np.full(30, 11.0))


def test_an_hour_that_clocks_skip_is_told() -> None:
    """A table of 24 hours on every day, of a device that knows no summer time."""
    hours = [datetime(2024, 3, 30) + timedelta(hours=hour) for hour in range(72)]
    texts = [hour.strftime("%Y-%m-%d %H:%M") for hour in hours]
    frame = pl.DataFrame({"time": texts, "y": _values(72)})
    with pytest.raises(
        DataError,
        match="there is no 2024-03-31 02:00 on the clocks of Europe/Berlin, which go on to 03:00",
    ):
        read_table(frame, ["y"], reading=TableReading(timezone="Europe/Berlin"))
    assert len(read_table(frame, ["y"])) == 72
    # Where the skipped hour stands in place of the one after it, it was read as that one.
    without = frame.filter(pl.col("time") != "2024-03-31 03:00")
    with pytest.raises(DataError, match="there is no 2024-03-31 02:00"):
        read_table(without, ["y"], reading=TableReading(timezone="Europe/Berlin"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Cairo"])
def test_days_at_an_hour_that_is_skipped_are_days(zone: str) -> None:
    """02:30 in Berlin, and midnight in Cairo, are skipped once a year."""
    begin = datetime(2024, 3, 20, 2, 30) if zone == "Europe/Berlin" else datetime(2024, 4, 20)
    days = [(begin + timedelta(days=day)).strftime("%Y-%m-%d %H:%M") for day in range(20)]
    frame = pl.DataFrame({"day": days, "y": _values(20)})
    table = read_table(frame, ["y"], reading=TableReading(timezone=zone))
    assert str(table.step) == "1 day"
    assert len(table) == 20


def test_new_rows_go_on_within_two_equal_hours(tmp_path: Path) -> None:
    times = _hours(120)
    texts = [time.strftime("%Y-%m-%d %H:%M") for time in times]
    frame = pl.DataFrame({"time": texts, "load": _values(120)})
    first = texts.index("2024-10-27 02:00")
    run = conveyor.fit(
        "forecast", frame[: first + 1], out=tmp_path / "run", target="load",
        timezone="Europe/Berlin", say=_quiet, **QUICK,
    )  # fmt: skip
    said: list[str] = []
    run.update(frame[first + 1 : first + 9], say=said.append)
    assert any(line.startswith("8 new rows") for line in said)
    assert run.predict()["time"][0] == "2024-10-27 10:00"
