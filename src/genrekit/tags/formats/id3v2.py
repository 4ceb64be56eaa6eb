"""ID3v2.2, 2.3 and 2.4: a tag frame by frame, each kept as the bytes that it is.

Source: ID3 tag version 2 (1998), 2.3.0 (1999) and 2.4.0 (2000), id3.org.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genrekit.errors import TagError
from genrekit.tags.formats.base import OURS, PROVENANCE, Bytes, Named, Values, raw_values

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

N_HEADER = 10
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_KEYS = {
    "genre": (b"TCO", b"TCON"),
    "artist": (b"TP1", b"TPE1"),
    "album": (b"TAL", b"TALB"),
    "album_artist": (b"TP2", b"TPE2"),
    "title": (b"TT2", b"TIT2"),
    "GROUPING": (b"TT1", b"TIT1"),
}
_ITUNES_GROUPING = (b"GP1", b"GRP1")  # beside which TIT1 is the work
_USER_TEXT = (b"TXX", b"TXXX")
_DESCRIPTIONS = {"provenance": PROVENANCE, "STYLE": "STYLE", "SUBGENRE": "SUBGENRE"}
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_MAX_TEXT = 1 << 20  # bytes of a compressed text
_TO_ESCAPE = re.compile(rb"\xff(?=[\x00\xe0-\xff])|\xff\Z")


@dataclass(frozen=True)
class Frame:
    """One frame and where it lies in the tag's body, which is free of unsynchronisation."""

    id: bytes
    start: int
    end: int


def n_bytes(data: Bytes, start: int) -> int:
    """Return the length of the ID3v2 tag that begins at a place, and 0 where none does."""
    head = data[start : start + N_HEADER]
    if len(head) < N_HEADER or head[:3] != b"ID3" or head[3] not in (2, 3, 4):
        return 0
    if any(byte & 0x80 for byte in head[6:]):
        return 0
    return N_HEADER + _number(head[6:], 7) + (N_HEADER if _has_footer(head) else 0)


def before(data: Bytes, end: int) -> int:
    """Return the length of the ID3v2.4 tag with a footer that ends at a place, or 0."""
    foot = data[max(0, end - N_HEADER) : end]
    if len(foot) < N_HEADER or foot[:4] != b"3DI\4" or any(byte & 0x80 for byte in foot[6:]):
        return 0
    length = 2 * N_HEADER + _number(foot[6:], 7)
    return length if length <= end and n_bytes(data, end - length) == length else 0


def _has_footer(head: bytes) -> bool:
    return head[3] == 4 and bool(head[5] & _FOOTER)


def _number(content: bytes, n_bits: int) -> int:
    """Return a number of big-endian digits with so many bits each."""
    number = 0
    for byte in content:
        number = number << n_bits | byte
    return number


def _digits(number: int, n_bits: int, length: int) -> bytes:
    mask = (1 << n_bits) - 1
    return bytes(number >> n_bits * place & mask for place in reversed(range(length)))


