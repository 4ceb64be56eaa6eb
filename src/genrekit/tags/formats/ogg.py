"""Ogg: Vorbis, Opus, Speex and FLAC, alone, chained, or beside video.

The packets of a stream's comments are divided into pages again; where that takes more or fewer
pages, the later pages of the same stream get new numbers and checksums, and are otherwise kept.

Source: RFC 3533; RFC 7845, section 5.2 (Opus); xiph.org, "Ogg FLAC mapping" and "Speex".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from genrekit.audio.ogg_pages import checksum
from genrekit.errors import TagError
from genrekit.tags.formats import comments, stacked
from genrekit.tags.formats.base import Bytes, Edit, Named, Place

_N_HEADER = 27
_CONTINUED, _FIRST = 1, 2
_MAX_SEGMENTS = 255
_NO_GRANULE = b"\xff" * 8
# What the first packet of a stream begins with, and the second before its comments.
_AUDIO = {
    b"\x01vorbis": b"\x03vorbis",
    b"OpusHead": b"OpusTags",
    b"Speex   ": b"",
    b"\x7fFLAC": b"\x04---",  # a FLAC block's header: its code and 24 bits of length
}
_VIDEO = {b"\x80theora": b"\x81theora"}
_WITH_SETUP = (b"vorbis", b"theora")  # a third packet that may share a page with the comments


@dataclass(frozen=True)
class _Page:
    start: int
    body: int
    end: int
    flags: int
    granule: bytes
    serial: bytes
    number: int
    lacing: bytes


@dataclass
class _Stream:
    """One logical stream of audio: its pages, and those that hold its comments.

    ``packets`` are the packets that end in the header pages, from the comments on.
    """

    pages: list[_Page]
    prefix: bytes
    header: list[_Page] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)


class Ogg:
    """An Ogg file.

    Args:
        data: the file.
        is_whole: look at every page; otherwise at those before the first audio, which spares
            reading the file, but does not see chained streams and allows no changes.

    Raises:
        TagError: it holds no audio that genrekit knows, or is cut short in its comments.
    """

    def __init__(self, data: Bytes, *, is_whole: bool = True) -> None:
        self._data = data
        self._start, self._end, self._around = stacked.around(data)
        pages = _pages(data, self._start)
        self._pages = list(pages if is_whole else takewhile(_has_no_audio, pages))
        self._streams: dict[Place, _Stream] = {}
        serials = list(self._by_serial())
        for kinds in (_AUDIO, _VIDEO):
            for stream in self._with_comments(serials, kinds):
                content = stream.packets[0][len(stream.prefix) :]
                first, last = stream.header[0], stream.header[-1]
                self._streams[Place(comments.VorbisComments(content), first.start, last.end)] = (
                    stream
                )
            if not self._streams:
                raise TagError("its Ogg streams hold no Vorbis, Opus, Speex or FLAC")
        self.places = [*self._streams, *self._around]

    def _by_serial(self) -> Iterator[list[_Page]]:
        """Yield the pages of each stream; a serial number that is used again begins another one."""
        streams: dict[bytes, list[_Page]] = {}
        for page in self._pages:
            if page.flags & _FIRST and page.serial in streams:
                yield streams.pop(page.serial)
            streams.setdefault(page.serial, []).append(page)
        yield from streams.values()

    def _with_comments(
        self, serials: list[list[_Page]], kinds: Mapping[bytes, bytes]
    ) -> Iterator[_Stream]:
        for pages in serials:
            first = self._data[pages[0].body : pages[0].end]
            for magic, prefix in kinds.items():
                if first.startswith(magic) and pages[0].flags & _FIRST:
                    yield self._read(_Stream(pages, prefix))

    def _read(self, stream: _Stream) -> _Stream:
        """Find the pages from the second to the first at whose end the comments are complete.

        Raises:
            TagError: they are cut short, damaged, or share a page with audio.
        """
        n_packets = 2 if stream.prefix[1:] in _WITH_SETUP else 1
        packet = b""
        for page in stream.pages[1:]:
            stream.header.append(page)
            here = page.body
            for length in page.lacing:
                packet += self._data[here : here + length]
                here += length
                if length < _MAX_SEGMENTS:
                    stream.packets.append(packet)
                    packet = b""
            if len(stream.packets) >= n_packets and not packet:
                break
        if len(stream.packets) < n_packets or packet:
            raise TagError("its Ogg stream ends within its comments; the file was cut short")
        if not all(map(_has_no_audio, stream.header)):
            raise TagError("its comments share a page with audio")
        start = stream.packets[0][: len(stream.prefix)]
        is_flac = stream.prefix[:1] == b"\x04"  # whose last block has another bit set
        if start[0] & 0x7F != 4 if is_flac else start != stream.prefix:
            raise TagError("its Ogg stream has no comments where they should be")
        return stream

    def rest(self) -> Iterator[Named]:
        """Yield the pages without number and checksum, and of header pages the other packets."""
        header = {page.start: stream for stream in self._streams.values() for page in stream.header}
        yield from stacked.between(self._data, 0, self._start, self._around)
        here = self._start
        for page in self._pages:
            if self._data[here : page.start]:
                yield "between pages", self._data[here : page.start]
            here = page.end
            stream = header.get(page.start)
            if stream is None:
                head = self._data[page.start : page.start + 18]
                yield "page", head + self._data[page.start + 26 : page.end]
            elif page is stream.header[0]:
                flags = bytes({page.flags & ~_CONTINUED for page in stream.header})
                yield "packets", flags + b"".join(stream.packets[1:])
        behind = [place for place in self._around if place.start >= here]
        yield from stacked.between(self._data, here, len(self._data), behind)

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Divide the comments into pages; renumber the later pages of their streams if needed."""
        edits = [Edit(p.start, p.end, c) for p, c in new.items() if p in self._around]
        for place, content in new.items():
            if place not in self._around:
                edits += self._rewritten(self._streams[place], content)
        return edits

    def _rewritten(self, stream: _Stream, content: bytes) -> Iterator[Edit]:
        first, prefix = stream.header[0], stream.prefix
        if prefix[:1] == b"\x04":
            prefix = stream.packets[0][:1] + len(content).to_bytes(3, "big")
        pages = list(_laid_out([prefix + content, *stream.packets[1:]], first))
        yield Edit(first.start, first.end, b"".join(pages))
        for page in stream.header[1:]:
            yield Edit(page.start, page.end, b"")
        if sum(map(len, pages)) != sum(page.end - page.start for page in stream.header):
            self._check_index()
        n_more = len(pages) - len(stream.header)
        for page in stream.pages[1 + len(stream.header) :] if n_more else ():
            old = self._data[page.start : page.end]
            numbered = old[:18] + struct.pack("<I", page.number + n_more) + bytes(4) + old[26:]
            if checksum(old[:22] + bytes(4) + old[26:]) == old[22:26]:
                yield Edit(page.start + 18, page.start + 26, numbered[18:22] + checksum(numbered))
            else:
                yield Edit(page.start + 18, page.start + 22, numbered[18:22])

    def _check_index(self) -> None:
        """Refuse a file with an index of offsets that would change (Ogg Skeleton 4)."""
        if any(self._data[page.body : page.body + 6] == b"index\0" for page in self._pages):
            raise TagError(
                "its Ogg Skeleton holds an index of offsets in the file, which would change"
            )


