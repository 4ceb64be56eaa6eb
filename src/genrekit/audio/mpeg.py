"""The length that an MP3 promises in its first frame, compared with its size.

libsndfile believes a promise that is not there: for an MP3 without a Xing, Info or VBRI header it
guesses the length from the first frame's bit rate, too long or too short by any factor, and
decodes no further than that. A truncated or a concatenated file breaks the promise as well. All of
these go to PyAV, which counts.

Source: ID3v2.4 section 3.1 (tag size); ISO 11172-3, 2.4.2.3 (frame header); the Xing, LAME and
Fraunhofer VBRI tags as LAME writes and mpg123 reads them.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import IO

PROMISES = "its header promises"
_SCAN_BYTES = 8192
_ID3V1_BYTES = 128
_APE_FOOTER_BYTES = 32


def broken_promise(path: Path) -> str | None:
    """Say why libsndfile's length of an MPEG audio file cannot be believed.

    Args:
        path: any file.

    Returns:
        One clause, or None: the file is something else or keeps its promise.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        start = _after_id3v2(stream)
        stream.seek(start)
        head = stream.read(_SCAN_BYTES)
        offset = _first_frame(head)
        if offset is None:
            is_named_mpeg = path.suffix.lower() in {".mp3", ".mp2", ".mp1"}
            return "it does not start with an MPEG frame" if is_named_mpeg else None
        n_promised = _promised_bytes(head[offset : offset + 200])
        if n_promised is None:
            return "no Xing, Info or VBRI header gives its length"
        end = _before_trailing_tags(stream, os.fstat(stream.fileno()).st_size)
    n_there = end - start - offset
    if n_there < n_promised - 64:
        return f"cut short: {PROMISES} {n_promised} bytes of audio, but {n_there} are present"
    if n_there > n_promised * 1.01 + 4096:
        return (
            f"joined from parts: {PROMISES} {n_promised} bytes of audio, but {n_there} are present"
        )
    return None


def is_tag(path: Path, n_bytes: int) -> bool:
    """Say whether the first bytes of a file are ID3v2 tags and nothing else.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return _after_id3v2(stream) == n_bytes


def between_tags(stream: IO[bytes]) -> tuple[int, int]:
    """Return where the bytes between leading ID3v2 tags and trailing ID3v1 and APEv2 ones lie.

    Raises:
        OSError: the file cannot be read.
    """
    start = _after_id3v2(stream)
    end = _before_trailing_tags(stream, os.fstat(stream.fileno()).st_size)
    return min(start, end), end


def _after_id3v2(stream: IO[bytes]) -> int:
    position = 0
    while True:  # some taggers leave more than one
        stream.seek(position)
        head = stream.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            return position
        position += 10 + _synchsafe(head[6:]) + (10 if head[5] & 0x10 else 0)


def _first_frame(head: bytes) -> int | None:
    """Return where MPEG audio starts: at once, or behind nothing but zero bytes."""
    offset = len(head) - len(head.lstrip(b"\0"))
    if len(head) < offset + 4 or head[offset] != 0xFF or head[offset + 1] & 0xE0 != 0xE0:
        return None
    version, layer = head[offset + 1] >> 3 & 3, head[offset + 1] >> 1 & 3
    bit_rate, rate = head[offset + 2] >> 4, head[offset + 2] >> 2 & 3
    # Layer 0 is ADTS (AAC); the others are reserved values.
    return None if version == 1 or layer == 0 or bit_rate == 15 or rate == 3 else offset


def _promised_bytes(frame: bytes) -> int | None:
    """Return the bytes that the header in the first frame promises, if there is one."""
    for name in (b"Xing", b"Info"):
        at = frame.find(name, 4, 64)  # behind 9 to 32 bytes of side information, and a checksum
        if at >= 0 and len(frame) >= at + 16:
            flags, _, n_bytes = struct.unpack(">III", frame[at + 4 : at + 16])
            return n_bytes if flags & 3 == 3 and n_bytes else None
    if frame[36:40] == b"VBRI":
        return int(struct.unpack(">I", frame[46:50])[0]) or None
    return None


def _before_trailing_tags(stream: IO[bytes], end: int) -> int:
    while length := _trailing_tag(stream, end):
        end = max(0, end - length)
    return end


def _trailing_tag(stream: IO[bytes], end: int) -> int:
    """Return the length of the ID3v1, APEv2 or ID3v2.4 tag that ends at a place, or 0."""
    stream.seek(max(0, end - _ID3V1_BYTES - 3))
    tail = stream.read(end - stream.tell())
    if tail[-_ID3V1_BYTES:].startswith(b"TAG") and not tail.startswith(b"APETAGEX"):
        return _ID3V1_BYTES
    footer = tail[-_APE_FOOTER_BYTES:]
    if len(footer) == _APE_FOOTER_BYTES and footer.startswith(b"APETAGEX"):
        size, _, flags = struct.unpack("<III", footer[12:24])
        return int(size) + (_APE_FOOTER_BYTES if flags & 1 << 31 else 0)
    if tail[-10:-7] == b"3DI":
        return 20 + _synchsafe(tail[-4:])
    return 0


def _synchsafe(digits: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(digits, (21, 14, 7, 0), strict=True))
