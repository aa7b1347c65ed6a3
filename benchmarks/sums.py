"""How often the sum over a horizon lies in the band that drawn futures give it.

scripts/bench sums [--data FOLDER] [NAME ...]
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import conveyor
from benchmarks.runs import machine, store

# Of each series its file, its column and how many steps are added up. A network learns from the
# first four fifths, and each sum begins where the one before it ends.
SERIES: dict[str, tuple[str, str, int]] = {
    "daily-min-temperatures": ("timeseries/daily-min-temperatures.csv", "Temp", 7),
    "seattle-weather": ("timeseries/seattle-weather.csv", "temp_max", 7),
    "monthly-sunspots": ("timeseries/monthly-sunspots.csv", "Sunspots", 12),
}
PATHS = 1000


def _quiet(line: str) -> None:
    """Say nothing."""


def measure(path: Path, target: str, horizon: int) -> dict[str, Any]:
    """Return how many sums lay in their 80 % band, and in the band from the sum of the lower ends
    to that of the upper ones, and how wide these are."""
    frame = pl.read_csv(path).drop_nulls(target)
    learned = len(frame) * 4 // 5
    inside, inside_ends, widths, widths_ends = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        run = conveyor.fit(
            "forecast", frame[:learned], target=target, horizon=horizon, only_target=True,
            fill_gaps=True, out=Path(folder) / "run", say=_quiet,
        )  # fmt: skip
        for origin in range(learned, len(frame) - horizon + 1, horizon):
            known = frame[:origin]
            truth = float(frame[target][origin : origin + horizon].sum())
            paths = run.predict(known, paths=PATHS, fill_gaps=True, say=_quiet)
            sums = paths.group_by("path").agg(pl.col(target).sum())[target].to_numpy()
            low, high = np.quantile(sums, [0.1, 0.9])
            ends = run.predict(known, fill_gaps=True, say=_quiet)
            least, most = ends[f"{target}-lo-80"].sum(), ends[f"{target}-hi-80"].sum()
            inside.append(low <= truth <= high)
            inside_ends.append(least <= truth <= most)
            widths.append(high - low)
            widths_ends.append(most - least)
    return {
        "horizon": horizon,
        "sums": len(inside),
        "in 80 % band": float(np.mean(inside)),
        "between the sums of the ends": float(np.mean(inside_ends)),
        "width by that of the sums of the ends": float(np.mean(widths) / np.mean(widths_ends)),
        "machine": machine(),
    }


def main() -> None:
    """Measure the series that the command line names, or all; store and print each result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(SERIES)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    for name in options.names or SERIES:
        if name not in SERIES:
            parser.error(f"no benchmark is named {name!r}")
        file, target, horizon = SERIES[name]
        row = measure(options.data / file, target, horizon)
        store("sums", {name: row})
        shown = ", ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
            if key != "machine"
        )
        print(f"{name}: {shown}", flush=True)


if __name__ == "__main__":
    main()
