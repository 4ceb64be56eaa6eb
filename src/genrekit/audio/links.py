"""Find the links of a file that holds several streams, one after the other.

A chained Ogg (internet radio), joined MP3s, FLACs or WAVs: decoders stop at the end of the first
link, or where the sample rate changes.

Source: RFC 3533, section 4 (chained Ogg); RFC 9639, section 6 (FLAC); the RIFF and ISO 14496-12
boxes' own lengths.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genrekit.audio import frame_headers, mpeg
from genrekit.audio.byte_range import AudioBytes, ByteSpan

MAX_LINKS = 1000
SEARCH_BYTES = 1 << 25  # how far the first frame may lie behind a damaged beginning
_GAP_BYTES = 1 << 20
_OGG_CODECS = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"\x80theora", b"fishead\0")
_BARE = {".mp3", ".mp2", ".mp1", ".aac", ".flac"}
_FLAC = b"fLaC\0\0\0\x22"
_N_PLACES = 16
_PLACE_BYTES = 1 << 16
_NEAR_BYTES = 1 << 14  # in most FLACs some frame begins in so many
_MAGIC_BYTES = 8


def find(path: Path) -> list[ByteSpan]:
    """Return the links of an Ogg, a FLAC, a WAV or an AIFF; one or none where it has not more.

    Raises:
        OSError: the file cannot be read.
    """
    with _opened(path) as data:
        head = data.read(0, _MAGIC_BYTES)  # most files are none of these: no window for them
        search = next((found for magic, found in _BY_MAGIC if head.startswith(magic)), None)
        return _spans(search(data), len(data)) if search else []


def begins_well(path: Path) -> bool:
    """Say whether a file named as one of bare frames begins as such a file does.

    Raises:
        OSError: the file cannot be read.
    """
    if path.suffix.lower() not in _BARE:
        return True
    with path.open("rb") as stream:
        first, _ = mpeg.between_tags(stream)
        stream.seek(first)
        head = stream.read(8)
    return not head or head.lstrip(b"\0")[:1] == b"\xff" or _is_container(head)


def _is_container(head: bytes) -> bool:
    """Say whether these are the first bytes of a file with chunks, whatever its name."""
    return head[4:8].isalnum() or head[:4].isalnum() or head[:1] in (b"\x1a", b"\x30")


def find_frames(path: Path, first: int) -> list[ByteSpan]:
    """Return the runs of MPEG audio or ADTS frames in a file, from byte first on.

    Raises:
        OSError: the file cannot be read.
    """
    with _opened(path) as data:
        runs = frame_headers.runs(data, first, _GAP_BYTES, MAX_LINKS)
    return [ByteSpan(run.first_byte, run.stop_byte, _demuxer(run.codec)) for run in runs]


def find_beginning(path: Path) -> list[ByteSpan]:
    """Return what a file holds behind a damaged beginning: the streams from the first frame on.

    Raises:
        OSError: the file cannot be read.
    """
    with _opened(path) as data:
        for search in (_ogg, flac_starts):
            spans = _spans(search(data), len(data))
            if spans and spans[0].first_byte > 0:
                return spans
        runs = frame_headers.runs(data, 0, SEARCH_BYTES, MAX_LINKS)
        if runs and runs[0].n_frames >= frame_headers.MIN_FRAMES:
            return [ByteSpan(run.first_byte, run.stop_byte, _demuxer(run.codec)) for run in runs]
        first = frame_headers.find_flac(data, SEARCH_BYTES)
        return [ByteSpan(first, len(data), "flac")] if first >= 0 else []


def _demuxer(codec: str) -> str:
    return "aac" if codec == "aac" else "mp3"


def _spans(starts: Iterator[int], end: int) -> list[ByteSpan]:
    places = list(itertools.islice(starts, MAX_LINKS))
    if not places:
        return []
    return [ByteSpan(*place) for place in zip(places, [*places[1:], end], strict=True)]


@contextmanager
def _opened(path: Path) -> Iterator[AudioBytes]:
    with path.open("rb") as stream:
        yield AudioBytes(stream)


def _ogg(data: AudioBytes) -> Iterator[int]:
    """Yield where links begin: at first pages that do not follow another stream's first page."""
    at, behind = 0, -1
    while (at := data.find(b"OggS\0", at)) >= 0:
        head = data[at : at + 27]
        body = at + 27 + (head[26] if len(head) == 27 else 0)
        if len(head) == 27 and head[5] & 2 and data[body : body + 8].startswith(_OGG_CODECS):
            if at != behind:
                yield at
            behind = body + sum(data[at + 27 : body])
            at = body
        at += 5


def flac_starts(data: AudioBytes) -> Iterator[int]:
    """Yield where FLAC streams begin."""
    if _is_one_flac(data):
        yield 0
        return
    first = 0
    while (first := data.find(_FLAC, first)) >= 0:
        yield first
        first += 1


def _is_one_flac(data: AudioBytes) -> bool:
    """Whether frames at places all over the file count up to the length that its beginning gives.

    Reading a few places costs a hundredth of searching all of a long file for a second beginning.
    Streams of one length of which one takes a sixteenth of the other's bytes are taken for one.
    """
    frames = frame_headers.FlacFrames.of(data)
    if len(data) < _N_PLACES * _PLACE_BYTES or frames is None:
        return False
    step = (len(data) - _PLACE_BYTES) // _N_PLACES
    places = [step * index for index in range(1, _N_PLACES)] + [len(data) - _PLACE_BYTES]
    numbers = [
        frames.sample_in(data.read(place, _NEAR_BYTES))
        or frames.sample_in(data.read(place, _PLACE_BYTES))
        for place in places
    ]
    found = [number for number in numbers if number is not None]
    is_counting = len(found) == len(places) and all(a < b for a, b in itertools.pairwise(found))
    # The last place shows a frame that ends the stream, or one of the few before it.
    return is_counting and 0 < frames.n_samples - found[-1] <= _PLACE_BYTES


def _boxes(data: AudioBytes, head: bytes, size_of: Callable[[int], int]) -> Iterator[int]:
    """Yield where whole files lie one behind the other, each with its own length."""
    at = 0
    while 0 <= at < len(data) - 12 and data[at : at + len(head)] == head:
        yield at
        size = size_of(at)
        at = at + size + size % 2 if size > 12 else -1


def _riff(data: AudioBytes) -> Iterator[int]:
    return _boxes(data, b"RIFF", lambda at: 8 + int.from_bytes(data[at + 4 : at + 8], "little"))


def _aiff(data: AudioBytes) -> Iterator[int]:
    return _boxes(data, b"FORM", lambda at: 8 + int.from_bytes(data[at + 4 : at + 8], "big"))


_Search = Callable[[AudioBytes], Iterator[int]]
_BY_MAGIC: list[tuple[bytes, _Search]] = [
    (b"OggS\0\2", _ogg),
    (_FLAC, flac_starts),
    (b"RIFF", _riff),
    (b"FORM", _aiff),
]
