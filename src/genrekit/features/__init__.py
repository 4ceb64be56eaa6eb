"""Front ends: a FeatureSpec and a waveform in, decibels or the 57 hand-crafted columns out.

NumPy in float32 is the reference, and the only implementation: training, evaluation and prediction
call it. It agrees with librosa's melspectrogram and power_to_db(ref=1, amin=1e-10, top_db=None) to
1e-3 dB, pinned by golden files. A band more than 90 dB below the loudest one of its frame meets the
limit of float32 and may differ by up to 0.02 dB (measured on real music).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError, unknown_name
from genrekit.features.level import normalise
from genrekit.features.mel import band_groups
from genrekit.features.spec import FeatureSpec
from genrekit.features.stft import as_segments, log_stft, power_blocks, to_db

__all__ = [
    "FeatureSpec",
    "compute",
    "decibels",
    "front_end",
    "log_mel",
    "log_stft",
    "normalise",
]


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


FrontEnd = Callable[[NDArray[Any], FeatureSpec], NDArray[np.float32]]

_FRONT_ENDS: dict[str, FrontEnd] = {"log_mel": log_mel, "log_stft": log_stft}


def front_end(spec: FeatureSpec) -> FrontEnd:
    """Return the function that makes the kind of spectrogram that spec.kind names.

    Raises:
        ModelError: spec.kind is no spectrogram.
    """
    function = _FRONT_ENDS.get(spec.kind)
    if function is None:
        raise ModelError(unknown_name("kind of spectrogram", spec.kind, _FRONT_ENDS))
    return function


def decibels(waveform: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Make the spectrogram that spec.kind names.

    Args:
        waveform: audio in [-1, 1] at spec.sample_rate. Shape (..., samples).
        spec: the front end.

    Returns:
        Decibels, not normalised. Shape (..., n_bins, frames), frames = 1 + samples // hop_length.

    Raises:
        ModelError: spec.kind is no spectrogram.
        AudioError: as for log_mel.
    """
    return front_end(spec)(waveform, spec)


def compute(segments: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Turn segments into a network's input.

    Each segment is padded by itself, so its features do not depend on what lies beside it.

    Args:
        segments: audio in [-1, 1] at spec.sample_rate. Shape (..., samples).
        spec: the front end, with the mean and std of its training tracks.

    Returns:
        What normalise makes of their decibels. Shape (..., n_bins, frames); frames is spec.n_frames
        for segments of spec.segment_samples. Of kind "handcrafted" the columns as they are, not
        normalised, of shape (..., 57, 1).

    Raises:
        AudioError: fewer samples than one FFT window, or a value that is not finite.
    """
    if spec.kind == "handcrafted":
        from genrekit.features import handcrafted

        return handcrafted.values(segments).astype(np.float32)[..., None]
    return normalise(decibels(segments, spec), spec)
