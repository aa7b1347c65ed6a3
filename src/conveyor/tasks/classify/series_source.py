"""Labelled series of numbers made ready to learn from."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from conveyor.data.labelled_series import LabelledSeries, read_series
from conveyor.errors import DataError, counted, named
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.classify_settings import ClassifyData, ClassifySettings
from conveyor.tasks.classify.noun import SERIES
from conveyor.tasks.classify.prepared_classes import (
    PreparedClasses,
    check_parts,
    check_several,
    classes_of,
)
from conveyor.tasks.classify.series_reader import SeriesReader
from conveyor.tasks.classify.simple_classes import Baselines
from conveyor.tasks.classify.summary_of_series import SummaryOfSeries
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, drawn_parts, leaks_of
from conveyor.tasks.task import Say

# What answers beside the network.
SUMMARY_REGRESSION = "summary regression"


def read_series_source(
    source: Any, data: ClassifyData, *, needs_part: bool = True
) -> LabelledSeries:
    """Read labelled series.

    Args:
        source: a long table, see ``read_series``.
        data: how it is read.
        needs_part: whether the column of parts must be there.

    Raises:
        DataError: the data cannot be used.
    """
    return read_series(
        source,
        data.by,
        order=data.order,
        columns=data.columns,
        label=data.label,
        part=data.part,
        needs_part=needs_part,
    )


def prepare_series(main: LabelledSeries, settings: ClassifySettings, say: Say) -> PreparedClasses:
    """Split labelled series.

    Args:
        main: as ``read_series_source`` gives them.
        settings: of the run.
        say: called with each line for the user.

    Raises:
        DataError: the data cannot be used.
    """
    data = settings.data
    for note in main.notes:
        say(note)
    data = replace(data, label=main.label, columns=main.columns)
    tables: list[tuple[LabelledSeries, list[int | None]]] = [
        (main, [None] * len(main.values) if main.parts is None else [*main.parts])
    ]
    for part, path in ((VALIDATION, data.validation), (TEST, data.test)):
        if path is not None:
            other = read_series(
                path, data.by, order=data.order, columns=main.columns, label=main.label
            )
            tables.append((other, [part] * len(other.values)))
    values = [each for table, _ in tables for each in table.values]
    labels = [label for table, _ in tables for label in _labels_of(table)]
    shown = [name for table, _ in tables for name in table.names]
    places = [place for table, _ in tables for place in table.places]
    keys = [each.tobytes().hex() for each in values]
    check_several(main.name, labels)
    order = {label: number for number, label in enumerate(sorted(set(labels)))}
    parts = drawn_parts(
        keys,
        [order[label] for label in labels],
        [part for _, given in tables for part in given],
        data.split,
        data.split_seed,
    )
    leaks = leaks_of(keys, parts)
    if leaks.validation or leaks.test:
        say(
            f"warning: {leaks.test:,} series of the test set and {leaks.validation:,} of the "
            "validation set stand in the training set, too"
        )
    check_parts(main.name, "series", parts)
    training = [label for label, part in zip(labels, parts, strict=True) if part == TRAIN]
    classes = classes_of(main.name, labels, training, say)
    numbers = {label: number for number, label in enumerate(classes)}
    known = [each for each, part in zip(values, parts, strict=True) if part == TRAIN]
    reader = SeriesReader.of(main.columns, known)
    _tell_constant_columns(main, known, say)
    chosen = [
        [n for n, its in enumerate(parts) if its == part] for part in (TRAIN, VALIDATION, TEST)
    ]
    first, second, third = (
        ClassExamples(
            [reader.encode(values[n]) for n in each],
            torch.tensor([numbers[labels[n]] for n in each], dtype=torch.long),
            [shown[n] for n in each],
            [places[n] for n in each],
        )
        for each in chosen
    )
    say(
        f"{len(first):,} series to train, {len(second):,} to validate, {len(third):,} to test; "
        f"{counted(len(classes), 'class', 'classes')}"
    )

    return PreparedClasses(
        name=main.name,
        settings=replace(
            settings,
            data=data,
            training=settings.training.with_epochs(len(first), most=True),
        ),
        classes=classes,
        parts=(first, second, third),
        reader=reader,
        baselines=Baselines(
            SUMMARY_REGRESSION,
            (first.sequences, second.sequences, third.sequences),
            SummaryOfSeries.of,
            nearest=True,
        ),
        keys=(
            [keys[n] for n in chosen[0]],
            [keys[n] for n in chosen[1]],
            [keys[n] for n in chosen[2]],
        ),
        leaks=leaks,
        source_hash=hash_of_series(main),
        noun=SERIES,
    )


def hash_of_series(series: LabelledSeries) -> str:
    """Return a hash of labelled series as they were read."""
    digest = hashlib.sha256()
    for values in series.values:
        digest.update(np.ascontiguousarray(values).tobytes() + b"|")
    digest.update("\0".join(series.labels or []).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _labels_of(table: LabelledSeries) -> list[str]:
    """Return the label of each series.

    Raises:
        DataError: one has none.
    """
    if table.labels is None:
        raise DataError(f"{table.name}: there are no labels. Name their column: {named('label')}.")
    for label, name, place in zip(table.labels, table.names, table.places, strict=True):
        if not label:
            raise DataError(f"{table.name}, {place}: series {name} has no label. Give it one.")
    return table.labels


def _tell_constant_columns(
    table: LabelledSeries, known: Sequence[NDArray[np.float64]], say: Say
) -> None:
    steps = np.concatenate(known)
    for column, name in enumerate(table.columns):
        here = steps[:, column]
        here = here[~np.isnan(here)]
        if not len(here) or (here == here[0]).all():
            say(f"warning: column {name} has one value in the training set and tells nothing")
