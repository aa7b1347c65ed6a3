"""How well forecasts do on real series, beside naive ones and published LSTM figures.

scripts/bench forecast [--data FOLDER] [NAME ...]
"""

import math
import random
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.runs import run_named, used_by

SAMPLE = "src/conveyor/tasks/samples/co2-mauna-loa-weekly.csv"

# Half an hour or more, and 1.5 GB of CSV: it runs only where it is asked for by name.
LONG_ROWS = "10,000 made-up series, 50 million rows"

# DATA is the folder of --data. Each is what a user would type.
COMMANDS = {
    "co2-weekly (ships with conveyor)": f"fit forecast {SAMPLE} --target co2",
    "co2-monthly": "fit forecast DATA/timeseries/co2-concentration.csv --target CO2 --only-target "
    "--fill-gaps",
    "airline-passengers": "fit forecast DATA/timeseries/airline-passengers.csv --target Passengers",
    "daily-min-temperatures": "fit forecast DATA/timeseries/daily-min-temperatures.csv "
    "--target Temp --fill-gaps",
    "monthly-sunspots": "fit forecast DATA/timeseries/monthly-sunspots.csv --target Sunspots "
    "--history 132",
    "seattle-weather": "fit forecast DATA/timeseries/seattle-weather.csv --target temp_max",
    **{
        f"Victoria's demand by day{', with holidays' * bool(holidays)}": "fit forecast "
        f"MADE/victoria.csv --target Demand --horizon 7 --fill-gaps{holidays}"
        for holidays in ("", " --holidays AU-VIC")
    },
    # Many series by one network. The last 18 months of each, and the last 56 days, are those of the
    # competitions.
    "M3, 1,428 monthly series": "fit forecast MADE/m3-monthly.csv --series unique_id --target y "
    "--horizon 18 --split 1/18/18 --history 15 --hidden 40",
    **{
        f"M3 without N2786{words}": "fit forecast MADE/m3-positive.csv --series unique_id "
        "--target y --horizon 18 --split 1/18/18 --history 15 --hidden 40 --members 1 "
        f"--epochs 10{option}"
        for words, option in (("", ""), (", ES-RNN", " --es-rnn"))
    },
    LONG_ROWS: "fit forecast MADE/b50.csv --series store --target "
    "sales --horizon 24 --epochs 1 --members 1",
    "NN5, 111 daily series": "fit forecast DATA/nn5/derived.nn5.csv.gz --series unique_id "
    "--target y --horizon 56 --split 1/56/56 --pace season --hidden 64 --members 1",
    "NN5, 111 daily series, from row to row": "fit forecast DATA/nn5/derived.nn5.csv.gz "
    "--series unique_id --target y --horizon 56 --split 1/56/56 --history 28 --hidden 40 "
    "--members 1",
    "M4, 414 hourly series": "fit forecast MADE/m4-hourly.csv --series unique_id --target y "
    "--horizon 48 --split 1/48/48 --origins 1 --pace season --hidden 96 --epochs 30 --members 1",
    "M4, 359 weekly series": "fit forecast MADE/m4-weekly.csv --series unique_id --target y "
    "--horizon 13 --split 1/13/13 --origins 1 --history 13 --season 1 --hidden 40 --members 2",
    "exchange rates of 8 currencies": "fit forecast DATA/exchange-rate/exchange_rate.csv.gz "
    "--target all --time none --horizon 24",
    # A made-up store whose promotions and holidays are known ahead, or only of the past, or not.
    **{
        f"a store{words}": f"fit forecast MADE/store.csv --target sales --horizon 7{columns}"
        for words, columns in (
            (" with planned promotions", " --future promo --future holiday"),
            (" with past promotions", ""),
            (" alone", " --only-target"),
        )
    },
    "a store whose promotions multiply": "fit forecast MADE/store.csv --target sales --horizon 7 "
    "--future promo --future holiday",
    "Walmart, 45 weekly series": "fit forecast DATA/walmart-weekly/Walmart.csv --series Store "
    "--target Weekly_Sales --only-target --season 52 --history 56 --horizon 8 "
    "--split 107/10/26 --hidden 32",
    # As papers do: one network, which learns from the first twelve months alone.
    **{
        f"ETTh1, {horizon} ahead{', LSTM alone' * bool(alone)}": "fit forecast "
        "DATA/ett/ETTh1.csv.gz --target all --split 8640/2880/2880 "
        f"--horizon {horizon} --history 96 --members 1 --no-refit{alone}"
        for alone in ("", " --no-linear")
        for horizon in (24, 48, 96)
        if not (alone and horizon == 96)
    },
    # Pieces sold of articles, few and now and then, by their distribution and by quantiles.
    **{
        f"made-up counts{words}": "fit forecast MADE/counts.csv --series article --target pieces "
        f"--horizon 14 --members 1 --epochs 20{option}"
        for words, option in (
            (" by quantiles", ""),
            (" by their distribution", " --loss negative-binomial"),
        )
    },
    "ETTh1, 96 ahead, from day to day": "fit forecast DATA/ett/ETTh1.csv.gz --target all "
    "--split 8640/2880/2880 --horizon 96 --history 96 --members 1 --no-refit --pace season "
    "--hidden 32",
}

