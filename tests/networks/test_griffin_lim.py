"""Sound of frames: what comes back of it, beside loops written out."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from conveyor.errors import SettingError, ShapeError
from conveyor.networks import LogMel, griffin_lim, spectral_convergence, wave_of
from conveyor.networks.griffin_lim import (
    magnitudes_of,
    overlapped,
    spectra_of,
    without_emphasis,
)

FRAMES = LogMel(rate=8000, window=400, hop=100, bands=40)


def noise(samples: int = 4000, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(samples, generator=draw, dtype=torch.double) * 0.1


def tone(hertz: float, samples: int = 4000) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hertz / FRAMES.rate * torch.arange(samples).double())


def test_spectra_and_their_wave_are_the_sums_of_the_paper() -> None:
    frames = LogMel(rate=1000, window=8, hop=2, bands=3, low=50)
    wave = noise(20)
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / 8) for n in range(8)]
    expected = [
        [
            sum(
                hann[n] * float(wave[begin + n]) * np.exp(-2j * math.pi * k * n / 8)
                for n in range(8)
            )
            for k in range(5)
        ]
        for begin in range(0, 13, 2)
    ]
    spectra = spectra_of(wave, frames)
    np.testing.assert_allclose(spectra.numpy(), expected, atol=1e-12)
    # Of spectra that no wave has: equation 6, sample by sample.
    other = spectra * torch.polar(torch.ones(7, 5).double(), noise(35, 1).view(7, 5) * 30)
    pieces = np.fft.irfft(other.numpy(), 8)
    sums, weights = np.zeros(20), np.zeros(20)
    for t in range(7):
        for n in range(8):
            sums[2 * t + n] += hann[n] * pieces[t, n]
            weights[2 * t + n] += hann[n] ** 2
    heard = weights > 0
    np.testing.assert_allclose(
        overlapped(other, frames).numpy()[heard], sums[heard] / weights[heard], atol=1e-12
    )


def test_consistent_spectra_come_back() -> None:
    wave = noise()
    back = overlapped(spectra_of(wave, FRAMES), FRAMES)
    torch.testing.assert_close(back[1:], wave[1:], rtol=0, atol=1e-9)


def test_true_phases_are_a_fixed_point() -> None:
    wave = noise()
    spectra = spectra_of(wave, FRAMES)
    for momentum in (0.0, 0.99):
        back = griffin_lim(
            spectra.abs(), FRAMES, iterations=5, momentum=momentum, phases=spectra.angle()
        )
        torch.testing.assert_close(back[100:-100], wave[100:-100], rtol=0, atol=1e-9)


def test_the_distance_never_grows_and_the_fast_form_comes_nearer() -> None:
    magnitudes = spectra_of(noise() + tone(700), FRAMES).abs()
    apart = [
        spectral_convergence(
            magnitudes, griffin_lim(magnitudes, FRAMES, iterations=n, momentum=0), FRAMES
        )
        for n in range(12)
    ]
    assert all(later <= before + 1e-3 for before, later in pairwise(apart))
    assert apart[-1] < 0.6 * apart[0]
    fast = griffin_lim(magnitudes, FRAMES, iterations=60)
    slow = griffin_lim(magnitudes, FRAMES, iterations=60, momentum=0)
    assert spectral_convergence(magnitudes, fast, FRAMES) < spectral_convergence(
        magnitudes, slow, FRAMES
    )


@pytest.mark.parametrize("hertz", [300.0, 1234.0, 2500.0])
def test_a_tone_comes_back_with_its_frequency(hertz: float) -> None:
    back = wave_of(FRAMES(tone(hertz)), FRAMES)
    spectrum = np.abs(np.fft.rfft(back.numpy() * np.hanning(len(back))))
    peak = spectrum.argmax() * FRAMES.rate / len(back)
    # A band of these frames is as wide as this.
    width = (hertz + 700) * math.log(10) / 2595 * 2003 / 41
    assert abs(peak - hertz) < width
    loud = float(back[500:-500].square().mean().sqrt())
    assert loud == pytest.approx(0.3 / math.sqrt(2), rel=0.25)


def test_frames_of_the_sound_are_those_that_it_is_made_of() -> None:
    frames = FRAMES(noise() + tone(500))
    again = FRAMES(wave_of(frames, FRAMES))
    assert again.shape == frames.shape
    assert float((again - frames).abs().mean()) < 0.25
    assert float((again - frames.flip(0)).abs().mean()) > 0.25


def test_magnitudes_have_the_bands_that_are_asked_for() -> None:
    frames = FRAMES(noise())
    magnitudes = magnitudes_of(frames, FRAMES)
    assert float(magnitudes.min()) >= 0
    bands = magnitudes.square() @ torch.from_numpy(FRAMES.bank)
    torch.testing.assert_close(bands.log().float(), frames, rtol=0, atol=0.2)


def test_a_frame_too_quiet_for_a_number_is_silent_and_changes_no_other() -> None:
    frames = LogMel(rate=8000, window=200, hop=80, bands=20)
    levels = frames(noise(600))
    expected = magnitudes_of(levels, frames)
    for quiet in (-800.0, -1e6, -math.inf):
        mixed = levels.clone()
        mixed[2] = quiet
        answer = magnitudes_of(mixed, frames)
        assert torch.equal(answer[2], torch.zeros_like(answer[2]))
        others = [n for n in range(len(levels)) if n != 2]
        torch.testing.assert_close(answer[others], expected[others])
        assert bool(wave_of(mixed, frames, iterations=3).isfinite().all())
    # Silence in one band of a loud frame.
    mixed = levels.clone()
    mixed[2, 5] = -math.inf
    assert bool(magnitudes_of(mixed, frames).isfinite().all())


def test_pre_emphasis_is_undone() -> None:
    wave = noise(700)
    emphasised = wave - 0.97 * torch.cat([torch.zeros(1).double(), wave[:-1]])
    torch.testing.assert_close(without_emphasis(emphasised, 0.97), wave, rtol=0, atol=1e-10)
    assert torch.equal(without_emphasis(wave, 0.0), wave)


def test_a_seed_gives_the_same_sound_and_another_other_phases() -> None:
    frames = FRAMES(noise())
    one, same, other = (wave_of(frames, FRAMES, seed=seed, iterations=3) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert float((one - other).abs().max()) > 1e-3


def test_what_cannot_be_made_sound_is_said() -> None:
    with pytest.raises(ShapeError, match=r"the frames are \[0, 40\]; expected \[T, 40\]"):
        wave_of(torch.zeros(0, 40), FRAMES)
    with pytest.raises(ShapeError, match=r"the frames are \[3, 41\]"):
        wave_of(torch.zeros(3, 41), FRAMES)
    with pytest.raises(SettingError, match="iterations is -1"):
        wave_of(torch.zeros(3, 40), FRAMES, iterations=-1)
    silent = wave_of(torch.full((3, 40), math.log(FRAMES.floor)), FRAMES)
    assert silent.shape == (600,)
    assert float(silent.abs().max()) < 1e-3
