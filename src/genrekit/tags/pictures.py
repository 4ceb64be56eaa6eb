"""The cover of a track: a picture in its tags or in its folder."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 16 << 20
_FRONT = 3  # the type of a front cover in ID3v2 and FLAC
_NAMES = ("cover", "folder", "front", "album")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
_KINDS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@dataclass(frozen=True)
class Picture:
    """A picture of a type that browsers show and that holds no scripts."""

    media_type: str
    content: bytes


def cover(path: Path) -> Picture | None:
    """Return the front cover of a track, or the first other picture; None where there is none.

    Its first bytes decide its type, whatever the tags say.
    """
    for content in (*_embedded(path), *_beside(path)):
        if kind := media_type(content):
            return Picture(kind, content)
    return None


def media_type(content: bytes) -> str | None:
    r"""Return a picture's media type by its first bytes; None for anything else, such as SVG.

    >>> media_type(b"\xff\xd8\xff\xe0"), media_type(b"<svg onload='alert(1)'>")
    ('image/jpeg', None)
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), None)


def _embedded(path: Path) -> list[bytes]:
    """Return the pictures of a file's tags, front covers first."""
    import mutagen

    try:
        opened = mutagen.File(path)
        found = list(_pictures(opened)) if opened is not None else []
    except Exception:  # it raises whatever damaged bytes make of its code
        return []
    found.sort(key=lambda pair: pair[0] != _FRONT)
    return [content for _, content in found if len(content) <= MAX_BYTES]


def _pictures(opened: Any) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the content of each picture, wherever the format keeps them."""
    from mutagen.flac import Picture as FlacPicture

    for picture in getattr(opened, "pictures", ()):  # FLAC
        yield picture.type, picture.data
    tags = opened.tags
    if tags is None:
        return
    for frame in tags.getall("APIC") if hasattr(tags, "getall") else ():  # ID3v2
        yield frame.type, frame.data
    for name in ("covr", "metadata_block_picture", "WM/Picture", "Cover Art (Front)"):
        for value in _values(tags, name):
            if name == "covr":  # MP4
                yield _FRONT, bytes(value)
            elif name == "metadata_block_picture":  # Ogg: a FLAC picture in base64
                try:
                    picture = FlacPicture(base64.b64decode(value))
                except binascii.Error:
                    continue
                yield picture.type, picture.data
            elif name == "WM/Picture":  # ASF: type, length, two strings of UTF-16, the content
                kind, content = _asf(bytes(value.value))
                yield kind, content
            else:  # APEv2: a file name, NUL, the content
                yield _FRONT, bytes(value.value).partition(b"\0")[2]


def _values(tags: Any, name: str) -> list[Any]:
    try:
        found = tags.get(name)
    except (KeyError, ValueError):
        return []
    if found is None:
        return []
    return list(found) if isinstance(found, list) else [found]


def _asf(block: bytes) -> tuple[int, bytes]:
    """Parse a WM/Picture block. Source: Windows Media Format SDK, WM_PICTURE."""
    n_bytes, start = int.from_bytes(block[1:5], "little"), 5
    for _ in range(2):
        while block[start : start + 2] not in (b"\0\0", b""):
            start += 2
        start += 2
    return block[0], block[start : start + n_bytes]


def _beside(path: Path) -> Iterator[bytes]:
    """Yield the pictures in a track's folder that are named like covers."""
    try:
        files = {file.name.casefold(): file for file in path.parent.iterdir()}
    except OSError:
        return
    for name in (f"{stem}{suffix}" for stem in _NAMES for suffix in _SUFFIXES):
        file = files.get(name)
        try:
            if file and file.is_file() and file.stat().st_size <= MAX_BYTES:
                yield file.read_bytes()
        except OSError:
            continue
