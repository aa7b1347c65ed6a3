"""What is said in sound that comes through a pipe."""

import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch

from conveyor.data.audio_file import Samples, arriving_samples, resampled
from conveyor.errors import DataError, SettingError, named
from conveyor.tasks.task import Say
from conveyor.tasks.transcribe.recogniser import Recogniser
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage

# How messages name the sound.
_INPUT = "the standard input"


def heard_pieces(
    network: Recogniser,
    sound: BinaryIO,
    *,
    raw: int | None,
    beam: int,
    language: SpokenLanguage | None = None,
    say: Say,
) -> Iterator[str]:
    """Yield what is said, as soon as the network is sure of it, and tell at the end how much of the
    time was work.

    Args:
        network: the recogniser. One that reads from both ends, or looks at all that it heard,
            answers at the end of the sound.
        sound: a wave file, or raw samples.
        raw: samples a second of raw samples; None for a wave file.
        beam: prefixes that are kept in mind, where all is heard before the first word.
        language: what is likely to be said, for such a network.
        say: called with each line for the user.

    Raises:
        DataError: this is no sound, or it holds no sample.
        SettingError: a text model is given to a network that writes while it hears.
    """
    if language is not None and not network.waits:
        raise SettingError(
            f"{named('text_model')} chooses among whole texts; this run writes while it hears. "
            "Give a file in place of the dash, or leave it out."
        )
    rate, pieces = arriving_samples(sound, _INPUT, raw=raw)
    own = network.frames.rate
    if rate != own:
        say(f"{rate:,} samples a second are resampled to {own:,}")
    if network.waits:
        without = "" if network.writer is None else f"without {named('attention')} and "
        say(
            f"this run hears all of the sound before it writes; one fitted {without}with "
            f"{named('bidirectional', False)} writes while it hears"
        )
        answer = _after_the_end(network, pieces, rate, beam=beam, language=language, say=say)
    else:
        say(
            f"a label is written {1000 * network.latency:.0f} ms of sound after its step begins, "
            f"and the time of the work; it is the most probable one, as with {named('beam', 1)}"
        )
        answer = _while_it_comes(network, pieces, rate, say)
    yield from answer


def _while_it_comes(
    network: Recogniser, pieces: Iterator[Samples], rate: int, say: Say
) -> Iterator[str]:
    stream, count, work = network.stream(rate), 0, 0.0
    for piece in pieces:
        begun = time.perf_counter()
        text = stream.push(piece)
        work += time.perf_counter() - begun
        count += len(piece)
        if text:
            yield text
    _check_heard(count)
    begun = time.perf_counter()
    text = stream.finish()
    work += time.perf_counter() - begun
    if text:
        yield text
    _tell_time(count / rate, work, say)


def _after_the_end(
    network: Recogniser,
    pieces: Iterator[Samples],
    rate: int,
    *,
    beam: int,
    language: SpokenLanguage | None,
    say: Say,
) -> Iterator[str]:
    parts = list(pieces)
    count = sum(map(len, parts))
    _check_heard(count)
    begun = time.perf_counter()
    samples = np.concatenate(parts)
    if rate != network.frames.rate:
        samples = resampled(samples, rate, network.frames.rate)
    frames = network.frames(torch.from_numpy(np.ascontiguousarray(samples)))
    (heard,) = network.hear([frames], beam=beam, language=language)
    work = time.perf_counter() - begun
    yield heard.text
    _tell_time(count / rate, work, say)


def _check_heard(count: int) -> None:
    if not count:
        raise DataError(f"{_INPUT}: it holds no sample.")


def _tell_time(seconds: float, work: float, say: Say) -> None:
    say(f"{seconds:.1f} s of sound in {work:.2f} s of work: real-time factor {work / seconds:.3f}")
