"""The descriptors of each frame, from its spectrum, the waveform and mel power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genrekit.features.mel import band_groups
from genrekit.features.spec import FeatureSpec
from genrekit.features.stft import hann, pad_into, to_db

# All parameters of the front end: librosa's defaults at the time of the published table.
SPEC = FeatureSpec()
N_FREQUENCIES = 1 + SPEC.n_fft // 2
FREQUENCIES_HZ = np.arange(N_FREQUENCIES) * (SPEC.sample_rate / SPEC.n_fft)
_ROLLOFF_SHARE = np.float32(0.85)
# Frames per block: their spectrum, power and magnitude stay in the second-level cache.
BLOCK_FRAMES = 32
_MFCC_FRAMES = 64  # products this small stay below the size from which BLAS starts threads
HOPS_PER_FRAME = SPEC.n_fft // SPEC.hop_length
# Samples this close to zero count as zero, and zero as positive.
_ZERO = 1e-10
_FLOOR_DB, _RANGE_DB = -100.0, 80.0

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Transform:
    """A waveform's spectrum and the descriptors of each of its frames.

    Attributes:
        spectrum: shape (frames, frequencies).
        power: its squared magnitude. Shape (frames, frequencies).
        loudest: the greatest power of each frame. Shape (frames,).
        mel: mel power. Shape (frames, n_mels).
        centroid: mean frequency weighted by magnitude, in Hz. Shape (frames,).
        bandwidth: spread around the centroid, in Hz. Shape (frames,).
        rolloff: frequency below which 85 % of the magnitude lies, in Hz. Shape (frames,).
    """

    spectrum: NDArray[np.complex64]
    power: _Floats
    loudest: _Floats
    mel: _Floats
    centroid: _Floats
    bandwidth: _Floats
    rolloff: _Floats


def transform(samples: _Floats) -> Transform:
    """Transform a waveform and describe its frames, a block of frames at a time.

    Args:
        samples: at least one window of mono audio. Shape (samples,).

    Returns:
        frames = 1 + samples // hop_length centred frames, with reflected edges.
    """
    padded = np.empty(len(samples) + SPEC.n_fft, np.float32)
    pad_into(padded, samples, SPEC)
    frames = sliding_window_view(padded, SPEC.n_fft)[:: SPEC.hop_length]  # (frames, n_fft), a view
    found = _empty(len(frames))
    window = hann(SPEC.n_fft)
    windowed = np.empty((BLOCK_FRAMES, SPEC.n_fft), np.float32)
    scratch = np.empty((BLOCK_FRAMES, N_FREQUENCIES), np.float32)
    for start in range(0, len(frames), BLOCK_FRAMES):
        block = slice(start, min(start + BLOCK_FRAMES, len(frames)))
        n = block.stop - start
        np.multiply(frames[block], window, out=windowed[:n])
        # NumPy's stub knows only complex128; NumPy >= 2 keeps float32 -> complex64.
        np.fft.rfft(windowed[:n], out=found.spectrum[block])  # type: ignore[arg-type]
        np.square(found.spectrum[block].real, out=found.power[block])
        np.square(found.spectrum[block].imag, out=scratch[:n])
        found.power[block] += scratch[:n]
        _describe(found, block, scratch[:n])
    return found


def _empty(n_frames: int) -> Transform:
    wide, narrow = (n_frames, N_FREQUENCIES), (n_frames,)
    return Transform(
        np.empty(wide, np.complex64),
        np.empty(wide, np.float32),
        np.empty(narrow, np.float32),
        np.empty((n_frames, SPEC.n_mels), np.float32),
        *(np.empty(narrow, np.float32) for _ in range(3)),
    )


def _describe(found: Transform, block: slice, magnitude: _Floats) -> None:
    """Describe a block of frames; ``magnitude`` is scratch memory."""
    power = found.power[block]
    power.max(axis=1, out=found.loudest[block])
    for group in band_groups(SPEC):
        np.matmul(power[:, group.bins], group.weights, out=found.mel[block, group.bands])
    np.sqrt(power, out=magnitude)
    total = np.cumsum(magnitude, axis=1)
    below = total < _ROLLOFF_SHARE * total[:, -1:]
    found.rolloff[block] = FREQUENCIES_HZ[np.count_nonzero(below, axis=1)]
    magnitude /= np.maximum(total[:, -1:], np.finfo(np.float32).tiny)
    hz = FREQUENCIES_HZ.astype(np.float32)
    found.centroid[block] = magnitude @ hz
    spread = hz - found.centroid[block, None]
    found.bandwidth[block] = np.sqrt(np.einsum("ij,ij,ij->i", spread, spread, magnitude))


def rms(samples: _Floats) -> NDArray[np.float64]:
    """Return the root mean square of each centred frame, with reflected edges.

    Args:
        samples: shape (samples,).

    Returns:
        Shape (frames,).

    Source: librosa.feature.rms.
    """
    hops = _hops(np.pad(samples, SPEC.n_fft // 2, mode="reflect"))
    energy = np.einsum("ij,ij->i", hops, hops, dtype=np.float64)
    return np.sqrt(_frame_sums(energy) / SPEC.n_fft)


def zero_crossing_rate(samples: _Floats) -> NDArray[np.float64]:
    """Return the share of each frame's samples whose sign differs from the previous sample's.

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
    return np.asarray((counts - hops[: len(counts), 0]) / SPEC.n_fft)


def _hops(padded: NDArray[Any]) -> NDArray[Any]:
    """Cut into hops, several of which make up a frame. Shape (hops, hop_length)."""
    n_hops = len(padded) // SPEC.hop_length
    return padded[: n_hops * SPEC.hop_length].reshape(n_hops, SPEC.hop_length)


def _frame_sums(of_hops: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(sliding_window_view(of_hops, HOPS_PER_FRAME).sum(axis=1, dtype=np.float64))


def log_mel(mel: _Floats) -> _Floats:
    """Convert mel power to decibels, floored 80 dB below the waveform's loudest value.

    Args:
        mel: mel power; it is overwritten. Shape (frames, n_mels).

    Returns:
        The same array, in dB re 1.0.

    Source: librosa.power_to_db at its defaults.
    """
    to_db(mel, _FLOOR_DB)
    np.maximum(mel, mel.max() - np.float32(_RANGE_DB), out=mel)
    return mel


def mfcc(decibels: _Floats, n_mfcc: int) -> NDArray[np.float64]:
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
    for start in range(0, len(decibels), _MFCC_FRAMES):
        block = slice(start, start + _MFCC_FRAMES)
        np.matmul(decibels[block], cosines, out=coefficients[block])
    return coefficients


@lru_cache(maxsize=4)
def _cosines(n_mels: int, n_mfcc: int) -> NDArray[np.float64]:
    """Return the orthonormal discrete cosine transform of type 2. Shape (n_mels, n_mfcc)."""
    band, order = np.arange(n_mels)[:, None], np.arange(n_mfcc)
    angles = np.pi * order * (2 * band + 1) / (2 * n_mels)
    cosines: NDArray[np.float64] = np.cos(angles) * np.sqrt(2 / n_mels)
    cosines[:, 0] = np.sqrt(1 / n_mels)
    return cosines
