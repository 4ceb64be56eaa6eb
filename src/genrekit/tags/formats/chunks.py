"""Chunks: WAV, RF64, AIFF, DSDIFF and DSF, with their ID3 chunk and WAV's INFO list.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991); EBU
Tech 3306 (RF64); AIFF 1.3 (Apple, 1989); DSDIFF 1.5 (Philips, 2004); DSF 1.01 (Sony, 2005).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from genrekit.errors import TagError
from genrekit.tags.formats import id3v2, riff_info, stacked
from genrekit.tags.formats.base import Bytes, Edit, Named, Place, Tag, pieces

_ID3 = (b"ID3 ", b"id3 ")
_N_NAME = 4
_DS64_RIFF, _DS64_DATA = slice(8, 16), slice(16, 24)  # of the ds64 chunk, header included


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int  # of its header
    body: int
    end: int  # of its body, without the byte that makes it even


class Chunked:
    """A file of one outer chunk that holds the others.

    Args:
        data: the file.
        start: where it begins; ID3v2 tags may stand before.
        byteorder: of sizes.
        n_size: bytes of a size.

    Raises:
        TagError: its chunks are cut short, or do not give the length of the audio.
    """

    def __init__(self, data: Bytes, byteorder: Literal["little", "big"], n_size: int = 4) -> None:
        self._data, self._order, self._n_size = data, byteorder, n_size
        self._start, _, around = stacked.around(data)
        self._around = [place for place in around if place.end <= self._start]
        size = self._number(self._start + _N_NAME)
        self._is_rf64 = data[self._start : self._start + 4] == b"RF64"
        if self._is_rf64:
            size = self._ds64(_DS64_RIFF)
        self._end = min(self._start + _N_NAME + n_size + size, len(data))
        first = self._start + 2 * _N_NAME + n_size
        self._chunks = list(self._walk(first))
        if not self._chunks:
            raise TagError("it holds no chunks; the file was cut short")
        self._found = [place for chunk in self._chunks for place in self._tags(chunk)]
        self.places = [place for place in self._found if place.tag.kind.startswith("ID3v2")]
        if not self.places:
            end = self._chunks[-1].end
            self.places.append(Place(id3v2.Id3v2Tag(id3v2.made(4)), end, end))
        self.places += [place for place in self._found if place not in self.places] + self._around

    def _number(self, place: int) -> int:
        return int.from_bytes(self._data[place : place + self._n_size], self._order)

    def _ds64(self, part: slice) -> int:
        """Return one of RF64's sizes that do not fit into 32 bits."""
        place = self._start + 12
        if self._data[place : place + 4] != b"ds64":
            raise TagError("its RF64 header has no ds64 chunk")
        return int.from_bytes(self._data[place + part.start : place + part.stop], "little")

    def _walk(self, here: int) -> Iterator[_Chunk]:
        while here + _N_NAME + self._n_size <= self._end:
            name, body = self._data[here : here + _N_NAME], here + _N_NAME + self._n_size
            size = self._number(here + _N_NAME)
            if self._is_rf64 and name == b"data" and size == 0xFFFFFFFF:
                size = self._ds64(_DS64_DATA)
            if body + size > len(self._data):
                raise TagError(
                    f"its {name.decode('latin-1').strip()} chunk says that it is {size} bytes long "
                    f"and {len(self._data) - body} are there, so nothing can be put behind it (a "
                    "file written to a pipe, or cut); copy it with a program that fills sizes in"
                )
            yield _Chunk(name, here, body, body + size)
            here = self._even(body, body + size)

    def _even(self, body: int, end: int) -> int:
        """Return the end of a chunk with the byte that makes it even; some writers leave it out."""
        if (end - body) % 2 and (end < self._end or self._data[end : end + 2] == b"\0"):
            return min(end + 1, len(self._data))
        return end

    def _tags(self, chunk: _Chunk) -> Iterator[Place]:
        content = self._data[chunk.body : chunk.end] if chunk.name in (*_ID3, b"LIST") else b""
        tag: Tag
        if chunk.name in _ID3 and (length := id3v2.n_bytes(content, 0)):
            tag = id3v2.Id3v2Tag(content)
            if content[length:].strip(b"\0"):
                raise TagError("there is something after the ID3 tag in its chunk")
        elif content.startswith(b"INFO") and self._order == "little":
            tag = riff_info.InfoTag(content)
        else:
            return
        yield Place(tag, chunk.body, chunk.end)

    def rest(self) -> Iterator[Named]:
        """Yield the name and content of every chunk, and what lies around them."""
        bodies = {place.start for place in self._found}
        start, name = self._start, _N_NAME
        yield from stacked.between(self._data, 0, start, self._around)
        form = start + name + self._n_size
        yield "form", self._data[start : start + name] + self._data[form : form + name]
        here = form + name
        for chunk in self._chunks:
            label = chunk.name.decode("latin-1")
            if chunk.name == b"ds64":
                body = self._data[chunk.body + 8 : chunk.end]
                yield label, body
            elif chunk.body not in bodies:
                yield from ((label, piece) for piece in pieces(self._data, chunk.body, chunk.end))
            here = self._even(chunk.body, chunk.end)
        yield from (("behind", piece) for piece in pieces(self._data, here, len(self._data)))

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Replace the content of the tags' chunks, padded to even lengths, and update the sizes."""
        edits = [Edit(p.start, p.end, c) for p, c in new.items() if p in self._around]
        for place, content in new.items():
            if place not in self._around:
                edits += self._chunk(place, content)
        within = [e for e in edits if e.start > self._start]
        growth = sum(len(edit.new) - (edit.end - edit.start) for edit in within)
        return edits + list(self._sizes(growth))

    def _chunk(self, place: Place, content: bytes) -> Iterator[Edit]:
        size = len(content).to_bytes(self._n_size, self._order)
        content += bytes(len(content) % 2)
        if place.is_absent:
            last = (
                self._chunks[-1] if self._chunks else _Chunk(b"", place.end, place.end, place.end)
            )
            is_odd = (last.end - last.body) % 2
            there = self._even(last.body, last.end)
            yield Edit(place.end, there, bytes(is_odd) + _ID3[0] + size + content)
            return
        end = self._even(place.start, place.end)
        yield Edit(place.start - self._n_size, end, size + content)

    def _sizes(self, growth: int) -> Iterator[Edit]:
        if self._is_rf64:
            first, last = (self._start + 12 + n for n in (_DS64_RIFF.start, _DS64_RIFF.stop))
            size = self._ds64(_DS64_RIFF) + growth
            yield Edit(first, last, size.to_bytes(8, "little"))
            return
        size = self._end - self._start - _N_NAME - self._n_size + growth
        if size >= 256**self._n_size - 1:
            raise TagError("it is as long as its format allows, and has no room for a genre")
        first = self._start + _N_NAME
        yield Edit(first, first + self._n_size, size.to_bytes(self._n_size, self._order))


class Dsf:
    """A DSF file, whose ID3v2 tag is at the end, at the offset that the header gives.

    Raises:
        TagError: the pointer leads elsewhere.
    """

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._place = int.from_bytes(data[20:28], "little")
        here = self._place or len(data)
        length = id3v2.n_bytes(data, here)
        if self._place and not length:
            raise TagError("its header points to a tag where there is none")
        tag = id3v2.Id3v2Tag(data[here : here + length] if length else id3v2.made(4))
        self.places = [Place(tag, here, here + length)]

    def rest(self) -> Iterator[Named]:
        """Yield everything but the tag, the length of the file and the pointer."""
        yield "header", self._data[:12]
        (place,) = self.places
        yield from (("audio", piece) for piece in pieces(self._data, 28, place.start))
        yield from (("behind", piece) for piece in pieces(self._data, place.end, len(self._data)))

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Replace the tag, and update the header."""
        edits = []
        for place, content in new.items():
            length = len(self._data) + len(content) - (place.end - place.start)
            numbers = length.to_bytes(8, "little") + place.start.to_bytes(8, "little")
            edits += [Edit(12, 28, numbers), Edit(place.start, place.end, content)]
        return edits
