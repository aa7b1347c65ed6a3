"""How likely DRAW finds digits and silhouettes of emoji, beside a variational autoencoder
(``mnist-autoencoder`` fits that of digits alone, for longer); and its window as the eye of a
classifier (``cluttered``).

scripts/bench draw [--data FOLDER] [NAME ...]
"""

import argparse
import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import autoencoder, cluttered_digits
from benchmarks.runs import run_named, store

# What is no command of conveyor, by name.
_MEASURED: dict[str, Callable[[Path], dict[str, Any]]] = {
    "mnist-autoencoder": lambda data: autoencoder.measure(data / "mnist"),
    "cluttered": cluttered_digits.measure,
}
COMMANDS = {
    "mnist": "fit draw DATA/mnist --hidden 192 --epochs 8 --patience 8 --vae-epochs 0",
    "mnist, seed 1": "fit draw DATA/mnist --hidden 192 --epochs 8 --patience 8 --vae-epochs 0 "
    "--seed 1",
    "emoji": "fit draw MADE/silhouettes --hidden 128 --epochs 40 --patience 15 --vae-epochs 150",
}


def _make(name: str, data: Path, folder: Path) -> None:
    """Write the silhouettes of emoji as pictures of 28 × 28, white where the emoji is. Emoji that
    differ by colours alone have one silhouette, which is kept once."""
    if name != "emoji":
        return
    silhouettes = folder / "silhouettes"
    silhouettes.mkdir()
    kept: set[bytes] = set()
    with tarfile.open(data / "emoji-captions" / "images.tar") as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            content = archive.extractfile(member)
            if content is None or not member.name.endswith(".png"):
                continue
            alpha = Image.open(io.BytesIO(content.read())).convert("RGBA").getchannel("A")
            small = alpha.resize((28, 28), Image.Resampling.BOX)
            if small.tobytes() not in kept:
                kept.add(small.tobytes())
                small.save(silhouettes / Path(member.name).name)


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
        "divergence_by_glimpse": metrics["divergence_by_glimpse"],
        "parameters": metrics["parameters"],
        "beside": metrics.get("baseline"),
        "verdict": metrics["scores"][0]["verdict"],
        "curve": [[round(value, 3) for value in epoch] for epoch in metrics["fit"]["curve"]],
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    told = ", ".join(f"{label} {values['nats']:.2f}" for label, values in row["nats"].items())
    return f"{name}: nats per picture: {told}"


def main() -> None:
    """Run what the command line names, or all."""
    parser = argparse.ArgumentParser()
    names = [*COMMANDS, *_MEASURED]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(names)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    commands = []
    for name in options.names or names:
        if name in _MEASURED:
            store("draw", {name: _MEASURED[name](options.data)})
        else:
            commands.append(name)
    if commands:
        sys.argv[1:] = [*commands, "--data", str(options.data)]
        run_named(COMMANDS, "draw", summary, _line, _make)


if __name__ == "__main__":
    main()
