"""The contract of a task: data made ready, what is learned from it, and how that is judged.

Everything else is written once for all tasks: fitting, resuming, saving, loading, evaluating,
comparing (``conveyor.training``, ``conveyor.comparing``, ``conveyor.cli``).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from conveyor.compiler.program import Program, dumps
from conveyor.errors import RunError
from conveyor.networks.network import Network
from conveyor.tasks.results import Metric, Results
from conveyor.tasks.settings import TaskSettings

AnyNetwork = TypeVar("AnyNetwork", bound=Network)

# Where lines for the user go.
Say = Callable[[str], None]


class Examples(Protocol):
    """Examples by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


class Task(ABC, Generic[AnyNetwork]):
    """A task on one source of data, made ready.

    The class says what the task is; an instance, which ``prepare`` makes, holds the data.
    """

    # As on the command line, in settings.toml and in model.json.
    name: ClassVar[str]
    network_type: type[AnyNetwork]
    # Whether batches come in order and the state is carried from one to the next.
    in_order: ClassVar[bool] = False
    # Sources that are names, not files: of problems that are drawn.
    source_names: ClassVar[tuple[str, ...]] = ()
    # The command that uses a run, with what it takes besides the run's folder.
    next_command: ClassVar[tuple[str, ...]] = ()

    # All that this task was made ready with; nothing is left to be inferred.
    settings: TaskSettings
    # What cells are ranked by: of the answers to the test part.
    metric: Metric
    # What the loss is, in words.
    loss: str
    # SHA-256 of the data, to know it again.
    data_hash: "hashlib._Hash"
    # What the report is called.
    title: str
    train: Examples
    validation: Examples
    # Makes a batch of examples; None where they are stacked.
    join: Callable[[Any], Any] | None = None

    @property
    def digest(self) -> str:
        """What names the data."""
        return self.data_hash.hexdigest()

    def digest_with(self, program: Program) -> str:
        """Return what names the data and a cell: a run is only resumed on what it began with."""
        both = self.data_hash.copy()
        both.update(dumps(program).encode())
        return both.hexdigest()

    @classmethod
    @abstractmethod
    def prepare(cls, source: Any, settings: Any, say: Say) -> Self:
        """Return the task on some data.

        Args:
            source: a file, a folder, a frame, an array or a name: what the task reads.
            settings: of the task's class of settings.
            say: where lines for the user go.

        Raises:
            DataError: the data cannot be used; the text says where and why.
            SettingError: a setting does not fit the data.
        """

    @abstractmethod
    def network(self, program: Program, sizes: Any) -> AnyNetwork:
        """Return an untrained network.

        Raises:
            SettingError: the cell cannot be used here.
        """

    @abstractmethod
    def about(self, network: AnyNetwork) -> str:
        """Return a line about a network and what it learns from."""

    @abstractmethod
    def results(self, network: AnyNetwork) -> Results:
        """Return how a network does on the test part, beside baselines."""

    @abstractmethod
    def score(self, network: AnyNetwork) -> float:
        """Return ``metric`` of a network on the test part."""

    @abstractmethod
    def baselines(self) -> Mapping[str, float]:
        """Return ``metric`` of simple methods on the test part."""

    def fitted_on(self) -> dict[str, Any] | None:
        """Return what a later evaluation must know of the data of training and validation."""
        return None

    @classmethod
    def evaluate(
        cls,
        network: AnyNetwork,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Return how a fitted network does on data.

        The default makes the data ready as that of the run was, and scores its test part.

        Args:
            source: as of ``prepare``.
            settings: of the run.
            fitted_on: what ``fitted_on`` gave when the run was fitted.
            options: a record of the class ``reads_with`` of the task's entry in the registry.
            say: where lines for the user go.

        Raises:
            DataError: the data cannot be used.
            RunError: the data and the network do not fit each other.
        """
        return cls.prepare(source, settings, say).results(network)

    @classmethod
    def predict(
        cls,
        network: AnyNetwork,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Any:
        """Return what a fitted network answers, as a polars data frame.

        The arguments are those of ``evaluate``; ``source`` may be None where the run holds what it
        goes on from.

        Raises:
            DataError: the data cannot be used.
            RunError: the task predicts nothing.
        """
        raise RunError(f"a run of the task {cls.name} predicts nothing.{cls.used_by()}")

    @classmethod
    def generate(cls, network: AnyNetwork, options: Any) -> Iterator[str]:
        """Yield what a fitted network writes, piece by piece; a prompt is not part of it.

        Args:
            options: a record of the class ``writes_with`` of the task's entry in the registry.

        Raises:
            DataError: the prompt cannot be read.
            RunError: the task generates nothing.
        """
        raise RunError(f"a run of the task {cls.name} generates nothing.{cls.used_by()}")

    @classmethod
    def used_by(cls) -> str:
        """Return which command uses a run, as a sentence; nothing where none does."""
        return f" Use conveyor {cls.next_command[0]}." if cls.next_command else ""
