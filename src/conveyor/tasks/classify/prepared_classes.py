"""Labelled data made ready: who learns what, and what a reader of the report should know."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from conveyor.data.group_names import listed
from conveyor.data.word_vectors import WordVectors
from conveyor.errors import DataError, counted, named
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.classifier import Reader
from conveyor.tasks.classify.classify_settings import ClassifySettings
from conveyor.tasks.classify.noun import TEXT, Noun
from conveyor.tasks.classify.simple_classes import Baselines
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, Leaks
from conveyor.tasks.task import Say

# So many names stand in a line for the user.
_LISTED = 6


@dataclass(frozen=True)
class PreparedClasses:
    """Labelled data made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        classes: what there is to say, in order.
        parts: to learn from, to validate on, to test on.
        reader: makes numbers of a sequence.
        baselines: what simple methods learn from.
        keys: of each part, what tells whether two sequences are the same.
        leaks: how many of a part are learned from, too.
        source_hash: tells whether a source is the one that these are made of.
        noun: what a sequence is, in English and Vietnamese: a text, a series.
        vectors: those of words that a network begins with; None if all are drawn.
        joint: what puts the labels of a text together, where it may have several; None where each
            has one.
    """

    name: str
    settings: ClassifySettings
    classes: tuple[str, ...]
    parts: tuple[ClassExamples, ClassExamples, ClassExamples]
    reader: Reader
    baselines: Baselines
    keys: tuple[list[str], list[str], list[str]]
    leaks: Leaks
    source_hash: str
    noun: Noun = TEXT
    vectors: WordVectors | None = None
    joint: str | None = None

    @property
    def prior(self) -> tuple[float, ...]:
        """The share of each class in the training set."""
        targets = self.parts[TRAIN].targets
        if self.joint is not None:
            return tuple(targets.double().mean(0).tolist())
        counts = torch.bincount(targets, minlength=len(self.classes)).double()
        return tuple((counts / counts.sum()).tolist())


def check_several(name: str, labels: Sequence[str]) -> None:
    """Check that there are two classes or more.

    Args:
        name: of the source, for errors.
        labels: of all examples.

    Raises:
        DataError: there is one class only.
    """
    if len(set(labels)) < 2:
        only = f"all labels are {labels[0]!r}" if labels else "there is no label"
        raise DataError(
            f"{name}: {only}; there is nothing to tell apart. Give two classes or more."
        )


def classes_of(
    name: str, labels: Sequence[str], training: Sequence[str], say: Say
) -> tuple[str, ...]:
    """Return the classes of a training set in the order of Unicode, and tell what is odd.

    Args:
        name: of the source, for errors.
        labels: all.
        training: those of the training set.
        say: called with each line for the user.

    Raises:
        DataError: there is one class only.
    """
    check_several(name, training)
    counts = Counter(training)
    usual: dict[str, str] = {}
    for label in sorted(counts):
        other = usual.setdefault(" ".join(label.lower().split()), label)
        if other != label:
            say(
                f"warning: the labels {other!r} and {label!r} differ in capitals or spaces only, "
                "and are two classes. If they are one, write them alike in the table"
            )
    unseen = sorted(set(labels) - set(counts))
    of_all = Counter(labels)
    if unseen:
        rows = sum(of_all[label] for label in unseen)
        say(
            f"warning: {counted(len(unseen), 'class', 'classes')} ({listed(unseen, _LISTED)}) of "
            f"the validation or test set {'is' if len(unseen) == 1 else 'are'} not in the "
            f"training set: {counted(rows, 'example')} cannot be got right"
        )
    once = [label for label in sorted(counts) if of_all[label] == 1]
    if once:
        say(
            f"{counted(len(once), 'class', 'classes')} with a single example, to be trained on: "
            f"{listed(once, _LISTED)}"
        )
    # Classes of other parts only get a place, too, so that they count as wrong.
    return tuple(sorted(counts)) + tuple(unseen)


def check_parts(name: str, noun: str, parts: Sequence[int]) -> None:
    """Check that no part is empty.

    Raises:
        DataError: one is.
    """
    names = ("training", "validation", "test")
    for part in (TRAIN, VALIDATION, TEST):
        if part not in parts:
            raise DataError(
                f"{name}: the {names[part]} set of {counted(len(parts), noun, noun)} is empty. "
                f"Give more of them, or larger parts: {named('split', '0.6/0.2/0.2')}."
            )
