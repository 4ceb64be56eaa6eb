"""Power spectrograms in decibels: the front end of kind "log_stft"."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.features.spec import FeatureSpec, FrontEndKind
from genrekit.features.stft import as_segments, power_blocks, to_db


def log_stft(waveform: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Turn a waveform into a power spectrogram in decibels.

    Args:
        waveform: audio in [-1, 1] at spec.sample_rate. Shape (..., samples).
        spec: the front end; n_fft, hop_length, padding and floor_db are used.

    Returns:
        Power in dB re 1.0, floored at spec.floor_db, not normalised.
        Shape (..., 1 + n_fft // 2, frames), frames = 1 + samples // hop_length.

    Raises:
        AudioError: fewer samples than one FFT window, or a value that is not finite.
    """
    segments = as_segments(waveform, spec)
    n_frames = 1 + segments.shape[1] // spec.hop_length
    out = np.empty((len(segments), 1 + spec.n_fft // 2, n_frames), np.float32)
    for index, frames, power in power_blocks(segments, spec):
        to_db(power, spec.floor_db)
        out[index, :, frames] = power.T
    return out.reshape(*waveform.shape[:-1], *out.shape[1:])


def bin_hz(spec: FeatureSpec) -> NDArray[np.float64]:
    """Return the centre of every bin in Hz. Shape (1 + n_fft // 2,).

    >>> bin_hz(FeatureSpec(kind="log_stft", n_fft=2048, sample_rate=22050))[-1].item()
    11025.0
    """
    return np.arange(1 + spec.n_fft // 2, dtype=np.float64) * (spec.sample_rate / spec.n_fft)


KIND = FrontEndKind(log_stft, n_bins=lambda spec: 1 + spec.n_fft // 2, bin_hz=bin_hz)
