"""What is read off the waveform itself: loudness and zero crossings of each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genrekit.features.handcrafted.spectrum import SPEC

# Samples this close to zero count as zero, and zero as positive.
_ZERO = 1e-10
_HOPS_PER_FRAME = SPEC.n_fft // SPEC.hop_length


def rms(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean square of each centred frame, the edges reflected.

    Args:
        samples: shape (samples,).

    Returns:
        Shape (frames,).

    Source: librosa.feature.rms.
    """
    hops = _hops(np.pad(samples, SPEC.n_fft // 2, mode="reflect"))
    energy = np.einsum("ij,ij->i", hops, hops, dtype=np.float64)
    return np.sqrt(_frame_sums(energy) / SPEC.n_fft)


def zero_crossing_rate(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of each frame's samples that have another sign than the one before them.

    The edges are repeated, and a frame's first sample never counts.

    Args:
        samples: shape (samples,).

    Returns:
        Shape (frames,).

    Source: librosa.feature.zero_crossing_rate at its defaults.
    """
    negative = np.pad(samples, SPEC.n_fft // 2, mode="edge") < -_ZERO
    crossing = np.empty(len(negative), np.bool_)
    crossing[0] = False
    np.not_equal(negative[1:], negative[:-1], out=crossing[1:])
    hops = _hops(crossing)
    counts = _frame_sums(np.count_nonzero(hops, axis=1))
    rates: NDArray[np.float64] = (counts - hops[: len(counts), 0]) / SPEC.n_fft
    return rates


def _hops(padded: NDArray[Any]) -> NDArray[Any]:
    """Cut into whole hops, of which every frame covers a few. Shape (hops, hop_length)."""
    n_hops = len(padded) // SPEC.hop_length
    return padded[: n_hops * SPEC.hop_length].reshape(n_hops, SPEC.hop_length)


def _frame_sums(of_hops: NDArray[Any]) -> NDArray[np.float64]:
    hops_of_frames = sliding_window_view(of_hops, _HOPS_PER_FRAME)
    sums: NDArray[np.float64] = hops_of_frames.sum(axis=1, dtype=np.float64)
    return sums
