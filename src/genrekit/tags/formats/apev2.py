"""APEv2 and APEv1: items of a key and a value, behind the audio or, rarely, before it.

Source: APE Tags specification 2.0, Hydrogenaudio Knowledgebase.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from genrekit.errors import TagError
from genrekit.tags.formats.base import (
    OURS,
    PROVENANCE,
    STYLE_FIELDS,
    Bytes,
    Named,
    Values,
    decoded,
    raw_values,
)

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

N_HEADER = 32
_MAGIC = b"APETAGEX"
_HAS_HEADER, _IS_HEADER, _KIND = 1 << 31, 1 << 29, 3 << 1
_KEYS: dict[str, bytes] = {
    "genre": b"genre",
    "artist": b"artist",
    "album": b"album",
    "album_artist": b"album artist",
    "title": b"title",
    "provenance": PROVENANCE.lower().encode(),
    **{field: field.lower().encode() for field in STYLE_FIELDS},
}


def before(data: Bytes, end: int) -> int:
    """Return the length of the tag that ends at an offset, header and footer included, or 0.

    Raises:
        TagError: its footer says that it is longer than the file.
    """
    foot = data[max(0, end - N_HEADER) : end]
    if len(foot) < N_HEADER or not foot.startswith(_MAGIC):
        return 0
    size, _, flags = struct.unpack("<III", foot[12:24])
    length = size + (N_HEADER if flags & _HAS_HEADER else 0)
    if flags & _IS_HEADER or size < N_HEADER or length > end:
        raise TagError("its APEv2 tag has a damaged footer; save it with a tag editor")
    return int(length)


def n_bytes(data: Bytes, start: int) -> int:
    """Return the length of the tag that begins at an offset, or 0."""
    head = data[start : start + N_HEADER]
    if len(head) < N_HEADER or not head.startswith(_MAGIC):
        return 0
    length = N_HEADER + struct.unpack("<I", head[12:16])[0]
    return length if before(data, start + length) == length else 0


class Apev2Tag:
    """One APEv2 or APEv1 tag.

    Raises:
        TagError: its items do not fill it.
    """

    kind = "APEv2"
    is_numbered = True

    def __init__(self, content: bytes) -> None:
        self._foot = content[-N_HEADER:]
        self._has_header = content.startswith(_MAGIC) and len(content) > N_HEADER
        body = content[N_HEADER * self._has_header : -N_HEADER]
        n_items = struct.unpack("<I", self._foot[16:20])[0]
        self._items: list[tuple[bytes, bytes]] = []  # lower-case key, all bytes of the item
        here = 0
        for _ in range(n_items):
            key_end = body.find(b"\0", here + 8)
            end = key_end + 1 + int.from_bytes(body[here : here + 4], "little")
            if key_end < 0 or end > len(body):
                raise TagError("its APEv2 tag has damaged items; save it with a tag editor")
            self._items.append((body[here + 8 : key_end].lower(), body[here:end]))
            here = end
        self._behind = body[here:]

    def values(self, field: str) -> list[str]:
        """Return the values of an item; NUL separates several."""
        found = []
        for key, item in self._items:
            is_text = not int.from_bytes(item[4:8], "little") & _KIND
            if key == _KEYS[field] and is_text:
                found += decoded(item[8 + len(key) + 1 :]).split("\0")
        return found

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return every item but those of some fields."""
        keys = [_KEYS[field] for field in fields]
        items = [(f"APEv2 {decoded(key)}", item) for key, item in self._items if key not in keys]
        return [*items, ("APEv2 remainder", self._behind)]

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the tag with our items replaced, at the place of the first one or at the end."""
        keys = [_KEYS[field] for field in new]
        ours = [_item(_shown(f), values) for f, values in raw_values(new, profile).items()]
        places = [number for number, (key, _) in enumerate(self._items) if key in keys]
        place = places[0] if places else len(self._items)
        items = [item for key, item in self._items[:place]] + ours
        items += [item for key, item in self._items[place:] if key not in keys]
        body = b"".join(items) + self._behind
        numbers = struct.pack("<II", len(body) + N_HEADER, len(items))
        foot = self._foot[:12] + numbers + self._foot[20:]
        if not self._has_header:
            return body + foot
        flags = int.from_bytes(foot[20:24], "little") | _IS_HEADER
        return foot[:20] + flags.to_bytes(4, "little") + foot[24:] + body + foot


def _shown(field: str) -> str:
    """Return a field's key as it is written: "Genre", "Style"."""
    return PROVENANCE if field == "provenance" else field.title()


def _item(key: str, values: Sequence[str]) -> bytes:
    value = "\0".join(values).encode("utf-8")
    return len(value).to_bytes(4, "little") + bytes(4) + key.encode() + b"\0" + value


def made() -> bytes:
    """Return a tag without items, with header and footer."""
    numbers = struct.pack("<III", 2000, N_HEADER, 0)
    flags = (_HAS_HEADER | _IS_HEADER, _HAS_HEADER)
    head, foot = (_MAGIC + numbers + flag.to_bytes(4, "little") + bytes(8) for flag in flags)
    return head + foot
