"""What benchmarks make of speech: pitch, tones, and recordings that espeak-ng speaks."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from benchmarks.espeak_data import (
    TONES,
    VOICES,
    Saying,
    commonest,
    phrases,
    tone_of,
    toned,
    tones,
    write_spoken,
)
from benchmarks.pitch import contour, nearest, pitch

RATE = 22_050


def _glide(begins: float, ends: float) -> NDArray[np.float64]:
    """Return a second of a voice whose pitch goes from one to the other: seven harmonics, the
    higher the softer."""
    pitches = begins + (ends - begins) * np.arange(RATE) / RATE
    phase = 2 * np.pi * np.cumsum(pitches) / RATE
    return np.asarray(sum(np.sin(number * phase) / number for number in range(1, 8)))


@pytest.mark.parametrize(("begins", "ends"), [(100.0, 100.0), (90.0, 200.0), (250.0, 120.0)])
def test_the_pitch_of_a_glide_is_known(begins: float, ends: float) -> None:
    pitches = pitch(_glide(begins, ends), RATE)
    middles = 0.02 + 0.01 * np.arange(len(pitches))  # of frames of 40 ms, every 10 ms
    np.testing.assert_allclose(pitches, begins + (ends - begins) * middles, rtol=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    assert np.isnan(pitch(np.random.default_rng(0).normal(size=RATE), RATE)).all()
    assert contour(np.zeros(RATE), RATE) is None
    assert len(pitch(np.zeros(100), RATE)) == 0


def test_a_contour_is_nearest_to_its_own_kind() -> None:
    lines = [contour(_glide(*ends), RATE) for ends in ((100, 180), (180, 100), (140, 140))]
    known = {tone: [line] for tone, line in enumerate(lines) if line is not None}
    for tone, ends in enumerate(((105, 175), (175, 110), (138, 144))):
        line = contour(_glide(*ends), RATE)
        assert line is not None
        assert nearest(line, known) == tone


def test_syllables_have_the_tones_that_are_put_on_them() -> None:
    assert [toned("ma", tone) for tone in range(len(TONES))] == ["ma", "mà", "mả", "mã", "má", "mạ"]
    sayings = tones()
    assert all(tone_of(saying.text) in range(6) for saying in sayings)
    tested = {saying.text for saying in sayings if saying.part == "test"}
    others = {saying.text for saying in sayings if saying.part != "test"}
    assert not tested & others
    assert len(tested) == 16
    # Each toned vowel and each consonant of the test is heard in training.
    assert {text[1] for text in tested} <= {text[1] for text in others}
    assert {text[0] for text in tested} <= {text[0] for text in others}


def test_no_text_is_in_two_parts() -> None:
    assert commonest("The sea, the sea, the old sea and the man: a sea.", 2) == ["the", "sea"]
    sayings = phrases([f"w{number}" for number in range(30)], "en")
    texts = [saying.text for saying in sayings]
    assert len(set(texts)) == len(texts)
    assert {saying.voice for saying in sayings} == set(VOICES["en"])


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_recordings_and_their_manifest_are_written(tmp_path: Path) -> None:
    write_spoken(
        tmp_path, [Saying("mã", "train", "vi", 150, 50), Saying("sea", "test", "en-gb", 150, 50)]
    )
    with (tmp_path / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ["mã", "sea"]
    for row in rows:
        samples, rate = soundfile.read(tmp_path / row["audio"])
        assert rate == RATE
        assert contour(samples, rate) is not None
