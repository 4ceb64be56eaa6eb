"""Chroma: the power of each of the twelve pitch classes, after estimating the tuning."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genrekit.features.handcrafted.spectrum import FREQUENCIES_HZ, N_FREQUENCIES, SPEC

N_CHROMA = 12
_A4_HZ = 440.0
_LOWEST_HZ, _HIGHEST_HZ = 150.0, 4000.0  # pitches that the tuning is estimated from
_PEAK_SHARE = np.float32(0.1)  # of a frame's loudest bin; peaks below do not count
_TUNING_STEPS = 100  # a semitone is divided into
_BLOCK_FRAMES = 16  # products this small stay below the size from which BLAS starts threads

_Floats = NDArray[np.float32]


def chroma(power: _Floats, loudest: _Floats) -> _Floats:
    """Return the power of each pitch class, the greatest of a frame being 1.

    Args:
        power: shape (frames, frequencies).
        loudest: the greatest power of each frame. Shape (frames,).

    Returns:
        Shape (frames, 12), from C on; zeros in a silent frame.

    Source: librosa.feature.chroma_stft, with the tuning estimated from the same spectrum.
    """
    filters = _filters(tuning(*_pitches(power, loudest)))
    raw = np.empty((len(power), N_CHROMA), np.float32)
    for start in range(0, len(power), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        np.matmul(power[block], filters, out=raw[block])
    greatest = raw.max(axis=1, keepdims=True)
    greatest[greatest < np.finfo(np.float32).tiny] = 1.0
    raw /= greatest
    return raw


def tuning(pitches_hz: _Floats, magnitudes: _Floats) -> float:
    """Return the deviation of a recording's tuning from 440 Hz, in semitones from -0.5 to 0.49.

    It is the most common deviation among the pitches of at least median magnitude.

    Args:
        pitches_hz: the pitches found in all frames. Shape (n_pitches,).
        magnitudes: their magnitudes. Shape (n_pitches,).

    Returns:
        A multiple of 0.01; 0.0 without pitches.

    Source: librosa.estimate_tuning and librosa.pitch_tuning.
    """
    if not pitches_hz.size:
        return 0.0
    strong = pitches_hz[magnitudes >= np.median(magnitudes)]
    deviation = np.mod(N_CHROMA * np.log2(strong / (_A4_HZ / 16)), 1.0)
    deviation[deviation >= 0.5] -= 1.0
    counts, edges = np.histogram(deviation, np.linspace(-0.5, 0.5, _TUNING_STEPS + 1))
    return float(edges[np.argmax(counts)])


def _pitches(power: _Floats, loudest: _Floats) -> tuple[_Floats, _Floats]:
    """Return frequency and magnitude of every spectral peak, as librosa.piptrack does."""
    inside = np.flatnonzero((FREQUENCIES_HZ >= _LOWEST_HZ) & (FREQUENCIES_HZ < _HIGHEST_HZ))
    first, last = int(inside[0]), int(inside[-1])
    # Neighbours of a peak below the threshold count as zero, so they are lower than it anyway.
    here = power[:, first : last + 1]
    is_peak = here > power[:, first - 1 : last]
    is_peak &= here >= power[:, first + 1 : last + 2]
    is_peak &= here > _PEAK_SHARE * loudest[:, None]
    frame, bin_ = np.nonzero(is_peak)
    bin_ += first
    # Between the bins by a parabola: Smith (2011), Spectral Audio Signal Processing.
    left, peak, right = (power[frame, bin_ + offset] for offset in (-1, 0, 1))
    slope = np.float32(0.5) * (right - left)
    curvature = left + right - np.float32(2) * peak
    shift = np.zeros_like(peak)
    bent = np.abs(slope) < np.abs(curvature)
    np.divide(-slope, curvature, out=shift, where=bent)
    pitches_hz = (bin_ + shift) * (SPEC.sample_rate / SPEC.n_fft)
    return pitches_hz.astype(np.float32), peak + np.float32(0.5) * slope * shift


@lru_cache(maxsize=_TUNING_STEPS + 1)
def _filters(semitones: float) -> _Floats:
    """Return the weight of each frequency in each pitch class. Shape (frequencies, 12)."""
    # librosa.filters.chroma (Ellis 2007, chroma feature analysis): Gaussian bumps around the
    # classes, of unit norm a frequency, weighted by a Gaussian of two octaves around octave 5.
    a4_hz = _A4_HZ * 2.0 ** (semitones / N_CHROMA)
    hz = np.arange(1, SPEC.n_fft) * (SPEC.sample_rate / SPEC.n_fft)
    position = N_CHROMA * np.log2(hz / (a4_hz / 16))
    # The 0 Hz bin is put an octave and a half below its neighbour, where it belongs to no class.
    position = np.concatenate([position[:1] - 1.5 * N_CHROMA, position])
    width = np.append(np.maximum(np.diff(position), 1.0), 1.0)
    half = N_CHROMA / 2
    distance = (position[:, None] - np.arange(N_CHROMA) + half) % N_CHROMA - half
    weights = np.exp(-0.5 * (2 * distance / width[:, None]) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    weights *= np.exp(-0.5 * ((position[:, None] / N_CHROMA - 5.0) / 2.0) ** 2)
    from_c = np.roll(weights, -3, axis=1)[:N_FREQUENCIES]
    return np.ascontiguousarray(from_c, np.float32)
