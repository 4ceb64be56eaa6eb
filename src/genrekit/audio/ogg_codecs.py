"""How many samples the packets of Opus, Vorbis and FLAC in Ogg hold, by their first bytes.

Source: RFC 7845, section 5.1 and RFC 6716, section 3.1 (Opus); Vorbis I specification, sections
4.2 and 4.3; RFC 9639, sections 8.2, 9.1 and 10.1 (FLAC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from genrekit.audio.flac_headers import block_samples_of

HEAD_BYTES = 16  # of a packet, as far as its length is known from them
_OPUS_FRAMES = (  # samples at 48 kHz by configuration: SILK, hybrid, CELT
    *(480, 960, 1920, 2880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)
# By a packet's first byte; 0 where the second one says how many frames there are.
_OPUS_SIZES = [_OPUS_FRAMES[byte >> 3] * (1, 2, 2, 0)[byte & 3] for byte in range(256)]
_MAX_MODES = 64
_MODE_BITS = 41  # block flag, window type, transform type, mapping
_MODES_BYTES = (_MAX_MODES * _MODE_BITS + 6 + 8) // 8 + 1


class Codec(Protocol):
    """A stream's codec, as the packets before the audio describe it.

    Attributes:
        n_headers: how many packets come before the audio, with the first.
        n_skipped: samples that a decoder leaves out at the beginning.
        n_promised: samples that the header promises; 0 where it promises none.
    """

    n_headers: int
    n_skipped: int
    n_promised: int

    def read_header(self, packet: bytes) -> None:
        """Learn from a header behind the first.

        Raises:
            ValueError: it makes no sense.
        """

    def sizes(self, heads: Sequence[bytes]) -> list[int]:
        """Return how many samples each packet adds, from its first bytes; packets come in order.

        Raises:
            ValueError: it makes no sense.
        """

    def trimmed(self, n_beyond: int, n_page: int, n_last: int) -> int:
        """Return how many samples FFmpeg leaves out at the end.

        Args:
            n_beyond: samples beyond the granule position of the page that ends the stream.
            n_page: samples of its packets.
            n_last: samples of its last packet.
        """


def codec_of(first: bytes) -> Codec | None:
    """Return the codec whose stream begins with a packet; None where it is no audio known here.

    Raises:
        ValueError: the packet is too short.
    """
    for magic, codec in ((b"OpusHead", _Opus), (b"\x01vorbis", _Vorbis), (b"\x7fFLAC", _Flac)):
        if first.startswith(magic):
            return codec(first)
    return None


class _Opus:
    n_headers = 2
    n_promised = 0

    def __init__(self, first: bytes) -> None:
        _need(len(first) >= 19, "OpusHead is too short")
        self.n_skipped = int.from_bytes(first[10:12], "little")

    def read_header(self, packet: bytes) -> None:
        """The comments say nothing of the length."""

    def sizes(self, heads: Sequence[bytes]) -> list[int]:
        _need(all(heads), "a packet is empty")
        return [_OPUS_SIZES[head[0]] or self._counted(head) for head in heads]

    def _counted(self, head: bytes) -> int:
        _need(len(head) > 1, "a packet is cut short")
        return _OPUS_FRAMES[head[0] >> 3] * (head[1] & 63)

    def trimmed(self, n_beyond: int, n_page: int, n_last: int) -> int:
        """RFC 7845, section 4.4: no more than the page holds."""
        return min(max(0, n_beyond), n_page)


class _Vorbis:
    n_headers = 3
    n_skipped = n_promised = 0

    def __init__(self, first: bytes) -> None:
        _need(len(first) >= 30, "the identification header is too short")
        self._sizes = (1 << (first[28] & 15), 1 << (first[28] >> 4))
        self._by_first = [0] * 256  # block size by a packet's first byte; 0 where it is no audio
        self._before = 0  # size of the block before

    def read_header(self, packet: bytes) -> None:
        if packet.startswith(b"\x05vorbis"):
            sizes = [self._sizes[flag] for flag in _block_flags(packet)]
            mask = (1 << (len(sizes) - 1).bit_length()) - 1
            sizes += [-1] * (mask + 1 - len(sizes))
            self._by_first = [0 if byte & 1 else sizes[byte >> 1 & mask] for byte in range(256)]

    def sizes(self, heads: Sequence[bytes]) -> list[int]:
        """Blocks overlap by half of their sizes, so that the first one adds nothing."""
        sizes, before = [], self._before
        for head in heads:
            block = self._by_first[head[0]] if head else 0
            if block < 0:
                raise ValueError("a packet has a mode that is not there")
            sizes.append((before + block) // 4 if before and block else 0)
            before = block or before
        self._before = before
        return sizes

    def trimmed(self, n_beyond: int, n_page: int, n_last: int) -> int:
        """FFmpeg cuts the last packet, and nothing where more is to be cut."""
        return n_beyond if 0 < n_beyond <= n_last else 0


def _block_flags(setup: bytes) -> list[int]:
    """Return each mode's block flag; modes are the last thing in a setup header.

    What lies before them cannot be skipped without decoding all of it. So they are read from the
    end: as many as look like modes and are preceded by their number.
    """
    end = setup.rstrip(b"\0")[-_MODES_BYTES:]
    bits = int.from_bytes(end, "little")
    at = bits.bit_length() - 1  # the framing bit
    flags: list[int] = []
    found: list[int] = []
    while at >= _MODE_BITS + 6 and len(flags) < _MAX_MODES:
        at -= _MODE_BITS
        mode = bits >> at
        if mode >> 1 & 0xFFFF_FFFF or mode >> 33 & 0xFF >= _MAX_MODES:
            break
        flags.insert(0, mode & 1)
        if (bits >> at - 6 & 63) + 1 == len(flags):
            found = list(flags)
    _need(len(found) > 0, "the setup header has no modes")
    return found


class _Flac:
    n_headers = 1  # the other blocks of metadata are known by their first bytes
    n_skipped = 0

    def __init__(self, first: bytes) -> None:
        _need(len(first) >= 51, "the first packet is too short")
        self.n_promised = int.from_bytes(first[30:35], "big") & 0xF_FFFF_FFFF

    def read_header(self, packet: bytes) -> None:
        """Nothing to learn."""

    def sizes(self, heads: Sequence[bytes]) -> list[int]:
        return [block_samples_of(head) if head[:1] == b"\xff" else 0 for head in heads]

    def trimmed(self, n_beyond: int, n_page: int, n_last: int) -> int:
        """A FLAC's last frame is as short as it has to be."""
        return 0


def _need(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise ValueError(otherwise)
