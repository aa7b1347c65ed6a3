"""The task ``tag``: gives each word of a sentence a tag."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from conveyor.compiler.program import Program
from conveyor.data.group_names import listed
from conveyor.data.tagged_files import read_untagged
from conveyor.data.tagged_sentences import COLUMNS, LINES
from conveyor.errors import DataError, SettingError, counted, named
from conveyor.networks.crf import Transitions
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.known_keys import packed_hashes, tell_not_kept, told_leaks
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Metric, Prediction, Results
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.tag.feature_crf import FeatureCRF
from conveyor.tasks.tag.frequent_tag import FrequentTag
from conveyor.tasks.tag.looked_at_words import sentence_of
from conveyor.tasks.tag.prepared_tags import (
    MOST_TOGETHER,
    PreparedTags,
    hash_of,
    in_scheme,
    key_of,
    prepare_tags,
    read_source,
)
from conveyor.tasks.tag.scored_tags import ScoredTags
from conveyor.tasks.tag.tag_examples import TagExamples
from conveyor.tasks.tag.tag_predictions import as_line, in_file, in_line, words_in
from conveyor.tasks.tag.tag_results import results_of
from conveyor.tasks.tag.tag_scores import ACCURACY, SPAN_F1, SentenceCounts, Tags
from conveyor.tasks.tag.tag_settings import IOB2, PLAIN, TagNetwork, TagSettings
from conveyor.tasks.tag.tag_stream import TagStream
from conveyor.tasks.tag.tagger import Tagger, TaggerSizes
from conveyor.tasks.task import Say, Task, whole

FEATURE_CRF, MOST_FREQUENT = "feature CRF", "most frequent tag of a word"

# So many names stand in a line for the user.
_LISTED = 6


class Tagging(Task[Tagger]):
    """The task of giving each word a tag, beside the most frequent tag of each word and a CRF on
    features. Its score is the accuracy, or the F1 of spans."""

    name = "tag"
    network_type = Tagger
    metric: Metric = ACCURACY
    loss = "nats"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    next_command = ("predict", "new.txt")
    settings: TagSettings

    def __init__(self, prepared: PreparedTags) -> None:
        self.prepared, self.settings = prepared, prepared.settings
        self.train: TagExamples = prepared.parts[TRAIN]
        self.validation: TagExamples = prepared.parts[VALIDATION].by_length()
        self.asked = prepared.parts[TEST]
        self.lengths = self.train.lengths
        self.metric = SPAN_F1 if prepared.iob2 else ACCURACY
        file = Path(prepared.name).name
        self.title = Words(f"Tags of {file}", f"Gán nhãn {file}")
        self.data_hash = hashlib.sha256()
        for keys, examples in zip(prepared.keys, prepared.parts, strict=True):
            self.data_hash.update("\0".join(keys).encode(errors="surrogatepass"))
            for tags in examples.tags:
                self.data_hash.update(tags.numpy().tobytes() + b"|")
            self.data_hash.update(examples.intents.numpy().tobytes())
        names = [*prepared.tags, "", *prepared.intents]
        self.data_hash.update("\0".join(names).encode(errors="surrogatepass"))

    @classmethod
    def prepare(cls, source: Any, settings: TagSettings, say: Say) -> "Tagging":
        """Return the task on sentences with tags."""
        return cls(prepare_tags(read_source(source, settings.data), settings, say))

    def network(self, program: Program, sizes: TagNetwork) -> Tagger:
        """Return an untrained tagger."""
        prepared = self.prepared
        return Tagger(
            program,
            prepared.reader,
            prepared.tags,
            prepared.intents,
            iob2=prepared.iob2,
            sizes=TaggerSizes(**sizes.besides_the_cell()),
        )

    def about(self, network: Tagger) -> str:
        """Return how large a network is, and how much it learns from."""
        count = counted(network.parameter_count, "parameter")
        words = counted(sum(self.train.lengths), "word")
        sentences = counted(len(self.train), "sentence")
        return f"{network.title} with {count} on {words} of {sentences}"

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: how the data were read, what was learned from, the tags
        of known words, and a sentence to look at."""
        prepared, data = self.prepared, self.settings.data
        known = [*prepared.keys[TRAIN], *prepared.keys[VALIDATION]]
        return {
            "form": prepared.form,
            "tags": data.tags,
            "source": prepared.source_hash,
            "known": packed_hashes(known),
            "frequent": self._frequent.description(),
            "intent": self._frequent_intent,
            "field": None if self._field is None else self._field.description(),
            "sample": list(self.asked.sentences[0].words),
        }

    @cached_property
    def _frequent(self) -> FrequentTag:
        sentences = self.train.sentences
        return FrequentTag.of([s.words for s in sentences], [s.tags for s in sentences])

    @property
    def _frequent_intent(self) -> str:
        counts = Counter(sentence.intent for sentence in self.train.sentences)
        return min(counts, key=lambda intent: (-counts[intent], intent))

    @cached_property
    def _field(self) -> FeatureCRF | None:
        """The field that has learned from the training set; None where there are too many tags."""
        tags = self.prepared.tags
        if len(tags) > MOST_TOGETHER:
            return None
        allowed = Transitions.iob2(tags) if self.prepared.iob2 else None
        return FeatureCRF.fit(self.train.words, self.train.tags, len(tags), allowed=allowed)

    @cached_property
    def _baseline_tags(self) -> dict[str, Tags]:
        """The tags that each baseline says of the test set."""
        words = self.asked.words
        return _simple_tags(self._field, self._frequent, self.prepared.tags, words)

    def _score_of(self, predicted: Tags) -> float:
        gold = [sentence.tags for sentence in self.asked.sentences]
        return SentenceCounts.of(gold, predicted, iob2=self.prepared.iob2).score

    def baselines(self) -> Mapping[str, float]:
        """Return the accuracies, or the F1 of spans, of the baselines."""
        return {name: self._score_of(tags) for name, tags in self._baseline_tags.items()}

    def score(self, network: Tagger) -> float:
        """Return the accuracy, or the F1 of spans, on the test set."""
        return self._score_of([answer.tags for answer in network.answer(self.asked.words)])

    def results(self, network: Tagger) -> Results:
        """Return the scores on the test set beside the baselines."""
        scored = ScoredTags(
            network,
            self.asked.sentences,
            network.answer(self.asked.words, sure=True),
            self.prepared.leaks.test,
        )
        intent = self._frequent_intent
        right = [sentence.intent == intent for sentence in self.asked.sentences]
        of_intents = {MOST_FREQUENT: sum(right) / len(right)}
        strongest = FEATURE_CRF if FEATURE_CRF in self._baseline_tags else None
        return results_of(scored, self._baseline_tags, of_intents, strongest)

    @classmethod
    def evaluate(
        cls,
        network: Tagger,
        source: Any,
        *,
        settings: TagSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a tagger: of the data that the run was fitted on its test set, of other data
        everything.

        Raises:
            DataError: the data cannot be used.
        """
        fitted = fitted_on or {}
        settings = _settings_of(settings, options, str(fitted.get("form")))
        read = read_source(source, settings.data)
        if hash_of(read) == fitted.get("source"):
            say("this is the data of the run: its test set is scored")
            return cls(prepare_tags(read, settings, say)).results(network)
        for note in read.notes:
            say(note)
        if not read.sentences:
            raise DataError(f"{read.name}: there is no sentence.")
        sentences, _ = in_scheme(read, IOB2 if network.iob2 else PLAIN, say)
        unseen = Counter(tag for s in sentences for tag in s.tags if tag not in network.tags)
        if unseen:
            say(
                f"warning: {counted(unseen.total(), 'word')} with "
                f"{counted(len(unseen), 'tag')} that the run does not know "
                f"({listed(sorted(unseen), _LISTED)}) cannot be got right"
            )
        leaks = told_leaks([key_of(each) for each in sentences], fitted, say, "sentence")
        words = [sentence.words for sentence in sentences]
        scored = ScoredTags(network, sentences, network.answer(words, sure=True), leaks)
        field, kept = None, fitted.get("field")
        if kept is not None:
            allowed = Transitions.iob2(network.tags) if network.iob2 else None
            field = FeatureCRF.described(kept, len(network.tags), allowed)
        elif len(network.tags) <= MOST_TOGETHER:
            tell_not_kept([FEATURE_CRF], say)
        frequent = FrequentTag.described(fitted.get("frequent"))
        right = [sentence.intent == fitted.get("intent") for sentence in sentences]
        return results_of(
            scored,
            _simple_tags(field, frequent, network.tags, words),
            {MOST_FREQUENT: sum(right) / len(right)},
            None if field is None else FEATURE_CRF,
        )

    @classmethod
    def predict(
        cls,
        network: Tagger,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Prediction:
        """Return the text of a file with the tags of its words, in the form of that file; of a list
        of sentences in Python, a list of lists of tags, or with ``scores`` what the tagger says of
        each.

        Raises:
            DataError: there is no data, or it cannot be used.
        """
        fitted = fitted_on or {}
        if source is None:
            raise DataError(f"there is nothing to predict from. Give {named('data')}.")
        for name in ("labels", "intent"):
            if getattr(options, name) is not None:
                raise SettingError(f"{named(name)} is of scoring. Leave it out.")
        form = str(fitted.get("form", LINES))
        read = read_untagged(source, form)
        if isinstance(source, list | tuple):
            words = [
                words_in(each, network) if isinstance(each, str) else sentence.words
                for each, sentence in zip(source, read.sentences, strict=True)
            ]
        elif read.form == LINES:
            words = [words_in(" ".join(s.words), network) for s in read.sentences]
        else:
            words = [sentence.words for sentence in read.sentences]
        for note in read.notes:
            say(note)
        answers = network.answer(words, sure=options.scores)
        title = Words("Predicted tags", "Nhãn của từng từ")
        if isinstance(source, list | tuple):
            said = answers if options.scores else [list(answer.tags) for answer in answers]
            return Prediction(said, title)
        tags = options.tags or (None if form == COLUMNS else fitted.get("tags"))
        text = in_file(Path(source), read, answers, tags, scores=options.scores)
        return Prediction(text, title)

    @classmethod
    def answers(
        cls,
        network: Tagger,
        lines: Iterable[str],
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
    ) -> Iterator[str]:
        """Yield for each line the tags of its words, and behind a tab its intent where there are
        intents; an empty line for a line without a word."""
        for line in lines:
            (answer,) = network.answer([words_in(line, network)], sure=options.scores)
            yield in_line(answer, scores=options.scores) if answer.words else ""

    @classmethod
    def question(cls, network: Tagger, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return what a run takes: sentences, a line each."""
        asked = Words(
            "One sentence per line, with spaces between words",
            "Mỗi dòng một câu, các từ cách nhau bằng dấu cách",
        )
        words = [str(word) for word in (fitted_on or {}).get("sample") or ()]
        return Question("lines", asked, as_line(words))

    @classmethod
    def stream(cls, network: Tagger, series: str | None = None) -> TagStream:
        """Return what reads one word at a time, and says after each what its tag is so far.

        Raises:
            SettingError: the network reads from both ends, or a series is named.
        """
        if series is not None:
            raise SettingError(f"a run of the task {cls.name} has no series to go on with.")
        return network.stream()

    @classmethod
    def read(
        cls,
        network: Tagger,
        source: Any,
        *,
        settings: TagSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a sentence as the tagger reads it: the one given, one of the data, or the first
        of the test set.

        Raises:
            DataError: there is no such sentence, or no word in the text.
            SettingError: a text is given beside data.
        """
        fitted = fitted_on or {}
        if options.text is not None and source is not None:
            raise SettingError(f"there are data and {named('text')}. Give one of them.")
        if options.row is not None and source is None:
            raise SettingError(f"{named('row')} is of data. Give {named('data')}, too.")
        words: Sequence[str]
        if source is not None:
            sentences = read_untagged(source, str(fitted.get("form", LINES))).sentences
            words = sentences[check_row(options.row or 1, len(sentences), "sentence")].words
        elif options.text is not None:
            words = words_in(options.text, network)
        else:
            words = [str(word) for word in fitted.get("sample") or ()]
        if not words:
            raise DataError(f"{named('text')} holds no word. Give one or more.")
        return sentence_of(network, words, given=options.text)


def _simple_tags(
    field: FeatureCRF | None,
    frequent: FrequentTag,
    names: Sequence[str],
    words: Sequence[Sequence[str]],
) -> dict[str, Tags]:
    """Return the tags that each baseline says of sentences."""
    of_frequent: dict[str, Tags] = {MOST_FREQUENT: [frequent.tags(each) for each in words]}
    if field is None:
        return of_frequent
    of_field = [[names[tag] for tag in tags] for tags in field.answer(words)]
    return {FEATURE_CRF: of_field, **of_frequent}


def _settings_of(settings: TagSettings, options: Any, form: str) -> TagSettings:
    """Return the settings of a run for other data.

    Raises:
        DataError: tags are in a file of their own, which is not named.
    """
    given = {
        name: None if options is None else getattr(options, name)
        for name in ("tags", "labels", "intent")
    }
    if form == LINES and settings.data.labels is not None:
        if given["labels"] is None:
            raise DataError(
                f"the tags of this run are in a file of their own. Name that of these data: "
                f"{named('labels')}."
            )
        return settings.changed({"labels": given["labels"], "intent": given["intent"]})
    return settings.changed({name: value for name, value in given.items() if value is not None})
