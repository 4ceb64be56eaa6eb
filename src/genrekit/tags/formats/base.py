"""What all containers and all kinds of tag have in common.

Parsing keeps every byte: each tag has a place, and everything else is the rest. A tag is rewritten
by edits that name the few bytes that differ; the file is copied around them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, Protocol, get_args, overload

from genrekit.errors import TagError

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

Named = tuple[str, bytes]
PROVENANCE = "GENREKIT"  # the name of the field that says where a genre came from
FIELDS = ("genre", "artist", "album", "album_artist", "title", "provenance")
OURS = ("genre", "provenance")  # the fields that are always written
StyleField = Literal["STYLE", "GROUPING", "SUBGENRE"]
STYLE_FIELDS: tuple[StyleField, ...] = get_args(StyleField)
Values = Mapping[str, Sequence[str]]  # what is written, by field


class StyleValues(NamedTuple):
    """A field beside the genre and its new values; without values it is removed."""

    field: StyleField
    values: tuple[str, ...]


class Tag(Protocol):
    """One tag, as the bytes that stand in the file.

    ``kind`` says which, such as "ID3v2.3". ``is_numbered`` is true where genres may be ID3's
    numbers.
    """

    kind: str
    is_numbered: bool

    def values(self, field: str) -> list[str]:
        """Return the raw values of one of FIELDS or STYLE_FIELDS, in the order of the tag.

        An empty one is "". A field for which the tag has no place has none.
        """

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return the name and bytes of every item but those of some fields."""

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the tag's bytes with other values of fields; every other item's are as before.

        A field without values is removed, and one that this kind of tag lacks is not written.
        """


class Edit(NamedTuple):
    """Bytes of a file, from ``start`` to ``end``, and their replacement."""

    start: int
    end: int
    new: bytes


@dataclass(frozen=True)
class Place:
    """A tag and its place; one that does not exist yet has no length and is to be created."""

    tag: Tag
    start: int
    end: int

    @property
    def is_absent(self) -> bool:
        """Whether the tag would have to be created."""
        return self.start == self.end


class Container(Protocol):
    """A parsed file.

    ``places`` are its tags, in the order of precedence. A genre is written into the first, and into
    each other one that holds one.
    """

    places: list[Place]

    def rest(self) -> Iterator[Named]:
        """Yield the name and bytes of all that is not a tag, without sizes and padding."""

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Return the edits of the file that give tags new bytes."""


class FileBytes:
    """A file's bytes, read on demand.

    Not a memory map: if another program truncated the file, that would kill the process.
    """

    _N_BLOCK = 1 << 16

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._length = stream.seek(0, 2)
        self._first, self._block = 0, b""

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, int):
            return self[key : key + 1][0]
        start, end, _ = key.indices(self._length)
        if start >= end:
            return b""
        if not self._first <= start <= end <= self._first + len(self._block):
            self._stream.seek(start)
            if end - start > self._N_BLOCK:
                return self._stream.read(end - start)
            self._first, self._block = start, self._stream.read(self._N_BLOCK)
        return self._block[start - self._first : end - self._first]

    def find(self, wanted: bytes, start: int) -> int:
        """Return the offset of the first occurrence of some bytes from ``start`` on, or -1."""
        while start < self._length:
            block = self[start : start + self._N_BLOCK]
            if (place := block.find(wanted)) >= 0:
                return start + place
            start += max(1, len(block) - len(wanted) + 1)
        return -1


Bytes = bytes | FileBytes


def raw_values(new: Values, profile: Profile, *, is_id3: bool = False) -> dict[str, list[str]]:
    """Return the raw values of each field that has any, in the form of a profile."""
    return {
        field: list(values) if field == "provenance" else profile.values(values, is_id3=is_id3)
        for field, values in new.items()
        if values
    }


def changed(data: Bytes, edits: Sequence[Edit]) -> Iterator[bytes]:
    """Yield a file's bytes with edits applied, at most a megabyte at a time.

    Raises:
        TagError: two edits overlap.
    """
    here = 0
    for edit in sorted(edits):
        if edit.start < here:
            raise TagError("two of its tags overlap")
        yield from pieces(data, here, edit.start)
        yield edit.new
        here = edit.end
    yield from pieces(data, here, len(data))


def pieces(data: Bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield a part of a file, a megabyte at a time."""
    step = 1 << 20
    for first in range(start, end, step):
        yield data[first : min(first + step, end)]


def decoded(value: bytes) -> str:
    """Decode text that should be UTF-8 and may be Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
