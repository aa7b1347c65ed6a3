"""What is said in sound that comes through a pipe."""

import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch

from conveyor.data.audio_file import Samples, arriving_samples, resampled
from conveyor.errors import DataError, named
from conveyor.tasks.task import Say
from conveyor.tasks.transcribe.recogniser import Recogniser

# How messages name the sound.
_INPUT = "the standard input"


def heard_pieces(
    network: Recogniser, sound: BinaryIO, *, raw: int | None, beam: int, say: Say
) -> Iterator[str]:
    """Yield what is said, as soon as the network is sure of it, and tell at the end how much of the
    time was work.

    Args:
        network: the recogniser. One that reads from both ends answers at the end of the sound.
        sound: a wave file, or raw samples.
        raw: samples a second of raw samples; None for a wave file.
        beam: prefixes that are kept in mind, where all is heard before the first word.
        say: called with each line for the user.

    Raises:
        DataError: this is no sound, or it holds no sample.
    """
    rate, pieces = arriving_samples(sound, _INPUT, raw=raw)
    own = network.frames.rate
    if rate != own:
        say(f"{rate:,} samples a second are resampled to {own:,}")
    if network.recurrent.bidirectional:
        say(
            "this run hears all of the sound before it writes; one fitted with "
            f"{named('bidirectional', False)} writes while it hears"
        )
        answer = _after_the_end(network, pieces, rate, beam, say)
    else:
        say(
            f"a label is written {1000 * network.latency:.0f} ms of sound after its step begins, "
            "and the time of the work"
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
    network: Recogniser, pieces: Iterator[Samples], rate: int, beam: int, say: Say
) -> Iterator[str]:
    parts = list(pieces)
    count = sum(map(len, parts))
    _check_heard(count)
    begun = time.perf_counter()
    samples = np.concatenate(parts)
    if rate != network.frames.rate:
        samples = resampled(samples, rate, network.frames.rate)
    frames = network.frames(torch.from_numpy(np.ascontiguousarray(samples)))
    (heard,) = network.hear([frames], beam=beam)
    work = time.perf_counter() - begun
    yield heard.text
    _tell_time(count / rate, work, say)


def _check_heard(count: int) -> None:
    if not count:
        raise DataError(f"{_INPUT}: it holds no sample.")


def _tell_time(seconds: float, work: float, say: Say) -> None:
    say(f"{seconds:.1f} s of sound in {work:.2f} s of work: real-time factor {work / seconds:.3f}")
