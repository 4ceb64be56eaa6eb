"""ID3v1: the last 128 bytes of a file, which other tags' writers would rewrite or cut off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mutagen.id3 import TCON

from genrekit.labels import spelling

N_BYTES = 128
_UNKNOWN = 255
_NUMBERS = {spelling(name): number for number, name in reversed(list(enumerate(TCON.GENRES)))}


def block(path: Path) -> bytes:
    """Return a file's ID3v1 tag, or nothing where it has none.

    Source: ID3v1 (Eric Kemp, 1996); the genre's number is the last byte.
    """
    with path.open("rb") as stream:
        n_bytes = stream.seek(0, 2)
        stream.seek(max(0, n_bytes - N_BYTES - 3))
        tail = stream.read()
    if len(tail) < N_BYTES or tail[-N_BYTES:][:3] != b"TAG" or tail.startswith(b"APETAGEX"):
        return b""
    return tail[-N_BYTES:]


@contextmanager
def set_aside(path: Path, genres: Sequence[str]) -> Iterator[None]:
    """Take a file's ID3v1 tag off while the block writes others, then put it back.

    Only its genre changes: to the first genre that ID3v1 has a number for, or to "unknown".
    """
    tag = block(path)
    if tag:
        with path.open("r+b") as stream:
            stream.truncate(stream.seek(-N_BYTES, 2))
    yield
    if tag:
        known = [_NUMBERS[spelling(genre)] for genre in genres if spelling(genre) in _NUMBERS]
        with path.open("ab") as stream:
            stream.write(tag[:-1] + bytes([known[0] if known else _UNKNOWN]))
