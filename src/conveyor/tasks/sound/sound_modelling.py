"""The task ``sound``: predicts sound, sample by sample."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conveyor.compiler.program import Program
from conveyor.data.audio_file import Sound, read_sound
from conveyor.data.mu_law import mu_law_levels, mu_law_samples
from conveyor.data.text import Chunks
from conveyor.errors import DataError, counted, named
from conveyor.networks.output_heads import class_losses
from conveyor.pages.words import Words, same
from conveyor.tasks.drawn_parts import TEST, TRAIN
from conveyor.tasks.known_keys import leaks_among, packed_hashes, short_hash, told_leaks
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.results import Results
from conveyor.tasks.sequence_choice import check_row
from conveyor.tasks.sound.prepared_sound import (
    PreparedSound,
    hash_of_sound,
    heard_as,
    part_of,
    prepare_sound,
    recordings_of,
    split_sound,
)
from conveyor.tasks.sound.sample_model import BEGIN, SampleModel
from conveyor.tasks.sound.scored_sound import ScoredSound, SoundBaselines, scored_levels
from conveyor.tasks.sound.sound_results import BITS, bits_of, results_of
from conveyor.tasks.sound.sound_settings import SoundSettings
from conveyor.tasks.sound.sounding_options import SoundingOptions
from conveyor.tasks.task import Say, Task

# The validation set is read in this many streams: a batch takes little more time than one.
_STREAMS = 8
# Samples of a recording that ``inspect`` looks at: a tenth of a second at 8 kHz.
_LOOKED_AT = 800


class SoundModelling(Task[SampleModel]):
    """The task of predicting sound sample by sample, beside linear prediction."""

    name = "sound"
    network_type = SampleModel
    in_order = True
    speaks = True
    holds_sequence = False
    metric = BITS
    loss = "nats per sample"
    next_command: tuple[str, ...] = ("generate", "--seconds", "3", "--out", "sound.wav")
    settings: SoundSettings

    def __init__(self, prepared: PreparedSound) -> None:
        self.prepared, self.settings = prepared, prepared.settings
        file = Path(prepared.name).name
        self.title = Words(f"Sound of {file}", f"Âm thanh của {file}")
        known, checked, asked = (part.joined() for part in prepared.parts)
        chunk = self.settings.data.chunk
        self.train = Chunks(known, self.settings.training.batch, chunk, "sample")
        self.validation = Chunks(checked, min(_STREAMS, len(checked) - 1), chunk, "sample")
        self.data_hash = hashlib.sha256()
        for levels in (known, checked, asked):
            self.data_hash.update(levels.numpy().tobytes() + b"#")

    @classmethod
    def prepare(cls, source: Any, settings: SoundSettings, say: Say) -> "SoundModelling":
        """Return the task on recordings."""
        return cls(prepare_sound(source, settings, say))

    def network(self, program: Program, sizes: Any) -> SampleModel:
        """Return an untrained network of samples."""
        return SampleModel(program, self.prepared.rate, **sizes.besides_the_cell())

    def about(self, network: SampleModel) -> str:
        """Return how large a network is, and how it hears."""
        settings = self.settings
        return (
            f"{network.title} with {counted(network.parameter_count, 'parameter')}, "
            f"{counted(settings.training.batch, 'stream')} in chunks of "
            f"{counted(settings.data.chunk, 'step')}, {counted(len(self.train), 'chunk')} an epoch"
        )

    @cached_property
    def _beside(self) -> SoundBaselines:
        return SoundBaselines.of(self.prepared.parts[TRAIN])

    def fitted_on(self) -> dict[str, Any]:
        """Return what later commands need: what was learned from, and the baselines."""
        return {
            "source": self.prepared.source_hash,
            "known": packed_hashes(self.prepared.learned),
            "baselines": self._beside.description(),
        }

    def _scored(self, network: SampleModel) -> ScoredSound:
        parts = self.prepared.parts
        leaks = leaks_among(parts[TEST].keys, set(map(short_hash, self.prepared.learned)))
        return ScoredSound(network, parts[TEST], self._beside, leaks)

    def results(self, network: SampleModel) -> Results:
        """Return the scores on the test set beside the baselines."""
        return results_of(self._scored(network))

    def score(self, network: SampleModel) -> float:
        """Return the bits per sample on the test set."""
        return bits_of(self._scored(network).ours)

    def baselines(self) -> Mapping[str, float]:
        """Return the bits per sample of the baselines."""
        levels = scored_levels(self.prepared.parts[TEST])
        return {name: bits_of(nats) for name, nats in self._beside.nats(levels).items()}

    @classmethod
    def evaluate(
        cls,
        network: SampleModel,
        source: Any,
        *,
        settings: SoundSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> Results:
        """Score a network: on the data that the run was fitted on by its test set, on others by
        all of them, or by the part that their table calls the test set. The baselines are those of
        the run."""
        fitted, data = fitted_on or {}, settings.data
        recordings = recordings_of(source, data)
        for note in recordings.notes:
            say(note)
        heard = heard_as(recordings, network.rate, say, skip_broken=data.skip_broken)
        if hash_of_sound(heard) == fitted.get("source"):
            say("this is the data of the run: its test set is scored")
            part = split_sound(recordings, heard, network.rate, settings, say).parts[TEST]
        else:
            places = list(range(len(heard.levels)))
            if recordings.parts is not None and TEST in recordings.parts:
                say("the test set is scored")
                parts = [recordings.parts[number] for number in heard.numbers]
                places = [place for place in places if parts[place] == TEST]
            part = part_of(recordings, heard, places)
        leaks = told_leaks(part.keys, fitted, say, "recording")
        beside = SoundBaselines.described(fitted.get("baselines") or {})
        return results_of(ScoredSound(network, part, beside, leaks))

    @classmethod
    def speak(cls, network: SampleModel, options: SoundingOptions) -> Sound:
        """Return sound that the network draws, sample by sample: with ``prime`` what goes on after
        that recording, with it.

        Raises:
            DataError: the recording cannot be read.
        """
        heard = None
        if options.prime is not None:
            heard = mu_law_levels(read_sound(Path(options.prime)).at(network.rate))
        drawn = network.sampled(
            max(round(options.seconds * network.rate), 1),
            temperature=options.temperature,
            seed=options.seed,
            heard=heard,
        )
        levels = drawn if heard is None else np.concatenate([heard, drawn])
        return Sound(mu_law_samples(levels), network.rate, 1)

    @classmethod
    def read(
        cls,
        network: SampleModel,
        source: Any,
        *,
        settings: SoundSettings,
        fitted_on: Mapping[str, Any] | None,
        options: Any,
        say: Say,
    ) -> ReadSequence:
        """Return the beginning of a recording as the network reads it, from where it is no longer
        silent. The answer is the logarithm of the probability of the last sample.

        Raises:
            DataError: there is no such recording, or it is too short.
        """
        if source is None:
            raise DataError(f"a run keeps no recording. Give {named('data')}: hello.wav.")
        recordings = recordings_of(source, settings.data)
        row = check_row(options.row or 1, len(recordings.files), "recording")
        heard = heard_as(recordings.only(row), network.rate, say, skip_broken=False)
        wave = mu_law_samples(heard.levels[0])
        if len(wave) < 2:
            raise DataError(f"{recordings.places[row]}: it has one sample; expected two or more.")
        loud = np.abs(wave) > np.abs(wave).max() / 10
        first = min(int(loud.argmax()), len(wave) - 2)
        levels = heard.levels[0][first : first + _LOOKED_AT]
        wave = wave[first : first + _LOOKED_AT]
        network.eval()
        read = torch.from_numpy(np.concatenate([[BEGIN], levels[:-1]]).astype(np.int64))
        last = torch.tensor([int(levels[-1])])
        with torch.no_grad():
            inputs = network.embedding(read[:, None])

        def answer(output: Tensor) -> Tensor:
            logits = network.head(output[-1]).float()
            return -class_losses(logits, last.expand(len(logits)))

        times = [(first + step) / network.rate * 1000 for step in range(len(levels))]
        return ReadSequence(
            title=same(recordings.places[row]),
            inputs=inputs,
            labels=tuple(f"{time:.2f} ms" for time in times),
            answer=answer,
            asked=Words(
                "the log-probability of the last sample", "log xác suất của mẫu âm thanh cuối"
            ),
            features={
                Words("sample before", "mẫu trước"): (0.0, *(float(each) for each in wave[:-1]))
            },
        )
