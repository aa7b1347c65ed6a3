"""What a voice says of texts whose recordings are known, and how near it comes to them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.speak.listener import Listener
from conveyor.tasks.speak.true_speech import Nearness, Saying, TrueSpeech
from conveyor.tasks.speak.voice import Spoken, Voice
from conveyor.tasks.word_edits import WordEdits


@dataclass(frozen=True, eq=False)
class ScoredSpeech:
    """What a voice says.

    Attributes:
        network: the voice.
        true: the recordings that it is scored against.
        listener: writes what it hears; None for none.
        leaks: how many of the recordings were learned from.
    """

    network: Voice
    true: TrueSpeech
    listener: Listener | None = None
    leaks: int = 0

    @property
    def sayings(self) -> list[Saying]:
        """What is spoken."""
        return self.true.sayings

    @cached_property
    def spoken(self) -> list[list[Spoken]]:
        """What the network said, of each saying as often as it is made."""
        return [
            [
                self.network.speak(saying.text, speaker=saying.name, seed=seed)
                for seed in range(saying.sounds)
            ]
            for saying in self.sayings
        ]

    @cached_property
    def waves(self) -> list[list[Tensor]]:
        """The sound of it."""
        return [[self.true.wave(each.frames) for each in several] for several in self.spoken]

    @cached_property
    def nearness(self) -> Nearness:
        """How near it comes to the recordings."""
        return self.true.near(self.waves)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """In which range the mean distortion lies in 95 of 100 samples of the sayings; None of
        one."""
        values = np.array(self.nearness.distortion)
        if len(values) < 2:
            return None
        return interval_of(bootstrap_draws(len(values)) @ values / len(values))

    @cached_property
    def edits(self) -> WordEdits | None:
        """What the listener hears in what the network says."""
        return self.true.heard(self.waves, self.listener)

    @property
    def finished_share(self) -> float:
        """The share of the sounds that stopped by themselves."""
        ends = [each.finished for several in self.spoken for each in several]
        return sum(ends) / len(ends)

    @property
    def last_letter_share(self) -> float:
        """The share of the sounds whose window came to the last letter of the text."""
        reached = [
            bool(each.window.argmax(1).max() >= each.window.shape[1] - 2)
            for several in self.spoken
            for each in several
        ]
        return sum(reached) / len(reached)

    @cached_property
    def frame_error(self) -> float:
        """The mean absolute error of frames in deviations, where those before are known."""
        return self.network.errors(self.true.examples)
