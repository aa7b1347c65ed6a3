"""Seconds of a processor core and memory that large tables take: forecasts of ten thousand series,
and reading alone of tables that are written in several ways.

scripts/bench tables NAME ...

Each name makes its tables in a temporary folder (up to 0.6 GB) and runs for some minutes; without
names they are listed. ``OMP_NUM_THREADS=1`` is set for all.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.runs import machine, store

FORECASTS, READING = "forecasts of 10,000 series", "reading 5 million rows"
DAYS, MORE, HOURS = 300, 14, 5_000

# What is done in turn with a run of ten thousand series; an update changes it.
COMMANDS = (
    "fit forecast k10.csv --series store --target sales --horizon 7 --epochs 1 --members 1 "
    "--out run",
    "predict run",
    "predict run k10_more.csv",
    "evaluate run k10_more.csv",
    "update run k10_more.csv",
)

# Each way of writing a table, and what is said of it when it is read.
WAYS = {
    "plain.csv": "",
    "commas.csv": "decimal=',', day_first=True",
    "quotes.csv": "",
    "packed.csv.gz": "",
    "zone.csv": "timezone='Europe/Berlin'",
}


def _sales(draw: np.random.Generator, rows: int, season: int) -> np.ndarray[Any, Any]:
    """A random walk of 1 % a row with a season and 5 % of noise."""
    level = 100 * np.exp(0.01 * draw.normal(size=rows).cumsum())
    wave = 1 + 0.3 * np.sin(2 * np.pi * np.arange(rows) / season)
    numbers: np.ndarray[Any, Any] = level * wave * (1 + 0.05 * draw.normal(size=rows))
    return numbers.round(2)


def _named(number: int, times: pl.Series, sales: np.ndarray[Any, Any]) -> pl.DataFrame:
    name = pl.Series([f"s{number:05}"]).new_from_index(0, len(times))
    return pl.DataFrame({"store": name, "time": times, "sales": sales})


def _write_days(folder: Path) -> None:
    """Write ten thousand series of 300 days, and the same with 14 days more."""
    draw = np.random.default_rng(0)
    first = date(2024, 1, 1)
    days = pl.date_range(first, first + timedelta(DAYS + MORE - 1), "1d", eager=True)
    times = days.dt.strftime("%Y-%m-%d")
    with (folder / "k10.csv").open("wb") as short, (folder / "k10_more.csv").open("wb") as whole:
        for number in range(10_000):
            rows = _named(number, times, _sales(draw, len(times), 7))
            rows[:DAYS].write_csv(short, include_header=not number)
            rows.write_csv(whole, include_header=not number)


def _write_hours(folder: Path) -> None:
    """Write a thousand series of 5,000 hours in each way; the clocks of one change in between."""
    draw = np.random.default_rng(0)
    first = datetime(2023, 1, 1)
    hours = pl.datetime_range(first, first + timedelta(hours=HOURS - 1), "1h", eager=True)
    berlin = hours.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    plain, german = hours.dt.strftime("%Y-%m-%d %H:%M"), hours.dt.strftime("%d/%m/%Y %H:%M")
    local = berlin.dt.strftime("%Y-%m-%d %H:%M")
    comma = pl.col("sales").cast(pl.String).str.replace(".", ",", literal=True)
    paths = [folder / name for name in ("plain.csv", "commas.csv", "quotes.csv", "zone.csv")]
    for path in paths:
        path.unlink(missing_ok=True)
    for number in range(1_000):
        rows = _named(number, plain, _sales(draw, HOURS, 24))
        header = not number
        with paths[0].open("ab") as file:
            rows.write_csv(file, include_header=header)
        with paths[1].open("ab") as file:
            written = rows.with_columns(comma, time=german)
            written.write_csv(file, include_header=header, separator=";")
        with paths[2].open("ab") as file:
            rows.write_csv(file, include_header=header, quote_style="always")
        with paths[3].open("ab") as file:
            rows.with_columns(time=local).write_csv(file, include_header=header)
    with paths[0].open("rb") as file, gzip.open(folder / "packed.csv.gz", "wb") as packed:
        shutil.copyfileobj(file, packed)


def _measured(command: list[str], folder: Path) -> dict[str, float]:
    """Seconds of a processor core and gigabytes at most of a process."""
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
    return {
        "seconds": round(used.ru_utime + used.ru_stime, 1),
        "gigabytes": round(used.ru_maxrss / unit, 2),
    }


def _forecasts(folder: Path) -> dict[str, Any]:
    _write_days(folder)
    start = [sys.executable, "-m", "conveyor.cli.start"]
    return {words: _measured([*start, *words.split()], folder) for words in COMMANDS}


def _reading(folder: Path) -> dict[str, Any]:
    _write_hours(folder)
    code = (
        "from conveyor.data.grouped_table import read_groups\n"
        "from conveyor.data.table_reading import TableReading\n"
        "read_groups({!r}, ['sales'], ['store'], reading=TableReading({}))"
    )
    return {
        name: _measured([sys.executable, "-c", code.format(name, said)], folder)
        for name, said in WAYS.items()
    }


def main() -> None:
    """Measure what the command line names."""
    kinds = {FORECASTS: _forecasts, READING: _reading}
    names = sys.argv[1:]
    if not names or not set(names) <= set(kinds):
        raise SystemExit(f"There are: {', '.join(repr(name) for name in kinds)}.")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            rows = kinds[name](Path(folder))
        for words, row in rows.items():
            print(f"{words}: {row['seconds']} s, {row['gigabytes']} GB", flush=True)
        store("tables", {name: {"measured": rows, "machine": machine()}})


if __name__ == "__main__":
    main()
