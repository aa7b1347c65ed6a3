"""Recordings made ready to learn from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from conveyor.data.recordings import Recordings
from conveyor.errors import DataError, counted, named
from conveyor.networks.ctc import steps_needed
from conveyor.networks.log_mel import LogMel
from conveyor.tasks.drawn_parts import TEST, TRAIN, split_by_source
from conveyor.tasks.framed_recordings import (
    FramedRecordings,
    frames_of,
    hash_of,
    places_by_part,
    rate_of,
    read_as,
    tell_what_is_learned_too,
)
from conveyor.tasks.speller import Speller
from conveyor.tasks.task import Say
from conveyor.tasks.transcribe.recording_examples import RecordingExamples
from conveyor.tasks.transcribe.transcribe_settings import NONE, TranscribeData, TranscribeSettings

# Recordings with more text than they have steps are left out, but not more than this share.
_MOST_TOO_SHORT = 0.05
# Energy below which nothing is told apart: 16 bits have about a hundredth of it. With a lower one
# files without any noise, whose silence is all zeros, would sound like nothing else.
_FLOOR = 1e-6
# Texts that are named in a message.
_NAMED = 3


@dataclass(frozen=True)
class PreparedRecordings:
    """Recordings made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        frames: how waves become frames.
        speller: how texts become labels.
        parts: to learn from, to validate on, to test on.
        keys: of the sound of each part.
        shared_speakers: of the test set, how many speakers are learned from, too; None where
            nothing names them.
        source_hash: tells whether a source is the one that these are made of.
    """

    name: str
    settings: TranscribeSettings
    frames: LogMel
    speller: Speller
    parts: tuple[RecordingExamples, RecordingExamples, RecordingExamples]
    keys: tuple[list[str], list[str], list[str]]
    shared_speakers: int | None
    source_hash: str


def prepare_recordings(source: Any, settings: TranscribeSettings, say: Say) -> PreparedRecordings:
    """Read recordings and their texts, split them, and make frames and labels of them.

    Raises:
        DataError: the data cannot be used.
    """
    data = settings.data
    recordings = read_as(source, data)
    for note in recordings.notes:
        say(note)
    assert recordings.texts is not None
    _check_texts(recordings, Speller(data.unit, data.lower))
    rate = rate_of(recordings, data.rate)
    frames = LogMel(rate=rate, bands=data.bands, floor=_FLOOR)
    framed = frames_of(recordings, frames, say, skip_broken=data.skip_broken)
    if not framed.frames:
        raise DataError(f"{recordings.name}: none of the recordings can be read.")
    speller, network = Speller(data.unit, data.lower), settings.network
    kept = list(range(len(framed.numbers)))
    if network.attention == NONE or network.joint:  # CTC needs steps, a decoder does not
        kept = _long_enough(recordings, framed, speller, network.stack, say)
    parts = _parts(recordings, framed, kept, data)
    by_part = places_by_part(recordings.name, kept, parts)
    texts = recordings.texts
    speller = speller.of_texts(texts[framed.numbers[place]] for place in by_part[TRAIN])
    _tell_unknown(recordings, framed, by_part, speller, say)
    if len({speller.normal(texts[framed.numbers[place]]) for place in by_part[TRAIN]}) == 1:
        say("warning: in all recordings of the training set the same is said")
    shared = _shared_speakers(recordings, framed, by_part, say)
    examples = tuple(examples_of(recordings, framed, places, speller) for places in by_part)
    first, second, third = examples
    seconds = sum(first.lengths) * frames.hop / rate
    say(
        f"{counted(len(first), 'recording')} to train ({seconds / 60:,.1f} minutes), "
        f"{len(second):,} to validate, {len(third):,} to test; "
        f"{counted(len(speller.labels), 'label')} ({data.unit})"
    )
    keys = tuple([framed.keys[place] for place in places] for places in by_part)
    tell_what_is_learned_too(keys, say)
    return PreparedRecordings(
        name=recordings.name,
        settings=replace(
            settings,
            data=replace(data, rate=rate),
            training=settings.training.with_epochs(len(first)),
        ),
        frames=frames,
        speller=speller,
        parts=(first, second, third),
        keys=(keys[0], keys[1], keys[2]),
        shared_speakers=shared,
        source_hash=hash_of(recordings),
    )


def examples_of(
    recordings: Recordings, framed: FramedRecordings, places: Sequence[int], speller: Speller
) -> RecordingExamples:
    """Return some recordings as a network hears them."""
    texts = recordings.texts or []
    numbers = [framed.numbers[place] for place in places]
    return RecordingExamples(
        [framed.frames[place] for place in places],
        [torch.tensor(speller.encode(texts[n]), dtype=torch.long) for n in numbers],
        [speller.normal(texts[n]) for n in numbers],
        [recordings.files[n] for n in numbers],
        [recordings.places[n] for n in numbers],
        [recordings.speakers[n] for n in numbers] if recordings.speakers else [],
    )


def _check_texts(recordings: Recordings, speller: Speller) -> None:
    """Check that something is said in every recording.

    Raises:
        DataError: there is nothing to learn.
    """
    texts = recordings.texts or []
    empty = [
        place
        for place, text in zip(recordings.places, texts, strict=True)
        if not speller.normal(text)
    ]
    if len(empty) == len(texts):
        raise DataError(f"{recordings.name}: no text holds a letter or a digit.")
    if len(texts) < 3:
        raise DataError(
            f"{recordings.name}: there {'is' if len(texts) == 1 else 'are'} "
            f"{counted(len(texts), 'recording')}; expected three or more, to learn from, to "
            "validate and to test on."
        )


def _long_enough(
    recordings: Recordings, framed: FramedRecordings, speller: Speller, stack: int, say: Say
) -> list[int]:
    """Return which recordings have steps enough for CTC of what is said in them.

    Raises:
        DataError: many have not.
    """
    texts = recordings.texts or []
    kept, short = [], []
    for place, number in enumerate(framed.numbers):
        tokens = speller.tokens(texts[number])
        numbers = {token: label for label, token in enumerate(dict.fromkeys(tokens), 1)}
        needed = steps_needed([numbers[token] for token in tokens])
        steps = -(-len(framed.frames[place]) // stack)
        if needed > steps:
            short.append(f"{recordings.places[number]} ({needed} steps needed, {steps} there)")
        else:
            kept.append(place)
    if not short:
        return kept
    first = ", ".join(short[:_NAMED]) + (", …" if len(short) > _NAMED else "")
    many = counted(len(short), "recording is", "recordings are")
    if len(short) > _MOST_TOO_SHORT * len(framed.numbers):
        raise DataError(
            f"{recordings.name}: {many} too short for their texts: {first}. Are the texts those "
            f"of these recordings? {named('stack', 1)} reads every 10 ms as a step."
        )
    say(f"left out, for {many} too short for what is said: {first}")
    return kept


def _parts(
    recordings: Recordings, framed: FramedRecordings, kept: Sequence[int], data: TranscribeData
) -> list[int]:
    """Return the part of each recording that is kept.

    Raises:
        DataError: parts by speakers are asked for, and nothing names these.
    """
    numbers = [framed.numbers[place] for place in kept]
    keys = [framed.keys[place] for place in kept]
    if data.by_speaker:
        if recordings.speakers is None:
            raise DataError(
                f"{recordings.name}: {named('by_speaker', True)} needs a column that says who "
                f"speaks. Name it: {named('speaker', 'NAME')}."
            )
        keys = [recordings.speakers[number] for number in numbers]
    given = [None if recordings.parts is None else recordings.parts[number] for number in numbers]
    return split_by_source(keys, given, data.split, data.split_seed)


def _tell_unknown(
    recordings: Recordings,
    framed: FramedRecordings,
    by_part: Sequence[Sequence[int]],
    speller: Speller,
    say: Say,
) -> None:
    texts = recordings.texts or []
    unknown = Counter(
        token
        for places in by_part[1:]
        for place in places
        for token in speller.unknown(texts[framed.numbers[place]])
    )
    if unknown:
        words = ", ".join(map(repr, list(unknown)[:10])) + (", …" if len(unknown) > 10 else "")
        say(f"warning: never said in the training set, so that it cannot be written: {words}")


def _shared_speakers(
    recordings: Recordings,
    framed: FramedRecordings,
    by_part: Sequence[Sequence[int]],
    say: Say,
) -> int | None:
    if recordings.speakers is None:
        return None
    speakers = [
        {recordings.speakers[framed.numbers[place]] for place in places} for places in by_part
    ]
    shared = len(speakers[TRAIN] & speakers[TEST])
    if shared:
        say(
            f"{shared} of {counted(len(speakers[TEST]), 'speaker')} of the test set "
            f"{'is' if shared == 1 else 'are'} learned from, too: strangers will be harder "
            f"({named('by_speaker', True)} tests on people who are not)"
        )
    return shared
