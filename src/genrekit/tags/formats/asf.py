"""ASF: WMA.

Source: Advanced Systems Format (ASF) Specification, revision 01.20.03 (Microsoft, 2004).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from genrekit.errors import TagError
from genrekit.tags.formats.base import (
    OURS,
    PROVENANCE,
    Bytes,
    Edit,
    Named,
    Place,
    Values,
    pieces,
    raw_values,
)

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


HEADER = _guid("75B22630-668E-11CF-A6D9-00AA0062CE6C")
_FILE = _guid("8CABDCA1-A947-11CF-8EE4-00C00C205365")
_CONTENT = _guid("75B22633-668E-11CF-A6D9-00AA0062CE6C")
_EXTENDED = _guid("D2D0A440-E307-11D2-97F0-00A0C95EA850")
_EXTENSION = _guid("5FBF03B5-A92E-11CF-8EE3-00C00C205365")
_METADATA = _guid("C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA")
_LIBRARY = _guid("44231C94-9498-49D1-A141-1D134E457054")
_PADDING = _guid("1806D474-CADF-4509-A4BA-9AABCB96AAE8")
_N_OBJECT, _N_HEADER, _N_EXTENSION = 24, 30, 22
_TAGS = (_EXTENDED, _METADATA, _LIBRARY)
_NAMES = {
    "genre": "WM/Genre",
    "artist": "Author",
    "album": "WM/AlbumTitle",
    "album_artist": "WM/AlbumArtist",
    "title": "Title",
    "provenance": PROVENANCE,
    "STYLE": "STYLE",
    "GROUPING": "WM/ContentGroupDescription",
    "SUBGENRE": "SUBGENRE",
}
_KEYS = {field: name.lower() for field, name in _NAMES.items()}
_DESCRIBED = ("title", "artist")  # the first fields of the Content Description Object


class _Object(NamedTuple):
    guid: bytes
    content: bytes  # without guid and size

    def __bytes__(self) -> bytes:
        size = _N_OBJECT + len(self.content)
        return self.guid + size.to_bytes(8, "little") + self.content


class _Attribute(NamedTuple):
    name: str  # in lower case
    text: bytes
    content: bytes  # all of it


class AsfTag:
    """The header of a file, whose objects hold attributes.

    Raises:
        TagError: an object is longer than the header, or an attribute than its object.
    """

    kind = "ASF"
    is_numbered = False

    def __init__(self, content: bytes) -> None:
        self._head = content[:_N_HEADER]
        self._objects = list(_objects(content[_N_HEADER:]))
        extension = [found.content for found in self._objects if found.guid == _EXTENSION]
        if len(extension) != 1:
            raise TagError("its header has no Header Extension Object, which every ASF file has")
        self._extension = extension[0][:_N_EXTENSION]
        self._inner = list(_objects(extension[0][_N_EXTENSION:]))

    def values(self, field: str) -> list[str]:
        """Return the values of an attribute, which may occur several times."""
        found = []
        for guid, content in self._objects + self._inner:
            if guid == _CONTENT and field in _DESCRIBED:
                found.append(_described(content)[_DESCRIBED.index(field)])
            elif guid in _TAGS:
                found += [a.text for a in _attributes(guid, content) if a.name == _KEYS[field]]
        return [value.decode("utf-16-le", "replace").rstrip("\0") for value in found]

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return every attribute but those of some fields, and every other object."""
        ours = _keys(fields)
        found = [("ASF header", self._head[:16] + self._head[28:] + self._extension[:18])]
        for guid, content in self._objects + self._inner:
            if guid in _TAGS:
                kept = [a for a in _attributes(guid, content) if a.name not in ours]
                found += [(f"ASF {a.name}", guid + a.content) for a in kept]
            elif guid == _FILE:
                found.append(("ASF file properties", content[:16] + content[24:]))
            elif guid != _EXTENSION and not (guid == _PADDING and not content.strip(b"\0")):
                found.append((f"ASF object {uuid.UUID(bytes_le=guid)}", content))
        return found

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the header with our values replaced, and of the same length where padding allows.

        The first value of a field stands in the Extended Content Description, further ones in the
        Metadata Library, since a name should stand in the former once.
        """
        raw, ours = raw_values(new, profile), _keys(new)
        first = [(_NAMES[field], values[0]) for field, values in raw.items()]
        more = [(_NAMES[field], value) for field, values in raw.items() for value in values[1:]]
        outer = _with(self._objects, _EXTENDED, first, ours)
        inner = _with(self._inner, _LIBRARY, more, ours)
        objects = b"".join(map(bytes, inner))
        extension = self._extension[:18] + len(objects).to_bytes(4, "little") + objects
        outer = [_Object(o.guid, extension) if o.guid == _EXTENSION else o for o in outer]
        growth = sum(len(bytes(o)) for o in outer) - sum(len(bytes(o)) for o in self._objects)
        outer, growth = _padded(outer, growth)
        outer = [_lengthened(o, growth) if o.guid == _FILE else o for o in outer]
        body = b"".join(map(bytes, outer))
        numbers = (_N_HEADER + len(body)).to_bytes(8, "little") + len(outer).to_bytes(4, "little")
        return self._head[:16] + numbers + self._head[28:] + body


def _keys(fields: Collection[str]) -> set[str]:
    """Return the names of fields' attributes; that of the genre has a number beside it."""
    return {_KEYS[field] for field in fields} | {"wm/genreid"}


