"""A waveform's harmonic and percussive parts.

The exact running median of 31 sorts the elements that neighbouring windows share only once. Sixteen
neighbouring windows share sixteen elements, which are sorted once, by merging runs of 2, 4 and 8;
eight of the sixteen windows share eight more elements, four of them four more, and so on, and each
merge keeps only the elements that can still become the median. That takes some 24 minima and maxima
per element, each over an entire block of columns.

Source: the sharing is from Adams (2021), Fast median filters using separable sorting networks, ACM
Transactions on Graphics 40(4); the merges are Batcher's bitonic ones (1968).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrekit.features.handcrafted.spectrum import BLOCK_FRAMES, HOPS_PER_FRAME, SPEC
from genrekit.features.stft import hann

WIDTH = 31
_TILE = (WIDTH + 1) // 2  # windows processed together
_BLOCK_ELEMENTS = 131_072
_TINY = np.finfo(np.float32).tiny

_Floats = NDArray[np.float32]


def parts(
    spectrum: NDArray[np.complex64], power: _Floats, samples: _Floats
) -> tuple[_Floats, _Floats]:
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
    # The parts sum to the waveform: their masks sum to one, and the inverse transform is linear.
    percussive = samples - harmonic
    end = len(samples) // SPEC.hop_length * SPEC.hop_length
    harmonic[end:] = percussive[end:] = 0.0
    return harmonic, percussive


def _harmonic(spectrum: NDArray[np.complex64], power: _Floats) -> _Floats:
    """Mask the spectrum in place and invert it, a block of frames at a time."""
    n_frames = len(power)
    # The median of the power is the square of that of the magnitude; soft masks need the squares.
    lasting = running_median(power)
    hops = np.zeros((n_frames + HOPS_PER_FRAME - 1, SPEC.hop_length), np.float32)
    frames = np.empty((BLOCK_FRAMES, SPEC.n_fft), np.float32)
    for start in range(0, n_frames, BLOCK_FRAMES):
        block = slice(start, min(start + BLOCK_FRAMES, n_frames))
        mask = lasting[block]
        total = mask + running_median(power[block].T).T
        # Where both are zero, each gets half.
        mask += _TINY
        total += 2 * _TINY
        mask /= total
        spectrum[block] *= mask
        n = block.stop - start
        # As for rfft, NumPy's stub knows only double precision.
        np.fft.irfft(spectrum[block], out=frames[:n])  # type: ignore[arg-type]
        _overlap_add(hops[start:], frames[:n])
    hops /= _window_sums(n_frames)
    return hops.ravel()[SPEC.n_fft // 2 :]


def _overlap_add(hops: _Floats, frames: _Floats) -> None:
    frames *= hann(SPEC.n_fft)
    for index in range(HOPS_PER_FRAME):
        hop = slice(index * SPEC.hop_length, (index + 1) * SPEC.hop_length)
        hops[index : index + len(frames)] += frames[:, hop]


def _window_sums(n_frames: int) -> _Floats:
    """Return librosa.filters.window_sumsquare. Shape (hops, hop_length)."""
    squared = np.square(hann(SPEC.n_fft)).reshape(HOPS_PER_FRAME, SPEC.hop_length)
    sums = np.zeros((n_frames + HOPS_PER_FRAME - 1, SPEC.hop_length), np.float32)
    for index in range(HOPS_PER_FRAME):
        sums[index : index + n_frames] += squared[index]
    sums[sums < _TINY] = 1.0
    return sums


def running_median(rows: _Floats) -> _Floats:
    """Return the median of 31 rows around each row, the edges mirrored.

    Args:
        rows: shape (n, columns); any strides.

    Returns:
        Shape (n, columns), exactly elements of rows.

    Source: scipy.ndimage.median_filter(rows, size=(31, 1), mode="reflect").
    """
    n, n_columns = rows.shape
    n_tiles = -(-n // _TILE)
    out = np.empty((n_tiles, _TILE, n_columns), np.float32)
    width = max(1, _BLOCK_ELEMENTS // ((n_tiles + 2) * _TILE))
    mirrored = np.pad(np.arange(n), (_TILE, (n_tiles + 1) * _TILE - n), mode="symmetric")
    for start in range(0, n_columns, width):
        block = slice(start, min(start + width, n_columns))
        padded = np.empty((len(mirrored), block.stop - start), np.float32)
        padded[_TILE : _TILE + n] = rows[:, block]
        padded[:_TILE] = padded[_TILE + mirrored[:_TILE]]
        padded[_TILE + n :] = padded[_TILE + mirrored[_TILE + n :]]
        tiles = padded.reshape(n_tiles + 2, _TILE, -1).transpose(1, 0, 2)
        out[:, :, block] = _medians(tiles).transpose(1, 0, 2)
    return out.reshape(-1, n_columns)[:n]


def _medians(tiles: _Floats) -> _Floats:
    """Return the medians of 31 neighbours: (16, tiles + 2, columns) -> (16, tiles, columns)."""
    # In: element 16 t + i at [i, t, column]. Out: the median of those from 16 t + i + 1 on there.
    runs = [tiles[:, None]]  # (n_runs, run length, tiles + 2, columns), each run ascending
    while len(runs[-1]) > 1:
        runs.append(_merge(runs[-1]))
    kept = runs.pop()[:, :, 1:-1]  # what all windows of a tile share: the tile after it
    while runs:
        kept = _narrow(kept, runs.pop())
    return kept[:, 0]


def _merge(runs: _Floats) -> _Floats:
    """Merge neighbouring ascending runs: (n, length, ...) -> (n / 2, 2 length, ...)."""
    n, length, *rest = runs.shape
    out = np.empty((n // 2, 2 * length, *rest), np.float32)
    first, second = runs[0::2], runs[1::2, ::-1]
    np.minimum(first, second, out=out[:, :length])
    np.maximum(first, second, out=out[:, length:])
    return _sort_bitonic(out, length)


def _narrow(kept: _Floats, runs: _Floats) -> _Floats:
    """Merge into each half of the windows the elements only it has; keep the middle of each."""
    n, k = len(kept), kept.shape[1] // 2  # kept: (groups, 2 k, tiles, columns), ascending
    # runs: (2 groups, k, tiles + 2, columns), ascending. A group's first half has run 2 i + 1 of
    # its own tile, its second half run 2 i of the tile two further.
    out = np.empty((n, 2, k, *kept.shape[2:]), np.float32)
    for side, extra in enumerate((runs[1::2, ::-1, :-2], runs[0::2, ::-1, 2:])):
        # The 2 k smallest of all (bitonic), then the k greatest of those (bitonic again).
        np.minimum(kept[:, k:], extra, out=out[:, side])
        np.maximum(kept[:, :k], out[:, side], out=out[:, side])
    return _sort_bitonic(out.reshape(2 * n, k, *kept.shape[2:]), k)


def _sort_bitonic(runs: _Floats, length: int) -> _Floats:
    """Sort bitonic runs of some length along the second axis."""
    while length > 1:
        length //= 2
        pairs = runs.reshape(-1, 2, length, *runs.shape[2:])
        out = np.empty_like(pairs)
        np.minimum(pairs[:, 0], pairs[:, 1], out=out[:, 0])
        np.maximum(pairs[:, 0], pairs[:, 1], out=out[:, 1])
        runs = out.reshape(runs.shape)
    return runs
