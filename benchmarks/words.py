"""How well vectors of words tell true neighbours from noise, beside vectors by counting: a text in
English, and Vietnamese by syllables and words.

scripts/bench words [--data FOLDER] [NAME ...]
"""

from typing import Any

from benchmarks.runs import run_named
from benchmarks.text import make

SEEDS = (0, 1, 2)

# What a user would type.
_EACH = {
    "tinyshakespeare": "fit words DATA/tinyshakespeare/input.txt",
    "tinyshakespeare-cbow": "fit words DATA/tinyshakespeare/input.txt --model cbow",
    "truyen-kieu-syllable": "fit words DATA/truyen-kieu/truyenkieu.txt --unit syllable",
    "vtb-syllable": "fit words MADE/vtb.txt --unit syllable",
}
# The rest says how much a seed matters, and what small words are worth.
COMMANDS = {
    **{
        f"{name}-{seed}": f"{command} --seed {seed}"
        for name, command in _EACH.items()
        for seed in SEEDS
    },
    "truyen-kieu-syllable-all": f"{_EACH['truyen-kieu-syllable']} --subsample 0 --seed 0",
    "vtb-syllable-all": f"{_EACH['vtb-syllable']} --subsample 0 --seed 0",
}


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {key: None if value is None else round(value, 4) for key, value in row.items()}
        for label, row in metrics["scores"][0]["rows"].items()
    }
    return {
        "scores": scores,
        "words": metrics["words"],
        "covered": {part: round(share, 4) for part, share in metrics["covered"].items()},
        "epochs": len(metrics["fit"]["curve"]),
        "words_a_second": round(
            metrics["training_words"] * len(metrics["fit"]["curve"]) / metrics["fit"]["seconds"]
        ),
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    told = ", ".join(f"{label} {100 * each['auc']:.1f} %" for label, each in row["scores"].items())
    return f"{name}: true neighbours told: {told}"


if __name__ == "__main__":
    run_named(COMMANDS, "words", _summary, _line, make)
