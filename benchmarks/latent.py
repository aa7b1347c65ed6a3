"""How likely networks with latent values find music, digits, strokes and rows of a table, beside
the same networks without them.

scripts/bench latent [--data FOLDER] [NAME ...]
"""

from pathlib import Path
from typing import Any

from benchmarks.drawn_futures import futures
from benchmarks.runs import run_named

_MUSIC = (
    "DATA/jsb-chorales/JSB_Chorales.json.gz --hidden 200 --latent 32 --dropout 0.3 "
    "--kl-warmup 300 --patience 15"
)
_STROKES = (
    "fit vrnn DATA/cursive-strokes/strokes.npz --stretch 6 --thin 3 --hidden 200 --head-units 100 "
    "--batch 32 --epochs 4 --scored 350 --latent-draws 20"
)
COMMANDS = {
    "jsb-vrnn": f"fit vrnn {_MUSIC}",
    "jsb-storn": f"fit storn {_MUSIC}",
    "mnist-vrnn": "fit vrnn DATA/mnist --hidden 192 --batch 64 --epochs 4",
    "jsb-vrnn, seed 1": f"fit vrnn {_MUSIC} --seed 1",
    "jsb-storn, seed 1": f"fit storn {_MUSIC} --seed 1",
    "mnist-vrnn, seed 1": "fit vrnn DATA/mnist --hidden 192 --batch 64 --epochs 4 --seed 1",
    "strokes-vrnn": _STROKES,
    "strokes-vrnn-warmup": f"{_STROKES} --kl-warmup 250",
    "weather-vrnn": "fit vrnn DATA/timeseries/seattle-weather.csv --values temp_max "
    "--values temp_min --values wind --rows 20 --hidden 64 --latent 4 --dropout 0.2 --kl-warmup "
    "100",
}


def summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run."""
    rows = metrics["scores"][0]["rows"]
    return {
        "nats": {
            label: {key: value and round(value, 4) for key, value in row.items()}
            for label, row in rows.items()
        },
        "interval": [round(end, 4) for end in metrics["interval"]],
        "draws": metrics["draws"],
        **{key: metrics[key] for key in ("crps", "futures") if key in metrics},
        "steps": metrics["steps"],
        "parameters": metrics["parameters"],
        "without": metrics["baseline"],
        "epochs": len(metrics["fit"]["curve"]),
        "stopped": metrics["fit"]["stopped"],
    }


def _look(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Return the scores of the futures that a run on a table draws, beside a forecaster's."""
    if name != "weather-vrnn":
        return {}
    settings = {"values": ("temp_max", "temp_min", "wind"), "rows": 20}
    return {"futures": futures(folder, data / "timeseries/seattle-weather.csv", settings)}


def _line(name: str, row: dict[str, Any]) -> str:
    told = ", ".join(f"{label} {values['nats']:.3f}" for label, values in row["nats"].items())
    return f"{name}: nats: {told}"


if __name__ == "__main__":
    run_named(COMMANDS, "latent", summary, _line, look=_look)
