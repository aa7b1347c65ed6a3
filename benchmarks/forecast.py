"""How well forecasts do on real series, beside naive ones and published LSTM figures.

scripts/bench forecast [--data FOLDER] [NAME ...]
"""

from typing import Any

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
    if len(row["targets"]) > 1:
        published = row["published_scaled"]
        everyone = {**row["scaled"], **({"published LSTMa": published} if published else {})}
        scores = (f"{k} {each['mse']:.3f} / {each['mae']:.3f}" for k, each in everyone.items())
        return f"{name}, scaled MSE / MAE: {', '.join(scores)}"
    ((target, scores),) = row["targets"].items()
    return f"{name}, {target}: " + ", ".join(f"{k} MAE {v['mae']:.4g}" for k, v in scores.items())


if __name__ == "__main__":
    run_named(COMMANDS, "forecast", _summary, _line)
