"""Reads sound: files of libsndfile (wav, flac, ogg, mp3) as waves of one channel."""

import io
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from conveyor.data.files import read_bytes
from conveyor.errors import DataError, SettingError, counted, named

Samples = NDArray[np.float32]

# A recording is at most so long: longer ones are cut into pieces by who has them.
MOST_SECONDS = 3600

# Floats of a file lie between -1 and 1, but for some that were made too loud.
_LOUDEST = 16.0

# Rates that sound is kept at, in samples a second.
LEAST_RATE, MOST_RATE = 1_000, 384_000


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording.

    Attributes:
        samples: of one channel, from -1 to 1, [N], one or more.
        rate: samples a second.
        channels: that the file has, of which the samples are the mean.
    """

    samples: Samples
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Samples:
        """Return the samples at another rate."""
        return self.samples if rate == self.rate else resampled(self.samples, self.rate, rate)


def _libraries() -> tuple[Any, Any]:
    """Return the modules that read and resample.

    Raises:
        SettingError: they are not installed.
    """
    try:
        import soundfile  # noqa: PLC0415  # of an extra
        import soxr  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise SettingError(
            f"sound is read by soundfile and soxr, of which one cannot be loaded ({error}). "
            "Install conveyor with the extra audio: pip install 'conveyor[audio]'."
        ) from error
    return soundfile, soxr


def resampled(samples: Samples, rate: int, other: int) -> Samples:
    """Return samples at another rate, by a band-limited filter."""
    _, soxr = _libraries()
    answer: Samples = soxr.resample(samples, rate, other)
    return answer


def read_sound(source: Path | bytes, name: str = "") -> Sound:
    """Read a recording.

    Args:
        source: the file, or its bytes.
        name: how errors name it; empty for the file's path.

    Raises:
        DataError: there is no such file, it is no sound, or it holds what cannot be used.
    """
    soundfile, _ = _libraries()
    data = source if isinstance(source, bytes) else read_bytes(source)
    name = name or str(source)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            _check_length(name, frames, rate)
            values = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise DataError(
            f"{name}: it cannot be read as sound (wav, flac, ogg, mp3): {_reason(error)}"
        ) from error
    if not len(values):
        raise DataError(f"{name}: it holds no sample.")
    if len(values) < frames < 2**62:
        raise DataError(
            f"{name}: it is cut off: its head says {counted(frames, 'sample')}, it holds "
            f"{len(values):,}. Fetch it again."
        )
    return Sound(checked_samples(values.mean(1), name), rate, channels)


def _reason(error: Exception) -> str:
    """Return what libsndfile says, without the object that it was reading."""
    words = str(getattr(error, "error_string", "") or error).strip()
    words = words.rpartition(">: ")[2] or "unknown format"
    return words if words.endswith(".") else f"{words}."


def _check_length(name: str, frames: int, rate: int) -> None:
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise DataError(
            f"{name}: it has {rate:,} samples a second; expected {LEAST_RATE:,} to {MOST_RATE:,}."
        )
    # Formats that do not know their length say the largest number.
    if MOST_SECONDS * rate < frames < 2**62:
        raise DataError(
            f"{name}: it is {frames / rate / 60:,.0f} minutes long; expected {MOST_SECONDS // 60} "
            "or less. Cut it into pieces, or send it through a pipe."
        )


def checked_samples(samples: NDArray[Any], name: str) -> Samples:
    """Return samples as float32.

    Raises:
        DataError: one is no number, or they are far beyond -1 to 1.
    """
    values: Samples = np.asarray(samples, dtype=np.float32)
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"{name}: sample {place:,} is {values[place]}; expected numbers.")
    loudest = float(np.abs(values).max(initial=0))
    if loudest > _LOUDEST:
        raise DataError(
            f"{name}: its samples reach {loudest:,.0f}; expected -1 to 1. Divide them by 32,768 if "
            "they were whole numbers of 16 bits."
        )
    return values


def _read_wave_head(stream: BinaryIO, name: str) -> tuple[int, int, str]:
    """Read the head of a wave file that is still being written, as ``sox`` and ``ffmpeg`` write
    into a pipe: their sizes of parts are not to be trusted.

    Args:
        stream: at its beginning.
        name: how errors name it.

    Returns:
        Samples a second, channels, and the type of samples for NumPy.

    Raises:
        DataError: it is no wave file of whole numbers of 16 bits or of floats.
    """
    head = _exactly(stream, 12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise DataError(
            f"{name}: this is no wave file. Of raw samples say how many there are a second: "
            f"{named('raw', 16_000)} (16 bits, one channel)."
        )
    form: tuple[int, int, str] | None = None
    while True:
        part = _exactly(stream, 8)
        if len(part) < 8:  # also after a description that is cut off
            raise DataError(f"{name}: this wave file ends in its head.")
        size = int.from_bytes(part[4:], "little")
        if part[:4] == b"data":
            break
        body = _exactly(stream, min(size + size % 2, 1 << 20))
        if part[:4] == b"fmt " and len(body) >= 16:
            form = _form(body, name)
    if form is None:
        raise DataError(f"{name}: this wave file does not say what its samples are.")
    return form


def _form(body: bytes, name: str) -> tuple[int, int, str]:
    kind, channels, rate, bits = (
        int.from_bytes(body[begin:end], "little")
        for begin, end in ((0, 2), (2, 4), (4, 8), (14, 16))
    )
    if kind == 0xFFFE and len(body) >= 26:  # the kind stands in the extension
        kind = int.from_bytes(body[24:26], "little")
    types = {(1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4"}
    if (kind, bits) not in types or not 1 <= channels <= 64:
        raise DataError(
            f"{name}: samples of kind {kind} with {bits} bits and {counted(channels, 'channel')} "
            "cannot be read from a pipe; expected whole numbers of 16 bits."
        )
    _check_length(name, 0, rate)
    return rate, channels, types[kind, bits]


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """Return so many bytes of a stream, fewer only at its end."""
    parts, left = [], count
    while left:
        part = stream.read(left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def arriving_samples(
    stream: BinaryIO, name: str, *, raw: int | None = None
) -> tuple[int, Iterator[Samples]]:
    """Return the rate of sound that comes through a pipe, and its pieces as they come.

    Args:
        stream: a wave file, or raw samples.
        name: how errors name it.
        raw: samples a second where it is raw samples of 16 bits and one channel; None for a wave
            file.

    Raises:
        DataError: it is neither.
    """
    rate, channels, kind = raw or 0, 1, "<i2"
    if raw is None:
        rate, channels, kind = _read_wave_head(stream, name)
    return rate, _pieces(stream, channels, np.dtype(kind), name)


def _pieces(stream: BinaryIO, channels: int, kind: np.dtype[Any], name: str) -> Iterator[Samples]:
    """Yield the samples of a stream as they come."""
    width, rest = channels * kind.itemsize, b""
    # read1 waits for something, not for all that was asked for.
    read = getattr(stream, "read1", stream.read)
    while data := read(1 << 16):
        data = rest + data
        whole = len(data) // width * width
        rest = data[whole:]
        values = np.frombuffer(data[:whole], dtype=kind).reshape(-1, channels)
        if len(values):
            scale = 1.0 if kind.kind == "f" else float(2 ** (8 * kind.itemsize - 1))
            yield checked_samples(values.mean(1, dtype=np.float64) / scale, name)


def arriving_resampler(rate: int, other: int) -> Callable[..., Samples]:
    """Return a function that resamples sound that comes in pieces: of samples and ``last``, whether
    they are the end, it gives the samples at another rate that are certain by then. Together they
    are those of the whole, however it is cut."""
    _, soxr = _libraries()
    stream = soxr.ResampleStream(rate, other, 1, dtype="float32")

    def resample(samples: Samples, *, last: bool) -> Samples:
        answer: Samples = stream.resample_chunk(samples, last=last)
        return answer

    return resample


def wave_bytes(samples: Samples, rate: int) -> bytes:
    """Return a wave file of 16 bits and one channel."""
    values = np.clip(samples * 32_768, -32_768, 32_767).round().astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.tobytes())
    return buffer.getvalue()
