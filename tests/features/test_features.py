"""The front ends against librosa's golden files and against theory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genrekit.errors import AudioError, ModelError
from genrekit.features import FeatureSpec, compute, decibels
from genrekit.features.log_mel import log_mel
from genrekit.features.log_stft import log_stft
from genrekit.features.mel import band_groups, hz_to_mel, mel_filters, mel_to_hz
from genrekit.features.spec import kinds

GOLDEN = Path(__file__).parents[1] / "golden" / "features.npz"
CASES = ["mel_22050", "mel_16000", "mel_htk_zeros_band", "mel_44100_odd_hop", "stft_44100"]
SMALL = FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=40, segment_seconds=1.0)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_equals_librosa(case: str) -> None:
    with np.load(GOLDEN) as golden:
        spec = FeatureSpec(**json.loads(str(golden[f"{case}.spec"])))
        waveform = golden[f"{case}.samples"].astype(np.float32) / 32768
        expected = golden[f"{case}.decibels"]
    found = decibels(waveform, spec)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    # 1e-3 dB is the contract; float32 leaves 1e-4 on a signal that fills every band.
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("case", CASES)
def test_golden_moves_with_hop_length(case: str) -> None:
    """The golden comparison would notice a hop that is one sample off."""
    with np.load(GOLDEN) as golden:
        fields = json.loads(str(golden[f"{case}.spec"]))
        waveform = golden[f"{case}.samples"].astype(np.float32) / 32768
        expected = golden[f"{case}.decibels"]
    fields["hop_length"] += 1
    found = decibels(waveform, FeatureSpec(**fields))
    n_frames = min(found.shape[-1], expected.shape[-1])
    assert np.abs(found[:, :n_frames] - expected[:, :n_frames]).max() > 0.1


def test_tone_has_the_power_of_theory() -> None:
    """A tone in the middle of a bin: (amplitude * sum(window) / 2) ** 2, sum(hann) = n_fft / 2."""
    spec = FeatureSpec(kind="log_stft", sample_rate=16000, n_fft=512, hop_length=128)
    time = np.arange(16000) / 16000
    waveform = (0.5 * np.sin(2 * np.pi * (40 * 16000 / 512) * time)).astype(np.float32)
    column = log_stft(waveform, spec)[:, 60]
    assert int(column.argmax()) == 40
    assert column[40] == pytest.approx(20 * np.log10(0.5 * 512 / 4), abs=1e-3)
    # Hann's neighbours lie exactly 6.02 dB lower.
    assert column[[39, 41]] == pytest.approx(column[40] - 20 * np.log10(2), abs=1e-2)


def test_silence_is_the_floor() -> None:
    spec = SMALL.model_copy(update={"floor_db": -80.0})
    assert log_mel(np.zeros(4000, np.float32), spec) == pytest.approx(-80.0, abs=1e-4)


def test_twice_as_loud_is_six_decibels_more() -> None:
    waveform = noise(16000)
    step = log_mel(2 * waveform, SMALL) - log_mel(waveform, SMALL)
    assert step == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_click_lands_in_its_frame() -> None:
    """Frames are centred: a click at frame 10's centre is loudest there, alike on both sides."""
    waveform = np.zeros(16000, np.float32)
    waveform[10 * SMALL.hop_length] = 1.0
    energy = log_stft(waveform, SMALL).mean(axis=0)
    assert int(energy.argmax()) == 10
    assert energy[9] == pytest.approx(energy[11], abs=1e-3)


