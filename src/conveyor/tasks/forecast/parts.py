"""The training, validation and test set of a table, in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from conveyor.errors import DataError, counted, named

# Of each of several series this share is trained on at least.
_LEAST_TRAINED = 1 / 3


@dataclass(frozen=True)
class Parts:
    """The rows at which the training, validation and test set end, all exclusive."""

    train: int
    validation: int
    test: int

    @staticmethod
    def of(rows: int, split: tuple[float, ...]) -> "Parts":
        """Split ``rows`` by fractions or by numbers of rows.

        Raises:
            DataError: the parts have more rows than the table.
        """
        if abs(sum(split) - 1) <= 1e-6:
            first, second = round(rows * split[0]), round(rows * (split[0] + split[1]))
            return Parts(first, second, rows)
        counts = [int(part) for part in split]
        if sum(counts) > rows:
            raise DataError(
                f"split asks for {counted(sum(counts), 'row')}; the table has {rows:,}. Give a "
                f"smaller {named('split')} or more rows."
            )
        return Parts(counts[0], counts[0] + counts[1], sum(counts))

    @staticmethod
    def of_groups(lengths: Sequence[int], split: tuple[float, ...]) -> "list[Parts]":
        """Split the rows of several series, each from its own end, as the longest one is split:
        where series end together, their parts begin together. Of a series of which less than a
        third would be left to train on, the other parts are shorter in proportion.

        Args:
            lengths: the rows of each series.
            split: fractions, or numbers of rows; those of the training set are a lower bound.

        Raises:
            DataError: the parts have more rows than the longest series.
        """
        longest = Parts.of(max(lengths), split)
        test, validation = longest.test - longest.validation, longest.validation - longest.train
        parts = []
        for rows in lengths:
            fits = min(1.0, (1 - _LEAST_TRAINED) * rows / max(test + validation, 1))
            tested, validated = int(test * fits), int(validation * fits)
            parts.append(Parts(rows - tested - validated, rows - tested, rows))
        return parts
