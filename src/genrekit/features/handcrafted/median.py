"""The exact running median of 31, by sorting what neighbouring windows share only once.

Sixteen neighbouring windows of 31 share sixteen elements. Those are sorted once, by merging runs
of 2, 4 and 8; eight of the sixteen windows share eight more elements, four of them four more, and
so on, and after each merge only those elements are kept that can still become the median. That
takes some 24 minima and maxima an element, each over a whole block of columns at once.

Source: the sharing is that of Adams (2021), Fast median filters using separable sorting networks,
ACM Transactions on Graphics 40(4); the merges are Batcher's bitonic ones (1968).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 31
_TILE = (WIDTH + 1) // 2  # windows that are worked on together
_BLOCK_ELEMENTS = 131_072

_Floats = NDArray[np.float32]


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
    """Return the medians of 31 neighbours.

    Args:
        tiles: element 16 t + i of each column at [i, t, column]. Shape (16, tiles + 2, columns).

    Returns:
        The median of elements 16 t + i + 1 .. 16 t + i + 31 at [i, t, column].
        Shape (16, tiles, columns).
    """
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
    """Give each half of the windows the elements it alone has, and keep the middle of both.

    Args:
        kept: ascending; the median of every window of a group is among them.
            Shape (groups, 2 k, tiles, columns).
        runs: ascending runs of k elements. A group's first half has run 2 i + 1 of its own tile,
            its second half run 2 i of the tile two further.
            Shape (2 groups, k, tiles + 2, columns).

    Returns:
        The k in the middle of the 3 k, ascending. Shape (2 groups, k, tiles, columns).
    """
    n, k = len(kept), kept.shape[1] // 2
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
