"""What a classifier says of the rows of a table."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import torch
from torch import Tensor

from conveyor.data.labelled_texts import LabelledTexts
from conveyor.errors import counted
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.results import free_name
from conveyor.tasks.task import Say


def with_answers(
    frame: pl.DataFrame, network: Classifier, sequences: Sequence[Tensor], options: Any
) -> pl.DataFrame:
    """Return a table with the columns of what a classifier says."""
    answers = network.log_probabilities(sequences).exp()
    best = answers.max(-1)
    new: dict[str, list[Any]]
    if network.several is None:
        new = {
            "predicted": [network.classes[number] for number in best.indices.tolist()],
            "probability": best.values.tolist(),
        }
    else:
        said = [
            network.labels_of(row, len(sequence))
            for row, sequence in zip(answers, sequences, strict=True)
        ]
        new = {"predicted": [network.joined(labels) for labels in said]}
    if options.scores:
        new |= {
            f"probability of {name}": answers[:, number].tolist()
            for number, name in enumerate(network.classes)
        }
    columns = [pl.Series(free_name(frame.columns, name), values) for name, values in new.items()]
    return frame.with_columns(columns)


def tell_empty(
    network: Classifier, texts: LabelledTexts, sequences: Sequence[Tensor], say: Say
) -> None:
    """Tell which rows of a table hold no text, and what they get."""
    empty = [place for place, each in zip(texts.places, sequences, strict=True) if not len(each)]
    if empty:
        say(
            f"{counted(len(empty), 'row holds', 'rows hold')} no text, the first {empty[0]}: each "
            f"gets {_of_nothing(network)}, and the shares of the training set"
        )


def tell_thresholds(network: Classifier, say: Say) -> None:
    """Tell from which probability on each label holds, where a text may have several."""
    if network.several is not None:
        each = ", ".join(
            f"{name} {threshold:.4f}"
            for name, threshold in zip(network.classes, network.several.thresholds, strict=True)
        )
        say(f"labels hold from these probabilities on: {each}")


def _of_nothing(network: Classifier) -> str:
    """Return what a text without words gets, in words."""
    if network.several is None:
        return "the most frequent class"
    labels = network.labels_of(torch.tensor(network.prior), 0)
    if not labels:
        return "no label, for none holds for more than half of the training texts"
    return f"what holds for more than half of the training texts, {network.joined(labels)}"


def in_words(network: Classifier, encoded: Tensor, tokens: list[str]) -> str:
    """Return how much each token counted, in words: "a +0.01 moving +1.20 film -0.10". Of several
    labels, for each that holds, or else for the likeliest: "drama: a +0.01 | war: a -0.02"."""
    labels: Sequence[str | None] = [None]
    if network.several is not None:
        answers = network.log_probabilities([encoded])[0].exp()
        labels = network.labels_of(answers, len(encoded)) or [None]
    said = []
    for label in labels:
        explained = network.explain_encoded(encoded, tuple(tokens), label)
        words = " ".join(
            f"{token} {weight:+.2f}"
            for token, weight in zip(explained.steps, explained.weights, strict=True)
        )
        said.append(words if network.several is None else f"{explained.label}: {words}")
    return " | ".join(said)


def in_line(network: Classifier, answers: Tensor, steps: int, *, scores: bool) -> list[str]:
    """Return what is said of a text, and how sure that is, as the cells of a line.

    Args:
        network: the classifier.
        answers: the probability of each class, [classes].
        steps: how many the text has.
        scores: whether the probability of every class is said, too.
    """
    labels = network.labels_of(answers, steps)
    chances = [float(answers[network.classes.index(label)]) for label in labels]
    cells = [network.joined(labels), network.joined([f"{chance:.4f}" for chance in chances])]
    if scores:
        cells += [
            f"{name}={float(share):.4f}"
            for name, share in zip(network.classes, answers, strict=True)
        ]
    return cells
