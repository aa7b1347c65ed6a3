"""Sound files, good ones and bad ones, and sound that comes through a pipe."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from conveyor.data.audio_file import arriving_resampler, arriving_samples, read_sound
from conveyor.errors import DataError


def _tone(seconds: float = 0.5, rate: int = 8000, hertz: float = 440.0) -> NDArray[np.float64]:
    values: NDArray[np.float64] = 0.5 * np.sin(
        2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate
    )
    return values


@pytest.mark.parametrize(
    ("ending", "subtype", "apart"),
    [
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "FLOAT", 1e-7),
        ("wav", "ALAW", 0.05),
        ("flac", "PCM_16", 1e-4),
        ("ogg", "VORBIS", 0.1),
    ],
)
def test_formats_give_the_same_sound(
    tmp_path: Path, ending: str, subtype: str, apart: float
) -> None:
    wave = _tone()
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, wave, 8000, subtype=subtype)
    sound = read_sound(path)
    assert (sound.rate, sound.channels, str(sound.samples.dtype)) == (8000, 1, "float32")
    assert sound.seconds == pytest.approx(0.5)
    np.testing.assert_allclose(sound.samples, wave, atol=apart)


def test_of_two_channels_the_mean_is_heard(tmp_path: Path) -> None:
    left, right = _tone(), _tone(hertz=100)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 8000, subtype="FLOAT")
    sound = read_sound(tmp_path / "a.wav")
    assert sound.channels == 2
    np.testing.assert_allclose(sound.samples, (left + right) / 2, atol=1e-6)


def test_another_rate_keeps_the_tone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _tone(rate=44_100), 44_100, subtype="FLOAT")
    samples = read_sound(tmp_path / "a.wav").at(8000)
    assert len(samples) == 4000
    np.testing.assert_allclose(samples[200:-200], _tone()[200:-200], atol=2e-3)


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    cases: list[tuple[bytes, str]] = [
        (b"", "cannot be read as sound"),
        (b"this is a text, not a sound" * 10, "cannot be read as sound"),
        (b"RIFF\0\0\0\0WAVE", "cannot be read as sound"),
    ]
    for content, match in cases:
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.wav: it {match}"):
            read_sound(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"b\.wav: there is no such file.*'a\.wav'"):
        read_sound(tmp_path / "b.wav")
    with pytest.raises(DataError, match="cannot be read: "):
        read_sound(tmp_path)


def test_a_file_of_no_sample_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match=r"a\.wav: it holds no sample"):
        read_sound(tmp_path / "a.wav")


def test_one_sample_is_a_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(1, 0.5), 8000, subtype="FLOAT")
    assert read_sound(tmp_path / "a.wav").samples.tolist() == [0.5]


@pytest.mark.parametrize(
    ("value", "match"),
    [(np.nan, "sample 3 is nan"), (np.inf, "sample 3 is inf"), (20_000.0, "reach 20,000")],
)
def test_samples_that_are_no_numbers_are_named(tmp_path: Path, value: float, match: str) -> None:
    wave = _tone()
    wave[3] = value
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    with pytest.raises(DataError, match=rf"a\.wav: .*{match}"):
        read_sound(tmp_path / "a.wav")


def test_a_file_that_is_cut_off_is_read_or_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", _tone(2), 8000)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a\.flac: it (is cut off|cannot be read)"):
        read_sound(tmp_path / "a.flac")


def test_three_hours_are_refused_before_they_are_read(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "a.wav", "w", 1000, 1, "PCM_U8") as file:
        for _ in range(11):
            file.write(np.zeros(1_000_000))
    with pytest.raises(DataError, match="183 minutes long; expected 60 or less"):
        read_sound(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.zeros(10), 100)
    with pytest.raises(DataError, match="it has 100 samples a second"):
        read_sound(tmp_path / "b.wav")


# Through a pipe ------------------------------------------------------------------------------


class _Dripping(io.RawIOBase):
    """A pipe that gives some bytes at a time."""

    def __init__(self, data: bytes, count: int) -> None:
        super().__init__()
        self._data, self._count = data, count

    def readable(self) -> bool:
        return True

    def read(self, count: int | None = -1, /) -> bytes:
        taken = self._count if count is None or count < 0 else min(count, self._count)
        part, self._data = self._data[:taken], self._data[taken:]
        return part


def _piece_sizes() -> Iterator[int]:
    yield from (1, 3, 7, 1000, 1 << 20)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_32", "FLOAT"])
def test_a_wave_file_through_a_pipe_is_that_of_the_disk(tmp_path: Path, subtype: str) -> None:
    wave = np.stack([_tone(0.05), _tone(0.05, hertz=700)], 1)
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype=subtype)
    whole = read_sound(tmp_path / "a.wav").samples
    data = (tmp_path / "a.wav").read_bytes()
    for count in _piece_sizes():
        rate, pieces = arriving_samples(_Dripping(data, count), "input")  # type: ignore[arg-type]
        assert rate == 8000
        np.testing.assert_allclose(np.concatenate([*pieces])[: len(whole)], whole, atol=1e-7)


def test_a_head_that_does_not_know_the_length_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _tone(0.05), 8000, subtype="PCM_16")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    _, pieces = arriving_samples(io.BytesIO(bytes(data)), "input")
    assert len(np.concatenate([*pieces])) == 400


def test_raw_samples_are_read(tmp_path: Path) -> None:
    data = np.array([0, 16_384, -32_768], dtype="<i2").tobytes()
    for count in _piece_sizes():
        rate, pieces = arriving_samples(
            _Dripping(data, count),  # type: ignore[arg-type]
            "input",
            raw=16_000,
        )
        assert (rate, np.concatenate([*pieces]).tolist()) == (16_000, [0, 0.5, -1])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no wave file"),
        (b"hello", r"no wave file.*raw=16000"),
        (b"RIFF\0\0\0\0WAVE", "ends in its head"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "does not say what its samples are"),
        (
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0"
            b"data\0\0\0\0",
            "kind 1 with 8 bits",
        ),
    ],
)
def test_what_is_no_wave_file_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(DataError, match=match):
        arriving_samples(io.BytesIO(data), "input")


@pytest.mark.parametrize("size", [1, 80, 441, 5000])
def test_sound_in_pieces_is_resampled_as_the_whole(size: int) -> None:
    wave = _tone(rate=44_100).astype(np.float32)
    whole = arriving_resampler(44_100, 8000)(wave, last=True)
    resample = arriving_resampler(44_100, 8000)
    parts = [resample(wave[at : at + size], last=False) for at in range(0, len(wave), size)]
    parts.append(resample(wave[:0], last=True))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
