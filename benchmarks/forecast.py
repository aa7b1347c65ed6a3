"""How well forecasts do on real series, beside naive ones and published LSTM figures.

scripts/bench forecast [--data FOLDER] [NAME ...]
"""

from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.runs import run_named

SAMPLE = "src/conveyor/tasks/samples/co2-mauna-loa-weekly.csv"

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
    "NN5, 111 daily series": "fit forecast DATA/nn5/derived.nn5.csv.gz --series unique_id "
    "--target y --horizon 56 --split 1/56/56 --history 28 --hidden 40 --members 1",
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
}

# Informer (Zhou et al., AAAI 2021), multivariate LSTMa on ETTh1: MSE / MAE of standardised data.
PUBLISHED = {"ETTh1, 24 ahead": (0.650, 0.624), "ETTh1, 48 ahead": (0.702, 0.675)}


def _make(name: str, data: Path, folder: Path) -> None:
    """Write what a command reads: the months of the M3 competition with their dates, where a first
    month that is not known is a January, as only the order counts; the demand of Victoria by local
    days, without those that a clock change shortens."""
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
    dated.select("unique_id", "date", "y").write_csv(folder / "m3-monthly.csv")


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run: everyone's scores, without the errors of every step."""
    targets = {scores["subject"]: scores["rows"] for scores in metrics["scores"]}
    return {
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
    run_named(COMMANDS, "forecast", _summary, _line, _make)
