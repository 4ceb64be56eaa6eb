"""Vorbis comments, as FLAC, Ogg Vorbis, Opus, Speex and FLAC in Ogg hold them.

Source: Ogg Vorbis I format specification: comment field and header specification (Xiph.Org).
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import TYPE_CHECKING

from genrekit.errors import TagError
from genrekit.tags.formats.base import (
    OURS,
    PROVENANCE,
    STYLE_FIELDS,
    Named,
    Values,
    decoded,
    raw_values,
)

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

_KEYS: dict[str, bytes] = {
    "genre": b"genre",
    "artist": b"artist",
    "album": b"album",
    "album_artist": b"albumartist",
    "title": b"title",
    "provenance": PROVENANCE.lower().encode(),
    **{field: field.lower().encode() for field in STYLE_FIELDS},
}


class VorbisComments:
    """One block of comments, as it follows the packet's name.

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
        """Return the values of a comment, which may occur several times."""
        found = (comment.partition(b"=") for comment in self._comments)
        return [decoded(value) for key, _, value in found if key.lower() == _KEYS[field]]

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return every comment but those of some fields, the vendor and what follows."""
        comments = [
            (f"comment {decoded(c.partition(b'=')[0])}", c)
            for c in self._comments
            if not _is_of(c, fields)
        ]
        vendor = ("comments' vendor", self._vendor)
        return [vendor, *comments, ("comments' remainder", self._behind)]

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the comments with ours replaced, at the place of the first one or at the end."""
        ours = [
            _KEYS[field] + b"=" + value.encode()
            for field, values in raw_values(new, profile).items()
            for value in values
        ]
        places = [number for number, c in enumerate(self._comments) if _is_of(c, new)]
        place = places[0] if places else len(self._comments)
        comments = self._comments[:place] + ours
        comments += [c for c in self._comments[place:] if not _is_of(c, new)]
        head = self._vendor + struct.pack("<I", len(comments))
        return head + b"".join(struct.pack("<I", len(c)) + c for c in comments) + self._behind


_DAMAGED = "its Vorbis comments end in the middle of one; save it with a tag editor"


def _end(content: bytes, start: int) -> int:
    """Return the end of the text whose length is stored at an offset."""
    if start + 4 > len(content):
        raise TagError(_DAMAGED)
    end = start + 4 + int.from_bytes(content[start : start + 4], "little")
    if end > len(content):
        raise TagError(_DAMAGED)
    return end


def _is_of(comment: bytes, fields: Collection[str]) -> bool:
    return comment.partition(b"=")[0].lower() in [_KEYS[field] for field in fields]


def made() -> bytes:
    """Return an empty block of comments."""
    vendor = b"genrekit"
    return struct.pack("<I", len(vendor)) + vendor + bytes(4)
