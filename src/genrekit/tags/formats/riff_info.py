"""The INFO list of a WAV file.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991),
"INFO List Chunk". It names no encoding: what is written is UTF-8 or, in older files, Latin-1.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from genrekit.tags.formats.base import OURS, Named, Values, decoded

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

_KEYS = {"genre": b"IGNR", "artist": b"IART", "album": b"IPRD", "title": b"INAM"}
_N_HEADER = 8


class InfoTag:
    """One INFO list, from "INFO" on."""

    kind = "INFO list"
    is_numbered = True

    def __init__(self, content: bytes) -> None:
        self._items: list[tuple[bytes, bytes, bytes]] = []  # name, value, all bytes of the item
        here = 4
        while here + _N_HEADER <= len(content):
            length = int.from_bytes(content[here + 4 : here + 8], "little")
            value_end = here + _N_HEADER + length
            if value_end > len(content):
                break
            end = min(value_end + length % 2, len(content))
            value = content[here + _N_HEADER : value_end]
            self._items.append((content[here : here + 4], value, content[here:end]))
            here = end
        self._behind = content[here:]

    def values(self, field: str) -> list[str]:
        """Return the values of a field."""
        values = [value for name, value, _ in self._items if name == _KEYS.get(field)]
        return [decoded(value.rstrip(b"\0")) for value in values]

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return every item but the genre; an INFO list lacks the other fields."""
        del fields
        items = [
            (f"INFO {name.decode('latin-1')}", item)
            for name, _, item in self._items
            if name != _KEYS["genre"]
        ]
        return [*items, ("INFO remainder", self._behind)]

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the list with other genres in one text, and its other items as they are."""
        del profile
        value = "; ".join(new["genre"]).encode("utf-8") + b"\0"
        item = _KEYS["genre"] + len(value).to_bytes(4, "little") + value + bytes(len(value) % 2)
        parts, is_written = [b"INFO"], False
        for name, _, old in self._items:
            if name != _KEYS["genre"]:
                parts.append(old)
            elif not is_written:
                parts.append(item)
                is_written = True
        return b"".join(parts) + self._behind
