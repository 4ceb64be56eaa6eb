"""FLAC: blocks of metadata before the audio, and tags of other kinds around both.

Source: RFC 9639, section 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from genrekit.errors import TagError
from genrekit.tags.formats import comments, stacked
from genrekit.tags.formats.base import Bytes, Edit, Named, Place

_PADDING, _COMMENTS, _LAST = 1, 4, 0x80
_N_HEADER = 4


@dataclass(frozen=True)
class _Block:
    code: int
    start: int  # of the header
    end: int


class Flac:
    """A FLAC file.

    Raises:
        TagError: its blocks do not end before the file does.
    """

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._start, self._end, around = stacked.around(data)
        self._blocks = list(_blocks(data, self._start + 4))
        self._found = [
            Place(
                comments.VorbisComments(data[b.start + _N_HEADER : b.end]),
                b.start + _N_HEADER,
                b.end,
            )
            for b in self._blocks
            if b.code == _COMMENTS
        ]
        behind_first = self._blocks[0].end
        absent = Place(comments.VorbisComments(comments.made()), behind_first, behind_first)
        self._around = around
        self.places = (self._found or [absent]) + around

    def rest(self) -> Iterator[Named]:
        """Yield every other block and all of the audio."""
        yield "FLAC", self._data[self._start : self._start + 4]
        for block in self._blocks:
            if block.code != _COMMENTS and not self._is_padding(block):
                content = self._data[block.start + 1 : block.end]
                yield f"block {block.code}", bytes([block.code]) + content
        audio = self._blocks[-1].end
        yield from stacked.between(self._data, audio, len(self._data), self._trailing(audio))

    def _is_padding(self, block: _Block) -> bool:
        """Whether a block holds nothing but zeros, as padding should."""
        content = self._data[block.start + _N_HEADER : block.end]
        return block.code == _PADDING and not content.strip(b"\0")

    def _trailing(self, audio: int) -> list[Place]:
        return [place for place in self._around if place.start >= audio]

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Replace the tags; padding shrinks where comments grow."""
        edits = [Edit(p.start, p.end, content) for p, content in new.items() if p in self._around]
        growth = 0
        for place, content in new.items():
            if place in self._around:
                continue
            if len(content) >= 1 << 24:
                raise TagError("its comments have no room for another genre")
            edits += self._block(place, content)
            growth += sum(len(e.new) - (e.end - e.start) for e in edits[-1:])
        padding = next(filter(self._is_padding, self._blocks), None)
        if padding is not None:
            edits += self._resized(padding, padding.end - padding.start - _N_HEADER - growth)
        return edits

    def _block(self, place: Place, content: bytes) -> Iterator[Edit]:
        size = len(content).to_bytes(3, "big")
        if not place.is_absent:
            yield Edit(place.start - 3, place.end, size + content)
            return
        first = self._blocks[0]
        is_last = len(self._blocks) == 1
        if is_last:
            yield Edit(first.start, first.start + 1, bytes([first.code]))
        yield Edit(first.end, first.end, bytes([_COMMENTS | _LAST * is_last]) + size + content)

    def _resized(self, padding: _Block, length: int) -> Iterator[Edit]:
        if 0 <= length < 1 << 24:
            yield Edit(padding.start + 1, padding.start + _N_HEADER, length.to_bytes(3, "big"))
            there = padding.end - padding.start - _N_HEADER
            if length > there:
                yield Edit(padding.end, padding.end, bytes(length - there))
            else:
                yield Edit(padding.start + _N_HEADER, padding.end - length, b"")


def _blocks(data: Bytes, here: int) -> Iterator[_Block]:
    while True:
        head = data[here : here + _N_HEADER]
        end = here + _N_HEADER + int.from_bytes(head[1:], "big")
        if len(head) < _N_HEADER or end > len(data):
            raise TagError(
                "its FLAC blocks do not end in the file, which was cut short or is damaged"
            )
        yield _Block(head[0] & ~_LAST, here, end)
        if head[0] & _LAST:
            return
        here = end
