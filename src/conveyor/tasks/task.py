"""The interface of a task: its prepared data, the network that learns it, and its scores.

Everything else is written once for all tasks: fitting, resuming, saving, loading, evaluating,
comparing (``conveyor.training``, ``conveyor.comparing``, ``conveyor.cli``).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Generic, Protocol, Self, TypeVar

from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps
from conveyor.data.audio_file import Sound
from conveyor.errors import RunError
from conveyor.networks.network import Network
from conveyor.pages.words import Words
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Prediction, Results, Section
from conveyor.tasks.settings import TaskSettings
from conveyor.tasks.tracked_property import UnitSearch

AnyNetwork = TypeVar("AnyNetwork", bound=Network)

# A function that shows a line to the user.
Say = Callable[[str], None]


class Examples(Protocol):
    """Examples that are read by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


def whole(batch: Any) -> Any:
    """Return a batch as it is: the ``join`` of examples that are read as a batch."""
    return batch


class Task(ABC, Generic[AnyNetwork]):
    """A task on one source of data, which is prepared.

    The class describes the task; an instance, which ``prepare`` makes, holds the data.
    """

    # The task's name on the command line, in settings.toml and in model.json.
    name: ClassVar[str]
    network_type: type[AnyNetwork]
    # Whether batches come in order and the state is carried from one to the next.
    in_order: ClassVar[bool] = False
    # The names of problems that are drawn, for tasks whose source may be such a name.
    source_names: ClassVar[tuple[str, ...]] = ()
    # The command that uses a run, with its arguments after the run's folder.
    next_command: tuple[str, ...] = ()

    # The length of each training example, by which batches are put together; None if all are
    # as long.
    lengths: Sequence[int] | None = None

    # The most examples that make a batch; None for as many as the settings say.
    largest_batch: int | None = None

    # How many training examples are drawn in an epoch at most, those of another epoch others; None
    # for all.
    most_drawn: int | None = None

    # The steps of a chunk whose learning rate is that of the settings, where the lengths of chunks
    # are drawn; None where they are not.
    usual_steps: int | None = None

    # Whether a fitted network hears sound that comes through a pipe, and reads no lines.
    hears: ClassVar[bool] = False

    # Whether what a fitted network generates is sound.
    speaks: ClassVar[bool] = False

    # Whether a run holds a sequence that ``inspect`` can look at without data.
    holds_sequence: ClassVar[bool] = True

    # The settings with all values that were inferred from the data.
    settings: TaskSettings
    # The score of the test set by which cells are ranked.
    metric: Metric
    # The name of the loss, in words.
    loss: str
    # The SHA-256 of the data, by which a resumed run recognises it.
    data_hash: "hashlib._Hash"
    # The title of the report.
    title: Words
    train: Examples
    validation: Examples
    # Makes a batch from a list of examples; None if their tensors are stacked.
    join: Callable[[Any], Any] | None = None
    # Returns why the user wants the fit to end, for what takes long; empty without a request.
    asked_to_stop: Callable[[], str] = staticmethod(str)

    @property
    def digest(self) -> str:
        """The digest of the data."""
        return self.data_hash.hexdigest()

    def digest_with(self, program: Program | None) -> str:
        """Return the digest of the data and a cell, if there is one. A run is resumed only if both
        are unchanged."""
        digest = self.data_hash.copy()
        if program is not None:
            digest.update(dumps(program).encode())
        return digest.hexdigest()

    @classmethod
    @abstractmethod
    def prepare(cls, source: Any, settings: Any, say: Say) -> Self:
        """Read and prepare data, and return the task on it.

        Args:
            source: the file, folder, data frame, array or name that the task reads.
            settings: a record of the task's class of settings.
            say: called with each line for the user.

        Raises:
            DataError: the data cannot be used; the text says where and why.
            SettingError: a setting does not fit the data.
        """

    @abstractmethod
    def network(self, program: Any, sizes: Any) -> AnyNetwork:
        """Return an untrained network.

        Args:
            program: the cell's ``Program``; None of a task whose settings have no cell.
            sizes: the record of the network's settings.

        Raises:
            SettingError: the cell cannot be used for this task.
        """

    @abstractmethod
    def about(self, network: AnyNetwork) -> str:
        """Return a line that describes a network and the data that it learns from."""

    def after_fit(self, network: AnyNetwork) -> None:
        """Take from the validation set what a network needs besides its weights. The default takes
        nothing.

        Args:
            network: fitted on the training set.
        """
        del network

    def with_validation(self, network: AnyNetwork) -> "Self | None":
        """Return the same task with the validation set added to what is learned from. A second
        network is then fitted, for as many epochs as the first, and scored on the test set. None
        for a task that scores the first network.

        Args:
            network: fitted on the training set, after ``after_fit``.
        """
        del network
        return None

    def with_all_data(self, network: AnyNetwork) -> "Self | None":
        """Return the same task with all data as what is learned from. A third network is then
        fitted, for as many epochs as the first, and is the one that the run keeps. None for a task
        that keeps the network that was scored.

        Args:
            network: the one that was scored.
        """
        del network
        return None

    def opening(self, network: AnyNetwork) -> "Iterable[Section]":
        """Return what the report shows before the scores. The default shows nothing.

        Args:
            network: the one that the run keeps.
        """
        del network
        return ()

    @abstractmethod
    def results(self, network: AnyNetwork) -> Results:
        """Return the scores of a network on the test set, beside baselines."""

    @abstractmethod
    def score(self, network: AnyNetwork) -> float:
        """Return ``metric`` of a network on the test set."""

    @abstractmethod
    def baselines(self) -> Mapping[str, float]:
        """Return ``metric`` of simple methods on the test set."""

    def fitted_on(self) -> dict[str, Any] | None:
        """Return a record of the data of training and validation, which later evaluations need;
        None for a task that needs none."""
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
        """Score a fitted network on data.

        The default prepares the data as the run did, and scores its test set.

        Args:
            network: the fitted network.
            source: the data, see ``prepare``.
            settings: the settings of the run.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
            options: a record of the class ``reading`` of the task's entry in the registry.
            say: called with each line for the user.

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
    ) -> Prediction:
        """Return the predictions of a fitted network.

        The arguments are those of ``evaluate``. ``source`` may be None if the run holds the data to
        predict from.

        Raises:
            DataError: the data cannot be used.
            RunError: the task predicts nothing.
        """
        raise RunError(f"a run of the task {cls.name} predicts nothing.{cls.used_by()}")

    @classmethod
    def answers(
        cls,
        network: AnyNetwork,
        lines: Iterable[str],
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
    ) -> Iterator[str]:
        """Yield a line of answer for each line, as soon as it is read.

        Args:
            network: the fitted network.
            lines: what is asked, without line ends.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
            options: a record of the class ``reading`` of the task's entry in the registry.

        Raises:
            RunError: the task answers no lines.
        """
        raise RunError(f"a run of the task {cls.name} answers no lines.{cls.used_by()}")

    @classmethod
    def conversation(
        cls, network: AnyNetwork, fitted_on: Mapping[str, Any] | None, options: Any
    ) -> Any:
        """Return a conversation with a fitted network, in which nothing was said yet.

        Args:
            network: the fitted network.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
            options: a record of the class ``reading`` of the task's entry in the registry.

        Raises:
            RunError: the task holds no conversations.
        """
        raise RunError(f"a run of the task {cls.name} holds no conversation.{cls.used_by()}")

    @classmethod
    def hear(
        cls,
        network: AnyNetwork,
        sound: BinaryIO,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Iterator[str]:
        """Yield what a fitted network writes of sound while it comes, piece by piece.

        Args:
            network: the fitted network.
            sound: a wave file or raw samples, which may still be growing.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
            options: a record of the class ``reading`` of the task's entry in the registry.
            say: called with each line for the user.

        Raises:
            DataError: this is no sound.
            RunError: the task hears nothing.
        """
        raise RunError(f"a run of the task {cls.name} hears nothing.{cls.used_by()}")

    @classmethod
    def question(cls, network: AnyNetwork, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return what a fitted network is asked on the page of a service.

        Args:
            network: the fitted network.
            fitted_on: the result of ``fitted_on`` when the run was fitted.

        Raises:
            RunError: the task answers nothing.
        """
        raise RunError(f"a run of the task {cls.name} answers nothing.{cls.used_by()}")

    @classmethod
    def has_page(cls) -> bool:
        """Return whether a fitted network can be tried on the page of a service."""
        ours: Any = cls.question
        default: Any = Task.question
        return ours.__func__ is not default.__func__

    @classmethod
    def update(cls, network: AnyNetwork, source: Any, *, options: Any, say: Say) -> Results | None:
        """Take new data into a fitted network without fitting it again.

        Args:
            network: the fitted network, which is changed.
            source: the data, see ``prepare``.
            options: a record of the class ``updating`` of the task's entry in the registry.
            say: called with each line for the user.

        Returns:
            The scores of what the network had predicted of the new data; None without any.

        Raises:
            DataError: the data cannot be used, or holds nothing new.
            RunError: the task takes no new data in.
        """
        raise RunError(f"a run of the task {cls.name} takes no new data in.{cls.used_by()}")

    @classmethod
    def stream(cls, network: AnyNetwork, series: str | None = None) -> Any:
        """Return a fitted network bound to its memory, which takes row after row.

        Args:
            network: the fitted network.
            series: the name of the series to go on with, where a run has several.

        Raises:
            DataError: there is no such series.
            RunError: the task has no stream.
        """
        raise RunError(f"a run of the task {cls.name} has no stream.{cls.used_by()}")

    @classmethod
    def generate(cls, network: AnyNetwork, options: Any) -> Iterator[str]:
        """Yield the text that a fitted network writes, piece by piece, without the prompt.

        Args:
            network: the fitted network.
            options: a record of the class ``writing`` of the task's entry in the registry.

        Raises:
            DataError: the prompt cannot be read.
            RunError: the task generates nothing.
        """
        if cls.speaks:
            raise RunError(f"what a run of {cls.name} makes is sound, which Run.speak gives.")
        raise RunError(f"a run of the task {cls.name} generates nothing.{cls.used_by()}")

    @classmethod
    def generate_file(cls, network: AnyNetwork, options: Any, ending: str) -> bytes | None:
        """Return what a fitted network generates as the content of a file; None for a task whose
        files hold what ``generate`` yields.

        Args:
            network: the fitted network.
            options: a record of the class ``writing`` of the task's entry in the registry.
            ending: of the file's name, ".png", in small letters.

        Raises:
            DataError: the task writes no such files.
        """
        del network, options, ending
        return None

    @classmethod
    def speak(cls, network: AnyNetwork, options: Any) -> Sound:
        """Return the sound that a fitted network makes, of a text where the task speaks one.

        Args:
            network: the fitted network.
            options: a record of the class ``writing`` of the task's entry in the registry.

        Raises:
            DataError: the network cannot speak the text.
            RunError: the task does not speak.
        """
        raise RunError(f"a run of the task {cls.name} does not speak.{cls.used_by()}")

    @classmethod
    def log_probabilities(cls, network: AnyNetwork, texts: Sequence[str]) -> list[float]:
        """Return the logarithm of the probability of each text as the beginning of a line, in nats.

        Args:
            network: the fitted network.
            texts: one or more.

        Raises:
            RunError: the task gives texts no probability.
        """
        raise RunError(
            f"a run of the task {cls.name} gives texts no probability. Give one of text."
        )

    @classmethod
    def read(
        cls,
        network: AnyNetwork,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a sequence as a fitted network reads it.

        Args:
            network: the fitted network.
            source: the data, see ``prepare``; None for what the run holds.
            settings: the settings of the run.
            fitted_on: the result of ``fitted_on`` when the run was fitted.
            options: a record of the class ``choosing`` of the task's entry in the registry.
            say: called with each line for the user.

        Raises:
            DataError: the data cannot be used, or holds no such sequence.
            RunError: the data and the network do not fit each other, or the task reads no sequence
                that could be looked at.
        """
        raise RunError(f"a run of the task {cls.name} cannot be looked into.{cls.used_by()}")

    @classmethod
    def search_units(
        cls, network: AnyNetwork, source: Any, *, settings: Any, whole: bool, say: Say
    ) -> UnitSearch:
        """Search a fitted network for units that track properties of what it reads.

        Args:
            network: the fitted network.
            source: the data, see ``prepare``.
            settings: the settings of the run.
            whole: whether all of it is read, and not its test set.
            say: called with each line for the user.

        Raises:
            DataError: the data cannot be used.
            RunError: the task knows no properties of what it reads.
        """
        raise RunError(
            f"a run of the task {cls.name} reads no characters, whose properties its units could "
            "track. Give a run of text."
        )

    @classmethod
    def used_by(cls) -> str:
        """Return a sentence that names the command that uses a run; empty without one."""
        return f" Use conveyor {cls.next_command[0]}." if cls.next_command else ""
