"""Front ends: from a FeatureSpec and a waveform to decibels or the 57 hand-crafted columns.

The only implementation, for training, evaluation and prediction, is NumPy in float32. It agrees
with librosa's melspectrogram and power_to_db(ref=1, amin=1e-10, top_db=None) to 1e-3 dB, pinned by
golden files. A band more than 90 dB below the loudest one of its frame reaches the limit of float32
and may differ by up to 0.02 dB (measured on real music).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.features.level import normalise
from genrekit.features.spec import FeatureSpec

__all__ = ["FeatureSpec", "check_spectrogram", "compute", "decibels", "normalise"]


def check_spectrogram(spec: FeatureSpec) -> None:
    """Refuse a front end that does not compute a spectrogram.

    Raises:
        ModelError: spec.kind is not a kind of spectrogram.
    """
    if not spec.is_spectrogram:
        raise ModelError(f"got kind {spec.kind!r}; expected a kind of spectrogram, such as log_mel")


def decibels(waveform: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Compute the spectrogram that spec.kind names.

    Args:
        waveform: audio in [-1, 1] at spec.sample_rate. Shape (..., samples).
        spec: the front end.

    Returns:
        Decibels, not normalised. Shape (..., n_bins, frames), frames = 1 + samples // hop_length.

    Raises:
        ModelError: spec.kind is not a kind of spectrogram.
        AudioError: fewer samples than one FFT window, or a value that is not finite.
    """
    check_spectrogram(spec)
    return spec.front_end.compute(waveform, spec)


def compute(segments: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Turn segments into a network's input.

    Each segment is padded on its own, so its features do not depend on its neighbours.

    Args:
        segments: audio in [-1, 1] at spec.sample_rate. Shape (..., samples).
        spec: the front end, with the mean and std of its training tracks.

    Returns:
        Their normalised decibels. Shape (..., n_bins, frames); frames is spec.n_frames for segments
        of spec.segment_samples. For kind "handcrafted", the columns, not normalised, of shape
        (..., 57, 1).

    Raises:
        AudioError: fewer samples than one FFT window, or a value that is not finite.
    """
    computed = spec.front_end.compute(segments, spec)
    return normalise(computed, spec) if spec.is_spectrogram else computed
