"""Tempo: the most salient period of the onsets."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genrekit.features.handcrafted.spectrum import SPEC

_WINDOW_FRAMES = 8 * SPEC.sample_rate // SPEC.hop_length  # eight seconds
_FFT_LENGTH = 720  # at least two windows, so that the autocorrelation does not wrap round
_USUAL_BPM = 120.0
_HIGHEST_BPM = 320.0
_BLOCK_FRAMES = 64


def onset_strength(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much louder each frame is than the previous one, as the median over the bands.

    Args:
        log_mel: shape (frames, n_mels), in dB.

    Returns:
        Shape (frames,), shifted later by half a window, so that onsets are in the right place.

    Source: librosa.onset.onset_strength(aggregate=numpy.median), as in librosa.beat.beat_track.
    """
    n_frames = len(log_mel)
    strength = np.zeros(n_frames, np.float32)
    late = 1 + SPEC.n_fft // (2 * SPEC.hop_length)
    rise = np.maximum(log_mel[1:] - log_mel[:-1], 0.0)
    strength[late:] = np.median(rise, axis=1)[: max(0, n_frames - late)]
    return strength


def tempo(onsets: NDArray[np.float32]) -> float:
    """Return the tempo in beats per minute, 0.0 without onsets.

    Args:
        onsets: as onset_strength returns them. Shape (frames,).

    Source: librosa.feature.tempo (Grosche, Mueller and Kurth 2010, cyclic tempogram) with a
    log-normal prior around 120 beats per minute.
    """
    if not onsets.any():
        return 0.0
    beats_per_minute, log_prior = _candidates()
    score = np.log1p(1e6 * _mean_autocorrelation(onsets)[1:]) + log_prior
    return float(beats_per_minute[np.argmax(score)])


def _mean_autocorrelation(onsets: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the autocorrelation by lag, divided by the energy, averaged over all windows."""
    # Its maximum, by which librosa divides, is at lag 0 and equals the energy, which is known in
    # advance: so the power spectra are summed and inverted at once.
    half, n_frames = _WINDOW_FRAMES // 2, len(onsets)
    padded = np.pad(onsets.astype(np.float64), half, mode="linear_ramp")
    windows = sliding_window_view(padded, _WINDOW_FRAMES)[:n_frames]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW_FRAMES) / _WINDOW_FRAMES)
    summed = np.zeros(1 + _FFT_LENGTH // 2)
    for start in range(0, n_frames, _BLOCK_FRAMES):
        part = windows[start : start + _BLOCK_FRAMES] * hann
        energy = np.einsum("ij,ij->i", part, part)
        energy[energy < np.finfo(np.float64).tiny] = 1.0
        spectrum = np.fft.rfft(part, _FFT_LENGTH)
        summed += (1 / energy) @ (np.square(spectrum.real) + np.square(spectrum.imag))
    return np.fft.irfft(summed / n_frames)[:_WINDOW_FRAMES]


@lru_cache(maxsize=1)
def _candidates() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the tempo and its log prior for each lag from 1 frame on."""
    lags = np.arange(1, _WINDOW_FRAMES)
    beats_per_minute = 60.0 * SPEC.sample_rate / (SPEC.hop_length * lags)
    log_prior = -0.5 * (np.log2(beats_per_minute) - np.log2(_USUAL_BPM)) ** 2
    log_prior[beats_per_minute >= _HIGHEST_BPM] = -np.inf
    return beats_per_minute, log_prior
