"""The true recordings that a voice is scored against, and what else comes near them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, zip_longest
from math import isnan, log, nan

import numpy as np
import torch
from torch import Tensor

from conveyor.data.audio_file import Samples, read_sound
from conveyor.errors import DataError
from conveyor.networks.griffin_lim import wave_of
from conveyor.networks.log_mel import LogMel
from conveyor.tasks.speak.cepstral_distortion import Numbers, cepstra, distortion
from conveyor.tasks.speak.listener import Listener
from conveyor.tasks.speak.speech_baselines import MOST as MOST_TRUE
from conveyor.tasks.speak.speech_baselines import KnownSayings
from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.word_edits import WordEdits

# Sounds that are made for a score, at most.
MOST = 120


@dataclass(frozen=True)
class Saying:
    """A text and who speaks it.

    Attributes:
        text: as it is spelled.
        name: of the speaker.
        numbers: the recordings of it that are scored against.
        sounds: how many are made of it.
    """

    text: str
    name: str
    numbers: list[int]
    sounds: int


@dataclass(frozen=True)
class Nearness:
    """How near some sounds come to recordings, an entry for each saying.

    Attributes:
        distortion: to the nearest recording of the saying, in decibels, the mean over its sounds;
            NaN where there is no sound.
        length: how much longer or shorter than that recording they are, as a share of it.
    """

    distortion: list[float]
    length: list[float]

    def over(self, chosen: Sequence[int] | None = None) -> tuple[float | None, float | None]:
        """Return the means over some sayings, None for all; None where nothing is known of them."""
        numbers = range(len(self.distortion)) if chosen is None else chosen
        kept = [n for n in numbers if not isnan(self.distortion[n])]
        if not kept:
            return None, None
        return (
            float(np.mean([self.distortion[n] for n in kept])),
            float(np.mean([self.length[n] for n in kept])),
        )


def drawn_sayings(sayings: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``MOST`` of some texts and speakers, all if there are no more, in their order.

    They are drawn, with the same seed always, of each speaker in turn, so that nobody is left out
    for the order of a table.
    """
    draw = random.Random(0)
    by_speaker: dict[str, list[tuple[str, str]]] = {}
    for saying in draw.sample(sayings, len(sayings)):
        by_speaker.setdefault(saying[1], []).append(saying)
    turns = chain.from_iterable(zip_longest(*by_speaker.values()))
    drawn = set(islice((saying for saying in turns if saying is not None), MOST))
    return [saying for saying in sayings if saying in drawn]


