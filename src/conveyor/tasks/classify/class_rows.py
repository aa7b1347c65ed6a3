"""Data that a run was not fitted on, as its classifier reads it."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from conveyor.data.labelled_series import read_series
from conveyor.data.labelled_texts import read_texts
from conveyor.errors import DataError
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.classify.classify_settings import ClassifySettings
from conveyor.tasks.classify.noun import SERIES, TEXT, Noun
from conveyor.tasks.classify.series_reader import SeriesReader
from conveyor.tasks.classify.text_source import key_of, numbers_of, usable_rows, words_of
from conveyor.tasks.task import Say


@dataclass(frozen=True)
class ClassRows:
    """All usable examples of a source.

    Attributes:
        sequences: as the network reads them.
        labels: of each; none where nothing names them.
        shown: each as people read it.
        places: how messages name each.
        keys: tell whether two are the same.
        noun: what a sequence is.
    """

    sequences: list[Tensor]
    labels: list[str]
    shown: list[str]
    places: list[str]
    keys: list[str]
    noun: Noun


def read_class_rows(
    network: Classifier, source: Any, settings: ClassifySettings, say: Say, *, labelled: bool = True
) -> ClassRows:
    """Return all examples of a source as a network reads them.

    Args:
        network: the classifier.
        source: of the kind that it was fitted on.
        settings: of the run.
        say: called with each line for the user.
        labelled: whether there must be labels; without, texts without a word are among them.

    Raises:
        DataError: the source cannot be used.
    """
    data, reader = settings.data, network.reader
    label = data.label if labelled else None
    if isinstance(reader, SeriesReader):
        series = read_series(
            source,
            data.by,
            order=data.order,
            columns=reader.columns,
            label=label,
            labelled=labelled,
        )
        return ClassRows(
            [reader.encode(values) for values in series.values],
            series.labels or [],
            series.names,
            series.places,
            [values.tobytes().hex() for values in series.values],
            SERIES,
        )
    texts = read_texts(source, text=data.text, label=label, labelled=labelled)
    if not labelled:
        encoded = [reader.encode(text) for text in texts.texts]
        return ClassRows(encoded, [], texts.texts, texts.places, [], TEXT)
    rows = usable_rows(texts, words_of(data), say)
    if not rows:
        raise DataError(f"{texts.name}: there is no text with a label.")
    return ClassRows(
        [numbers_of(row, reader) for row in rows],
        [row.label for row in rows],
        [row.text for row in rows],
        [row.place for row in rows],
        [key_of(row.words, data.unit) for row in rows],
        TEXT,
    )
