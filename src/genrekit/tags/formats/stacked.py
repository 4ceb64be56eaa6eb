"""Tags before and after the audio: MP3, True Audio, Monkey's Audio, WavPack, Musepack and others.

There may be several on either side. What lies between them is parsed by other modules where it is a
container of its own, such as FLAC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from genrekit.tags.formats import apev2, id3v1, id3v2
from genrekit.tags.formats.base import Bytes, Edit, Named, Place, pieces

_N_LYRICS_END = 15  # six digits and "LYRICS200"
Primary = Literal["ID3v2", "APEv2"]
_PRIORITY = {"ID3v2": ("ID3v2", "APEv2", "ID3v1"), "APEv2": ("APEv2", "ID3v2", "ID3v1")}


def around(data: Bytes) -> tuple[int, int, list[Place]]:
    """Return where the bytes between the tags lie, and the tags in the order of the file.

    Raises:
        TagError: a tag is damaged.
    """
    start, leading = _leading(data)
    end, trailing = _trailing(data, start)
    return start, end, leading + trailing


def _leading(data: Bytes) -> tuple[int, list[Place]]:
    here, found = 0, []
    while True:
        if length := id3v2.n_bytes(data, here):
            found.append(Place(id3v2.Id3v2Tag(data[here : here + length]), here, here + length))
        elif length := apev2.n_bytes(data, here):
            found.append(Place(apev2.Apev2Tag(data[here : here + length]), here, here + length))
        else:
            return here, found
        here += length


def _trailing(data: Bytes, start: int) -> tuple[int, list[Place]]:
    end, found = len(data), []
    while end > start:
        tag: id3v1.Id3v1Tag | apev2.Apev2Tag | id3v2.Id3v2Tag
        if length := id3v1.before(data, end):
            tag = id3v1.Id3v1Tag(data[end - length : end])
        elif length := apev2.before(data, end):
            tag = apev2.Apev2Tag(data[end - length : end])
        elif length := id3v2.before(data, end):
            tag = id3v2.Id3v2Tag(data[end - length : end])
        elif length := _lyrics_before(data, end):
            end -= length
            continue
        else:
            break
        if end - length < start:
            break
        found.append(Place(tag, end - length, end))
        end -= length
    return end, found[::-1]


def _lyrics_before(data: Bytes, end: int) -> int:
    """Return the length of a Lyrics3v2 tag, which has no genre and stays with the rest, or 0."""
    tail = data[max(0, end - _N_LYRICS_END) : end]
    if not tail.endswith(b"LYRICS200") or not tail[:6].isdigit():
        return 0
    length = int(tail[:6]) + _N_LYRICS_END
    return length if data[max(0, end - length) :][:11] == b"LYRICSBEGIN" else 0


class Stacked:
    """A file whose tags are all before or after its audio."""

    def __init__(self, data: Bytes, primary: Primary, version: int = 4) -> None:
        self._data = data
        self._start, self._end, self._found = around(data)
        order = _PRIORITY[primary]
        self.places = sorted(self._found, key=lambda place: order.index(place.tag.kind[:5]))
        if not self.places or self.places[0].tag.kind == "ID3v1":
            self.places.insert(0, self._absent(primary, version))

    def _absent(self, primary: Primary, version: int) -> Place:
        """Return a tag to be made; players would look there, and no longer at ID3v1."""
        if primary == "APEv2":
            place = self._found[0].start if self._found else len(self._data)
            return Place(apev2.Apev2Tag(apev2.made()), place, place)
        frames = b"".join(
            place.tag.frames(version)
            for place in self._found
            if isinstance(place.tag, id3v1.Id3v1Tag)
        )
        return Place(id3v2.Id3v2Tag(id3v2.made(version, frames)), 0, 0)

    def rest(self) -> Iterator[Named]:
        """Yield every byte outside the tags."""
        yield from between(self._data, 0, len(self._data), self._found)

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Replace the tags."""
        return [Edit(place.start, place.end, content) for place, content in new.items()]


def between(data: Bytes, start: int, end: int, places: list[Place]) -> Iterator[Named]:
    """Give the bytes of a part of a file that are in none of some tags."""
    here = start
    for place in sorted(places, key=lambda place: place.start):
        yield from (("audio", piece) for piece in pieces(data, here, place.start))
        here = place.end
    yield from (("audio", piece) for piece in pieces(data, here, end))
