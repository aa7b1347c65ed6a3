"""The baselines of a classifier that learn: a regression that sees no order, and of series the
nearest mean of a class. A run keeps what they have learned, so that other data is scored by them,
too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from conveyor.data.records import shown
from conveyor.errors import RunError
from conveyor.networks.kept_arrays import array_of
from conveyor.tasks.classify.bag_of_words import BagOfWords
from conveyor.tasks.classify.logistic_regression import LogisticRegression, best_regression
from conveyor.tasks.classify.nearest_mean import NearestMean
from conveyor.tasks.classify.several import Several, best_thresholds
from conveyor.tasks.classify.summary_of_series import SummaryOfSeries
from conveyor.tasks.drawn_parts import TRAIN, VALIDATION
from conveyor.tasks.known_keys import FITTED_ON

# What the nearest mean of a class is called.
NEAREST_MEAN = "nearest class mean"

# A run keeps so many weights of a regression at most, which are 32 MB.
MOST_KEPT = 4_000_000


class Features(Protocol):
    """What makes numbers of examples, for methods that see no order."""

    def features(self, examples: Any, /) -> Tensor:
        """Return the features of examples, float64 [N, F], dense or sparse."""

    @property
    def count(self) -> int:
        """How many features there are."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the features are called, in order; nothing where people cannot read it."""

    def description(self) -> dict[str, Any]:
        """Return what ``described`` of the same class reads."""


@dataclass(frozen=True)
class Baselines:
    """What simple methods learn from.

    Attributes:
        regression: what the regression is called.
        read: what it reads of each example of the training, validation and test set: the tokens of
            a text, the numbers of a series.
        reader: returns what makes numbers of them, from the training set.
        nearest: whether to answer by the nearest mean of a class, too.
    """

    regression: str
    read: tuple[Sequence[Any], Sequence[Any], Sequence[Any]]
    reader: Callable[[Any], Features]
    nearest: bool = False


@dataclass(frozen=True)
class SimpleClasses:
    """Simple methods that have learned.

    Attributes:
        name: of the regression.
        reader: makes numbers of examples.
        regression: the one that is best on the validation set.
        thresholds: from which probability on each label holds, where an example may have several;
            None where it has one.
        nearest: the means of the classes; None to leave them out.
    """

    name: str
    reader: Features
    regression: LogisticRegression
    thresholds: tuple[float, ...] | None = None
    nearest: NearestMean | None = None

    @staticmethod
    def fit(baselines: Baselines, targets: Sequence[Tensor], classes: int) -> "SimpleClasses":
        """Return simple methods that have learned.

        Args:
            baselines: what they learn from.
            targets: of the training and validation set, and others, which are not read; of each
                example its class, [N], or which labels hold, [N, classes].
            classes: how many there are.
        """
        reader = baselines.reader(baselines.read[TRAIN])
        known, choosing = (reader.features(baselines.read[part]) for part in (TRAIN, VALIDATION))
        fitted = best_regression((known, targets[TRAIN]), (choosing, targets[VALIDATION]), classes)
        thresholds = None
        if fitted.several:
            said = fitted.log_probabilities(choosing).exp()
            thresholds = best_thresholds(said, targets[VALIDATION])
        nearest = NearestMean.of(known, targets[TRAIN], classes) if baselines.nearest else None
        return SimpleClasses(baselines.regression, reader, fitted, thresholds, nearest)

    def log_probabilities(self, examples: Sequence[Any]) -> dict[str, Tensor]:
        """Return by the name of each method the logarithms of the probabilities that it says,
        [N, classes].

        Args:
            examples: what the methods read of each.
        """
        features = self.reader.features(examples)
        answers = {self.name: self.regression.log_probabilities(features)}
        if self.nearest is not None:
            answers[NEAREST_MEAN] = self.nearest.log_probabilities(features)
        return answers

    def labels(self, examples: Sequence[Any]) -> dict[str, Tensor]:
        """Return by the name of each method which labels it says, bool [N, classes], where an
        example may have several.

        Args:
            examples: what the methods read of each.
        """
        assert self.thresholds is not None
        (answers,) = self.log_probabilities(examples).values()
        return {self.name: Several("", self.thresholds).holds(answers.exp())}

    def description(self) -> dict[str, Any] | None:
        """Return what ``described`` reads; None for a regression that is too large to be kept."""
        if self.regression.weights.numel() > MOST_KEPT:
            return None
        described = {
            "regression": self.name,
            "features": self.reader.description(),
            "weights": self.regression.weights.numpy(),
            "biases": self.regression.biases.numpy(),
        }
        if self.thresholds is not None:
            described["thresholds"] = np.array(self.thresholds)
        if self.nearest is not None:
            described["nearest"] = self.nearest.description()
        return described

    @staticmethod
    def described(described: Any, classes: int) -> "SimpleClasses":
        """Return the methods of a description.

        Args:
            described: see ``description``.
            classes: how many there are.

        Raises:
            RunError: the description is none.
        """
        tables: Mapping[str, Any] = described if isinstance(described, dict) else {}
        stored = tables.get("features")
        of_features: Mapping[str, Any] = stored if isinstance(stored, dict) else {}
        kinds = {kind.reads: kind for kind in (BagOfWords, SummaryOfSeries)}
        reads = of_features.get("reads")
        if not isinstance(reads, str) or reads not in kinds:
            raise RunError(f"{FITTED_ON} is corrupt: its regression reads {shown(reads)}.")
        reader = kinds[reads].described(of_features)
        weights = array_of(tables, "weights", (reader.count, classes), np.float64, FITTED_ON)
        biases = array_of(tables, "biases", (classes,), np.float64, FITTED_ON)
        thresholds = None
        if "thresholds" in tables:
            array = array_of(tables, "thresholds", (classes,), np.float64, FITTED_ON)
            thresholds = tuple(array.tolist())
        nearest = None
        if "nearest" in tables:
            nearest = NearestMean.described(tables["nearest"], (classes, reader.count))
        regression = LogisticRegression(
            torch.from_numpy(weights), torch.from_numpy(biases), thresholds is not None
        )
        return SimpleClasses(str(tables.get("regression")), reader, regression, thresholds, nearest)
