"""How long an Ogg stream is by its packets, and whether its pages count the same.

A page's granule position says how many samples the stream holds up to there. Where a stream was
cut, joined or edited, the positions go back or jump while every packet is whole. libsndfile stops
there, or fills the gap; FFmpeg decodes one packet after the other, whatever the pages say.

Source: RFC 7845, section 4; Vorbis I specification, section A.2; RFC 9639, section 10.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from genrekit.audio.byte_range import AudioBytes, ByteSpan
from genrekit.audio.ogg_codecs import HEAD_BYTES, Codec, codec_of
from genrekit.audio.ogg_pages import FIRST, LAST, Page, pages

_SEQUENCE = 1 << 32
_MAX_LOST = 1 << 16  # pages are renumbered by more than so many, not lost


@dataclass(frozen=True)
class OggTimeline:
    """An Ogg stream after its packets.

    Attributes:
        n_samples: what FFmpeg decodes, in samples of the codec's own rate.
        n_promised: what the stream's header promises; 0 where it promises nothing.
        is_counted: whether each page's granule position is the number of samples up to there.
        n_pages: how many pages of audio there are.
        n_lost: how many are missing between them, or broken.
        is_whole: whether none is, and nothing else lies between them.
        is_ended: whether the last page is marked as the last.
    """

    n_samples: int
    n_promised: int
    is_counted: bool
    n_pages: int
    n_lost: int
    is_whole: bool
    is_ended: bool


def read(path: Path, span: ByteSpan | None = None) -> OggTimeline | None:
    """Add up the packets of a file, or of a span of it, without decoding them.

    Args:
        path: any file.
        span: the part of it that is one stream.

    Returns:
        None where it is not one stream of Opus, Vorbis or FLAC in Ogg, or makes no sense.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        data = AudioBytes(stream)
        span = span or ByteSpan(0, len(data))
        if data.read(span.first_byte, 4) != b"OggS":
            return None
        try:
            return _timeline(pages(data, span))
        except ValueError:
            return None


def _timeline(found: Iterator[Page]) -> OggTimeline | None:
    stream: _PacketSum | None = None
    for page in found:
        if page.flags & FIRST:
            codec = codec_of(page.body)
            if stream is not None and (codec is not None or stream.has_begun):
                return None  # two side by side, or one behind the other
            stream = stream or (_PacketSum(codec, page.serial) if codec is not None else None)
        elif stream is not None and page.serial == stream.serial:
            stream.add(page)
    return stream.timeline() if stream is not None else None


class _PacketSum:
    """Adds up the packets of one stream, page by page."""

    def __init__(self, codec: Codec, serial: int) -> None:
        self.serial = serial
        self._codec = codec
        self._n_headers_left = codec.n_headers - 1
        self._begun: bytes | None = None  # of a packet that goes on on the next page
        self._sequence: int | None = None
        self._at: int | None = None  # the granule position of the page before
        self._n_samples = self._n_trimmed = self._n_pages = self._n_lost = 0
        self._is_counted, self._is_ended, self._has_junk = True, False, False

    @property
    def has_begun(self) -> bool:
        """Whether there was a page with audio."""
        return self._n_pages > 0

    def add(self, page: Page) -> None:
        """Take the next page of the stream.

        Raises:
            ValueError: a packet in it makes no sense.
        """
        if self._n_headers_left:
            self._add_headers(page)
            return
        self._count_lost(page)
        sizes = self._codec.sizes(self._heads(page))
        self._n_pages += 1
        self._is_ended = bool(page.flags & LAST)
        n_page = sum(sizes)
        self._n_samples += n_page
        if not sizes or (self._at is None and not n_page):
            return
        if page.granule < 0:
            raise ValueError("no position, where FFmpeg ends and libsndfile goes on")
        self._compare(page, n_page)
        if self._is_ended:
            n_beyond = (self._at or 0) + n_page - page.granule
            self._n_trimmed = self._codec.trimmed(n_beyond, n_page, sizes[-1])
        else:
            self._n_trimmed = 0
        self._at = page.granule

    def _add_headers(self, page: Page) -> None:
        """Join packets that span pages; audio begins on a page of its own."""
        start = 0
        for end in page.packet_ends():
            if not self._n_headers_left:
                raise ValueError("audio begins on a page of headers")
            self._codec.read_header((self._begun or b"") + page.body[start:end])
            self._begun, start = None, end
            self._n_headers_left -= 1
        if page.is_open:
            self._begun = (self._begun or b"") + page.body[start:]

    def _count_lost(self, page: Page) -> None:
        """Count pages that are missing between those with audio."""
        self._has_junk = self._has_junk or page.is_behind_junk
        if self._sequence is not None:
            n_lost = (page.sequence - self._sequence - 1) % _SEQUENCE
            self._n_lost += n_lost if n_lost <= _MAX_LOST else 0
        self._sequence = page.sequence

    def _heads(self, page: Page) -> list[bytes]:
        """Return the first bytes of the packets that end on a page."""
        ends, body = page.packet_ends(), page.body
        starts = [0, *ends]
        heads = [body[start : start + HEAD_BYTES] for start in starts[: len(ends)]]
        is_continued = page.flags & 1
        if is_continued and heads:
            heads[:1] = [] if self._begun is None else [self._begun]  # its beginning is lost
        if page.is_open and (ends or not is_continued):
            self._begun = body[starts[-1] : starts[-1] + HEAD_BYTES]
        elif not page.is_open:
            self._begun = None
        return heads

    def _compare(self, page: Page, n_page: int) -> None:
        """Hold a page's granule position against its packets.

        Only the first page may be beyond them, as of a stream that was joined late, and only the
        last one may fall short, where not all of it is to be played.
        """
        if self._at is None:
            is_counted = page.granule >= (0 if page.flags & LAST else n_page)
        else:
            n_short = self._at + n_page - page.granule
            is_counted = n_short == 0 or (0 < n_short <= n_page and bool(page.flags & LAST))
        self._is_counted = self._is_counted and is_counted

    def timeline(self) -> OggTimeline | None:
        """Return what was found; None where there is no audio in it."""
        n_samples = self._n_samples - self._n_trimmed - self._codec.n_skipped
        if n_samples <= 0:
            return None
        return OggTimeline(
            n_samples,
            self._codec.n_promised,
            self._is_counted,
            self._n_pages,
            self._n_lost,
            not (self._n_lost or self._has_junk),
            self._is_ended,
        )
