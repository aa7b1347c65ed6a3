"""Signs beside numbers: each table says what a person means, or is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import conveyor
from conveyor.data.number_column import read_numbers
from conveyor.data.table_reading import TableReading
from conveyor.errors import DataError
from tests.data.single_table import read_table

NAN = float("nan")

READ = {
    "percent": (["5 %", "7,5 %", "0"], [5, 7.5, 0]),
    "permille": (["5‰", "7‰"], [5, 7]),
    "brackets": (["(12)", "5", "(1,200.50)"], [-12, 5, -1200.5]),
    "a minus behind": (["3-", "5", "7 -"], [-3, 5, -7]),
    "dollars, on some rows": (["$1,200.50", "$ 3", "4"], [1200.5, 3, 4]),
    "negative dollars": (["-$5", "$-6", "($7)"], [-5, -6, -7]),
    "euros behind": (["5,50 €", "1.178,91 €"], [5.5, 1178.91]),
    "dong with points": (["1.200 đ", "13.400 đ"], [1200, 13400]),
    "dong with commas": (["1,200 VND", "900 VND"], [1200, 900]),
    "millions and thousands in Vietnamese": (["1,2 tr", "950 k", "0"], [1.2e6, 9.5e5, 0]),
    "billions in Vietnamese": (["1,5 tỷ", "2 tỷ"], [1.5e9, 2e9]),
    "thousands": (["12K", "1.5K"], [12000, 1500]),
    "dong in words": (["13.400 đồng", "900 đồng"], [13400, 900]),
    "dong in any letters": (["13.400 vnd", "900 VND"], [13400, 900]),
    "dong a kilogram": (["13.400 VND/kg", "900 VND/kg"], [13400, 900]),
    "dong a unit, its sign": (["13,400 ₫/kg", "12,000 ₫/kg"], [13400, 12000]),
    "dollars an hour": (["13.40 $/h", "9 $/h"], [13.4, 9]),
    "one unit": (["12 kWh", "13.5 kWh"], [12, 13.5]),
    "degrees": (["20°C", "−3°C"], [20, -3]),
    "speeds": (["3 km/h", "4.5 km/h"], [3, 4.5]),
    "missing values between": (["5 %", "", "na", "6 %"], [5, NAN, NAN, 6]),
    "an exponent is no unit": (["1.5e3", "2"], [1500, 2]),
}

LEFT = {
    "percent on some rows": ["5 %", "7", "8"],
    "two currencies": ["$5", "5 €"],
    "two units": ["12 kWh", "13 MWh"],
    "words on some rows": ["1,2 tr", "950000"],
    "halves of a day": ["5 PM", "6 PM"],
    "months": ["1 May", "2 May"],
    "names": ["A1", "B2"],
    "names behind numbers": ["12 a 3 b", "13 a 4 b"],
}


@pytest.mark.parametrize("name", READ)
def test_signs_are_taken_off(name: str) -> None:
    texts, want = READ[name]
    column = read_numbers(pl.Series("y", texts))
    np.testing.assert_array_equal(column.values, want)
    assert not column.bad.any()


@pytest.mark.parametrize("name", LEFT)
def test_what_may_mean_two_things_is_no_number(name: str) -> None:
    assert read_numbers(pl.Series("y", LEFT[name])).bad.any()


def test_what_is_read_is_said() -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 11)]
    frame = pl.DataFrame({"day": days, "revenue": ["1,2 tr"] * 9 + ["950 k"], "y": range(10)})
    table = read_table(frame, ["y"])
    assert "column revenue: 1,2 tr is read as 1200000" in table.notes
    with pytest.raises(DataError, match=r"column y: '7 %' is not a number: take out the percent"):
        read_table(frame.with_columns(y=pl.Series(["7 %"] + ["8"] * 9)), ["y"])
    million = read_table(frame.with_columns(revenue=pl.lit("1.200 triệu")), ["y"])
    assert "column revenue: 1.200 triệu is read as 1200000" in million.notes
    assert not any("stands between thousands" in note for note in million.notes)
    thousand = frame.drop("revenue").with_columns(y=pl.Series(["$1,200", "$900"] * 5))
    with pytest.raises(DataError, match=r"can be a thousand or a decimal fraction.* decimal='\.'"):
        read_table(thousand, ["y"])
    read = read_table(thousand, ["y"], reading=TableReading(decimal="."))
    assert read.columns["y"].tolist() == [1200, 900] * 5
    marked = frame.with_columns(y=pl.Series(["5 %", "-9999", "6 %"] + ["7 %"] * 7))
    read = read_table(marked, ["y"], reading=TableReading(missing=(-9999.0,)))
    np.testing.assert_array_equal(read.columns["y"], [5, NAN, 6, *[7] * 7])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("date", [f"{year}年" for year in range(1990, 2010)]),
        ("day", [f"{day} Mai" for day in range(1, 21)]),
        ("time", [f"{hour} Uhr" for hour in range(20)]),
    ],
)
def test_times_are_no_numbers_with_a_unit(name: str, texts: list[str]) -> None:
    frame = pl.DataFrame({name: texts, "y": range(20)})
    with pytest.raises(DataError, match="is not a time of a known form"):
        read_table(frame, ["y"])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["0K", "1K", "950", "2K"], r"row 3, column y: '950' is not in K, as most other rows are"),
        (["5 kWh", "6 kWh", "7 kWh", "x"], r"row 4, column y: 'x' is not in kWh"),
        (["5", "6", "7 %"], r"row 3, column y: '7 %' is not a number: take out the percent sign"),
    ],
)
def test_the_row_that_differs_is_named(texts: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_table(pl.DataFrame({"y": texts, "x": range(len(texts))}), ["y"])


def test_a_run_remembers_its_units(tmp_path: Path) -> None:
    """0.1039 MWh is not a thousandth of 103.9 kWh; a number without a unit is taken as it is."""
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 6, 1), "1d", eager=True)
    values = 100 + 5 * np.sin(np.arange(len(days)) * 2 * np.pi / 7)

    def table(unit: str, factor: float = 1.0) -> pl.DataFrame:
        return pl.DataFrame(
            {"day": days, "use": [f"{factor * value:.4f}{unit}" for value in values]}
        )

    run = conveyor.fit(
        "forecast", table(" kWh")[:120], target="use", horizon=7, members=1, epochs=1, hidden=4,
        out=tmp_path / "run", say=lambda line: None,
    )  # fmt: skip
    for call in (run.predict, run.update, run.evaluate):
        with pytest.raises(DataError, match="column use is in MWh; the run learned it in kWh"):
            call(table(" MWh", 0.001), say=lambda line: None)
    assert run.predict(table(""), say=lambda line: None)["use"][0] > 80
    again = conveyor.load(run.folder)
    with pytest.raises(DataError, match="Give it in kWh"):
        again.predict(table(" MWh", 0.001))
    assert again.predict(table(" kWh"), say=lambda line: None)["use"][0] > 80