# Informer (Zhou et al., AAAI 2021), multivariate LSTMa on ETTh1: MSE / MAE of standardised data.
PUBLISHED = {"ETTh1, 24 ahead": (0.650, 0.624), "ETTh1, 48 ahead": (0.702, 0.675)}


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads: the months of the M3 competition with their dates, where a first
    month that is not known is a January, as only the order counts; the hours and weeks of the M4
    competition, whose times are not part of it, up to one time; the demand of Victoria by local
    days, without those that a clock change shortens; the days of a made-up store, the pieces of
    made-up articles, and the hours of ten thousand."""
    if name == LONG_ROWS:
        _write_hours(folder / "b50.csv", 10_000, 5_000)
    if name.startswith("made-up counts"):
        _write_counts(folder / "counts.csv")
    if name.startswith("a store"):
        _write_store(folder / "store.csv", multiply="multiply" in name)
    if name.startswith("M4"):
        kind, hours = ("Hourly", 1) if "hourly" in name else ("Weekly", 168)
        _write_m4(data / "m4", kind, hours, folder / f"m4-{kind.lower()}.csv")
    if name.startswith("Victoria"):
        halves = pl.read_csv(data / "vic-electricity" / "vic_electricity.csv.gz")
        days = halves.group_by("Date").agg(pl.col("Demand").sum(), pl.len()).filter(len=48)
        days.sort("Date").select("Date", "Demand").write_csv(folder / "victoria.csv")
    if not name.startswith("M3"):
        return
    months = pl.col("t") - 1
    year, month = (
        pl.when(pl.col(column) > 0).then(pl.col(column)).otherwise(instead)
        for column, instead in (("start_year", 1980), ("start_period", 1))
    )
    table = pl.read_csv(data / "m3" / "derived.m3.csv.gz").filter(group="Month")
    dated = table.with_columns(date=pl.date(year, month, 1).dt.offset_by(pl.format("{}mo", months)))
    table = dated.select("unique_id", "date", "y")
    table.write_csv(folder / "m3-monthly.csv")
    # ES-RNN is of series above 0; this one goes below.
    table.filter(pl.col("unique_id") != "N2786").write_csv(folder / "m3-positive.csv")


def _write_counts(path: Path) -> None:
    """Write the pieces sold of ten articles on 500 days: negative binomial, of means from 0.2 to 4
    that drift, twice as many on weekends, and variance mean + mean² / 2."""
    draw = np.random.default_rng(0)
    days = pl.date_range(date(2022, 1, 1), date(2022, 1, 1) + timedelta(499), "1d", eager=True)
    weekend = np.where(days.dt.weekday().to_numpy() >= 6, 2.0, 1.0)
    parts = []
    for number, level in enumerate(np.geomspace(0.2, 4.0, 10)):
        mean = level * np.exp(0.03 * draw.normal(size=len(days)).cumsum()) * weekend
        pieces = draw.negative_binomial(2, 2 / (2 + mean))
        names = pl.Series([f"a{number:02}"]).new_from_index(0, len(days))
        parts.append(pl.DataFrame({"article": names, "day": days, "pieces": pieces}))
    pl.concat(parts).write_csv(path)


def _write_hours(path: Path, stores: int, rows: int) -> None:
    """Write the hourly sales of many stores, a random walk of 1 % an hour with a season of a day
    and 5 % of noise; store by store, as together they would take more memory than a fit of them."""
    draw = np.random.default_rng(0)
    first = datetime(2020, 1, 1)
    hours = pl.datetime_range(first, first + timedelta(hours=rows - 1), "1h", eager=True)
    times = hours.dt.strftime("%Y-%m-%d %H:%M")
    season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(rows) / 24)
    with path.open("wb") as file:
        for number in range(stores):
            level = 100 * np.exp(0.01 * draw.normal(size=rows).cumsum())
            sales = (level * season * (1 + 0.05 * draw.normal(size=rows))).round(2)
            names = pl.Series([f"s{number:05}"]).new_from_index(0, rows)
            part = pl.DataFrame({"store": names, "time": times, "sales": sales})
            part.write_csv(file, include_header=number == 0)


def _write_m4(folder: Path, kind: str, hours: int, path: Path) -> None:
    """Write the series of the M4 competition of a kind, training and test set, as a long table.

    Args:
        folder: of the competition's tables.
        kind: "Hourly" or "Weekly".
        hours: from one row to the next.
        path: of the table.
    """
    parts = [
        pl.read_csv(folder / f"{kind}-{part}.csv.gz", infer_schema_length=None)
        for part in ("train", "test")
    ]
    parts = [part.rename({part.columns[0]: "unique_id"}) for part in parts]
    long = [
        part.unpivot(index="unique_id", value_name="y").drop_nulls("y").select("unique_id", "y")
        for part in parts
    ]
    backwards = pl.int_range(pl.len(), 0, -1).over("unique_id") - 1
    end = pl.datetime(2017, 1, 2)
    times = end - pl.duration(hours=hours) * backwards
    pl.concat(long).select("unique_id", ds=times, y="y").write_csv(path)


def _write_store(path: Path, *, multiply: bool) -> None:
    """Write the sales of a store on 900 days, about 1,200 a day: weekends sell a quarter more,
    promotions on 15 % of the days two fifths more, holidays half.

    Args:
        path: of the table.
        multiply: whether these are shares of the day's level, or the same on all days.
    """
    draw = random.Random(1)
    holidays = {(1, 1), (4, 30), (5, 1), (9, 2), *((2, day) for day in range(1, 8))}
    lines = ["date,sales,promo,holiday"]
    for number in range(900):
        day = date(2019, 1, 1) + timedelta(number)
        promo, holiday = int(draw.random() < 0.15), int((day.month, day.day) in holidays)
        weekend = 0.25 * (day.weekday() >= 5)
        year = 0.15 * math.sin(2 * math.pi * number / 365)
        level = 1 + 0.0004 * number + weekend + year
        if multiply:
            level *= (1 + 0.4 * promo) * (1 - 0.5 * holiday)
        else:
            level += 0.4 * promo - 0.5 * holiday
        sales = 1200 * level * (1 + draw.gauss(0, 0.05))
        lines.append(f"{day},{sales:.2f},{promo},{holiday}")
    path.write_text("\n".join(lines) + "\n")


def _look(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Return what it takes to forecast all series of the large table from its run."""
    if name != LONG_ROWS:
        return {}
    forecasts = folder / "forecasts.csv"
    used = used_by(["predict", str(folder / "run")], forecasts)
    with forecasts.open(encoding="utf-8") as lines:
        rows = sum(1 for _ in lines) - 1
    return {"predict": {"rows": rows, **used}}


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run: everyone's scores, without the errors of every step."""
    targets = {scores["subject"]: scores["rows"] for scores in metrics["scores"]}
    return {
        **{key: metrics[key] for key in ("predict",) if key in metrics},
        "windows": metrics["windows"],
        "targets": targets,
        "scaled": metrics["scaled"],
        "published_scaled": next(
            ({"mse": m, "mae": a} for key, (m, a) in PUBLISHED.items() if name.startswith(key)),
            None,
        ),
    }


def _line(name: str, row: dict[str, Any]) -> str:
    if "" in row["targets"]:
        scores = (
            f"{k} {v['mase']:.3f} / {100 * v['smape']:.2f} % / {100 * v['wape']:.2f} %"
            for k, v in row["targets"][""].items()
        )
        return f"{name}, MASE / sMAPE / WAPE: {', '.join(scores)}"
    if len(row["targets"]) > 1:
        published = row["published_scaled"]
        everyone = {**row["scaled"], **({"published LSTMa": published} if published else {})}
        scores = (f"{k} {each['mse']:.3f} / {each['mae']:.3f}" for k, each in everyone.items())
        return f"{name}, scaled MSE / MAE: {', '.join(scores)}"
    ((target, scores),) = row["targets"].items()
    return f"{name}, {target}: " + ", ".join(f"{k} MAE {v['mae']:.4g}" for k, v in scores.items())


if __name__ == "__main__":
    run_named(COMMANDS, "forecast", _summary, _line, _make, look=_look, asked_for={LONG_ROWS})
