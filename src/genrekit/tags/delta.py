"""A small recipe that turns one file's bytes back into those of another that shares most of them.

A retagged file holds the audio and the pictures of the old one, perhaps at other places. The
recipe refers to those parts by offset and holds only the bytes that are gone, so that an undo
is exact to the byte in every format and costs a few hundred bytes a file.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

Bytes = mmap.mmap | bytes
_BLOCK = 64  # bytes of the new file that are looked up
_ANCHOR = 16  # bytes that must agree for the old alignment to go on
_INDEXED_BYTES = 32 << 20  # tags stand before this, or behind the common end
_STEP = 1 << 20

Piece = tuple[int, int] | bytes  # (place, length) in the new file, or bytes of the old one


def make(old: Path, new: Path) -> bytes:
    """Return the recipe that rebuilds the bytes of ``old`` from those of ``new``.

    Raises:
        OSError: a file cannot be read.
    """
    with _mapped(old) as old_bytes, _mapped(new) as new_bytes:
        pieces = list(_joined(_pieces(old_bytes, new_bytes)))
    table = json.dumps([len(p) if isinstance(p, bytes) else p for p in pieces]).encode()
    gone = b"".join(p for p in pieces if isinstance(p, bytes))
    return zlib.compress(len(table).to_bytes(4, "big") + table + gone, 9)


def restore(recipe: bytes, new: Path, target: IO[bytes]) -> None:
    """Write the bytes that the recipe rebuilds from those of ``new``.

    Raises:
        OSError: a file cannot be read or written.
    """
    content = zlib.decompress(recipe)
    place = 4 + int.from_bytes(content[:4], "big")
    with _mapped(new) as new_bytes:
        for piece in json.loads(content[4:place]):
            if isinstance(piece, int):
                target.write(content[place : place + piece])
                place += piece
            else:
                start, length = piece
                for first in range(start, start + length, _STEP):
                    target.write(new_bytes[first : min(first + _STEP, start + length)])


@contextmanager
def _mapped(path: Path) -> Iterator[Bytes]:
    with path.open("rb") as stream:
        if stream.seek(0, 2) == 0:
            yield b""
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _pieces(old: Bytes, new: Bytes) -> Iterator[Piece]:
    """Cover the old bytes from the first to the last."""
    end = len(old) - _common_end(old, new)
    found = _Finder(old, new)
    here = 0
    while here < end:
        place = found.place(here)
        if place is None:
            yield old[here : here + 1]
            here += 1
        else:
            length = min(_common_start(old, here, new, place), end - here)
            yield place, length
            here += length
    yield len(new) - (len(old) - end), len(old) - end


class _Finder:
    """Finds where in the new bytes the old ones at some place went on."""

    def __init__(self, old: Bytes, new: Bytes) -> None:
        self._old, self._new = old, new
        self._shifts = [0, len(new) - len(old)]  # the alignments that held last, first
        self._blocks: dict[bytes, int] | None = None

    def place(self, here: int) -> int | None:
        anchor = self._old[here : here + _ANCHOR]
        for shift in self._shifts:
            if here + shift >= 0 and self._new[here + shift : here + shift + len(anchor)] == anchor:
                return here + shift
        place = self._index().get(self._old[here : here + _BLOCK])
        if place is not None:
            self._shifts = [place - here, *self._shifts[:3]]
        return place

    def _index(self) -> dict[bytes, int]:
        if self._blocks is None:
            starts = range(0, min(len(self._new), _INDEXED_BYTES) - _BLOCK + 1, _BLOCK)
            self._blocks = {self._new[start : start + _BLOCK]: start for start in starts}
        return self._blocks


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Merge adjacent literal bytes, and drop empty parts."""
    gone = bytearray()
    for piece in pieces:
        if isinstance(piece, bytes):
            gone += piece
            continue
        if gone:
            yield bytes(gone)
            gone.clear()
        if piece[1]:
            yield piece
    if gone:
        yield bytes(gone)


def _common_start(a: Bytes, a_from: int, b: Bytes, b_from: int) -> int:
    """Return how many bytes agree from two offsets on."""
    return _agreeing(np.frombuffer(a, np.uint8)[a_from:], np.frombuffer(b, np.uint8)[b_from:])


def _common_end(a: Bytes, b: Bytes) -> int:
    """Return how many bytes agree at the end."""
    return _agreeing(np.frombuffer(a, np.uint8)[::-1], np.frombuffer(b, np.uint8)[::-1])


def _agreeing(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> int:
    n_bytes = min(len(left), len(right))
    for first in range(0, n_bytes, _STEP):
        last = min(first + _STEP, n_bytes)
        differ = np.flatnonzero(left[first:last] != right[first:last])
        if len(differ):
            return first + int(differ[0])
    return n_bytes
