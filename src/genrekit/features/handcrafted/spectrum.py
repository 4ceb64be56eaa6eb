"""The one short-time Fourier transform, and what is read off each of its frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from genrekit.features.mel import band_groups
from genrekit.features.spec import FeatureSpec
from genrekit.features.stft import hann, pad_into

# Every number of the front end. The published table was made with librosa's defaults of its time.
SPEC = FeatureSpec()
N_FREQUENCIES = 1 + SPEC.n_fft // 2
FREQUENCIES_HZ = np.arange(N_FREQUENCIES) * (SPEC.sample_rate / SPEC.n_fft)
_ROLLOFF_SHARE = np.float32(0.85)
# Frames worked on at once: their spectrum, power and magnitude stay in the second-level cache.
BLOCK_FRAMES = 32

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Transform:
    """A waveform's spectrum and the description of each of its frames.

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
        frames = 1 + samples // hop_length of them, centred, the edges reflected.
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
        # NumPy's own stub knows complex128 only; NumPy >= 2 keeps float32 -> complex64.
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
