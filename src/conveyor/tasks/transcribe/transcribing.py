"""The task ``transcribe``: what is said in recordings."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.data.audio_file import read_sound
from conveyor.data.recordings import Recordings
from conveyor.data.sound_files import SOUNDS
from conveyor.errors import DataError, counted, named
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.framed_recordings import (
    frames_of,
    hash_by_size,
    hash_of,
    heard,
    read_as,
    statistics_of,
)
from conveyor.tasks.known_keys import hash_of_parts, packed_hashes, told_leaks
from conveyor.tasks.known_source import is_source_of
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Prediction, Results, free_name
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.task import Say, Task, whole
from conveyor.tasks.transcribe.heard_pieces import heard_pieces
from conveyor.tasks.transcribe.heard_sequence import heard_sequence
from conveyor.tasks.transcribe.nearest_recording import NearestRecording
from conveyor.tasks.transcribe.placed_labels import (
    placed_by_attention,
    placed_by_ctc,
    placed_in_words,
)
from conveyor.tasks.transcribe.prepared_recordings import (
    PreparedRecordings,
    examples_of,
    prepare_recordings,
)
from conveyor.tasks.transcribe.recogniser import Heard, Recogniser, RecogniserSizes
from conveyor.tasks.transcribe.recogniser_stream import RecogniserStream
from conveyor.tasks.transcribe.recording_examples import RecordingExamples
from conveyor.tasks.transcribe.scored_recordings import ScoredRecordings
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage
from conveyor.tasks.transcribe.transcribe_reading import BEAM
from conveyor.tasks.transcribe.transcribe_results import WER, results_of
from conveyor.tasks.transcribe.transcribe_settings import (
    LOOKAHEAD,
    NONE,
    TranscribeData,
    TranscribeSettings,
)
from conveyor.tasks.word_edits import WordEdits

FREQUENT, NEAREST = "most frequent text", "nearest recording"


class Transcribing(Task[Recogniser]):
    """The task of writing what is said, beside the training recording that sounds most like a
    recording. Its score is WER."""

    name = "transcribe"
    network_type = Recogniser
    next_command = ("predict", "new.wav")
    hears = True
    holds_sequence = False
    metric = WER
    loss = "nats per label"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    settings: TranscribeSettings

    def __init__(self, prepared: PreparedRecordings) -> None:
        self.prepared, self.settings = prepared, prepared.settings
        file = Path(prepared.name).name
        self.title = Words(f"Speech in {file}", f"Tiếng nói trong {file}")
        self.train: RecordingExamples = prepared.parts[TRAIN]
        self.validation: RecordingExamples = prepared.parts[VALIDATION].by_length()
        self.lengths = self.train.lengths
        parts = prepared.parts
        self.data_hash = hash_of_parts(zip(each.frames, each.labels, strict=True) for each in parts)

    @classmethod
    def prepare(cls, source: Any, settings: TranscribeSettings, say: Say) -> "Transcribing":
        """Return the task on recordings and their texts."""
        return cls(prepare_recordings(source, settings, say))

    def network(self, program: Program, sizes: Any) -> Recogniser:
        """Return an untrained recogniser, which knows the mean and the deviation of each band."""
        values = sizes.besides_the_cell()
        frames = self.prepared.frames
        wait = values["lookahead"]
        if wait is None:
            wait = 0 if values["bidirectional"] else LOOKAHEAD
        values["lookahead"] = round(wait / 1000 * frames.rate / frames.hop)
        # The mean of a recording is known at its end.
        values["centre"] = values["centre"] and values["bidirectional"]
        if values["attention"] != NONE:
            values["pace"] = self._pace(values["stack"], ctc=bool(values["joint"]))
        network = Recogniser(program, frames, self.prepared.speller, RecogniserSizes(**values))
        mean, deviation = statistics_of(self.train.frames)
        network.mean.copy_(mean)
        network.deviation.copy_(deviation)
        return network

    def _pace(self, stack: int, *, ctc: bool) -> float:
        """Return how many labels may be written for each step, at most: twice as many as the
        fastest training recording has, and with CTC, which can say no more, one."""
        fastest = max(
            len(labels) / -(-count // stack)
            for labels, count in zip(self.train.labels, self.train.lengths, strict=True)
        )
        pace = max(2 * fastest, 1 / max(self.train.lengths))
        return min(1.0, pace) if ctc else pace

    def about(self, network: Recogniser) -> str:
        """Return how large a network is, and how much it learns from."""
        count = counted(network.parameter_count, "parameter")
        return f"{network.title} with {count} on {counted(len(self.train), 'recording')}"

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: what was learned from."""
        keys = self.prepared.keys
        return {
            "source": self.prepared.source_hash,
            "known": packed_hashes([*keys[TRAIN], *keys[VALIDATION]]),
        }

    @cached_property
    def _baselines(self) -> dict[str, list[str]]:
        test = self.prepared.parts[TEST]
        counts = Counter(self.train.texts)
        common = min(counts, key=lambda text: (-counts[text], text))
        nearest = NearestRecording(self.train.frames).find(test.frames)
        return {
            FREQUENT: [common] * len(test),
            NEAREST: [self.train.texts[number] for number in nearest],
        }

    def baselines(self) -> Mapping[str, float]:
        """Return WER of the baselines."""
        texts = self.prepared.parts[TEST].texts
        return {
            name: float(WordEdits.of(texts, answers).rate() or 0)
            for name, answers in self._baselines.items()
        }

    def _scored(self, network: Recogniser, beam: int) -> ScoredRecordings:
        prepared = self.prepared
        learned = {*prepared.keys[TRAIN], *prepared.keys[VALIDATION]}
        return ScoredRecordings(
            network,
            prepared.parts[TEST],
            beam,
            sum(key in learned for key in prepared.keys[TEST]),
            prepared.shared_speakers,
        )

    def score(self, network: Recogniser) -> float:
        """Return WER on the test set."""
        return float(self._scored(network, BEAM).edits.rate() or 0)

    def results(self, network: Recogniser) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(self._scored(network, BEAM), self._baselines)

    @classmethod
    def evaluate(
        cls,
        network: Recogniser,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a recogniser: of the data that the run was fitted on its test set, of other
        recordings whose texts are known all, or the test set that their table names.

        Raises:
            DataError: the data cannot be used.
        """
        language = SpokenLanguage.of_options(options)
        recordings, fitted = read_as(source, settings.data), fitted_on or {}
        if is_source_of(fitted, hash_of(recordings), hash_by_size(recordings), say):
            task = cls.prepare(source, settings, say)
            leaks = told_leaks(task.prepared.keys[TEST], fitted, say, "recording")
            scored = task._scored(network, options.beam)
            scored = replace(scored, leaks=leaks, language=language)
            return results_of(scored, task._baselines)
        for note in recordings.notes:
            say(note)
        framed = frames_of(
            recordings, network.frames, say, skip_broken=settings.data.skip_broken, noun="file"
        )
        places = list(range(len(framed.numbers)))
        if recordings.parts is not None and TEST in recordings.parts:
            say("the test set is scored")
            places = [n for n in places if recordings.parts[framed.numbers[n]] == TEST]
        if not places:
            raise DataError(f"{recordings.name}: there is no recording that can be scored.")
        examples = examples_of(recordings, framed, places, network.speller)
        _tell_unknown(examples, network, say)
        keys = [framed.keys[place] for place in places]
        leaks = told_leaks(keys, fitted, say, "recording")
        scored = ScoredRecordings(network, examples, options.beam, leaks, language=language)
        return results_of(scored, {})

    @classmethod
    def predict(
        cls,
        network: Recogniser,
        source: Any,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Prediction:
        """Return what is said in a recording, in those of a folder, or in those that a table
        lists.

        Raises:
            DataError: there is no recording, or it cannot be used.
        """
        if source is None:
            raise DataError("there is nothing to hear. Give a recording, a folder or a table.")
        language = SpokenLanguage.of_options(options)
        recordings = read_as(source, TranscribeData(), texts=False)
        framed = frames_of(recordings, network.frames, say, skip_broken=False, noun="file")
        frame = _table_of(recordings)
        for name, values in _columns(network, framed.frames, options, language):
            frame = frame.with_columns(pl.Series(free_name(frame.columns, name), values))
        return Prediction(frame, Words("Transcript", "Nội dung nghe được"))

    @classmethod
    def question(cls, network: Recogniser, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return what a recogniser is asked: for a recording."""
        return Question("file", Words("A recording", "Một bản ghi âm"), endings=SOUNDS)

    @classmethod
    def hear(
        cls,
        network: Recogniser,
        sound: BinaryIO,
        *,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Iterator[str]:
        """Yield what is said in sound that comes through a pipe: while it comes, or after its end
        where the network reads from there, too.

        Raises:
            DataError: this is no sound.
            SettingError: more than a text is asked for.
        """
        options.check_pipe()
        language = SpokenLanguage.of_options(options)
        return heard_pieces(
            network, sound, raw=options.raw, beam=options.beam, language=language, say=say
        )

    @classmethod
    def read(
        cls,
        network: Recogniser,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a recording as a network hears it.

        Raises:
            DataError: there is no such recording.
        """
        if source is None:
            raise DataError(f"a run keeps no recording. Give {named('data')}: new.wav.")
        recordings = read_as(source, settings.data, texts=False)
        number = check_row(options.row or 1, len(recordings.files), "recording")
        sound = read_sound(recordings.files[number])
        return heard_sequence(network, heard(sound, network.frames)[0], recordings.places[number])

    @classmethod
    def stream(cls, network: Recogniser, series: str | None = None) -> RecogniserStream:
        """Return what hears sound piece by piece.

        Raises:
            SettingError: the network reads from both ends, or looks at all that it heard.
        """
        del series
        return network.stream()


def _columns(
    network: Recogniser, frames: Sequence[Tensor], options: Any, language: SpokenLanguage | None
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the columns of what is said in recordings, with their names."""
    answers = network.hear_several(
        frames, beam=options.beam, n_best=options.n_best, language=language
    )
    chances = None
    if options.explain and network.writer is None:
        chances = network.log_probabilities(frames)
    for place in range(options.n_best):
        end = "" if place == 0 else f"_{place + 1}"
        each = [best[place] if place < len(best) else None for best in answers]
        yield f"written{end}", [heard and heard.text for heard in each]
        if options.scores:
            yield f"log_probability{end}", [heard and heard.log_probability for heard in each]
            yield f"score{end}", [heard and heard.score for heard in each]
        if options.explain:
            looked = [
                heard and _placed(network, heard, None if chances is None else chances[row])
                for row, heard in enumerate(each)
            ]
            yield f"attention{end}", looked


def _placed(network: Recogniser, heard: Heard, chances: Tensor | None) -> str:
    """Return where each label is heard, in words.

    Args:
        network: the network.
        heard: what was heard.
        chances: log P at each step, of a network that writes by CTC.
    """
    if chances is not None:
        placed = placed_by_ctc(chances, heard.labels)
    elif heard.looked is not None:
        placed = placed_by_attention(heard.looked, heard.labels)
    else:  # a recording without a frame
        placed = []
    return placed_in_words(placed, network.speller.labels, network.step_seconds)


def _table_of(recordings: Recordings) -> pl.DataFrame:
    if recordings.frame is not None:
        return recordings.frame
    return pl.DataFrame({"recording": list(map(str, recordings.files))})


def _tell_unknown(examples: RecordingExamples, network: Recogniser, say: Say) -> None:
    unknown = dict.fromkeys(
        token for text in examples.texts for token in network.speller.unknown(text)
    )
    if unknown:
        words = ", ".join(map(repr, list(unknown)[:10])) + (", …" if len(unknown) > 10 else "")
        say(f"warning: the run has never learned to write {words}")
