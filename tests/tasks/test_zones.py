"""Forecasts of times with zones: offsets that change, and series of several places."""

from datetime import datetime, timedelta
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
