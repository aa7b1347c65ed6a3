"""What a classifier says of the rows of a table."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from torch import Tensor

from conveyor.data.labelled_texts import LabelledTexts
from conveyor.errors import counted
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.task import Say


def free_name(taken: Sequence[str], name: str) -> str:
    """Return a name for a new column: with a number where the table has it."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}_{number + 1}"
    return free


def with_answers(
    frame: pl.DataFrame, network: Classifier, sequences: Sequence[Tensor], options: Any
) -> pl.DataFrame:
    """Return a table with the columns of what a classifier says."""
    answers = network.log_probabilities(sequences).exp()
    best = answers.max(-1)
    new: dict[str, list[Any]] = {
        "predicted": [network.classes[number] for number in best.indices.tolist()],
        "probability": best.values.tolist(),
    }
    if options.scores:
        new |= {
            f"probability of {name}": answers[:, number].tolist()
            for number, name in enumerate(network.classes)
        }
    columns = [pl.Series(free_name(frame.columns, name), values) for name, values in new.items()]
    return frame.with_columns(columns)


def tell_empty(texts: LabelledTexts, sequences: Sequence[Tensor], say: Say) -> None:
    """Tell which rows of a table hold no text."""
    empty = [place for place, each in zip(texts.places, sequences, strict=True) if not len(each)]
    if empty:
        say(
            f"{counted(len(empty), 'row holds', 'rows hold')} no text, the first {empty[0]}: each "
            "gets the most frequent class, and the shares of the training part"
        )


def in_words(network: Classifier, encoded: Tensor, tokens: list[str]) -> str:
    """Return how much each token counted, in words: "a +0.01 moving +1.20 film -0.10"."""
    explained = network.explain_encoded(encoded, tuple(tokens))
    return " ".join(
        f"{token} {weight:+.2f}"
        for token, weight in zip(explained.steps, explained.weights, strict=True)
    )
