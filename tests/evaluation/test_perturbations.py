"""Changes to audio, on tones: what each does is known from theory."""

from __future__ import annotations

import numpy as np
import pytest

from genrekit.evaluation import perturbations

RATE = 22050
SECONDS = 4.0
TONE_HZ = 1000.0


def tone(rate: int = RATE, hertz: float = TONE_HZ) -> np.ndarray:
    time = np.arange(round(SECONDS * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time))[None].astype(np.float32)


def loudest_hz(waveform: np.ndarray, rate: int) -> float:
    """Return the frequency of the spectrum's peak over the middle of a waveform."""
    middle = waveform[0, len(waveform[0]) // 4 : 3 * len(waveform[0]) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(spectrum.argmax() * rate / len(middle))


def test_every_change_gives_finite_mono_audio() -> None:
    assert len(perturbations.CHANGES) == 18
    for name, change in perturbations.CHANGES.items():
        changed, rate = change(tone(), RATE)
        assert changed.shape[0] == 1, name
        assert changed.dtype == np.float32, name
        assert np.isfinite(changed).all(), name
        assert changed.shape[1] / rate > 3.5, name


@pytest.mark.parametrize("rate", [22050, 16000, 44100, 11025])
def test_mp3_is_really_coded(rate: int) -> None:
    coded, coded_rate = perturbations.mp3(tone(rate), rate, kbit_per_second=32)
    assert coded_rate == (rate if rate in perturbations.MP3_RATES_HZ else 44100)
    assert loudest_hz(coded, coded_rate) == pytest.approx(TONE_HZ, abs=1)
    assert coded.shape[1] / coded_rate == pytest.approx(SECONDS, abs=0.1)
    noisy = np.random.default_rng(0).normal(0, 0.1, tone(rate).shape).astype(np.float32)
    again, _ = perturbations.mp3(noisy, rate, kbit_per_second=32)
    same = min(again.shape[1], noisy.shape[1])
    assert not np.allclose(again[:, :same], noisy[:, :same], atol=0.01)  # a copy is no coding


@pytest.mark.parametrize("snr_db", [30.0, 0.0])
def test_noise_has_the_power_asked_for(snr_db: float) -> None:
    changed, _ = perturbations.noise(tone(), RATE, snr_db=snr_db)
    added = changed - tone()
    found_db = 10 * np.log10(np.square(tone()).mean() / np.square(added).mean())
    assert found_db == pytest.approx(snr_db, abs=0.1)
    np.testing.assert_array_equal(perturbations.noise(tone(), RATE, snr_db=snr_db)[0], changed)


def test_gain_is_exact_and_clips() -> None:
    softer, _ = perturbations.gain(tone(), RATE, db=-12)
    np.testing.assert_allclose(softer, tone() * 10 ** (-12 / 20), rtol=1e-6)
    louder, _ = perturbations.gain(tone(), RATE, db=12)
    assert np.abs(louder).max() == 1.0


@pytest.mark.parametrize("semitones", [-2, 2])
def test_pitch_moves_and_length_stays(semitones: int) -> None:
    changed, _ = perturbations.shifted(tone(), RATE, semitones=semitones)
    assert loudest_hz(changed, RATE) == pytest.approx(TONE_HZ * 2 ** (semitones / 12), rel=0.005)
    assert changed.shape[1] / RATE == pytest.approx(SECONDS, abs=0.15)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_length_changes_and_pitch_stays(factor: float) -> None:
    changed, _ = perturbations.time_stretched(tone(), RATE, factor=factor)
    assert loudest_hz(changed, RATE) == pytest.approx(TONE_HZ, abs=3)
    assert changed.shape[1] / RATE == pytest.approx(SECONDS * factor, abs=0.15)


def test_resampling_and_the_beginning() -> None:
    changed, rate = perturbations.resampled(tone(hertz=6000), RATE, hz=8000)
    assert rate == 8000
    assert np.abs(changed[:, 4000:-4000]).max() < 0.01  # 6 kHz lies above half of 8 kHz
    first, _ = perturbations.beginning(tone(), RATE, seconds=1.5)
    np.testing.assert_array_equal(first, tone()[:, : round(1.5 * RATE)])
