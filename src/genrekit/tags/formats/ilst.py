"""iTunes' list of tags, the ilst atom of an MP4 file.

Source: as AtomicParsley and FFmpeg read it; the numbers of gnre are ID3v1's and one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from mutagen.id3 import TCON

from genrekit.errors import TagError
from genrekit.tags.formats.base import OURS, PROVENANCE, Named, Values, decoded, raw_values

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

_KEYS: dict[str, tuple[bytes | str, ...]] = {
    "genre": (b"\xa9gen", b"gnre", "genre"),
    "artist": (b"\xa9ART",),
    "album": (b"\xa9alb",),
    "album_artist": (b"aART",),
    "title": (b"\xa9nam",),
    "provenance": (PROVENANCE.lower(),),
    "STYLE": ("style",),
    "GROUPING": (b"\xa9grp",),
    "SUBGENRE": ("subgenre",),
}
_UTF8 = 1
_N_DATA = 16  # size, "data", type and locale


class IlstTag:
    """The content of an ilst atom.

    Raises:
        TagError: an item is longer than the list.
    """

    kind = "MP4"
    is_numbered = False

    def __init__(self, content: bytes) -> None:
        self._items: list[tuple[bytes | str, bytes]] = []
        for start, end in _atoms(content):
            self._items.append((_key(content[start:end]), content[start:end]))

    def values(self, field: str) -> list[str]:
        """Return the values of an item, first of the one that iTunes itself uses."""
        keys = _KEYS[field]
        found = [(keys.index(key), item) for key, item in self._items if key in keys]
        for kind in range(len(keys)):
            values = [text for index, item in found if index == kind for text in _texts(item)]
            if any(values):
                return values
        return [""] * bool(found)

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return every item but those of some fields."""
        ours = _keys(fields)
        return [(f"MP4 {_shown(key)}", item) for key, item in self._items if key not in ours]

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the list with our items replaced, at the place of the first one or at the end."""
        raw, ours = raw_values(new, profile), _keys(new)
        made = [_item(_KEYS[field][0], values) for field, values in raw.items()]
        if any(key == "genre" for key, _ in self._items):
            made.insert(1, _item("genre", raw["genre"]))
        places = [number for number, (key, _) in enumerate(self._items) if key in ours]
        place = places[0] if places else len(self._items)
        items = [item for _, item in self._items[:place]] + made
        return b"".join(items + [i for key, i in self._items[place:] if key not in ours])


def _keys(fields: Collection[str]) -> set[bytes | str]:
    return {key for field in fields for key in _KEYS[field]}


def _atoms(content: bytes, here: int = 0) -> list[tuple[int, int]]:
    found = []
    while here + 8 <= len(content):
        end = here + int.from_bytes(content[here : here + 4], "big")
        if not here + 8 <= end <= len(content):
            raise TagError("its list of tags holds a damaged item; save it with a tag editor")
        found.append((here, end))
        here = end
    if content[here:]:
        raise TagError("its list of tags ends in the middle of an item")
    return found


def _key(item: bytes) -> bytes | str:
    """Return an item's name; of a freeform one of iTunes, its own name in lower case."""
    if item[4:8] != b"----":
        return item[4:8]
    parts = {item[s + 4 : s + 8]: item[s + 12 : e] for s, e in _atoms(item, 8)}
    is_itunes = parts.get(b"mean", b"").lower() == b"com.apple.itunes"
    return decoded(parts.get(b"name", b"")).lower() if is_itunes else b"----"


def _shown(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode("latin-1")


def _texts(item: bytes) -> list[str]:
    values = [item[s + _N_DATA : e] for s, e in _atoms(item, 8) if item[s + 4 : s + 8] == b"data"]
    if item[4:8] == b"gnre":
        numbers = [int.from_bytes(value, "big") - 1 for value in values if len(value) in (1, 2)]
        return [TCON.GENRES[n] for n in numbers if 0 <= n < len(TCON.GENRES)]
    return [decoded(value) for value in values]


def _atom(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def _data(value: str) -> bytes:
    return _atom(b"data", _UTF8.to_bytes(4, "big") + bytes(4) + value.encode("utf-8"))


def _item(key: bytes | str, values: Sequence[str]) -> bytes:
    """Return an item of iTunes' own, or a freeform one, whose name is upper case as others do."""
    texts = b"".join(map(_data, values))
    if isinstance(key, bytes):
        return _atom(key, texts)
    mean = _atom(b"mean", bytes(4) + b"com.apple.iTunes")
    named = _atom(b"name", bytes(4) + key.upper().encode())
    return _atom(b"----", mean + named + texts)
