"""What ``vrnn``, ``storn`` and ``draw`` share: what is learned with latent values, beside another
network."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median_low
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from conveyor.errors import DataError, RunError, counted, named
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.known_keys import (
    FITTED_ON,
    hashes_in,
    leaks_among,
    packed_hashes,
    short_hash,
    tell_not_kept,
    told_leaks,
)
from conveyor.tasks.latent.drawing_options import DrawingOptions
from conveyor.tasks.latent.kind import Kind, LatentData
from conveyor.tasks.latent.kinds import read_sequences
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.latent_results import WITHOUT, metrics_of, results_of
from conveyor.tasks.latent.method_nats import MethodNats, in_order_of_keys, nats_of
from conveyor.tasks.latent.plain_fit import PlainFit, fit_plain
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.latent.stroke_kind import checked_numbers_of
from conveyor.tasks.results import Results
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.settings import Training
from conveyor.tasks.task import Say, Task, whole


class LatentTask(Task[LatentModel]):
    """A task of learning what sequences may be. Its score is the estimate of their nats, which is
    a bound."""

    next_command = ("generate", "--out", "samples.csv")
    holds_sequence = False
    loss = "bound on the nats per step"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    settings: Any
    train: SequenceExamples
    validation: SequenceExamples
    # What tables call the network that stands beside.
    without: ClassVar[str] = WITHOUT
    # Reads a source by the settings of data and, of a fitted network, the kind that it knows.
    read_data: ClassVar[Callable[..., LatentData]] = staticmethod(read_sequences)
    # The scores of a network; see ``latent_results.results_of``.
    results_of: ClassVar[Callable[..., Results]] = staticmethod(results_of)

    def __init__(self, data: LatentData, settings: Any, say: Say) -> None:
        self.settings, self.kind, self.title = settings, data.kind, data.title
        self.metric = metrics_of(data.kind, settings.data.latent_draws)[0]
        self.next_command = ("generate", "--out", f"samples{data.kind.endings[0]}")
        for note in data.notes:
            say(note)
        most = settings.data.scored
        parts = [SequenceExamples(list(part)) for part in data.parts]
        for place in (VALIDATION, TEST):
            parts[place] = SequenceExamples(parts[place].sequences[:most])
        self.parts, self.train = parts, parts[TRAIN]
        self.validation = parts[VALIDATION].by_length()
        self.lengths: list[int] = self.train.lengths
        self.say = say
        self.counted_baselines = nats_of(
            data.kind, {**data.kind.baselines(), **data.baselines}, parts[TEST].sequences
        )
        self._plain: PlainFit | None = None
        self._plain_is_done = self.plain_training is None
        # Of those that are learned from and scored alone.
        self.keys = [data.part_keys(place)[: len(part)] for place, part in enumerate(parts)]
        self.data_hash = hashlib.sha256("\n".join(map(" ".join, self.keys)).encode())
        say(
            f"{counted(len(parts[TRAIN]), data.kind.noun)} to train, {len(parts[VALIDATION]):,} to "
            f"validate, {len(parts[TEST]):,} to test; {self.sized}"
        )
        leaks = leaks_among(self.keys[TEST], set(map(short_hash, self.known_keys)))
        if leaks:
            say(
                f"warning: {counted(leaks, data.kind.noun)} of the test set "
                f"{'is' if leaks == 1 else 'are'} learned from, too"
            )

    @classmethod
    def prepare(cls, source: Any, settings: Any, say: Say) -> Self:
        """Return the task on what ``read_data`` reads."""
        return cls(cls.read_data(source, settings.data), settings, say)

    @property
    def known_keys(self) -> list[str]:
        """The keys of what is learned from: what trains, and what validates."""
        return [*self.keys[TRAIN], *self.keys[VALIDATION]]

    @property
    def sized(self) -> str:
        """How much is learned from, in words."""
        return f"{sum(self.lengths):,} steps of {self.kind.width}"

    @property
    def usual_length(self) -> int:
        """Steps of a sequence of the training set, in the middle of all."""
        return median_low(self.lengths)

    def head(self, features: int) -> nn.Module:
        """Return an untrained head for the steps of the data."""
        sizes = self.settings.network
        return self.kind.head(features, components=sizes.components, dropout=sizes.dropout)

    @property
    def plain_training(self) -> Training | None:
        """How the network beside is fitted; None where there is to be none."""
        training: Training = self.settings.training
        return training if self.settings.training.plain else None

    @abstractmethod
    def beside(self, network: LatentModel) -> LatentModel:
        """Return the untrained network that is fitted beside another: one without latent values,
        with as many hidden units and the same head, or an autoencoder.

        Args:
            network: the one that it is compared with.
        """

    def about(self, network: LatentModel) -> str:
        """Return how large a network is, and how much it learns from."""
        count = counted(network.parameter_count, "parameter")
        return f"{network.title} with {count} on {counted(len(self.train), self.kind.noun)}"

    def _fitted_plain(self, network: LatentModel) -> PlainFit | None:
        """Return the network beside, fitted; None where the settings ask for none, where the user
        asked to stop, and where it diverges. It is fitted once."""
        training = self.plain_training
        if self._plain_is_done or training is None:
            return self._plain
        self._plain_is_done = True
        if self.asked_to_stop():
            self.say(f"{self.asked_to_stop()}: the {self.without} is not fitted, and left out")
            return None
        self.say(f"fitting the {self.without}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            plain = fit_plain(
                self.beside(network),
                self.train,
                self.validation,
                training,
                asked_to_stop=self.asked_to_stop,
            )
        if plain.stopped:
            self.say(f"{plain.stopped}: the {self.without} is not fitted to its end, and left out")
        elif not plain.best:
            smaller = named("learning_rate", training.learning_rate / 10)
            self.say(
                f"warning: the {self.without} diverged in its first epoch, and is left out. A "
                f"smaller learning rate may help ({smaller})"
            )
        else:
            self._plain = plain
        return self._plain

    def baselines(self) -> Mapping[str, float]:
        """Return the nats of methods without a network."""
        return {name: nats.mean for name, nats in self.counted_baselines.items()}

    def score(self, network: LatentModel) -> float:
        """Return the estimate of the nats of the test set."""
        return ScoredSequences(network, self.parts[TEST], self.settings.data.latent_draws).estimate

    def results(self, network: LatentModel) -> Results:
        """Return the scores on the test set beside the baselines."""
        scored = ScoredSequences(network, self.parts[TEST], self.settings.data.latent_draws)
        plain = self._fitted_plain(network)
        return self.results_of(scored, self.counted_baselines, plain, self.train.sequences)

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: what was learned from."""
        record: dict[str, Any] = {
            "test": packed_hashes(self.keys[TEST]),
            "known": packed_hashes(self.known_keys),
        }
        if self._plain is not None:
            draws = self.settings.data.latent_draws
            of_it = ScoredSequences(self._plain.network, self.parts[TEST], draws)
            record["without"] = of_it.estimate
            order = in_order_of_keys(self.keys[TEST])
            record["without_nats"] = [of_it.nats[number] for number in order]
        return record

    @classmethod
    def evaluate(
        cls,
        network: LatentModel,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a fitted network on data of the same kind, in the units of the run: on the test
        set of the run's own data, on all of the test set of other data that has one, and else on
        all of it. The network without latent values is not kept: its score stands beside that of
        the run's own test set alone.

        Raises:
            DataError: the data cannot be used.
            RunError: its steps are others than those that the network knows.
        """
        data = cls.read_data(source, settings.data, network.kind)
        cls.check_kind(network.kind, data.kind)
        for note in data.notes:
            say(note)
        fitted, noun = fitted_on or {}, data.kind.noun
        sequences, keys = data.parts[TEST], data.part_keys(TEST)
        methods = {**data.kind.baselines(), **data.baselines}
        counted_baselines: dict[str, MethodNats] = {}
        of_the_run = hashes_in(fitted, "test")
        if of_the_run and of_the_run <= set(map(short_hash, keys)):
            most = settings.data.scored
            sequences, keys = sequences[:most], keys[:most]
            say(f"this is the data of the run: its test set is scored, {counted(len(keys), noun)}")
            if "without" in fitted and packed_hashes(keys) == fitted.get("test"):
                counted_baselines[cls.without] = _kept_nats(fitted, keys)
        elif data.whole is None:
            say(f"the test set is scored: {counted(len(keys), noun)}")
        else:
            sequences, keys = data.whole, data.whole_keys()
            methods = data.kind.baselines()
            say(f"all of this data is scored: {counted(len(keys), noun)}")
            if data.baselines:
                tell_not_kept([*data.baselines], say)
        told_leaks(keys, fitted, say, noun)
        counted_baselines |= nats_of(data.kind, methods, sequences)
        scored = ScoredSequences(network, SequenceExamples(sequences), settings.data.latent_draws)
        return cls.results_of(scored, counted_baselines, None)

    @staticmethod
    def check_kind(fitted: Kind, given: Kind) -> None:
        """Check that sequences are of the kind that a network knows.

        Raises:
            RunError: they are not.
        """
        if (fitted.name, fitted.size) != (given.name, given.size):
            raise RunError(
                f"the run was fitted on {fitted.noun}s with {fitted.size}; this data has "
                f"{given.noun}s with {given.size}. Give data of the same kind."
            )

    @classmethod
    def chosen(
        cls, network: LatentModel, source: Any, settings: Any, options: Any
    ) -> tuple[Words, Tensor]:
        """Return the name of a sequence, and the sequence, [T, width]: of the test set, or of all
        where there is too little for parts.

        Args:
            network: what reads it.
            source: the data.
            settings: of the run.
            options: whose ``row`` says which sequence, from 1.

        Raises:
            DataError: there is no such sequence, or no data.
            RunError: its steps are others than those that the network knows.
        """
        if source is None:
            raise DataError(f"the run holds no data to look at. Give {named('data')}.")
        data = cls.read_data(source, settings.data, network.kind)
        cls.check_kind(network.kind, data.kind)
        noun, test = data.kind.noun, data.parts[TEST] or data.whole or []
        row = check_row(options.row or 1, len(test), noun)
        return Words(f"{noun} {row + 1}", f"{data.kind.noun_vi} {row + 1}"), test[row].float()

    @classmethod
    def generate(cls, network: LatentModel, options: DrawingOptions) -> Iterator[str]:
        """Yield sequences that are drawn from the prior, as text."""
        for number, each in enumerate(cls._drawn(network, options)):
            yield ("\n\n" if number else "") + network.kind.text(each)

    @classmethod
    def generate_file(cls, network: LatentModel, options: DrawingOptions, ending: str) -> bytes:
        """Return a file of sequences that are drawn from the prior.

        Raises:
            DataError: a kind of sequences has no such files.
        """
        kind = network.kind
        if ending not in kind.endings:
            raise DataError(
                f"a {kind.noun} is written to a file that ends with {', '.join(kind.endings)}; "
                f"given was one that ends with {ending or 'nothing'}."
            )
        return kind.file(cls._drawn(network, options), ending)

    @staticmethod
    def _drawn(network: LatentModel, options: DrawingOptions) -> list[Any]:
        return network.sample(options.count, options.steps, seed=options.seed)


def _kept_nats(fitted: Mapping[str, Any], keys: Sequence[str]) -> MethodNats:
    """Return the nats of the network beside, which is not kept, from the record of a run. Runs of
    earlier builds hold their mean alone.

    Args:
        fitted: the record.
        keys: of the sequences that are scored.

    Raises:
        RunError: the record is corrupt.
    """
    mean = float(fitted["without"])
    if "without_nats" not in fitted:
        return MethodNats(mean)
    kept = checked_numbers_of(fitted, "without_nats", FITTED_ON, len(keys))
    by_number = dict(zip(in_order_of_keys(keys), kept, strict=True))
    return MethodNats(mean, tuple(by_number[number] for number in range(len(keys))))
