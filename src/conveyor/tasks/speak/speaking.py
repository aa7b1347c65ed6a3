"""The task ``speak``: a text as sound."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from conveyor.compiler.program import Program
from conveyor.data.audio_file import Sound
from conveyor.errors import DataError, RunError, SettingError, counted, named
from conveyor.pages.words import Words
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.framed_recordings import (
    frames_of,
    hash_by_size,
    hash_of,
    read_as,
    statistics_of,
)
from conveyor.tasks.known_keys import hash_of_parts, packed_hashes, told_leaks
from conveyor.tasks.known_source import is_source_of
from conveyor.tasks.question import Question
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Results
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.speak.listener import Listener
from conveyor.tasks.speak.looked_at_speech import looked_at_speech
from conveyor.tasks.speak.prepared_speech import (
    Learned,
    PreparedSpeech,
    known_places,
    prepare_speech,
    spoken_of,
)
from conveyor.tasks.speak.scored_speech import ScoredSpeech
from conveyor.tasks.speak.speak_results import MCD, MEAN, results_of
from conveyor.tasks.speak.speak_settings import SpeakSettings
from conveyor.tasks.speak.speaking_options import SpeakingOptions
from conveyor.tasks.speak.speech_baselines import KnownSayings
from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.speak.true_speech import TrueSpeech
from conveyor.tasks.speak.voice import Voice, VoiceSizes
from conveyor.tasks.task import Say, Task, whole


class Speaking(Task[Voice]):
    """The task of speaking a text, beside the mean of its recordings. Its score is the mel-cepstral
    distortion to the nearest true recording."""

    name = "speak"
    network_type = Voice
    next_command: tuple[str, ...] = ("generate", "--out", "speech.wav")
    speaks = True
    holds_sequence = False
    metric = MCD
    # Deviations of a number of a frame, and nats of the end.
    loss = "error per step"
    join: Callable[[Any], Any] | None = staticmethod(whole)
    settings: SpeakSettings

    def __init__(self, prepared: PreparedSpeech) -> None:
        self.prepared, self.settings = prepared, prepared.settings
        file = Path(prepared.name).name
        self.title = Words(f"A voice of {file}", f"Giọng nói từ {file}")
        self.train: SpokenExamples = prepared.parts[TRAIN]
        self.validation: SpokenExamples = prepared.parts[VALIDATION].by_length()
        self.lengths = self.train.lengths
        # A text that the network has learned from: of another it may not know a letter.
        text = min(self.train.texts, key=lambda text: (len(text), text))
        self.next_command = ("generate", "--text", text, "--out", "speech.wav")
        self.data_hash = hash_of_parts(
            zip(each.frames, each.letters, strict=True) for each in prepared.parts
        )
        # A folder that is no such run is told before anything is learned.
        self._listener = Listener.of(self.settings.data.recogniser)

    @classmethod
    def prepare(cls, source: Any, settings: SpeakSettings, say: Say) -> "Speaking":
        """Return the task on recordings and their texts."""
        return cls(prepare_speech(source, settings, say))

    @property
    def pace(self) -> float:
        """Frames of a letter, and of the end."""
        return sum(self.train.lengths) / sum(map(len, self.train.letters))

    def network(self, program: Program, sizes: Any) -> Voice:
        """Return an untrained voice, whose window goes on as fast as people speak."""
        prepared = self.prepared
        network = Voice(
            program,
            prepared.frames,
            prepared.learned.speller,
            prepared.learned.names,
            VoiceSizes(**sizes.besides_the_cell()),
        )
        network.begin_at(self.pace, *statistics_of(self.train.frames))
        return network

    def about(self, network: Voice) -> str:
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
    def _true(self) -> TrueSpeech:
        prepared = self.prepared
        return TrueSpeech(prepared.frames, prepared.parts[TEST], KnownSayings(self.train))

    def _scored(
        self, network: Voice, listener: Listener | None, leaks: int | None = None
    ) -> ScoredSpeech:
        """Return what a voice says of the test set.

        Args:
            network: the voice.
            listener: writes what it hears.
            leaks: how many of the recordings the voice has learned from; None for one that is
                fitted on these parts.
        """
        if leaks is None:
            keys = self.prepared.keys
            learned = {*keys[TRAIN], *keys[VALIDATION]}
            leaks = sum(key in learned for key in keys[TEST])
        return ScoredSpeech(network, self._true, listener, leaks)

    def baselines(self) -> Mapping[str, float]:
        """Return the distortion of the baselines."""
        near = self._true.mean_nearness
        assert near is not None
        return {MEAN: near.over()[0] or 0.0}

    def score(self, network: Voice) -> float:
        """Return the distortion on the test set."""
        return self._scored(network, None).nearness.over()[0] or 0.0

    def results(self, network: Voice) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(self._scored(network, self._listener))

    @classmethod
    def evaluate(
        cls,
        network: Voice,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a voice: of the data that the run was fitted on beside its test set, of other
        recordings beside all of speakers and letters that it knows, or the test set that their
        table names.

        Raises:
            DataError: the data cannot be used.
        """
        listener = _listener_of(options.recogniser, settings.data.recogniser, say)
        recordings, fitted = read_as(source, settings.data), fitted_on or {}
        if is_source_of(fitted, hash_of(recordings), hash_by_size(recordings), say):
            # The listener is known by now, and that of the run may be gone.
            data = replace(settings.data, recogniser=None)
            task = cls.prepare(source, replace(settings, data=data), say)
            leaks = told_leaks(task.prepared.keys[TEST], fitted, say, "recording")
            return results_of(task._scored(network, listener, leaks))
        for note in recordings.notes:
            say(note)
        framed = frames_of(
            recordings, network.frames, say, skip_broken=settings.data.skip_broken, noun="file"
        )
        places = list(range(len(framed.numbers)))
        if recordings.parts is not None and TEST in recordings.parts:
            say("the test set is scored")
            places = [n for n in places if recordings.parts[framed.numbers[n]] == TEST]
        learned = Learned(network.speller, network.names)
        known = known_places(recordings, framed, places, learned, say)
        leaks = told_leaks([framed.keys[place] for place in known], fitted, say, "recording")
        examples = spoken_of(recordings, framed, known, learned)
        return results_of(
            ScoredSpeech(network, TrueSpeech(network.frames, examples), listener, leaks)
        )

    @classmethod
    def read(
        cls,
        network: Voice,
        source: Any,
        *,
        settings: Any,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return a recording as a network speaks it.

        Raises:
            DataError: there is no such recording.
        """
        if source is None:
            raise DataError(f"a run keeps no recording. Give {named('data')}: recordings.csv.")
        recordings = read_as(source, settings.data)
        row = check_row(options.row or 1, len(recordings.files), "recording")
        chosen = recordings.only(row)
        framed = frames_of(chosen, network.frames, say, skip_broken=False)
        learned = Learned(network.speller, network.names)
        known = known_places(chosen, framed, [0], learned, say)
        return looked_at_speech(network, spoken_of(chosen, framed, known, learned))

    @classmethod
    def question(cls, network: Voice, fitted_on: Mapping[str, Any] | None) -> Question:
        """Return what a voice is asked: for a text, and where it knows several, for a speaker."""
        several = {"speaker": network.names} if len(network.names) > 1 else {}
        return Question("speech", Words("Text to speak", "Câu cần đọc"), choices=several)

    @classmethod
    def speak(cls, network: Voice, options: SpeakingOptions) -> Sound:
        """Return the sound of a text.

        Raises:
            DataError: the text or the speaker was never heard.
            SettingError: there is no text.
        """
        if not options.text.strip():
            raise SettingError(f"there is nothing to speak. Give {named('text', 'hello')}.")
        spoken = network.speak(options.text, speaker=options.speaker, seed=options.seed)
        wave = network.wave(spoken.frames, options.seed)
        return Sound(wave.numpy(), network.frames.rate, 1)


def _listener_of(asked: str | None, fitted_with: str | None, say: Say) -> Listener | None:
    """Return the listener that judges a voice later: the one that is asked for; else that of the
    run, which is left out where it is gone.

    Raises:
        RunError: the one that is asked for hears nothing, or is no run.
    """
    if asked is not None or fitted_with is None:
        return Listener.of(asked)
    try:
        return Listener(fitted_with)
    except RunError as error:
        say(
            f"the recogniser of the run is left out: {str(error).removesuffix('.')}. Give another: "
            f"{named('recogniser', 'RUN')}"
        )
        return None
