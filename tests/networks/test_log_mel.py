"""Log-mel frames, beside sums written out, and of a wave in pieces."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from conveyor.errors import SettingError, ShapeError
from conveyor.networks import LogMel

RATES = (8000, 16_000)


def _wave(samples: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(samples, generator=draw).mul(0.1).clamp(-1, 1)


def _written_out(wave: list[float], frames: LogMel) -> list[list[float]]:
    """The definition in plain loops: a discrete Fourier transform by its sum."""
    emphasised = [x - frames.emphasis * (wave[t - 1] if t else 0.0) for t, x in enumerate(wave)]
    if len(emphasised) < frames.window:
        emphasised += [0.0] * (frames.window - len(emphasised))
    points = 1
    while points < frames.window:
        points *= 2
    low, high = (2595 * math.log10(1 + f / 700) for f in (frames.low, frames.high))
    corners = [
        700 * (10 ** ((low + (high - low) * n / (frames.bands + 1)) / 2595) - 1)
        for n in range(frames.bands + 2)
    ]
    answer = []
    for begin in range(0, len(emphasised) - frames.window + 1, frames.hop):
        shaped = [
            emphasised[begin + n] * (0.5 - 0.5 * math.cos(2 * math.pi * n / frames.window))
            for n in range(frames.window)
        ]
        power = []
        for k in range(points // 2 + 1):
            angles = [2 * math.pi * k * n / points for n in range(frames.window)]
            real = sum(x * math.cos(a) for x, a in zip(shaped, angles, strict=True))
            imaginary = sum(x * math.sin(a) for x, a in zip(shaped, angles, strict=True))
            power.append(real**2 + imaginary**2)
        row = []
        for band in range(frames.bands):
            left, middle, right = corners[band : band + 3]
            energy = 0.0
            for k, value in enumerate(power):
                f = k * frames.rate / points
                if left < f <= middle:
                    energy += value * (f - left) / (middle - left)
                elif middle < f < right:
                    energy += value * (right - f) / (right - middle)
            row.append(math.log(max(energy, frames.floor)))
        answer.append(row)
    return answer


def test_frames_are_those_of_the_definition() -> None:
    frames = LogMel(rate=8000, bands=12)
    wave = _wave(200 + 2 * 80 + 17)
    expected = torch.tensor(_written_out(wave.tolist(), frames))
    assert expected.shape == (3, 12)
    torch.testing.assert_close(frames(wave), expected, rtol=1e-5, atol=1e-5)


def test_the_defaults_are_those_of_the_field() -> None:
    frames = LogMel(rate=8000)
    assert (frames.window, frames.hop, frames.points, frames.bands) == (200, 80, 256, 40)
    assert (frames.low, frames.high) == (60, 3800)
    frames = LogMel(rate=16_000)
    assert (frames.window, frames.hop, frames.points) == (400, 160, 512)
    assert (frames.low, frames.high) == (20, 7600)


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    frames = LogMel(rate=8000)
    low, high = (2595 * math.log10(1 + f / 700) for f in (60, 3800))
    mels = np.linspace(low, high, 42)
    middles = 700 * (10 ** (mels[1:-1] / 2595) - 1)
    for band in (5, 20, 38):
        time = torch.arange(4000, dtype=torch.float64) / 8000
        tone = torch.sin(2 * math.pi * float(middles[band]) * time)
        assert set(frames(tone.float()).argmax(1).tolist()) == {band}


def test_ten_times_as_loud_is_the_same_number_more_everywhere() -> None:
    frames, wave = LogMel(rate=8000), _wave(1000)
    torch.testing.assert_close(
        frames(wave) - frames(wave / 10), torch.full((11, 40), math.log(100))
    )


@pytest.mark.parametrize("samples", [0, 1, 199, 200, 279, 280, 281, 1000, 8000])
def test_the_number_of_frames(samples: int) -> None:
    frames = LogMel(rate=8000)
    expected = 0 if samples == 0 else max(1, 1 + (samples - 200) // 80)
    assert frames.count(samples) == len(frames(_wave(samples))) == expected


@pytest.mark.parametrize("rate", RATES)
def test_any_cutting_of_the_wave_gives_the_same_frames(rate: int) -> None:
    frames, wave = LogMel(rate=rate), _wave(rate + 123)
    whole = frames(wave)
    draw = np.random.default_rng(3)
    cuttings = [sorted(draw.integers(0, len(wave), size=count)) for count in (1, 5, 40, 400)]
    cuttings += [list(range(0, len(wave), 160)), list(range(0, len(wave), 7))]
    for cuts in cuttings:
        stream = frames.stream()
        pieces = [stream.push(wave[a:b]) for a, b in pairwise([0, *cuts, len(wave)])]
        torch.testing.assert_close(torch.cat([*pieces, stream.finish()]), whole, rtol=0, atol=0)


def test_a_frame_is_there_as_soon_as_its_last_sample_is() -> None:
    frames, wave = LogMel(rate=8000), _wave(2000)
    stream, got = frames.stream(), 0
    for number in range(1, len(wave) + 1):
        got += len(stream.push(wave[number - 1 : number]))
        assert got == (0 if number < 200 else frames.count(number))


def test_a_wave_shorter_than_a_window_is_filled_up_once() -> None:
    frames, wave = LogMel(rate=8000), _wave(50)
    filled = torch.cat([wave, torch.zeros(150)])
    filled[50] = 0.97 * wave[49]  # its emphasised value is 0, as that of the filling
    filled[51:] = 0.0
    stream = frames.stream()
    assert len(stream.push(wave)) == 0
    assert len(stream.finish()) == 1
    assert len(stream.finish()) == 0
    expected = torch.tensor(_written_out(wave.tolist(), frames))
    torch.testing.assert_close(frames(wave), expected, rtol=1e-5, atol=1e-5)


def test_silence_is_the_floor() -> None:
    frames = LogMel(rate=8000, floor=1e-6)
    torch.testing.assert_close(frames(torch.zeros(1000)), torch.full((11, 40), math.log(1e-6)))


def test_frames_are_data() -> None:
    frames = LogMel(rate=16_000, bands=80, low=50, emphasis=0.0)
    again = LogMel.described(frames.description(), "model.json")
    assert again == frames
    with pytest.raises(SettingError, match=r"model\.json: bands"):
        LogMel.described({**frames.description(), "bands": "many"}, "model.json")
    with pytest.raises(SettingError):
        LogMel.described({**frames.description(), "bands": -1}, "model.json")


def test_frames_that_are_made_while_a_network_is_loaded_are_the_same() -> None:
    with torch.device("meta"):
        loaded = LogMel(rate=8000)
    wave = _wave(1000)
    assert torch.equal(loaded(wave), LogMel(rate=8000)(wave))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop": 300},
        {"high": 5000},
        {"low": 3900},
        {"bands": 120},
        {"floor": 0},
        {"emphasis": 1},
        {"rate": 0},
        {"window": -1},
    ],
)
def test_frames_that_cannot_be_made_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        LogMel(**{"rate": 8000, **wrong})  # type: ignore[arg-type]


def test_two_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match="one channel"):
        LogMel(rate=8000)(torch.zeros(2, 1000))
