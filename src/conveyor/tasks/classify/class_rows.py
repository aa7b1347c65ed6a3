"""Data that a run was not fitted on, as its classifier reads it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from conveyor.data.labelled_series import LabelledSeries, read_series
from conveyor.data.labelled_texts import LabelledTexts, read_texts
from conveyor.errors import DataError
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.classify.classify_settings import ClassifyData, ClassifySettings
from conveyor.tasks.classify.noun import SERIES, TEXT, Noun
from conveyor.tasks.classify.series_reader import SeriesReader
from conveyor.tasks.classify.series_source import hash_of_series
from conveyor.tasks.classify.text_source import (
    hash_of,
    key_of,
    numbers_of,
    usable_rows,
    words_of,
)
from conveyor.tasks.task import Say


@dataclass(frozen=True)
class ClassRows:
    """All usable examples of a source.

    Attributes:
        sequences: as the network reads them.
        labels: of each, one or several; none where nothing names them.
        shown: each as people read it.
        places: how messages name each.
        keys: tell whether two are the same.
        read: what simple methods read of each: the tokens of a text, the numbers of a series; none
            where nothing names labels.
        noun: what a sequence is.
    """

    sequences: list[Tensor]
    labels: list[tuple[str, ...]]
    shown: list[str]
    places: list[str]
    keys: list[str]
    read: list[Any]
    noun: Noun

    def targets(self, classes: tuple[str, ...], *, several: bool) -> Tensor:
        """Return the class of each example, int64 [N]; where it may have several, 1 for each that
        holds and 0 for the others, float32 [N, classes]."""
        numbers = {label: number for number, label in enumerate(classes)}
        if not several:
            return torch.tensor([numbers[label] for (label,) in self.labels], dtype=torch.long)
        targets = torch.zeros(len(self.labels), len(classes))
        for row, labels in enumerate(self.labels):
            targets[row, [numbers[label] for label in labels]] = 1
        return targets


def read_again(
    network: Classifier, source: Any, data: ClassifyData, *, labelled: bool = True
) -> LabelledTexts | LabelledSeries:
    """Return a source of the kind that a classifier was fitted on, read as it was then.

    Args:
        network: the classifier.
        source: the data.
        data: the settings of the run.
        labelled: whether there must be labels.

    Raises:
        DataError: the source cannot be used.
    """
    label, part = (data.label, data.part) if labelled else (None, None)
    if isinstance(network.reader, SeriesReader):
        return read_series(
            source,
            data.by,
            order=data.order,
            columns=network.reader.columns,
            label=label,
            part=part,
            labelled=labelled,
            needs_part=False,
        )
    forms = replace(data.forms, several=network.several is not None)
    return read_texts(
        source,
        text=data.text,
        label=label,
        part=part,
        labelled=labelled,
        forms=forms,
        needs_part=False,
    )


def hash_of_read(read: LabelledTexts | LabelledSeries) -> str:
    """Return the hash of labelled data as they were read."""
    return hash_of(read) if isinstance(read, LabelledTexts) else hash_of_series(read)


def class_rows(
    network: Classifier,
    read: LabelledTexts | LabelledSeries,
    settings: ClassifySettings,
    say: Say,
    *,
    labelled: bool = True,
) -> ClassRows:
    """Return all examples of a source as a network reads them.

    Args:
        network: the classifier.
        read: what ``read_again`` gave.
        settings: of the run.
        say: called with each line for the user.
        labelled: whether there must be labels; without, texts without a word are among them.

    Raises:
        DataError: the source cannot be used.
    """
    data, reader = settings.data, network.reader
    if isinstance(read, LabelledSeries):
        assert isinstance(reader, SeriesReader)
        sequences = [reader.encode(values) for values in read.values]
        return ClassRows(
            sequences,
            [(label,) for label in read.labels or []],
            read.names,
            read.places,
            [values.tobytes().hex() for values in read.values],
            sequences,
            SERIES,
        )
    assert not isinstance(reader, SeriesReader)
    if not labelled:
        encoded = [reader.encode(text) for text in read.texts]
        return ClassRows(encoded, [], read.texts, read.places, [], [], TEXT)
    rows = usable_rows(read, words_of(data), say)
    if not rows:
        raise DataError(f"{read.name}: there is no text with a label.")
    return ClassRows(
        [numbers_of(row, reader) for row in rows],
        [(row.label,) if row.labels is None else row.labels for row in rows],
        [row.text for row in rows],
        [row.place for row in rows],
        [key_of(row.words, data.unit) for row in rows],
        [row.words[: data.longest] for row in rows],
        TEXT,
    )
