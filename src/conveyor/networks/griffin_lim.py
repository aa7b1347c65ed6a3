"""Sound of log-mel frames: the filter bank is undone, and phases are found that fit (Griffin & Lim
1984, Signal estimation from modified short-time Fourier transform).

    S ← S · (M Bᵀ) / (S B Bᵀ)               powers S ≥ 0 with S B near M (Lee & Seung 2001)
    y = Σ_t hann · irfft(X_t) / Σ_t hann²   the wave whose spectra come nearest to X (equation 6)
    X ← √S · Y / |Y|,  Y = spectra of y     as often as is asked for
    x_t = y_t + p x_{t-1}                   pre-emphasis undone
"""

import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError
from conveyor.networks.log_mel import LogMel
from conveyor.networks.random_numbers import uniform

# Steps of the two searches, and how far phases go on in their direction (Perraudin, Balazs &
# Søndergaard 2013, A fast Griffin-Lim algorithm).
ITERATIONS, MOMENTUM, _BANK_STEPS = 60, 0.99, 60
# Below this share of the largest sum of squared windows the edges of a wave fade.
_EDGE = 0.01
# Nothing is divided by less.
_TINY = 1e-30
# Logarithm of an energy that is 0 as a number; minus infinity cannot be taken from itself.
_QUIETEST = -1e4


def wave_of(
    log_mel: Tensor,
    frames: LogMel,
    *,
    iterations: int = ITERATIONS,
    seed: int = 0,
) -> Tensor:
    """Return a wave whose log-mel frames come near some, float32 [N].

        >>> wave_of(frames(wave), frames)  # the same sound, with other phases

    Args:
        log_mel: as ``LogMel`` makes them, [T, bands]; one frame or more.
        frames: how they are made.
        iterations: how often phases are corrected, 0 or more.
        seed: of the phases that are begun with.

    Raises:
        SettingError: the number of iterations is negative.
        ShapeError: these are not such frames.
    """
    if log_mel.dim() != 2 or not len(log_mel) or log_mel.shape[1] != frames.bands:
        raise ShapeError(
            f"the frames are {list(log_mel.shape)}; expected [T, {frames.bands}], and one or more."
        )
    found = griffin_lim(magnitudes_of(log_mel, frames), frames, iterations=iterations, seed=seed)
    return without_emphasis(found, frames.emphasis).float()


def magnitudes_of(log_mel: Tensor, frames: LogMel) -> Tensor:
    """Return magnitudes, 0 or more, whose bands come near some, float64 [T, points / 2 + 1]: least
    squares, of each frame in shares of its loudest band.

    Args:
        log_mel: [T, bands].
        frames: how they are made.
    """
    bank = torch.from_numpy(frames.bank).to(log_mel.device)
    levels = log_mel.double()
    # Shares are taken of logarithms: energies of a quiet frame may all be 0 as numbers.
    peaks = levels.amax(1, keepdim=True).clamp(min=_QUIETEST)
    loudest, energies = peaks.exp(), (levels - peaks).exp()
    fitting = energies @ bank.T
    # Where no band listens nothing is heard.
    powers = fitting / bank.sum(1).square().clamp(min=1)
    for _ in range(_BANK_STEPS):
        powers = powers * fitting / (powers @ bank @ bank.T).clamp(min=_TINY)
    magnitudes: Tensor = (powers * loudest).sqrt()
    return magnitudes