def _objects(content: bytes) -> Iterator[_Object]:
    here = 0
    while here < len(content):
        size = int.from_bytes(content[here + 16 : here + _N_OBJECT], "little")
        if not _N_OBJECT <= size <= len(content) - here:
            raise TagError("its header holds an object that is longer than itself")
        yield _Object(content[here : here + 16], content[here + _N_OBJECT : here + size])
        here += size


def _with(
    objects: Sequence[_Object], guid: bytes, new: Sequence[tuple[str, str]], ours: Collection[str]
) -> list[_Object]:
    """Return objects without our attributes, and with new ones in the first object of a kind."""
    found, added = [], [_attribute(guid, name, value) for name, value in new]
    for item in objects:
        if item.guid not in _TAGS:
            found.append(item)
            continue
        kept = [a.content for a in _attributes(item.guid, item.content) if a.name not in ours]
        if item.guid == guid:
            kept, added = kept + added, []
        found.append(_Object(item.guid, len(kept).to_bytes(2, "little") + b"".join(kept)))
    if added:
        found.append(_Object(guid, len(added).to_bytes(2, "little") + b"".join(added)))
    return found


def _padded(objects: list[_Object], growth: int) -> tuple[list[_Object], int]:
    """Shrink a padding object; return the growth that it could not absorb."""
    for index, item in enumerate(objects):
        is_padding = item.guid == _PADDING and not item.content.strip(b"\0")
        if is_padding and len(item.content) >= growth:
            objects[index] = _Object(_PADDING, bytes(len(item.content) - growth))
            return objects, 0
    return objects, growth


def _lengthened(properties: _Object, growth: int) -> _Object:
    """Update the file's size in the File Properties Object."""
    content = properties.content
    size = int.from_bytes(content[16:24], "little")
    return _Object(_FILE, content[:16] + (size + growth).to_bytes(8, "little") + content[24:])


def _described(content: bytes) -> list[bytes]:
    """Return the fields of a Content Description Object."""
    lengths = struct.unpack_from("<5H", content)
    fields, here = [], 10
    for length in lengths:
        fields.append(content[here : here + length])
        here += length
    return fields


def _attributes(guid: bytes, content: bytes) -> Iterator[_Attribute]:
    """Yield the lower-case name, the value as text, and all bytes of each attribute."""
    here = 2
    for _ in range(int.from_bytes(content[:2], "little")):
        start = here
        if guid == _EXTENDED:
            (n_name,) = struct.unpack_from("<H", content, here)
            name = content[here + 2 : here + 2 + n_name]
            kind, n_value = struct.unpack_from("<HH", content, here + 2 + n_name)
            value_at = here + 6 + n_name
        else:
            _, _, n_name, kind, n_value = struct.unpack_from("<HHHHI", content, here)
            name = content[here + 12 : here + 12 + n_name]
            value_at = here + 12 + n_name
        here = value_at + n_value
        if here > len(content):
            raise TagError("its header holds a damaged attribute; save it with a tag editor")
        text = content[value_at:here] if kind == 0 else b""
        key = name.decode("utf-16-le", "replace").rstrip("\0").lower()
        yield _Attribute(key, text, content[start:here])
    if here != len(content):
        raise TagError("there is something after the attributes of its header")


def _attribute(guid: bytes, name: str, value: str) -> bytes:
    names, content = ((text + "\0").encode("utf-16-le") for text in (name, value))
    if len(content) > 0xFFFF:
        raise TagError("a genre is too long for its header")
    if guid == _EXTENDED:
        head = struct.pack("<H", len(names)) + names + struct.pack("<HH", 0, len(content))
        return head + content
    return struct.pack("<HHHHI", 0, 0, len(names), 0, len(content)) + names + content


class Asf:
    """An ASF file.

    Raises:
        TagError: its header is cut or damaged.
    """

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._end = int.from_bytes(data[16:24], "little")
        if self._end > len(data):
            raise TagError("its header is longer than the file; the file was cut short")
        self.places = [Place(AsfTag(data[: self._end]), 0, self._end)]

    def rest(self) -> Iterator[Named]:
        """Yield everything after the header."""
        yield from (("data", piece) for piece in pieces(self._data, self._end, len(self._data)))

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Replace the header."""
        return [Edit(place.start, place.end, content) for place, content in new.items()]
