"""The task ``classify``: says of a text, or of a series of numbers, which class it belongs to."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.data.group_names import listed
from conveyor.data.labelled_series import read_series
from conveyor.data.labelled_texts import LabelledTexts, read_texts
from conveyor.data.table_source import split_source
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.class_predictions import (
    in_line,
    in_words,
    tell_empty,
    tell_thresholds,
    with_answers,
)
from conveyor.tasks.classify.class_results import results_of
from conveyor.tasks.classify.class_rows import class_rows, hash_of_read, read_again
from conveyor.tasks.classify.class_scores import ACCURACY, NEVER, log_shares
from conveyor.tasks.classify.classifier import Classifier, ClassifierSizes
from conveyor.tasks.classify.classify_report import Scored
from conveyor.tasks.classify.classify_settings import ClassifyNetwork, ClassifySettings
from conveyor.tasks.classify.label_report import ScoredLabels
from conveyor.tasks.classify.label_results import label_results
from conveyor.tasks.classify.label_scores import MICRO_F1, frequent_labels, micro_f1
from conveyor.tasks.classify.looked_at import sequence_of
from conveyor.tasks.classify.prepared_classes import PreparedClasses
from conveyor.tasks.classify.series_reader import SeriesReader
from conveyor.tasks.classify.series_source import (
    SUMMARY_REGRESSION,
    prepare_series,
    read_series_source,
)
from conveyor.tasks.classify.several import Several, best_thresholds
from conveyor.tasks.classify.simple_classes import NEAREST_MEAN, SimpleClasses
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.classify.text_source import prepare_texts, read_source, regression_of
from conveyor.tasks.classify.verdicts import Verdicts
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.known_keys import packed_hashes, tell_not_kept, told_leaks
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Prediction, Results, free_name
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task, whole

# So many words are shown that speak most for a class.
TELLING = 12

MOST_FREQUENT, FREQUENT_LABELS = "most frequent class", "most frequent labels"


class Classification(Task[Classifier]):
    """The task of telling classes apart, beside the most frequent class and a regression that sees
    no order. Its score is the accuracy."""

    name = "classify"
    network_type = Classifier
    metric: Metric = ACCURACY
    loss = "nats"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    next_command = ("predict", "new.csv")
    settings: ClassifySettings

    def __init__(self, prepared: PreparedClasses) -> None:
        self.prepared, self.settings = prepared, prepared.settings
        self.train: ClassExamples = prepared.parts[TRAIN]
        self.validation: ClassExamples = prepared.parts[VALIDATION].by_length()
        self.asked = prepared.parts[TEST]
        self.lengths = self.train.lengths
        file = Path(split_source(prepared.name)[0]).name
        if prepared.joint is not None:
            self.metric = MICRO_F1
        self.title = Words(f"Classes of {file}", f"Phân lớp {file}")
        self.data_hash = hashlib.sha256()
        for keys, examples in zip(prepared.keys, prepared.parts, strict=True):
            self.data_hash.update("\0".join(keys).encode(errors="surrogatepass"))
            self.data_hash.update(examples.targets.numpy().tobytes() + b"|")
        self.data_hash.update("\0".join(prepared.classes).encode())
        for word, vector in sorted((prepared.vectors.of if prepared.vectors else {}).items()):
            self.data_hash.update(word.encode() + vector.tobytes())

    @classmethod
    def prepare(cls, source: Any, settings: ClassifySettings, say: Say) -> "Classification":
        """Return the task on labelled texts or, with ``by``, on labelled series of numbers."""
        if settings.data.by:
            return cls(prepare_series(read_series_source(source, settings.data), settings, say))
        return cls(prepare_texts(read_source(source, settings.data), settings, say))

    def network(self, program: Program, sizes: ClassifyNetwork) -> Classifier:
        """Return an untrained classifier, whose words begin with the vectors given."""
        chosen = sizes.besides_the_cell()
        vectors, learn = self.prepared.vectors, chosen.pop("learn_vectors")
        joint, classes = self.prepared.joint, self.prepared.classes
        network = Classifier(
            program,
            self.prepared.reader,
            classes,
            self.prepared.prior,
            ClassifierSizes(**chosen),
            several=None if joint is None else Several.untrained(joint, len(classes)),
        )
        if vectors is not None:
            network.put(vectors, learn=learn)
        return network

    def after_fit(self, network: Classifier) -> None:
        """Choose, where a text may have several labels, from which probability each holds."""
        if network.several is not None:
            said = network.log_probabilities(self.validation.sequences).exp()
            thresholds = best_thresholds(said, self.validation.targets)
            network.several = Several(network.several.joint, thresholds)

    def about(self, network: Classifier) -> str:
        """Return how large a network is, and how much it learns from."""
        count = network.parameter_count
        examples = self.prepared.noun.counted(len(self.train)).en
        return f"{network.title} with {counted(count, 'parameter')} on {examples}"

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: the columns, what was learned from, and an example to
        look at."""
        data, sample = self.settings.data, self.asked.shown[0]
        known = [*self.prepared.keys[TRAIN], *self.prepared.keys[VALIDATION]]
        return {
            "text": data.text,
            "label": data.label,
            "by": list(data.by),
            "order": data.order,
            "source": self.prepared.source_hash,
            "known": packed_hashes(known),
            "frequent": self._frequent_names(),
            "simple": self._simple.description(),
            "sample": sample,
            "sample_values": (self.asked.sequences[0].tolist() if data.by else None),
        }

    def _frequent_names(self) -> list[str]:
        """Return the labels that the baseline of several labels always says."""
        if self.prepared.joint is None:
            return []
        prior = torch.tensor(self.prepared.prior, dtype=torch.float64)
        said = frequent_labels(prior, self.prepared.parts[VALIDATION].targets, 1)[0].tolist()
        return [name for name, each in zip(self.prepared.classes, said, strict=True) if each]

    @cached_property
    def _simple(self) -> SimpleClasses:
        """The simple methods, which have learned."""
        targets = [part.targets for part in self.prepared.parts]
        return SimpleClasses.fit(self.prepared.baselines, targets, len(self.prepared.classes))

    def _baseline_answers(self) -> dict[str, Tensor]:
        """Return the logarithms of the probabilities that each baseline says."""
        answers = self._simple.log_probabilities(self.prepared.baselines.read[TEST])
        prior = log_shares(self.prepared.prior)
        return {**answers, MOST_FREQUENT: prior.expand(len(self.asked), -1)}

    def _baseline_labels(self) -> dict[str, Tensor]:
        """Return which labels each baseline says, where a text may have several."""
        said = self._simple.labels(self.prepared.baselines.read[TEST])
        choosing = self.prepared.parts[VALIDATION].targets
        prior = torch.tensor(self.prepared.prior, dtype=torch.float64)
        return {**said, FREQUENT_LABELS: frequent_labels(prior, choosing, len(self.asked))}

    def baselines(self) -> Mapping[str, float]:
        """Return the accuracies of the baselines; of several labels, the F1 of all."""
        targets = self.asked.targets
        if self.prepared.joint is not None:
            said = self._baseline_labels()
            return {name: micro_f1(each, targets) for name, each in said.items()}
        return {
            name: float((answers.argmax(-1) == targets).double().mean())
            for name, answers in self._baseline_answers().items()
        }

    def score(self, network: Classifier) -> float:
        """Return the accuracy on the test set; of several labels, the F1 of all."""
        answers = network.log_probabilities(self.asked.sequences)
        if network.several is not None:
            return micro_f1(network.several.holds(answers.exp()), self.asked.targets)
        return float((answers.argmax(-1) == self.asked.targets).double().mean())

    def results(self, network: Classifier) -> Results:
        """Return the scores on the test set beside the baselines."""
        prepared = self.prepared
        answers = network.log_probabilities(self.asked.sequences)
        if network.several is not None:
            labels = ScoredLabels(
                network,
                self.asked,
                answers.exp(),
                network.several.holds(answers.exp()),
                prepared.classes,
                prepared.leaks.test,
                self._telling(),
            )
            said = self._baseline_labels()
            return label_results(labels, said, prepared.baselines.regression)
        others = self._baseline_answers()
        scored = Scored(
            network=network,
            noun=prepared.noun,
            examples=self.asked,
            answers=answers,
            classes=prepared.classes,
            leaks=prepared.leaks.test,
            telling=self._telling(),
        )
        return results_of(scored, others, prepared.baselines.regression)

    def _telling(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return for each class the words that speak most for it, to the regression."""
        names, regression = self._simple.reader.names, self._simple.regression
        if not names:
            return ()
        weights = regression.weights
        apart = weights if regression.several else weights - weights.mean(1, keepdim=True)
        most = apart.topk(min(TELLING, len(names)), dim=0).indices
        return tuple(
            (name, tuple(names[place] for place in most[:, number].tolist()))
            for number, name in enumerate(self.prepared.classes)
        )

    @classmethod
    def evaluate(
        cls,
        network: Classifier,
        source: Any,
        *,
        settings: ClassifySettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a classifier: of the data that the run was fitted on its test set, of other data
        everything.

        Raises:
            DataError: the data cannot be used.
        """
        fitted = fitted_on or {}
        given = {name: getattr(options, name) for name in ("text", "label")} if options else {}
        settings = settings.changed({name: value for name, value in given.items() if value})
        read = read_again(network, source, settings.data)
        if hash_of_read(read) == fitted.get("source"):
            say("this is the data of the run: its test set is scored")
            if isinstance(read, LabelledTexts):
                return cls(prepare_texts(read, settings, say)).results(network)
            return cls(prepare_series(read, settings, say)).results(network)
        for note in read.notes:
            say(note)
        rows = class_rows(network, read, settings, say)
        unseen = sorted({each for labels in rows.labels for each in labels} - set(network.classes))
        if unseen:
            count = sum(not set(labels).isdisjoint(unseen) for labels in rows.labels)
            say(
                f"warning: {counted(count, 'example')} of "
                f"{counted(len(unseen), 'class', 'classes')} that the run does not know "
                f"({listed(unseen)}) cannot be got right"
            )
        classes = (*network.classes, *unseen)
        targets = rows.targets(classes, several=network.several is not None)
        leaks = told_leaks(rows.keys, fitted, say, "example")
        never = torch.full((len(targets), len(unseen)), NEVER, dtype=torch.float64)
        examples = ClassExamples(rows.sequences, targets, rows.shown, rows.places)
        kept = fitted.get("simple")
        simple = None if kept is None else SimpleClasses.described(kept, len(network.classes))
        if simple is None:
            tell_not_kept(_not_kept(network), say)
        if network.several is not None:
            chances = network.log_probabilities(rows.sequences).exp()
            none = torch.zeros(len(targets), len(unseen), dtype=torch.bool)
            labels = ScoredLabels(
                network,
                examples,
                torch.cat([chances, none.double()], 1),
                torch.cat([network.several.holds(chances), none], 1),
                classes,
                leaks,
            )
            frequent_ones = torch.tensor([name in _frequent(fitted) for name in classes])
            said = {} if simple is None else simple.labels(rows.read)
            said = {name: torch.cat([holds, none], 1) for name, holds in said.items()}
            said[FREQUENT_LABELS] = frequent_ones.expand(len(targets), -1)
            return label_results(labels, said, None if simple is None else simple.name)
        prior = log_shares(network.prior)
        scored = Scored(
            network=network,
            noun=rows.noun,
            examples=examples,
            answers=torch.cat([network.log_probabilities(rows.sequences), never], 1),
            classes=classes,
            leaks=leaks,
        )
        others = {} if simple is None else simple.log_probabilities(rows.read)
        others[MOST_FREQUENT] = prior.expand(len(targets), -1)
        others = {name: torch.cat([answers, never], 1) for name, answers in others.items()}
        return results_of(scored, others, None if simple is None else simple.name)

    @classmethod
    def predict(
        cls,
        network: Classifier,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Prediction:
        """Return the rows of a table with what the classifier says of each; of a list of texts in
        Python, a list of labels.

        Raises:
            DataError: there is no data, or it cannot be used.
        """
        fitted = fitted_on or {}
        if source is None:
            raise DataError(f"there is nothing to predict from. Give {named('data')}.")
        title = Words("Predicted classes", "Kết quả phân lớp")
        reader = network.reader
        if isinstance(reader, SeriesReader):
            if options.explain:
                raise SettingError(f"{named('explain', True)} is of texts. Leave it out.")
            series = read_series(
                source,
                fitted.get("by") or (),
                order=fitted.get("order"),
                columns=reader.columns,
                labelled=False,
            )
            named_series = pl.DataFrame({"series": series.names})
            sequences = [reader.encode(each) for each in series.values]
            return Prediction(with_answers(named_series, network, sequences, options), title)
        texts = read_texts(source, text=options.text or fitted.get("text"), labelled=False)
        sequences = [reader.encode(each) for each in texts.texts]
        tell_empty(network, texts, sequences, say)
        if options.scores:
            tell_thresholds(network, say)
        table = texts.frame
        frame = pl.DataFrame({"text": texts.texts}) if table is None else table
        answered = with_answers(frame, network, sequences, options)
        if options.explain:
            explained = [
                in_words(network, sequence, reader.tokens(text))
                for sequence, text in zip(sequences, texts.texts, strict=True)
            ]
            answered = answered.with_columns(
                pl.Series(free_name(answered.columns, "explanation"), explained, dtype=pl.String)
            )
        if isinstance(source, list | tuple) and not (options.scores or options.explain):
            return Prediction(answered["predicted"].to_list(), title)
        return Prediction(answered, title)

    @classmethod
    def question(cls, network: Classifier, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return that texts are asked for, or a table of series; the example is one of the test
        set."""
        fitted = fitted_on or {}
        if isinstance(network.reader, TextReader):
            asked = Words("One text per line", "Các văn bản, mỗi dòng một văn bản")
            return Question("lines", asked, " ".join(str(fitted.get("sample", "")).split()))
        by, order = fitted.get("by") or (), fitted.get("order")
        values = network.reader.decode(torch.tensor(fitted.get("sample_values") or []))
        table = pl.DataFrame(
            {name: ["1"] * len(values) for name in by}
            | ({order: range(1, len(values) + 1)} if order else {})
            | {
                name: [None if math.isnan(number) else float(f"{number:.6g}") for number in column]
                for name, column in zip(network.reader.columns, values.T, strict=True)
            }
        )
        asked = Words("A table of series, as CSV", "Bảng các chuỗi, dạng CSV")
        return Question("table", asked, table.write_csv())

    @classmethod
    def stream(cls, network: Classifier, series: str | None = None) -> Verdicts:
        """Return what reads one step at a time, and says after each what the sequence is so far.

        Raises:
            SettingError: the network reads from both ends, or a series is named.
        """
        if series is not None:
            raise SettingError(f"a run of the task {cls.name} has no series to go on with.")
        return network.stream()

    @classmethod
    def answers(
        cls,
        network: Classifier,
        lines: Iterable[str],
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
    ) -> Iterator[str]:
        """Yield for each line what it is taken for and the probability, with a tab between them;
        several labels and their probabilities are put together; an empty line for a line without a
        word.

        Raises:
            RunError: the run reads series of numbers.
        """
        reader = network.reader
        if not isinstance(reader, TextReader):
            raise RunError("the run reads series of numbers, not lines. Give a table.")
        for line in lines:
            encoded = reader.encode(line)
            if not len(encoded):
                yield ""
                continue
            answers = network.log_probabilities([encoded])[0].exp()
            words = in_line(network, answers, len(encoded), scores=options.scores)
            if options.explain:
                words.append(in_words(network, encoded, reader.tokens(line)))
            yield "\t".join(words)

    @classmethod
    def read(
        cls,
        network: Classifier,
        source: Any,
        *,
        settings: ClassifySettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a text or a series as the classifier reads it: the text given, a row of data, or
        an example of the test set that the run keeps.

        Raises:
            DataError: there is no such row, or no word in the text.
            SettingError: a text is given to a run on series, or beside data.
        """
        fitted, reader = fitted_on or {}, network.reader
        if options.text is not None and source is not None:
            raise SettingError(f"there are data and {named('text')}. Give one of them.")
        if isinstance(reader, SeriesReader) and options.text is not None:
            raise SettingError(f"the run reads series of numbers. Leave {named('text')} out.")
        if options.row is not None and source is None:
            raise SettingError(f"{named('row')} is of data. Give {named('data')}, too.")
        if source is not None:
            read = read_again(network, source, settings.data, labelled=False)
            rows = class_rows(network, read, settings, say, labelled=False)
            number = check_row(options.row or 1, len(rows.sequences), rows.noun.one)
            encoded, title = rows.sequences[number], rows.shown[number]
        elif isinstance(reader, TextReader):
            title = options.text if options.text is not None else str(fitted.get("sample", ""))
            encoded = reader.encode(title)
        else:
            values = fitted.get("sample_values")
            encoded, title = torch.tensor(values), str(fitted.get("sample", ""))
        if not len(encoded):
            raise DataError(f"{named('text')} holds no word. Give one or more.")
        return sequence_of(network, encoded, title, given=options.text)


def _not_kept(network: Classifier) -> tuple[str, ...]:
    """Return the baselines of a run that keeps nothing of them: they are too large, or an earlier
    version has fitted it."""
    if isinstance(network.reader, TextReader):
        return (regression_of(network.reader.vocabulary.tokenizer.unit),)
    return SUMMARY_REGRESSION, NEAREST_MEAN


def _frequent(fitted: Mapping[str, Any]) -> set[str]:
    """Return the labels that a run has kept as the commonest."""
    return set(map(str, fitted.get("frequent") or ()))