def _has_no_audio(page: _Page) -> bool:
    """Whether no packet of audio ends on a page."""
    return page.granule in (bytes(8), _NO_GRANULE)


def _pages(data: Bytes, here: int) -> Iterator[_Page]:
    """Yield every complete page; anything else is skipped."""
    while (here := data.find(b"OggS\0", here)) >= 0:
        head = data[here : here + _N_HEADER]
        if len(head) < _N_HEADER:
            return
        body = here + _N_HEADER + head[26]
        lacing = data[here + _N_HEADER : body]
        end = body + sum(lacing)
        if len(lacing) < head[26] or end > len(data):
            return
        (number,) = struct.unpack("<I", head[18:22])
        yield _Page(here, body, end, head[5], head[6:14], head[14:18], number, lacing)
        here = end


def _laid_out(packets: list[bytes], first: _Page) -> Iterator[bytes]:
    """Yield pages for packets, numbered from the first of the old ones on."""
    segments: list[bytes] = []
    for packet in packets:
        whole = len(packet) - len(packet) % _MAX_SEGMENTS
        segments += [packet[i : i + _MAX_SEGMENTS] for i in range(0, whole, _MAX_SEGMENTS)]
        segments.append(packet[whole:])
    is_continued = False
    for number, start in enumerate(range(0, len(segments), _MAX_SEGMENTS)):
        part = segments[start : start + _MAX_SEGMENTS]
        has_end = any(len(segment) < _MAX_SEGMENTS for segment in part)
        flags = _CONTINUED * is_continued | first.flags & ~_CONTINUED
        granule = first.granule if has_end else _NO_GRANULE  # no packet ends on the page
        place = struct.pack("<I", first.number + number)
        head = b"OggS\0" + bytes([flags]) + granule + first.serial + place
        tail = bytes([len(part), *map(len, part)]) + b"".join(part)
        yield head + checksum(head + bytes(4) + tail) + tail
        is_continued = len(part[-1]) == _MAX_SEGMENTS
