"""How well one sequence is turned into another, beside baselines: commands into actions, English
into German and Vietnamese, words into phonemes.

scripts/bench translate [--data FOLDER] [NAME ...]
"""

from typing import Any

from benchmarks.runs import run_named

SEEDS = (0, 1, 2)

# What a user would type.
_EACH = {
    "scan": "fit translate DATA/scan/tasks_train_simple.txt.gz "
    "--test DATA/scan/tasks_test_simple.txt.gz --split 0.9/0.05/0.05 --hidden 192 --embedding 64 "
    "--dropout 0.2 --smoothing 0 --batch 32 --learning-rate 3e-3 --epochs 10",
    "multi30k": "fit translate DATA/multi30k/train.en.gz --targets DATA/multi30k/train.de.gz "
    "--validation DATA/multi30k/val.en.gz --test DATA/multi30k/test_2016_flickr.en.gz "
    "--unit subword --vocabulary 4000 --hidden 256 --embedding 192 --dropout 0.3 --epochs 6",
    "tatoeba-en-vi": "fit translate DATA/tatoeba-en-vi/vie.txt --unit subword --vocabulary 1200 "
    "--hidden 192 --embedding 192 --dropout 0.5 --epochs 28",
    "cmudict": "fit pronounce DATA/cmudict/cmudict.dict.gz --epochs 6",
}
COMMANDS = {
    f"{name}-{seed}": f"{command} --seed {seed}"
    for name, command in _EACH.items()
    for seed in SEEDS
}


def _summary(name: str, command: str, metrics: dict[str, Any]) -> dict[str, Any]:
    scores = {
        label: {key: None if value is None else round(value, 4) for key, value in row.items()}
        for label, row in metrics["scores"][0]["rows"].items()
    }
    kept = ("beam", "beam_1", "cut_off", "repeated", "unknown", "leaks")
    intervals = {
        key: [round(end, 4) for end in value]
        for key, value in metrics.items()
        if key.endswith("_interval")
    }
    return {
        "scores": scores,
        **intervals,
        **{key: metrics[key] for key in kept},
        "stopped": metrics["fit"]["stopped"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{label} " + " ".join(f"{key} {value}" for key, value in each.items() if value is not None)
        for label, each in row["scores"].items()
    )
    return f"{name}: {scores}"


if __name__ == "__main__":
    run_named(COMMANDS, "translate", _summary, _line)