class Id3v2Tag:
    """One ID3v2 tag.

    Raises:
        TagError: it ends before its header says, or its extended header does.
    """

    is_numbered = True

    def __init__(self, content: bytes) -> None:
        self._all = content
        self.version = content[3]
        self.kind = f"ID3v2.{self.version}"
        self._head = content[:N_HEADER]
        self._has_footer = _has_footer(self._head)
        self._raw = content[N_HEADER : N_HEADER + _number(content[6:10], 7)]
        if n_bytes(content, 0) > len(content):
            raise TagError("its ID3v2 tag is longer than the file; the file was cut short")
        self._inserted: list[int] = []
        self._body = self._raw
        if self._is_unsynchronised:
            found = re.finditer(rb"\xff\x00", self._raw)
            self._inserted = [match.start() - number for number, match in enumerate(found)]
            self._body = self._raw.replace(b"\xff\x00", b"\xff")
        self._first = self._n_extended()
        self._n_size_bits, self.frames = self._frames()
        self._end = self.frames[-1].end if self.frames else self._first

    def __bytes__(self) -> bytes:
        return self._all

    @property
    def _is_unsynchronised(self) -> bool:
        """Whether the body as a whole is; ID3v2.4 does it frame by frame."""
        return self.version < 4 and bool(self._head[5] & _UNSYNCHRONISED)

    @property
    def _n_name(self) -> int:
        return 3 if self.version == 2 else 4

    @property
    def _n_frame_header(self) -> int:
        return 6 if self.version == 2 else 10

    def _n_extended(self) -> int:
        """Return the length of the extended header."""
        name = re.compile(rb"[A-Z][A-Z0-9]{3}")
        if self.version == 2 or not self._head[5] & _EXTENDED or name.match(self._body):
            return 0  # some writers set the flag and write frames at once
        size = self._body[:4]
        length = _number(size, 8) + 4 if self.version == 3 else _number(size, 7)
        if not 6 <= length <= len(self._body):
            raise TagError("its ID3v2 tag has a damaged extended header; save it with a tag editor")
        return length

    def _frames(self) -> tuple[int, list[Frame]]:
        """Return how many bits of each byte of a size count, and the frames.

        ID3v2.4 has seven, but iTunes wrote eight: the reading that comes to the end is right.
        """
        if self.version < 4:
            return 8, self._walk(8)
        standard, other = self._walk(7), self._walk(8)
        reach = [frames[-1].end if frames else self._first for frames in (standard, other)]
        if not self._body[reach[0] :].strip(b"\0") or reach[0] >= reach[1]:
            return 7, standard
        return 8, other

    def _walk(self, n_bits: int) -> list[Frame]:
        frames, here = [], self._first
        name = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 ]{%d}" % (self._n_name - 3))
        while here + self._n_frame_header <= len(self._body) and name.match(self._body, here):
            size = self._body[here + self._n_name : here + (6 if self.version == 2 else 8)]
            end = here + self._n_frame_header + _number(size, n_bits)
            if end > len(self._body) or (n_bits == 7 and any(byte & 0x80 for byte in size)):
                break
            frames.append(Frame(self._body[here : here + self._n_name], here, end))
            here = end
        return frames

    def _content(self, frame: Frame) -> bytes:
        """Return a frame's content, decompressed; nothing where it is encrypted."""
        content = self._body[frame.start + self._n_frame_header : frame.end]
        if self.version == 2:
            return content
        flags = self._body[frame.start + 9]
        grouped, packed, locked, escaped, has_length = (
            (0x40, 0x08, 0x04, 0x02, 0x01) if self.version == 4 else (0x20, 0x80, 0x40, 0, 0)
        )
        if flags & locked:
            return b""
        n_skipped = bool(flags & grouped) + 4 * bool(flags & has_length)
        content = content[n_skipped + 4 * bool(self.version == 3 and flags & packed) :]
        if flags & escaped or (self.version == 4 and self._head[5] & _UNSYNCHRONISED):
            content = content.replace(b"\xff\x00", b"\xff")
        if not flags & packed:
            return content
        try:
            return zlib.decompressobj().decompress(content, _MAX_TEXT)
        except zlib.error:
            return b""

    def texts(self, frame: Frame) -> list[str]:
        """Return the texts of a text frame."""
        content = self._content(frame)
        if not content:
            return []
        encoding = _ENCODINGS[content[0]] if content[0] < len(_ENCODINGS) else "latin-1"
        text = content[1:].decode(encoding, "replace").rstrip("\0")
        return [part.removeprefix("\ufeff") for part in text.split("\0")]

    def values(self, field: str) -> list[str]:
        """Return the texts of a field; that of an empty frame is empty."""
        frames = self.of([field])
        if field in _DESCRIPTIONS:
            return [text for frame in frames for text in self.texts(frame)[1:]]
        return [text for frame in frames for text in self.texts(frame) or [""]]

    def of(self, fields: Collection[str]) -> list[Frame]:
        """Return the frames of some fields, in the order of the tag."""
        names = {name for field in fields for name in self._names(field)}
        described = [_DESCRIPTIONS[field] for field in fields if field in _DESCRIPTIONS]
        return [
            frame
            for frame in self.frames
            if frame.id in names
            or (described and frame.id in _USER_TEXT and self._description(frame) in described)
        ]

    def _names(self, field: str) -> tuple[bytes, ...]:
        """Return a field's frames by version; a tag with GRP1 has its grouping there."""
        if field == "GROUPING" and any(frame.id in _ITUNES_GROUPING for frame in self.frames):
            return _ITUNES_GROUPING
        return _KEYS.get(field, ())

    def _description(self, frame: Frame) -> str:
        return "".join(self.texts(frame)[:1]).upper()

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return every frame but those of fields, the header's flags and what follows."""
        ours = self.of(fields)
        frames = [
            (f"{self.kind} {frame.id.decode()}", self._body[frame.start : frame.end])
            for frame in self.frames
            if frame not in ours
        ]
        flags = bytes([self._head[4], self._head[5]]) + self._body[4:6] * bool(self._first)
        return [
            (f"{self.kind} flags", flags),
            *frames,
            (f"{self.kind} remainder", self._body[self._end :].rstrip(b"\0")),
        ]

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the tag with our values replaced, in its own version.

        Raises:
            TagError: it would be longer than ID3v2 allows.
        """
        raw = raw_values(new, profile, is_id3=True)
        frames = [self._frame(field, values, profile) for field, values in raw.items()]
        return self._joined(b"".join(frames), self.of(new))

    def _frame(self, field: str, values: Sequence[str], profile: Profile) -> bytes:
        description = [_DESCRIPTIONS[field]] if field in _DESCRIPTIONS else []
        names = _USER_TEXT if description else self._names(field)
        if field == "GROUPING" and profile.id3_grouping == "GRP1" and not self.of([field]):
            names = _ITUNES_GROUPING
        texts = [*description, *values]
        return frame(self.version, names[self.version > 2], texts, self._n_size_bits)

    def _joined(self, new: bytes, ours: Sequence[Frame]) -> bytes:
        """Return the tag with new frames at the place of the first of ours, or after the others."""
        kept: list[bytes] = []
        here = self._first
        new = _TO_ESCAPE.sub(b"\xff\x00", new) if self._is_unsynchronised else new
        for old in ours or [Frame(b"", self._end, self._end)]:
            kept += [self._bytes(here, old.start), new]
            here, new = old.end, b""
        kept.append(self._bytes(here, self._end))
        frames = b"".join(kept)
        if self._is_unsynchronised and frames.endswith(b"\xff"):  # a later frame has been removed
            frames += b"\0"
        return self._finished(frames, self._bytes(self._end, len(self._body)))

    def _bytes(self, start: int, end: int) -> bytes:
        """Return the file's own bytes for a part of the body."""
        first, last = (place + bisect_left(self._inserted, place) for place in (start, end))
        return self._raw[first:last]

    def _finished(self, frames: bytes, behind: bytes) -> bytes:
        """Assemble header, frames, padding and footer; padding shrinks where frames grow."""
        if behind.strip(b"\0"):
            padding = behind
        else:
            n_before = len(self._bytes(self._first, self._end))
            padding = bytes(max(0, len(behind) - (len(frames) - n_before)) if behind else 0)
        extended = self._extended(self._body[: self._first], frames, padding)
        extended = _TO_ESCAPE.sub(b"\xff\x00", extended) if self._is_unsynchronised else extended
        length = len(extended) + len(frames) + len(padding)
        if length >= 1 << 28:
            raise TagError("its ID3v2 tag has no room for another genre")
        head = self._head[:6] + _digits(length, 7, 4)
        foot = b"3DI" + head[3:] if self._has_footer else b""
        return head + extended + frames + padding + foot

    def _extended(self, extended: bytes, frames: bytes, padding: bytes) -> bytes:
        """Return the extended header with its sizes and checksums updated."""
        if self.version == 3 and len(extended) >= 10:
            checksum = bytes(extended[10:])
            if extended[4] & 0x80:
                plain = frames.replace(b"\xff\x00", b"\xff") if self._is_unsynchronised else frames
                checksum = zlib.crc32(plain).to_bytes(4, "big")
            return extended[:6] + len(padding).to_bytes(4, "big") + checksum
        if self.version == 4 and len(extended) >= 6 and extended[5] & 0x20:
            place = 7 + bool(extended[5] & 0x40)
            checksum = _digits(zlib.crc32(frames + padding), 7, 5)
            return extended[:place] + checksum + extended[place + 5 :]
        return extended


def frame(version: int, name: bytes, texts: Sequence[str], n_size_bits: int = 7) -> bytes:
    """Return a text frame: UTF-8 in ID3v2.4, else Latin-1 or, where that is not enough, UTF-16."""
    if version == 4:
        content = b"\3" + "\0".join(texts).encode("utf-8")
    elif all(ord(character) < 256 for text in texts for character in text):
        content = b"\0" + "\0".join(texts).encode("latin-1")
    else:
        content = b"\1" + b"\0\0".join(("\ufeff" + text).encode("utf-16-le") for text in texts)
    if version == 2:
        return name + len(content).to_bytes(3, "big") + content
    size = _digits(len(content), 8 if version == 3 else n_size_bits, 4)
    return name + size + b"\0\0" + content


def made(version: int, frames: bytes = b"") -> bytes:
    """Return a tag of frames without padding."""
    return b"ID3" + bytes([version, 0, 0]) + _digits(len(frames), 7, 4) + frames
