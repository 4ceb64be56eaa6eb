"""Which container a file is, by its first bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from genrekit.audio import packets
from genrekit.errors import TagError
from genrekit.tags.formats import asf, stacked
from genrekit.tags.formats.base import Bytes, Container
from genrekit.tags.formats.chunks import Chunked, Dsf
from genrekit.tags.formats.flac import Flac
from genrekit.tags.formats.mp4 import Mp4
from genrekit.tags.formats.ogg import Ogg
from genrekit.tags.formats.stacked import Stacked

_Opener = Callable[[Bytes], Container]
_WITH_APEV2: _Opener = partial(Stacked, primary="APEv2")
_WITH_ID3: _Opener = partial(Stacked, primary="ID3v2")
_LITTLE: _Opener = partial(Chunked, byteorder="little")
_BIG: _Opener = partial(Chunked, byteorder="big")
_BEGINNINGS: Mapping[bytes, _Opener] = {
    b"fLaC": Flac,
    b"OggS": Ogg,
    b"RIFF": _LITTLE,
    b"RF64": _LITTLE,
    b"FORM": _BIG,
    b"FRM8": partial(Chunked, byteorder="big", n_size=8),
    b"DSD ": Dsf,
    b"TTA1": _WITH_ID3,
    b"TTA2": _WITH_ID3,
    b"MAC ": _WITH_APEV2,
    b"wvpk": _WITH_APEV2,
    b"MPCK": _WITH_APEV2,
    b"MP+": _WITH_APEV2,
    b"OFR ": _WITH_APEV2,
    b"tBaK": _WITH_APEV2,
    asf.HEADER: asf.Asf,
}
_FORMS = {b"RIFF": b"WAVE", b"RF64": b"WAVE", b"FORM": b"AIF"}
_MP4 = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_UNTAGGED = {
    b"\x1a\x45\xdf\xa3": "Matroska or WebM",
    b"riff\x2e\x91\xcf\x11": "Wave64",
    b"\x0b\x77": "AC-3",
    b"ADIF": "raw AAC",
    b".snd": "Sun audio",
    b"caff": "Core Audio",
    b"#!AMR": "AMR",
    b".RMF": "RealMedia",
}
_N_ZEROS = 4096  # that may stand between a tag and the first frame
_MPEG_SUFFIXES = {".mp3", ".mp2", ".mp1", ".mpga"}


class UntaggedError(TagError):
    """A file of a format in which genrekit writes no tags; ``format`` names it."""

    def __init__(self, format_name: str, message: str = "") -> None:
        super().__init__(message or f"{format_name} files hold no tags that genrekit writes")
        self.format = format_name


def opened(data: Bytes, path: Path, *, is_whole: bool = True) -> Container:
    """Parse a file.

    Args:
        data: the file's bytes.
        path: where it lies.
        is_whole: False suffices to read tags, and spares reading all of an Ogg file.

    Raises:
        UntaggedError: genrekit knows no tags in its format.
        TagError: it is damaged or cut short.
        AudioError: it is called .mp3 and no audio is found in it.
    """
    start, _, _ = (0, 0, []) if data[4:8] in _MP4 else stacked.around(data)
    head = data[start : start + 16]
    for beginning, opener in _BEGINNINGS.items():
        form = _FORMS.get(beginning, b"")
        if head.startswith(beginning) and head[8:].startswith(form):
            return opener(data) if is_whole or opener is not Ogg else Ogg(data, is_whole=False)
    if data[4:8] in _MP4:
        return Mp4(data)
    for beginning, name in _UNTAGGED.items():
        if head.startswith(beginning):
            raise UntaggedError(name)
    if not _is_mpeg(data[start : start + _N_ZEROS].lstrip(b"\0")):
        if path.suffix.lower() not in _MPEG_SUFFIXES:
            raise UntaggedError(path.suffix or "files without a suffix", _UNKNOWN)
        packets.digest(path)  # junk before the music, or no music at all
    return Stacked(data, "ID3v2")


def _is_mpeg(head: bytes) -> bool:
    """Whether a frame of MPEG audio begins here.

    Raises:
        UntaggedError: it is one of raw AAC.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:
        raise UntaggedError("raw AAC")
    return bool(head[1] & 0x06) and head[1] & 0x18 != 0x08 and head[2] >> 4 != 15


_UNKNOWN = (
    "has no tags that genrekit knows; allowed: ID3, Vorbis comments, MP4, ASF and APEv2, in files "
    "such as MP3, FLAC, Ogg, Opus, M4A, WMA, WAV, AIFF, APE and WavPack"
)
