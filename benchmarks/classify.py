"""How well classes are told apart, beside a regression that sees no order.

scripts/bench classify [--data FOLDER] [NAME ...]
"""

import csv
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.runs import run_named

SEEDS = (0, 1, 2)

# MADE is the folder of what ``make`` writes. Each is what a user would type.
_EACH = {
    "sst2": "fit classify MADE/train.csv --validation MADE/dev.csv --test MADE/test.csv "
    "--learning-rate 1e-3 --epochs 5",
    "trec": "fit classify MADE/train.csv --test MADE/test.csv --hidden 128 --epochs 10",
    "names": "fit classify MADE/train.csv --unit char --embedding 64 --hidden 128 --dropout 0.3 "
    "--learning-rate 4e-3 --batch 64 --epochs 12",
    # Each name once, without those of several languages.
    "single-names": "fit classify MADE/train.csv --unit char --embedding 64 --hidden 128 "
    "--dropout 0.3 --word-dropout 0 --learning-rate 4e-3 --batch 64 --epochs 15",
    "japanese-vowels": "fit classify MADE/train.csv --by utterance --order step --label speaker "
    "--test MADE/test.csv --hidden 64 --dropout 0.3 --learning-rate 5e-3 --patience 60",
}
COMMANDS = {
    f"{name}-{seed}": f"{command} --seed {seed}"
    for name, command in _EACH.items()
    for seed in SEEDS
}

# Utterances of each speaker in the two files of Japanese vowels, in order.
_SPEAKERS = {"train": [30] * 9, "test": [31, 35, 88, 44, 29, 24, 40, 50, 29]}


def _write(path: Path, names: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])


def _labelled(path: Path, encoding: str = "utf-8") -> list[list[str]]:
    """Return the text and the label of lines that begin with a label."""
    lines = path.read_text(encoding=encoding).splitlines()
    return [line.split(" ", 1)[::-1] for line in lines if line.strip()]


def _vowels(path: Path, part: str) -> list[list[object]]:
    """Return the rows of utterances; each ends in a row of ones, and speakers come in order."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    ends = (not line or all(float(number) == 1 for number in line) for line in lines)
    of_line = zip(lines, ends, strict=True)
    utterances = [
        [line for line, _ in group]
        for is_end, group in groupby(of_line, key=lambda pair: pair[1])
        if not is_end
    ]
    speakers = [each for each, count in enumerate(_SPEAKERS[part], 1) for _ in range(count)]
    return [
        [number, step, *line, speaker]
        for number, (utterance, speaker) in enumerate(zip(utterances, speakers, strict=True))
        for step, line in enumerate(utterance)
    ]


def make(name: str, data: Path, folder: Path) -> None:
    """Write the tables of a set."""
    names = ("text", "label")
    if name.startswith("sst2"):
        for part in ("train", "dev", "test"):
            _write(folder / f"{part}.csv", names, _labelled(data / f"sst/stsa.binary.{part}"))
    elif name.startswith("trec"):
        for part in ("train", "test"):
            rows = _labelled(data / f"trec/TREC.{part}.all", "latin-1")
            _write(folder / f"{part}.csv", names, rows)
    elif name.startswith(("names", "single-names")):
        rows = [
            [line.strip(), path.stem]
            for path in sorted((data / "names-18-languages").glob("*.txt"))
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
        if name.startswith("single-names"):
            languages: dict[str, set[str]] = {}
            for one, language in rows:
                languages.setdefault(one, set()).add(language)
            rows = [[one, *its] for one, its in languages.items() if len(its) == 1]
        _write(folder / "train.csv", names, rows)
    else:
        heads = ("utterance", "step", *(f"c{number}" for number in range(1, 13)), "speaker")
        for part in ("train", "test"):
            rows_of_part = _vowels(data / f"japanese-vowels/ae.{part}", part)
            _write(folder / f"{part}.csv", heads, rows_of_part)


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {key: round(row[key], 4) for key in ("accuracy", "macro_f1", "log_loss", "ece")}
        for label, row in metrics["scores"][0]["rows"].items()
    }
    return {
        "scores": scores,
        "accuracy_interval": [round(end, 4) for end in metrics["accuracy_interval"]],
        "mcnemar_p": round(metrics["mcnemar_p"], 4),
        "leaks": metrics["leaks"],
        "unknown": metrics.get("unknown"),
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} {100 * each['accuracy']:.1f} % (macro F1 {each['macro_f1']:.3f})"
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "classify", _summary, _line, make)
