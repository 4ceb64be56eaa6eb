"""The pages of an Ogg file, one behind the other.

Source: RFC 3533, section 6 (page header, lacing values, checksum).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from genrekit.audio.byte_range import AudioBytes, ByteSpan

CONTINUED, FIRST, LAST = 1, 2, 4  # what a page's flags mean
_HEADER = struct.Struct("<4xxBqII4xB")
_CHECKSUM = slice(22, 26)
_WHOLE_SEGMENT = 255  # a packet goes on behind such a lacing value
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ALL_ONES = 0xFFFF_FFFF


class Page(NamedTuple):
    """A page: what its header says, the sizes of its segments, and their bytes.

    ``is_behind_junk``: something that is no whole page lies between it and the one before.
    """

    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes
    is_behind_junk: bool

    def packet_ends(self) -> list[int]:
        """Return where in the body the packets end that end on this page."""
        ends = zip(accumulate(self.lacing), self.lacing, strict=True)
        return [end for end, size in ends if size < _WHOLE_SEGMENT]

    @property
    def is_open(self) -> bool:
        """Whether its last packet goes on on the next page."""
        return self.lacing[-1:] == b"\xff"


def pages(data: AudioBytes, span: ByteSpan) -> Iterator[Page]:
    """Yield the whole pages within a span; where one is broken, search the next one."""
    at = behind = span.first_byte
    while (at := data.find(b"OggS\0", at, span.stop_byte)) >= 0:
        head = data[at : at + _HEADER.size]
        if len(head) < _HEADER.size:
            return
        flags, granule, serial, sequence, n_segments = _HEADER.unpack(head)
        body_at = at + _HEADER.size + n_segments
        lacing = data[at + _HEADER.size : body_at]
        stop = body_at + sum(lacing)
        body = data[body_at:stop] if stop <= span.stop_byte else b""
        if body_at + len(body) < stop or not _is_intact(head, lacing, body):
            at += 1
            continue
        yield Page(flags, granule, serial, sequence, lacing, body, at > behind)
        at = behind = stop


def _is_intact(head: bytes, lacing: bytes, body: bytes) -> bool:
    blank = head[: _CHECKSUM.start] + bytes(4) + head[_CHECKSUM.stop :]
    return checksum(blank + lacing + body) == head[_CHECKSUM]


def checksum(page: bytes) -> bytes:
    """Return the CRC-32 of a page in whose header that is zero, as it stands there.

    zlib's is of the same polynomial, but of reversed bits, and begins and ends with ones.

    >>> checksum(b"OggS").hex()
    '4fa9b05f'
    """
    found = zlib.crc32(page.translate(_REVERSED), _ALL_ONES) ^ _ALL_ONES
    return found.to_bytes(4, "big").translate(_REVERSED)
