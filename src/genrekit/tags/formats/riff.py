"""The INFO list of a WAV file: read only, since ID3 is what genrekit writes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_KEYS = {"genre": b"IGNR", "artist": b"IART", "album": b"IPRD", "title": b"INAM"}


def info(path: Path, field: str) -> list[str]:
    """Return the values of a field in a WAV file's INFO list, and none for any other file.

    Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991),
    "INFO List Chunk".
    """
    with path.open("rb") as stream:
        header = stream.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WAVE" or field not in _KEYS:
            return []
        while len(chunk := stream.read(8)) == 8:
            n_bytes = int.from_bytes(chunk[4:], "little")
            after = stream.tell() + n_bytes + n_bytes % 2
            if chunk[:4] == b"LIST" and stream.read(4) == b"INFO":
                content = stream.read(n_bytes - 4)
                return [value for key, value in _items(content) if key == _KEYS[field] and value]
            stream.seek(after)
    return []


def _items(content: bytes) -> Iterator[tuple[bytes, str]]:
    place = 0
    while place + 8 <= len(content):
        n_bytes = int.from_bytes(content[place + 4 : place + 8], "little")
        value = content[place + 8 : place + 8 + n_bytes].rstrip(b"\0")
        yield content[place : place + 4], _text(value)
        place += 8 + n_bytes + n_bytes % 2


def _text(value: bytes) -> str:
    """Decode a value: the format names no encoding, and what is written is UTF-8 or Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
