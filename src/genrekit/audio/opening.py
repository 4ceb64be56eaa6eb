"""Open a file with FFmpeg and choose its music stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from genrekit.audio.byte_range import ByteRange, ByteSpan
from genrekit.audio.frames import keep_layout
from genrekit.audio.readers import PROTECTED, DecodeError

# A playlist is text that makes FFmpeg open other files; it is not audio.
_PLAYLISTS = {"hls", "applehttp", "dash", "concat", "sdp"}
_ASIDE = {"comment", "hearing_impaired", "visual_impaired", "karaoke", "dub", "dependent"}


def open_container(path: Path, span: ByteSpan | None = None) -> Any:
    """Open a file, or a span of it, with FFmpeg, which may open nothing but local files.

    Raises:
        DecodeError: FFmpeg does not read it.
    """
    import av  # 0.1 s that only some files need

    # "file:" keeps a name such as "a:b.mp3" from being taken for a protocol.
    source: Any = "file:" + os.fspath(path)
    if span is not None:
        source = ByteRange(path.open("rb"), span, path.suffix)
    try:
        return av.open(
            source,
            format=span.container if span else None,
            options={"protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        if span is not None:
            source.close()
        raise DecodeError(reason(error)) from error


def choose_stream(container: Any, *, must_decode: bool = True) -> Any:
    """Return the audio stream that a player plays.

    The first one marked default (in an MP4: enabled), else the first one that is neither a comment
    nor a version for the blind or the deaf, else the first.

    Args:
        container: an open file.
        must_decode: refuse a protected one, and one that FFmpeg has no decoder for.

    Raises:
        DecodeError: there is none, or none that can be decoded.
    """
    if set(container.format.name.split(",")) & _PLAYLISTS:
        raise DecodeError(f"a playlist ({container.format.name}), not audio")
    streams = list(container.streams.audio)
    if not streams:
        raise DecodeError("it has no audio stream")
    stream = min(streams, key=_rank)  # the first of equal ones
    if not must_decode:
        return stream
    if _tag(stream) in ("drms", "enca"):
        raise DecodeError(PROTECTED)
    if stream.codec_context is None:
        raise DecodeError("FFmpeg has no decoder for its audio")
    keep_layout(stream.codec_context)
    stream.codec_context.thread_count = 1  # audio does not gain; workers share the cores
    return stream


def _rank(stream: Any) -> tuple[bool, bool, bool]:
    marks = {mark.name for mark in type(stream.disposition) if mark in stream.disposition}
    return stream.codec_context is None, "default" not in marks, bool(marks & _ASIDE)


def reason(error: BaseException) -> str:
    """Return FFmpeg's words, without the path."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(". ") or type(error).__name__


def _tag(stream: Any) -> str:
    context = stream.codec_context
    return str(getattr(context, "codec_tag", "") or "") if context is not None else ""