@dataclass(frozen=True, eq=False)
class TrueSpeech:
    """Recordings that are scored against. All sounds but true recordings are made of frames, as
    those of a voice are.

    Attributes:
        frames: how waves become frames.
        examples: the recordings.
        known: recordings that were learned from; None where a run does not have them.
    """

    frames: LogMel
    examples: SpokenExamples
    known: KnownSayings | None = None

    @cached_property
    def sayings(self) -> list[Saying]:
        """What is spoken: each text by each speaker, or so many of them as are scored."""
        grouped = self.examples.by_saying()
        rounds = max(1, MOST // len(grouped))
        return [
            Saying(text, name, grouped[text, name], min(rounds, len(grouped[text, name])))
            for text, name in drawn_sayings(list(grouped))
        ]

    @cached_property
    def saying_count(self) -> int:
        """How many sayings there are, scored or not."""
        return len(self.examples.by_saying())

    def near(self, waves: Sequence[Sequence[Tensor]]) -> Nearness:
        """Return how near sounds come to the recordings of their saying.

        Args:
            waves: several of each saying, each [N].
        """
        return self._near([[self.frames(wave) for wave in several] for several in waves])

    def _near(self, sounds: Sequence[Sequence[Tensor]]) -> Nearness:
        pairs = [
            self._mean_pair([(frames, saying.numbers) for frames in several])
            for saying, several in zip(self.sayings, sounds, strict=True)
        ]
        return Nearness([pair[0] for pair in pairs], [pair[1] for pair in pairs])

    def _mean_pair(self, sounds: Sequence[tuple[Tensor, Sequence[int]]]) -> tuple[float, float]:
        """Return the distortion and the difference in length of sounds to the nearest of the
        recordings that stand beside each, on average; NaN of none."""
        pairs = []
        for frames, numbers in sounds:
            coefficients = cepstra(frames)
            apart = [distortion(coefficients, self._cepstra[number]) for number in numbers]
            place = int(np.argmin(apart))
            true = self._cepstra[numbers[place]]
            pairs.append((apart[place], abs(len(coefficients) / len(true) - 1)))
        if not pairs:
            return nan, nan
        distance, length = np.mean(pairs, axis=0)
        return float(distance), float(length)

    @cached_property
    def _cepstra(self) -> list[Numbers]:
        return [cepstra(frames) for frames in self.examples.frames]

    @cached_property
    def mean_waves(self) -> list[list[Tensor]]:
        """The sound of the mean recording of each saying; empty where nothing is known."""
        if self.known is None:
            return []
        means = [self.known.mean(saying.text, saying.name) for saying in self.sayings]
        return [[self.wave(mean)] for mean in means]

    @cached_property
    def mean_nearness(self) -> Nearness | None:
        """How near the mean recording comes; None where nothing is known."""
        return None if self.known is None else self.near(self.mean_waves)

    @cached_property
    def true_nearness(self) -> Nearness:
        """How near other true recordings of a saying come: those that were learned from; where
        there are none, each of those that are scored against to the others."""
        pairs = []
        for saying in self.sayings:
            heard = [] if self.known is None else self.known.same(saying.text, saying.name)
            beside = [(frames, saying.numbers) for frames in heard]
            if not heard and len(saying.numbers) > 1:
                beside = [
                    (self.examples.frames[number], [n for n in saying.numbers if n != number])
                    for number in saying.numbers[:MOST_TRUE]
                ]
            pairs.append(self._mean_pair(beside))
        return Nearness([pair[0] for pair in pairs], [pair[1] for pair in pairs])

    @cached_property
    def true_waves(self) -> list[list[Tensor]]:
        """The recordings, as many as sounds are made of each saying; empty where one is gone."""
        try:
            return [
                [torch.from_numpy(self.sound(number)) for number in saying.numbers[: saying.sounds]]
                for saying in self.sayings
            ]
        except DataError:  # the file may be gone by now
            return []

    @cached_property
    def resynthesised(self) -> list[list[Tensor]]:
        """The sound that is made of the frames of these."""
        return [
            [self.wave(self.examples.frames[n]) for n in saying.numbers[: saying.sounds]]
            for saying in self.sayings
        ]

    @cached_property
    def resynthesis_nearness(self) -> Nearness:
        """How near that comes to the recordings."""
        return self.near(self.resynthesised)

    def wave(self, frames: Tensor) -> Tensor:
        """Return the sound of frames [T, bands], [N]."""
        return wave_of(frames, self.frames).clamp(-1, 1)

    def sound(self, number: int) -> Samples:
        """Return a recording at the rate of the frames.

        Raises:
            DataError: the file is gone, or another.
        """
        return read_sound(self.examples.files[number]).at(self.frames.rate)

    def heard(
        self, waves: Sequence[Sequence[Tensor]], listener: Listener | None
    ) -> WordEdits | None:
        """Return what a listener hears in sounds beside what was to be said; None without a
        listener, or without sounds.

        Args:
            waves: several of each saying, each [N].
            listener: writes what it hears.
        """
        if listener is None or not waves:
            return None
        said = [
            saying.text
            for saying, several in zip(self.sayings, waves, strict=True)
            for _ in several
        ]
        flat = [wave.numpy() for several in waves for wave in several]
        return WordEdits.of(said, listener.texts(flat, self.frames.rate))

    @cached_property
    def quiet(self) -> float:
        """The log-mel energy below which pictures show nothing: 70 decibels below the loudest."""
        return max(float(frames.max()) for frames in self.examples.frames) - 7 * log(10)
