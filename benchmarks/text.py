"""How well texts are learnt by characters, beside counting models.

scripts/bench text [--data FOLDER] [NAME ...]
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.runs import machine, run, store

# DATA is the folder of --data. Each is what a user would type.
COMMANDS = {
    "tinyshakespeare": "fit text DATA/tinyshakespeare/input.txt --hidden 256 --epochs 24 "
    "--dropout 0.1 --minutes 15",
    "truyen-kieu": "fit text DATA/truyen-kieu/truyenkieu.txt --hidden 192 --dropout 0.4 "
    "--epochs 60 --batch 16 --patience 8",
}


def main() -> None:
    """Run what is named, or all, and store the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(COMMANDS)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    for name in options.names or COMMANDS:
        if name not in COMMANDS:
            parser.error(f"no benchmark is named {name!r}")
        with tempfile.TemporaryDirectory() as folder:
            metrics = run(COMMANDS[name], options.data, Path(folder) / "run")
        fitted = metrics["fit"]
        row = {
            "command": f"conveyor {COMMANDS[name]}",
            "nats_per_character": {
                label: round(each["nats_per_character"], 4)
                for label, each in metrics["scores"].items()
            },
            "stopped": fitted["stopped"],
            "fit_seconds": fitted["seconds"],
            "best_epoch": fitted["best_epoch"],
            "machine": machine(),
        }
        store("text", {name: row})
        print(name, row["nats_per_character"], flush=True)


if __name__ == "__main__":
    main()
