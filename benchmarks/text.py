"""How well texts are learnt, by characters and in larger units, beside counting models.

scripts/bench text [--data FOLDER] [NAME ...]
"""

from pathlib import Path
from typing import Any

from benchmarks.runs import run_named

# The AWD-LSTM's regularisers, for texts so small.
_REGULARISED = (
    "--tied --locked-dropout --weight-dropout 0.3 --word-dropout 0.1 --activation-penalty 2 "
    "--change-penalty 1"
)

# DATA is the folder of --data, MADE that of what ``make`` writes. Each is what a user would type.
COMMANDS = {
    "tinyshakespeare": "fit text DATA/tinyshakespeare/input.txt --hidden 256 --epochs 24 "
    "--dropout 0.1 --minutes 15",
    "truyen-kieu": "fit text DATA/truyen-kieu/truyenkieu.txt --hidden 192 --dropout 0.4 "
    "--epochs 60 --batch 16 --patience 8",
    "truyen-kieu-syllable": "fit text DATA/truyen-kieu/truyenkieu.txt --unit syllable --hidden 200 "
    f"--embedding 200 --dropout 0.5 {_REGULARISED} --batch 8 --chunk 35 --epochs 50",
    "tinyshakespeare-subword": "fit text DATA/tinyshakespeare/input.txt --unit subword "
    f"--hidden 300 --embedding 200 --dropout 0.3 {_REGULARISED} --batch 16 --chunk 70 --epochs 12",
    "vtb-syllable": "fit text MADE/vtb.txt --unit syllable --hidden 256 --embedding 200 "
    f"--dropout 0.4 {_REGULARISED} --batch 16 --chunk 35 --epochs 12",
    "truyen-kieu-subword": "fit text DATA/truyen-kieu/truyenkieu.txt --unit subword "
    "--vocabulary 1000 --hidden 200 --embedding 200 --dropout 0.5 "
    f"{_REGULARISED} --batch 8 --chunk 35 --epochs 30",
}


def _sentences(path: Path) -> list[str]:
    """Return the sentences of a file in CoNLL-U, with a space between words."""
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line.split("\t") for line in block.splitlines()]
        words = [line[1] for line in lines if line[0].isdigit()]
        if words:
            sentences.append(" ".join(words))
    return sentences


def make(name: str, data: Path, folder: Path) -> None:
    """Write the text of a set that is no text: VTB's training, development and test sentences, a
    line each."""
    if name.startswith("vtb"):
        parts = (data / f"ud-vietnamese-vtb/vi_vtb-ud-{part}.conllu" for part in _PARTS)
        lines = [line for part in parts for line in _sentences(part)]
        (folder / "vtb.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


_PARTS = ("train", "dev", "test")


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    rows = metrics["scores"][0]["rows"]
    nats = {label: round(row["nats_per_character"], 4) for label, row in rows.items()}
    perplexity = {label: round(row["perplexity"], 2) for label, row in rows.items()}
    return {
        "unit": metrics["unit"],
        "symbols": metrics["symbols"],
        "symbols_per_character": round(metrics["symbols_per_character"], 4),
        "unknown": metrics["unknown"],
        "nats_per_character": nats,
        "perplexity": perplexity,
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(f"{label} {nats}" for label, nats in row["nats_per_character"].items())
    return f"{name}: nats per character: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "text", _summary, _line, make)