def griffin_lim(
    magnitudes: Tensor,
    frames: LogMel,
    *,
    iterations: int = ITERATIONS,
    momentum: float = MOMENTUM,
    seed: int = 0,
    phases: Tensor | None = None,
) -> Tensor:
    """Return the wave after pre-emphasis whose spectra come near some magnitudes, float64 [N].

    Args:
        magnitudes: [T, points / 2 + 1].
        frames: how spectra are made.
        iterations: how often phases are corrected.
        momentum: 0 for the algorithm of the paper, with which the distance never grows; near 1 for
            the fast one.
        seed: of the phases that are begun with.
        phases: to begin with, in radians, [T, points / 2 + 1]; None draws them.

    Raises:
        SettingError: the number of iterations is negative, or the momentum is not in [0, 1].
    """
    if iterations < 0 or not 0 <= momentum <= 1:
        raise SettingError(
            f"iterations is {iterations}, momentum {momentum}; expected 0 or more, and 0 to 1."
        )
    magnitudes = magnitudes.double()
    if phases is None:
        generator = torch.Generator().manual_seed(seed)
        phases = 2 * torch.pi * uniform(magnitudes.shape, magnitudes, generator)
    spectra = torch.polar(magnitudes, phases.double())
    before = None
    for _ in range(iterations):
        found = spectra_of(overlapped(spectra, frames), frames)
        ahead = found if before is None else found + momentum * (found - before)
        before = found
        spectra = magnitudes * torch.sgn(ahead)
    return overlapped(spectra, frames, fade=True)


def spectra_of(emphasised: Tensor, frames: LogMel) -> Tensor:
    """Return the spectra of a wave after pre-emphasis, complex [T, points / 2 + 1].

    Args:
        emphasised: [N], as long as a window or longer.
        frames: how they are made.
    """
    cut = emphasised.double().unfold(0, frames.window, frames.hop)
    hann = torch.from_numpy(frames.hann).to(cut.device)
    answer: Tensor = torch.fft.rfft(cut * hann, frames.points)
    return answer


def overlapped(spectra: Tensor, frames: LogMel, *, fade: bool = False) -> Tensor:
    """Return the wave whose spectra come nearest to some, by the sum of squares, float64 [N].

    Args:
        spectra: complex, [T, points / 2 + 1].
        frames: how they are made.
        fade: whether the first and the last samples, which a window all but hides, are made as soft
            as it sees them. Nearest to spectra of no wave they may be loud.
    """
    device = spectra.device
    hann = torch.from_numpy(frames.hann).to(device)
    pieces = torch.fft.irfft(spectra, frames.points)[:, : frames.window] * hann
    length = frames.window + (len(spectra) - 1) * frames.hop
    begins = frames.hop * torch.arange(len(spectra), device=device)
    places = torch.arange(frames.window, device=device) + begins.unsqueeze(1)
    wave, weights = torch.zeros(2, length, dtype=torch.double, device=device)
    wave.index_add_(0, places.flatten(), pieces.flatten())
    weights.index_add_(0, places.flatten(), hann.square().repeat(len(spectra)))
    least = _EDGE * float(weights.max()) if fade else _TINY
    answer: Tensor = wave / weights.clamp(min=least)
    return answer


def without_emphasis(emphasised: Tensor, emphasis: float) -> Tensor:
    """Return the wave x of y_t = x_t - p x_{t-1}, which x_{-1} = 0 is put before, float64 [N].

    Args:
        emphasised: y, [N].
        emphasis: p, from 0 to below 1.
    """
    wave = emphasised.double()
    power, reach = emphasis, 1
    # Σ_{j < reach} p^j y_{t - j}, twice as far each time.
    while power > _TINY and reach < len(wave):
        wave = wave + power * torch.cat([wave.new_zeros(reach), wave[:-reach]])
        power, reach = power * power, 2 * reach
    return wave


def spectral_convergence(magnitudes: Tensor, emphasised: Tensor, frames: LogMel) -> float:
    """Return ‖|S| - |spectra of a wave|‖ / ‖|S|‖, by which a search for phases is judged; 0 for
    spectra of that wave.

    Args:
        magnitudes: |S|, [T, points / 2 + 1].
        emphasised: the wave after pre-emphasis, [N].
        frames: how spectra are made.
    """
    apart = magnitudes.double() - spectra_of(emphasised, frames).abs()
    return float(apart.norm() / magnitudes.double().norm())
