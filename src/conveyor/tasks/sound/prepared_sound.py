"""Recordings made ready for a network of samples: levels, in the parts for training, validation and
test."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.data.mu_law import mu_law_levels
from conveyor.data.recordings import Recordings, read_recordings
from conveyor.errors import DataError, counted, named
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, split_by_source
from conveyor.tasks.framed_recordings import (
    places_by_part,
    rate_of,
    sounds_of,
    tell_what_is_learned_too,
)
from conveyor.tasks.sound.sample_model import BEGIN
from conveyor.tasks.sound.sound_settings import SoundData, SoundSettings
from conveyor.tasks.task import Say

Levels = NDArray[np.uint8]

# Levels that are held, at most: two gigabytes, and as much again while they are cut.
_MOST_LEVELS = 2_000_000_000
# Recordings that can be split into three parts; fewer are cut in time.
_LEAST = 3


@dataclass(frozen=True)
class HeardRecordings:
    """Recordings whose levels are known.

    Attributes:
        numbers: which of the source's recordings these are.
        levels: of each, [N].
        keys: the same for the same sound.
    """

    numbers: list[int]
    levels: list[Levels]
    keys: list[str]


@dataclass(frozen=True)
class SoundPart:
    """A part of the data.

    Attributes:
        names: of the recordings.
        levels: of each, [N].
        keys: of each, the same for the same sound.
    """

    names: list[str]
    levels: list[Levels]
    keys: list[str]

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return sum(map(len, self.levels))

    def joined(self) -> Tensor:
        """Return all levels one after the other, ``BEGIN`` before those of each recording, [N]."""
        parts = []
        for levels in self.levels:
            parts += [np.array([BEGIN], np.int16), levels.astype(np.int16)]
        return torch.from_numpy(np.concatenate(parts))


@dataclass(frozen=True)
class PreparedSound:
    """Recordings made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        rate: samples a second.
        parts: to learn from, to validate on, to test on.
        source_hash: tells whether a source is the one that these are made of.
        learned: the keys of what is learned from: of the training and the validation set, and of
            recordings that are cut, which are whole in other data.
    """

    name: str
    settings: SoundSettings
    rate: int
    parts: tuple[SoundPart, SoundPart, SoundPart]
    source_hash: str
    learned: list[str]


def _key(levels: Levels) -> str:
    """Return what is the same for the same sound."""
    return hashlib.blake2b(levels.tobytes(), digest_size=16).hexdigest()


def recordings_of(source: Any, data: SoundData) -> Recordings:
    """Return which recordings a source has, with the columns that settings name."""
    return read_recordings(source, audio=data.audio, part=data.part, texts=False)


def heard_as(recordings: Recordings, rate: int, say: Say, *, skip_broken: bool) -> HeardRecordings:
    """Read recordings as levels.

    Args:
        recordings: which there are.
        rate: samples a second that they get.
        say: called with each line for the user.
        skip_broken: whether what cannot be read is left out.

    Raises:
        DataError: a recording cannot be read, or there are too many of them.
    """
    numbers, levels, keys, total = [], [], [], 0
    for number, sound in sounds_of(recordings, rate, say, skip_broken=skip_broken):
        here = mu_law_levels(sound.at(rate))
        if not len(here):
            say(f"left out: {recordings.places[number]} is shorter than a sample at {rate:,} Hz")
            continue
        numbers.append(number)
        levels.append(here)
        keys.append(_key(here))
        total += len(here)
        if total > _MOST_LEVELS:
            raise DataError(
                f"{recordings.name}: these are more than {_MOST_LEVELS // 3600 // rate:,} hours of "
                f"sound, which do not fit into memory. Give fewer, or a smaller {named('rate')}."
            )
    if not levels:
        raise DataError(f"{recordings.name}: none of the recordings can be read.")
    return HeardRecordings(numbers, levels, keys)


def part_of(recordings: Recordings, heard: HeardRecordings, places: Sequence[int]) -> SoundPart:
    """Return some of the recordings that were read.

    Args:
        recordings: which the source has.
        heard: which were read.
        places: of those that are meant, among these.
    """
    return SoundPart(
        [recordings.files[heard.numbers[place]].name for place in places],
        [heard.levels[place] for place in places],
        [heard.keys[place] for place in places],
    )


def prepare_sound(source: Any, settings: SoundSettings, say: Say) -> PreparedSound:
    """Read recordings, and split them.

    Raises:
        DataError: the data cannot be used.
    """
    data = settings.data
    recordings = recordings_of(source, data)
    for note in recordings.notes:
        say(note)
    rate = rate_of(recordings, data.rate)
    heard = heard_as(recordings, rate, say, skip_broken=data.skip_broken)
    return split_sound(recordings, heard, rate, settings, say)


def split_sound(
    recordings: Recordings, heard: HeardRecordings, rate: int, settings: SoundSettings, say: Say
) -> PreparedSound:
    """Split recordings that were read.

    Three recordings or more are split whole; fewer are cut in time: what comes last is tested on.

    Args:
        recordings: which the source has.
        heard: which were read.
        rate: samples a second that they have.
        settings: how they are split.
        say: called with each line for the user.

    Raises:
        DataError: a part is too short.
    """
    data = settings.data
    places = range(len(heard.levels))
    given: list[int | None] = [None] * len(places)
    if recordings.parts is not None:
        given = [recordings.parts[heard.numbers[place]] for place in places]
    parts: tuple[SoundPart, SoundPart, SoundPart]
    cut: list[str] = []
    if len(places) < _LEAST and recordings.parts is None:
        say(
            f"{counted(len(places), 'recording is', 'recordings are')} cut in time: the end is "
            "tested on"
        )
        parts, cut = _cut(part_of(recordings, heard, places), data.split), heard.keys
    else:
        drawn = split_by_source(heard.keys, given, data.split, data.split_seed)
        by_part = places_by_part(recordings.name, places, drawn)
        first, second, third = (part_of(recordings, heard, places) for places in by_part)
        parts = first, second, third
    _check_lengths(recordings.name, parts, settings.training.batch)
    minutes = [part.samples / rate / 60 for part in parts]
    say(
        f"{rate:,} samples a second: {minutes[TRAIN]:,.1f} minutes to train, "
        f"{minutes[VALIDATION]:,.1f} to validate, {minutes[TEST]:,.1f} to test"
    )
    tell_what_is_learned_too([part.keys for part in parts], say)
    chunks = -(-parts[TRAIN].samples // (settings.training.batch * data.chunk))
    settings = replace(
        settings,
        data=replace(data, rate=rate),
        training=settings.training.with_epochs(chunks),
    )
    learned = [*parts[TRAIN].keys, *parts[VALIDATION].keys, *cut]
    return PreparedSound(recordings.name, settings, rate, parts, hash_of_sound(heard), learned)


def hash_of_sound(heard: HeardRecordings) -> str:
    """Return a hash of what is heard, in the order of its keys."""
    return hashlib.sha256("\n".join(sorted(heard.keys)).encode()).hexdigest()


def _cut(whole: SoundPart, split: Sequence[float]) -> tuple[SoundPart, SoundPart, SoundPart]:
    """Return each recording's beginning, middle and end."""
    ends = np.cumsum((0, *split))
    parts = []
    for begin, end in pairwise(ends):
        names, pieces = [], []
        for name, levels in zip(whole.names, whole.levels, strict=True):
            piece = levels[round(begin * len(levels)) : round(end * len(levels))]
            if len(piece):  # of a few samples nothing may be left
                names.append(name)
                pieces.append(piece)
        parts.append(SoundPart(names, pieces, [_key(piece) for piece in pieces]))
    first, second, third = parts
    return first, second, third


def _check_lengths(name: str, parts: Sequence[SoundPart], streams: int) -> None:
    """Check that there is something to predict in every part, and for all streams in training.

    Raises:
        DataError: a part is too short.
    """
    least = {"training": streams, "validation": 1, "test": 1}
    for (part_name, count), part in zip(least.items(), parts, strict=True):
        if part.samples < count:
            raise DataError(
                f"{name}: the {part_name} set has {counted(part.samples, 'sample')}; expected "
                f"{count:,} or more. Give longer recordings, or larger parts: "
                f"{named('split', '0.6/0.2/0.2')}."
            )
