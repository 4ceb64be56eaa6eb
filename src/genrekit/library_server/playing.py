"""A track as a browser plays it: the file itself, or WAV where browsers cannot decode it.

WAV of a known length is made piece by piece from wherever the player wants to continue, so that it
can seek; only one piece is held, and nothing is written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fastapi.responses import FileResponse, Response, StreamingResponse

from genrekit import audio
from genrekit.audio import AudioInfo
from genrekit.audio.probing import check_regular
from genrekit.server.problems import ProblemError

# What every browser of today plays. Whatever else it is comes as WAV.
PLAYABLE = {
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}
_PIECE_SECONDS = 10.0
_HEADER_BYTES = 44
_SAMPLE_BYTES = 2
_MOST_BYTES = 0xFFFF_FFFF - _HEADER_BYTES  # that a WAV file can hold
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def response(path: Path, requested: str | None, *, decoded: bool, may_decode: bool) -> Response:
    """Return a track's audio.

    Args:
        path: the file.
        requested: the Range header, where there is one.
        decoded: convert to WAV in any case: the browser could not play the file.
        may_decode: it is not known to hang or to kill what decodes it.

    Raises:
        AudioError: it is gone, or cannot be decoded.
        ProblemError: 409 it may not be decoded; 416 the range lies behind the end.
    """
    check_regular(path)
    media_type = PLAYABLE.get(path.suffix.lower())
    if media_type and not decoded:
        return FileResponse(path, media_type=media_type, content_disposition_type="inline")
    if not may_decode:
        raise ProblemError(409, "this file hung or killed its worker in a scan; it is not decoded")
    info = audio.probe(path)
    n_channels = info.n_channels if info.n_channels <= 2 else 1
    n_bytes = _HEADER_BYTES + min(info.n_samples * n_channels * _SAMPLE_BYTES, _MOST_BYTES)
    first, stop = byte_range(requested, n_bytes)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(stop - first)}
    if requested:
        headers["Content-Range"] = f"bytes {first}-{stop - 1}/{n_bytes}"
    parts = wav_bytes(info, n_channels, n_bytes, first, stop)
    return StreamingResponse(parts, 206 if requested else 200, headers, "audio/wav")


def byte_range(requested: str | None, n_bytes: int) -> tuple[int, int]:
    """Return the first requested byte, and the one after the last.

    A header of another form asks for everything, as RFC 9110 (14.2) allows.

    Raises:
        ProblemError: 416 the file has none of these bytes.

    >>> byte_range("bytes=5-", 10), byte_range("bytes=-3", 10), byte_range("bytes=2-3", 10)
    ((5, 10), (7, 10), (2, 4))
    """
    found = _RANGE.fullmatch(requested or "")
    if found is None or found[0] == "bytes=-":
        return 0, n_bytes
    if not found[1]:
        first, stop = max(0, n_bytes - int(found[2])), n_bytes
    else:
        first, stop = int(found[1]), min(int(found[2] or n_bytes) + 1, n_bytes)
    if first >= stop:
        detail = f"got the range {requested!r} of {n_bytes} bytes"
        raise ProblemError(416, detail, Content_Range=f"bytes */{n_bytes}")
    return first, stop


def wav_bytes(
    info: AudioInfo, n_channels: int, n_bytes: int, first: int, stop: int
) -> Iterator[bytes]:
    """Yield a part of the 16-bit WAV file that a track would be.

    Args:
        info: what audio.probe found.
        n_channels: 1 or 2.
        n_bytes: of the whole file.
        first: the first byte.
        stop: the one after the last.
    """
    if first < _HEADER_BYTES:
        yield _header(info.sample_rate, n_channels, n_bytes)[first : min(stop, _HEADER_BYTES)]
    frame_bytes = n_channels * _SAMPLE_BYTES
    first, stop = max(first - _HEADER_BYTES, 0), stop - _HEADER_BYTES
    per_piece = round(_PIECE_SECONDS * info.sample_rate)
    while first < stop:
        start = first // frame_bytes  # in samples of one channel
        n_samples = min(per_piece, info.n_samples - start)
        piece = _decoded(info, n_channels, start, n_samples)
        wanted = piece[first - start * frame_bytes : stop - start * frame_bytes]
        yield wanted
        first += len(wanted)


def _decoded(info: AudioInfo, n_channels: int, start: int, n_samples: int) -> bytes:
    """Return samples as 16 bits, silence where the file ends before its checked length."""
    waveform = audio.load(
        info,
        mono=False,
        start_seconds=start / info.sample_rate,
        duration_seconds=n_samples / info.sample_rate,
    )
    whole = np.zeros((n_samples, n_channels), "<i2")
    samples = (waveform.T[:n_samples].clip(-1, 1) * 32767).round()
    whole[: len(samples)] = samples
    return whole.tobytes()


def _header(sample_rate: int, n_channels: int, n_bytes: int) -> bytes:
    frame_bytes = n_channels * _SAMPLE_BYTES
    form = (16, 1, n_channels, sample_rate, sample_rate * frame_bytes, frame_bytes, 16)
    return (
        b"RIFF"
        + struct.pack("<I", n_bytes - 8)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", *form)
        + b"data"
        + struct.pack("<I", n_bytes - _HEADER_BYTES)
    )
