"""Log-mel spectrograms: the front end of kind "log_mel"."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.features.mel import band_centres_hz, band_groups
from genrekit.features.spec import FeatureSpec, FrontEndKind
from genrekit.features.stft import as_segments, power_blocks, to_db


def log_mel(waveform: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Turn a waveform into a log-mel spectrogram.

    Args:
        waveform: audio in [-1, 1] at spec.sample_rate. Shape (..., samples).
        spec: the front end that the weights were trained with.

    Returns:
        Mel power in dB re 1.0, floored at spec.floor_db, not normalised.
        Shape (..., n_mels, frames), frames = 1 + samples // hop_length.

    Raises:
        AudioError: fewer samples than one FFT window, or a value that is not finite.

    Source: mel scale and area norm after Slaney (1998), Auditory Toolbox.
    """
    segments = as_segments(waveform, spec)
    n_frames = 1 + segments.shape[1] // spec.hop_length
    groups = band_groups(spec)
    out = np.empty((len(segments), n_frames, spec.n_mels), np.float32)
    for index, frames, power in power_blocks(segments, spec):
        for group in groups:
            np.matmul(power[:, group.bins], group.weights, out=out[index, frames, group.bands])
    to_db(out, spec.floor_db)
    # (n_segments, frames, n_mels) -> (..., n_mels, frames)
    turned = np.ascontiguousarray(out.transpose(0, 2, 1))
    return turned.reshape(*waveform.shape[:-1], *turned.shape[1:])


KIND = FrontEndKind(log_mel, n_bins=lambda spec: spec.n_mels, bin_hz=band_centres_hz)
