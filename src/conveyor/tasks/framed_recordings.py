"""Recordings as log-mel frames."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conveyor.data.audio_file import Sound, read_sound
from conveyor.data.file_contents import contents_hash
from conveyor.data.recordings import Recordings, read_recordings
from conveyor.errors import DataError, counted, named
from conveyor.networks.log_mel import LogMel
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.recording_settings import RecordingData
from conveyor.tasks.task import Say

# Reading that takes longer than so many seconds is told, every so often.
_TOLD = 10.0
# Frames of so many recordings at most are kept: some ten gigabytes.
_MOST_FRAMES = 60_000_000
# Recordings that are named in a message.
_NAMED = 3


@dataclass(frozen=True)
class FramedRecordings:
    """Recordings whose frames are known.

    Attributes:
        numbers: which of the source's recordings these are.
        frames: of each, [T, bands].
        keys: the same for the same sound.
    """

    numbers: list[int]
    frames: list[Tensor]
    keys: list[str]


def read_as(source: Any, data: RecordingData, *, texts: bool = True) -> Recordings:
    """Read which recordings there are, with the columns that settings name."""
    return read_recordings(
        source,
        audio=data.audio,
        text=data.text,
        part=data.part,
        speaker=data.speaker,
        texts=texts,
        parts=texts,
    )


def places_by_part(name: str, kept: Sequence[int], parts: Sequence[int]) -> list[list[int]]:
    """Return the recordings of the training set, the validation set and the test set.

    Args:
        name: of the source.
        kept: places of recordings.
        parts: the part of each of them.

    Raises:
        DataError: a part is empty.
    """
    by_part = [
        [place for place, its in zip(kept, parts, strict=True) if its == part]
        for part in (TRAIN, VALIDATION, TEST)
    ]
    for places, part_name in zip(by_part, ("training", "validation", "test"), strict=True):
        check_not_empty(name, part_name, places, len(kept))
    return by_part


def check_not_empty(name: str, part: str, places: Sequence[int], count: int) -> None:
    """Raise if a part of ``count`` recordings is empty.

    Raises:
        DataError: it is.
    """
    if not places:
        raise DataError(
            f"{name}: the {part} set of {counted(count, 'recording')} is empty. Give more of "
            f"them, or larger parts: {named('split', '0.6/0.2/0.2')}."
        )


def tell_what_is_learned_too(keys: Sequence[Sequence[str]], say: Say) -> None:
    """Warn of sounds of the test set that are in the training set, too; ``keys`` are of each
    part."""
    both = set(keys[TRAIN]) & set(keys[TEST])
    if both:
        say(
            f"warning: {counted(len(both), 'recording')} of the test set "
            f"{'is' if len(both) == 1 else 'are'} learned from, too"
        )


def hash_of(recordings: Recordings) -> str:
    """Return a hash of which recordings there are, what they hold, what is said in them, and of
    their parts and speakers where the source names any: other parts are other data."""
    return _hash_of(recordings, contents_hash)


def hash_by_size(recordings: Recordings) -> str:
    """Return a hash of the same, but that files of one size are the same: older runs keep it."""
    return _hash_of(recordings, lambda file: str(file.stat().st_size))


def _hash_of(recordings: Recordings, held: Callable[[Path], str]) -> str:
    count = len(recordings.files)
    columns: list[Sequence[object]] = [recordings.texts or [""] * count]
    # Those that nothing names are left out, so that runs from before they counted know their data.
    if recordings.parts is not None:
        columns.append([f"part {part}" for part in recordings.parts])
    if recordings.speakers is not None:
        columns.append([f"speaker {name}" for name in recordings.speakers])
    digest = hashlib.sha256()
    for file, *values in zip(recordings.files, *columns, strict=True):
        line = "\0".join([file.name, held(file), *map(str, values)]) + "\n"
        digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()


def sounds_of(
    recordings: Recordings, rate: int, say: Say, *, skip_broken: bool, noun: str = "recording"
) -> Iterator[tuple[int, Sound]]:
    """Yield the recordings that can be read, each with its index. At the end it is told which
    cannot, and how many are no sound of one channel at the rate.

    Args:
        recordings: which there are.
        rate: samples a second that they get.
        say: called with each line for the user.
        skip_broken: whether what cannot be read is left out.
        noun: what messages call one.

    Raises:
        DataError: a recording cannot be read.
    """
    rates: Counter[int] = Counter()
    several = 0
    broken: list[str] = []
    begun = told = time.monotonic()
    for number, file in enumerate(recordings.files):
        try:
            sound = read_sound(file)
        except DataError as error:
            if not skip_broken:
                if noun != "recording":
                    raise
                raise DataError(
                    f"{str(error).removesuffix('.')}. {named('skip_broken', True)} leaves such "
                    "recordings out."
                ) from error
            broken.append(str(error))
            continue
        rates[sound.rate] += 1
        several += sound.channels > 1
        yield number, sound
        now = time.monotonic()
        if now - told > _TOLD:
            told = now
            left = (now - begun) / (number + 1) * (len(recordings.files) - number - 1)
            say(f"{number + 1:,} of {len(recordings.files):,} recordings read, {left:.0f} s left")
    for reason in broken[:_NAMED]:
        say(f"left out: {reason}")
    if len(broken) > _NAMED:
        say(f"left out: {counted(len(broken) - _NAMED, 'further recording')} that cannot be read")
    _tell_forms(rates, several, rate, say)


def frames_of(
    recordings: Recordings, frames: LogMel, say: Say, *, skip_broken: bool, noun: str = "recording"
) -> FramedRecordings:
    """Read recordings, and make frames of them.

    Args:
        recordings: which there are.
        frames: how waves become frames.
        say: called with each line for the user.
        skip_broken: whether what cannot be read is left out.
        noun: what messages call one.

    Raises:
        DataError: a recording cannot be read, or there are too many of them.
    """
    numbers, frames_by_number, keys, total = [], [], [], 0
    for number, sound in sounds_of(
        recordings, frames.rate, say, skip_broken=skip_broken, noun=noun
    ):
        here, key = heard(sound, frames)
        numbers.append(number)
        frames_by_number.append(here)
        keys.append(key)
        total += len(here)
        if total > _MOST_FRAMES:
            raise DataError(
                f"{recordings.name}: these are more than {_MOST_FRAMES // 360_000:,} hours of "
                "sound, whose frames do not fit into memory. Give fewer."
            )
    return FramedRecordings(numbers, frames_by_number, keys)


def heard(sound: Sound, frames: LogMel) -> tuple[Tensor, str]:
    """Return the frames of a recording, and what is the same for the same sound."""
    samples = sound.at(frames.rate)
    key = hashlib.blake2b(sound.samples.tobytes(), digest_size=16).hexdigest()
    return frames(torch.from_numpy(samples)), key


def _tell_forms(rates: Counter[int], several_channels: int, rate: int, say: Say) -> None:
    other = sum(rates.values()) - rates[rate]
    if other:
        several = ", ".join(f"{each:,}" for each in sorted(rates) if each != rate)
        say(
            f"{counted(other, 'recording has', 'recordings have')} {several} samples a second: "
            f"resampled to {rate:,}"
        )
    if several_channels:
        say(
            f"{counted(several_channels, 'recording has', 'recordings have')} several channels: "
            "their mean is heard"
        )


def rate_of(recordings: Recordings, asked: int | None) -> int:
    """Return samples a second that are heard: those that are asked for; else 16,000 where most
    recordings have as many, and 8,000 otherwise."""
    if asked is not None:
        return asked
    rates: list[int] = []
    for file in recordings.files[:20]:
        try:
            rates.append(read_sound(file).rate)
        except DataError:  # told later, with its name
            continue
    return 16_000 if sorted(rates)[len(rates) // 2 :][:1] >= [16_000] else 8_000


def statistics_of(frames: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each band, over all frames; 1 where a band is
    always the same."""
    count = sum(map(len, frames))
    total = torch.stack([each.double().sum(0) for each in frames]).sum(0)
    mean = total / count
    squares = torch.stack([(each.double() - mean).square().sum(0) for each in frames]).sum(0)
    deviation = (squares / count).sqrt()
    return mean.float(), torch.where(deviation > 1e-6, deviation, 1.0).float()