@pytest.mark.parametrize("n_samples", [512, 767, 768, 16000, 48000])
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_frames_by_the_definition(n_samples: int, padding: str) -> None:
    """Every frame equals a plain FFT of np.pad, at block borders and at both ends."""
    spec = SMALL.model_copy(update={"padding": padding})
    waveform = noise(n_samples)
    padded = np.pad(waveform, 256, mode="reflect" if padding == "reflect" else "constant")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    found = log_stft(waveform, spec)
    assert found.shape == (257, 1 + n_samples // 256)
    for frame in range(found.shape[1]):
        spectrum = np.fft.rfft(padded[256 * frame : 256 * frame + 512] * window)
        expected = 10 * np.log10(np.maximum(np.abs(spectrum) ** 2, 1e-10))
        # Bins 100 dB under their frame's loudest differ by float32's own rounding.
        audible = expected > expected.max() - 60
        assert np.abs(found[:, frame] - expected)[audible].max() < 1e-2


SPECTROGRAMS = [kind for kind in kinds() if FeatureSpec(kind=kind).is_spectrogram]


@pytest.mark.parametrize("kind", SPECTROGRAMS)
def test_every_bin_of_a_spectrogram_has_a_frequency(kind: str) -> None:
    spec = SMALL.model_copy(update={"kind": kind})
    assert spec.bin_hz.shape == (spec.n_bins,)
    assert (np.diff(spec.bin_hz) > 0).all()
    assert spec.bin_hz[-1] <= spec.sample_rate / 2


@pytest.mark.parametrize("kind", ["nothing", "spec", "../log_mel", "os"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="unknown kind of front end"):
        FeatureSpec(kind=kind)


@pytest.mark.parametrize("kind", SPECTROGRAMS)
def test_segments_do_not_know_each_other(kind: str) -> None:
    spec = SMALL.model_copy(update={"kind": kind, "mean": -20.0, "std": 7.0})
    segments = noise(2, 3, spec.segment_samples)
    found = compute(segments, spec)
    assert found.shape == (2, 3, spec.n_bins, spec.n_frames)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found[1, 2], compute(segments[1, 2], spec))


def test_compute_normalises_with_the_spec() -> None:
    spec = SMALL.model_copy(update={"mean": -30.0, "std": 12.0})
    waveform = noise(spec.segment_samples)
    np.testing.assert_allclose(
        compute(waveform, spec), (log_mel(waveform, spec) + 30.0) / 12.0, atol=1e-6
    )


def test_no_segments_give_no_features() -> None:
    assert compute(noise(0, 16000), SMALL).shape == (0, 40, 63)


def test_float64_and_strided_input_give_the_same_numbers() -> None:
    waveform = noise(2, 16000).T.copy().T  # not contiguous
    np.testing.assert_array_equal(
        log_mel(waveform, SMALL), log_mel(waveform.astype(np.float64), SMALL)
    )


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scale_round_trip(scale: str) -> None:
    hz = np.linspace(0, 11025, 200)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-9)


def test_mel_bands_have_unit_area_and_their_own_range() -> None:
    spec = FeatureSpec(n_fft=8192, n_mels=32, f_min=200.0, f_max=8000.0)
    filters = mel_filters(spec)
    bin_hz = spec.sample_rate / spec.n_fft
    assert filters.sum(axis=1) * bin_hz == pytest.approx(1.0, abs=2e-2)
    hz = np.arange(filters.shape[1]) * bin_hz
    assert not filters[:, (hz <= 200.0) | (hz >= 8000.0)].any()


@pytest.mark.parametrize("n_mels", [1, 16, 40, 128, 300])
def test_groups_are_the_filters(n_mels: int) -> None:
    """The narrow groups together are the dense matrix; bands without a bin stay empty."""
    spec = FeatureSpec(n_mels=n_mels, n_fft=512)
    dense = np.zeros((n_mels, 257), np.float32)
    for group in band_groups(spec):
        dense[group.bands, group.bins] = group.weights.T
    np.testing.assert_array_equal(dense, mel_filters(spec))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_refuses_values_that_are_not_finite(value: float) -> None:
    waveform = noise(16000)
    waveform[-1] = value
    with pytest.raises(AudioError, match="finite samples"):
        compute(waveform, SMALL)


@pytest.mark.parametrize(
    "waveform", [np.zeros(0), np.zeros(511), np.zeros((3, 100)), np.array(0.0)]
)
def test_refuses_less_than_a_window(waveform: np.ndarray) -> None:
    with pytest.raises(AudioError, match="expected at least 512"):
        log_mel(waveform, SMALL)


def test_refuses_integers() -> None:
    with pytest.raises(AudioError, match="a waveform of int16"):
        log_mel(np.zeros(16000, np.int16), SMALL)


def test_decibels_refuse_what_is_no_spectrogram() -> None:
    with pytest.raises(ModelError, match="got kind 'handcrafted'; expected a kind of spectrogram"):
        decibels(noise(16000), FeatureSpec(kind="handcrafted"))


def reference_log_mel(samples: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """The definition in double precision, all frames at once."""
    padded = np.pad(samples.astype(np.float64), spec.n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop_length]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.n_fft) / spec.n_fft)
    power = np.abs(np.fft.rfft(frames * window)) ** 2 @ mel_filters(spec).T.astype(np.float64)
    return 10 * np.log10(np.maximum(power, 1e-10)).T


def assert_as_exact_as_float32(found: np.ndarray, expected: np.ndarray) -> None:
    error = np.abs(found - expected)
    assert error[expected > expected.max(axis=0) - 90].max() < 1e-3
    assert error.max() < 0.02


def test_faint_bands_beside_a_loud_tone() -> None:
    spec = FeatureSpec()
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    samples = (tone + 1e-4 * noise(22050)).astype(np.float32)
    assert_as_exact_as_float32(log_mel(samples, spec), reference_log_mel(samples, spec))


@pytest.mark.shared
def test_real_music_equals_the_definition(shared_data: Path) -> None:
    import soundfile

    samples, sample_rate = soundfile.read(
        shared_data / "gtzan/lossless/blues.00000.flac", dtype="float32"
    )
    spec = FeatureSpec(sample_rate=sample_rate)
    assert_as_exact_as_float32(log_mel(samples, spec), reference_log_mel(samples, spec))
