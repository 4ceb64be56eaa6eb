"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genrekit.features.stft import to_db

_FLOOR_DB = -100.0
_RANGE_DB = 80.0
_BLOCK_FRAMES = 64  # products this small stay below the size from which BLAS starts threads


def log_mel(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn mel power into decibels, none more than 80 dB below the loudest of the whole waveform.

    Args:
        mel: mel power; it is overwritten. Shape (frames, n_mels).

    Returns:
        The same memory, in dB re 1.0.

    Source: librosa.power_to_db at its defaults.
    """
    to_db(mel, _FLOOR_DB)
    np.maximum(mel, mel.max() - np.float32(_RANGE_DB), out=mel)
    return mel


def mfcc(decibels: NDArray[np.float32], n_mfcc: int) -> NDArray[np.float64]:
    """Return the first cosine coefficients of log-mel frames.

    Args:
        decibels: shape (frames, n_mels).
        n_mfcc: how many coefficients to keep.

    Returns:
        Shape (frames, n_mfcc).

    Source: librosa.feature.mfcc at its defaults.
    """
    coefficients = np.empty((len(decibels), n_mfcc))
    cosines = _cosines(decibels.shape[1], n_mfcc)
    for start in range(0, len(decibels), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        np.matmul(decibels[block], cosines, out=coefficients[block])
    return coefficients


@lru_cache(maxsize=4)
def _cosines(n_mels: int, n_mfcc: int) -> NDArray[np.float64]:
    """Return the orthonormal discrete cosine transform of type 2. Shape (n_mels, n_mfcc)."""
    band, order = np.arange(n_mels)[:, None], np.arange(n_mfcc)
    cosines: NDArray[np.float64] = np.cos(np.pi * order * (2 * band + 1) / (2 * n_mels)) * np.sqrt(
        2 / n_mels
    )
    cosines[:, 0] = np.sqrt(1 / n_mels)
    return cosines
