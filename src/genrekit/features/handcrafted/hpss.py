"""A waveform's harmonic and percussive parts: what lasts, and what strikes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrekit.features.handcrafted.median import running_median
from genrekit.features.handcrafted.spectrum import BLOCK_FRAMES, SPEC
from genrekit.features.stft import hann

_TINY = np.finfo(np.float32).tiny
_HOPS_PER_FRAME = SPEC.n_fft // SPEC.hop_length


def parts(
    spectrum: NDArray[np.complex64], power: NDArray[np.float32], samples: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split a waveform into its harmonic and its percussive part.

    Args:
        spectrum: shape (frames, frequencies). It is overwritten.
        power: its squared magnitude. Shape (frames, frequencies).
        samples: the waveform. Shape (samples,).

    Returns:
        The harmonic and the percussive part, each of shape (samples,). Both are zero after the
        last whole hop, as in the published table.

    Source: librosa.effects.hpss at its defaults, when it did not yet pass the waveform's length to
    the inverse transform (Fitzgerald 2010, Harmonic/percussive separation using median filtering).
    """
    harmonic = _harmonic(spectrum, power)[: len(samples)]
    # Both parts add up to the whole: their masks do, and the inverse transform is linear.
    percussive = samples - harmonic
    end = len(samples) // SPEC.hop_length * SPEC.hop_length
    harmonic[end:] = percussive[end:] = 0.0
    return harmonic, percussive


def _harmonic(spectrum: NDArray[np.complex64], power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mask the spectrum in place and turn it back, a block of frames at a time.

    The median of the power is the square of the median of the magnitude, and the soft masks need
    the squares only.
    """
    n_frames = len(power)
    lasting = running_median(power)
    hops = np.zeros((n_frames + _HOPS_PER_FRAME - 1, SPEC.hop_length), np.float32)
    frames = np.empty((BLOCK_FRAMES, SPEC.n_fft), np.float32)
    for start in range(0, n_frames, BLOCK_FRAMES):
        block = slice(start, min(start + BLOCK_FRAMES, n_frames))
        mask = lasting[block]
        total = mask + running_median(power[block].T).T
        # Where both are zero, the halves are equal.
        mask += _TINY
        total += 2 * _TINY
        mask /= total
        spectrum[block] *= mask
        n = block.stop - start
        # As for rfft, NumPy's stub knows double precision only.
        np.fft.irfft(spectrum[block], out=frames[:n])  # type: ignore[arg-type]
        _overlap_add(hops[start:], frames[:n])
    hops /= _window_sums(n_frames)
    return hops.ravel()[SPEC.n_fft // 2 :]


def _overlap_add(hops: NDArray[np.float32], frames: NDArray[np.float32]) -> None:
    frames *= hann(SPEC.n_fft)
    for index in range(_HOPS_PER_FRAME):
        hop = slice(index * SPEC.hop_length, (index + 1) * SPEC.hop_length)
        hops[index : index + len(frames)] += frames[:, hop]


def _window_sums(n_frames: int) -> NDArray[np.float32]:
    """Return the sum of the squared windows at each sample. Shape (hops, hop_length).

    Source: librosa.filters.window_sumsquare.
    """
    squared = np.square(hann(SPEC.n_fft)).reshape(_HOPS_PER_FRAME, SPEC.hop_length)
    sums = np.zeros((n_frames + _HOPS_PER_FRAME - 1, SPEC.hop_length), np.float32)
    for index in range(_HOPS_PER_FRAME):
        sums[index : index + n_frames] += squared[index]
    sums[sums < _TINY] = 1.0
    return sums
