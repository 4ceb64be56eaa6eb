"""Vorbis comments, as FLAC, Ogg Vorbis, Opus, Speex and FLAC in Ogg hold them.

Source: Ogg Vorbis I format specification: comment field and header specification (Xiph.Org).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrekit.errors import TagError
from genrekit.tags.formats.base import PROVENANCE, Named, decoded

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

_KEYS = {
    "genre": b"genre",
    "artist": b"artist",
    "album": b"album",
    "album_artist": b"albumartist",
    "title": b"title",
    "provenance": PROVENANCE.lower().encode(),
}


class VorbisComments:
    """One block of comments, or what follows a packet's own name.

    Raises:
        TagError: it ends before all its comments do.
    """

    kind = "Vorbis comments"
    is_numbered = False

    def __init__(self, content: bytes) -> None:
        vendor_end = _end(content, 0)
        self._vendor = content[:vendor_end]
        if vendor_end + 4 > len(content):
            raise TagError(_DAMAGED)
        (n_comments,) = struct.unpack_from("<I", content, vendor_end)
        self._comments: list[bytes] = []
        here = vendor_end + 4
        for _ in range(n_comments):
            end = _end(content, here)
            self._comments.append(content[here + 4 : end])
            here = end
        self._behind = content[here:]

    def values(self, field: str) -> list[str]:
        """Return the values of a comment, which may stand there several times."""
        found = (comment.partition(b"=") for comment in self._comments)
        return [decoded(value) for key, _, value in found if key.lower() == _KEYS[field]]

    def others(self) -> list[Named]:
        """Return every comment but ours, the vendor and what follows."""
        comments = [
            (f"comment {decoded(c.partition(b'=')[0])}", c)
            for c in self._comments
            if not _is_ours(c)
        ]
        vendor = ("comments' vendor", self._vendor)
        return [vendor, *comments, ("comments' remainder", self._behind)]

    def rewritten(self, genres: Sequence[str], provenance: str, profile: Profile) -> bytes:
        """Return the comments with other genres, where the first of ours stood or at the end."""
        new = [b"genre=" + value.encode() for value in profile.values(genres)]
        new.append(PROVENANCE.lower().encode() + b"=" + provenance.encode())
        places = [number for number, c in enumerate(self._comments) if _is_ours(c)]
        place = places[0] if places else len(self._comments)
        comments = self._comments[:place] + new
        comments += [c for c in self._comments[place:] if not _is_ours(c)]
        head = self._vendor + struct.pack("<I", len(comments))
        return head + b"".join(struct.pack("<I", len(c)) + c for c in comments) + self._behind


_DAMAGED = "its Vorbis comments end in the middle of one; save it with a tag editor"


def _end(content: bytes, start: int) -> int:
    """Return where the text ends whose length stands at a place."""
    if start + 4 > len(content):
        raise TagError(_DAMAGED)
    end = start + 4 + int.from_bytes(content[start : start + 4], "little")
    if end > len(content):
        raise TagError(_DAMAGED)
    return end


def _is_ours(comment: bytes) -> bool:
    return comment.partition(b"=")[0].lower() in (_KEYS["genre"], _KEYS["provenance"])


def made() -> bytes:
    """Return comments that say nothing."""
    vendor = b"genrekit"
    return struct.pack("<I", len(vendor)) + vendor + bytes(4)
