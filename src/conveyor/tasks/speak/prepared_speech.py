"""Recordings made ready to learn a voice from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from conveyor.data.recordings import Recordings
from conveyor.errors import DataError, counted
from conveyor.networks.log_mel import LogMel
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, split_by_source
from conveyor.tasks.framed_recordings import (
    FramedRecordings,
    check_not_empty,
    frames_of,
    hash_of,
    places_by_part,
    rate_of,
    read_as,
    tell_what_is_learned_too,
)
from conveyor.tasks.speak.speak_settings import SpeakSettings
from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.speak.voice import END
from conveyor.tasks.speller import Speller
from conveyor.tasks.task import Say

# Seconds of a frame, and from one to the next: a quarter, so that phases can be found.
_WINDOW, _HOP = 0.05, 0.0125
# Energy below which nothing is told apart, see ``LogMel``.
_FLOOR = 1e-6
# Recordings that can be split into three parts.
_LEAST = 3
# What is named in a message.
_NAMED = 3


@dataclass(frozen=True)
class Learned:
    """What a voice has heard in training.

    Attributes:
        speller: how texts become labels.
        names: of the speakers, those who are heard most first; one without a name where nothing
            names them.
    """

    speller: Speller
    names: tuple[str, ...]


@dataclass(frozen=True)
class PreparedSpeech:
    """Recordings made ready.

    Attributes:
        name: of the source.
        settings: with what was inferred.
        frames: how waves become frames.
        learned: the letters and the speakers of the training set.
        parts: to learn from, to validate on, to test on.
        keys: of the sound of each part.
        source_hash: tells whether a source is the one that these are made of.
    """

    name: str
    settings: SpeakSettings
    frames: LogMel
    learned: Learned
    parts: tuple[SpokenExamples, SpokenExamples, SpokenExamples]
    keys: tuple[list[str], list[str], list[str]]
    source_hash: str


def prepare_speech(source: Any, settings: SpeakSettings, say: Say) -> PreparedSpeech:
    """Read recordings and their texts, split them, and make letters and frames of them.

    Raises:
        DataError: the data cannot be used.
    """
    data = settings.data
    recordings = read_as(source, data)
    for note in recordings.notes:
        say(note)
    texts = recordings.texts or []
    if len(texts) < _LEAST:
        raise DataError(
            f"{recordings.name}: there {'is' if len(texts) == 1 else 'are'} "
            f"{counted(len(texts), 'recording')}; expected three or more, to learn from, to "
            "validate and to test on."
        )
    rate = rate_of(recordings, data.rate)
    frames = LogMel(
        rate=rate,
        window=round(_WINDOW * rate),
        hop=round(_HOP * rate),
        bands=data.bands,
        floor=_FLOOR,
    )
    framed = frames_of(recordings, frames, say, skip_broken=data.skip_broken)
    if not framed.frames:
        raise DataError(f"{recordings.name}: none of the recordings can be read.")
    speller = Speller(data.unit, data.lower)
    kept = _with_texts(recordings, framed, speller, say)
    given = [
        None if recordings.parts is None else recordings.parts[framed.numbers[place]]
        for place in kept
    ]
    drawn = split_by_source(
        [framed.keys[place] for place in kept], given, data.split, data.split_seed
    )
    by_part = places_by_part(recordings.name, kept, drawn)
    speakers = speakers_of(recordings, framed)
    heard = Counter(speakers[place] for place in by_part[TRAIN])
    names = tuple(sorted(heard, key=lambda name: (-heard[name], name)))
    speller = speller.of_texts(texts[framed.numbers[place]] for place in by_part[TRAIN])
    learned = Learned(speller, names)
    for part, part_name in ((VALIDATION, "validation"), (TEST, "test")):
        by_part[part] = _known(recordings, framed, by_part[part], learned, say)
        check_not_empty(recordings.name, part_name, by_part[part], len(kept))
    examples = tuple(spoken_of(recordings, framed, places, learned) for places in by_part)
    first, second, third = examples
    minutes = sum(first.lengths) * frames.hop / rate / 60
    voices = "" if names == ("",) else f" of {counted(len(names), 'speaker')}"
    say(
        f"{counted(len(first), 'recording')} to train ({minutes:,.1f} minutes){voices}, "
        f"{len(second):,} to validate, {len(third):,} to test; "
        f"{counted(len(speller.labels), 'label')} ({data.unit})"
    )
    keys = tuple([framed.keys[place] for place in places] for places in by_part)
    tell_what_is_learned_too(keys, say)
    return PreparedSpeech(
        name=recordings.name,
        settings=replace(
            settings,
            data=replace(data, rate=rate),
            training=settings.training.with_epochs(len(first)),
        ),
        frames=frames,
        learned=learned,
        parts=(first, second, third),
        keys=(keys[0], keys[1], keys[2]),
        source_hash=hash_of(recordings),
    )


def speakers_of(recordings: Recordings, framed: FramedRecordings) -> list[str]:
    """Return who speaks in each of some recordings, "" where nothing says it."""
    if recordings.speakers is None:
        return [""] * len(framed.numbers)
    return [recordings.speakers[number] for number in framed.numbers]


def spoken_of(
    recordings: Recordings,
    framed: FramedRecordings,
    places: Sequence[int],
    learned: Learned,
) -> SpokenExamples:
    """Return some recordings as a voice learns them, of speakers and letters that are known."""
    texts, speakers = recordings.texts or [], speakers_of(recordings, framed)
    numbers = [framed.numbers[place] for place in places]
    speller = learned.speller
    number_of = {name: number for number, name in enumerate(learned.names)}
    return SpokenExamples(
        [framed.frames[place] for place in places],
        [torch.tensor([*speller.encode(texts[n]), END]) for n in numbers],
        torch.tensor([number_of[speakers[place]] for place in places]),
        [speller.normal(texts[n]) for n in numbers],
        [speakers[place] for place in places],
        [recordings.files[n] for n in numbers],
        [recordings.places[n] for n in numbers],
    )


def _with_texts(
    recordings: Recordings, framed: FramedRecordings, speller: Speller, say: Say
) -> list[int]:
    """Return which recordings have a text.

    Raises:
        DataError: none has.
    """
    texts = recordings.texts or []
    kept = [place for place, n in enumerate(framed.numbers) if speller.normal(texts[n])]
    if not kept:
        raise DataError(f"{recordings.name}: no text holds a letter or a digit.")
    empty = len(framed.numbers) - len(kept)
    if empty:
        say(f"left out, for their text holds no letter or digit: {counted(empty, 'recording')}")
    return kept


def _known(
    recordings: Recordings,
    framed: FramedRecordings,
    places: Sequence[int],
    learned: Learned,
    say: Say,
) -> list[int]:
    """Return which recordings are of speakers and letters that are learned."""
    texts, speakers = recordings.texts or [], speakers_of(recordings, framed)
    kept, strange = [], []
    for place in places:
        number = framed.numbers[place]
        if speakers[place] in learned.names and not learned.speller.unknown(texts[number]):
            kept.append(place)
        else:
            strange.append(recordings.places[number])
    if strange:
        first = ", ".join(strange[:_NAMED]) + (", …" if len(strange) > _NAMED else "")
        say(
            f"warning: left out for a speaker or a letter that no training recording has: {first} "
            f"({counted(len(strange), 'recording')})"
        )
    return kept


def known_places(
    recordings: Recordings,
    framed: FramedRecordings,
    places: Sequence[int],
    learned: Learned,
    say: Say,
) -> list[int]:
    """Return which of other recordings are of speakers and letters that a network knows.

    Raises:
        DataError: there is none.
    """
    texts = recordings.texts or []
    places = [place for place in places if learned.speller.normal(texts[framed.numbers[place]])]
    kept = _known(recordings, framed, places, learned, say)
    if not kept:
        raise DataError(
            f"{recordings.name}: there is no recording of a speaker and of letters that the run "
            "knows."
        )
    return kept
