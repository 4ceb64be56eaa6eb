"""What a file sounds like, as a hash: its encoded audio, whatever its tags, pictures and name."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any

from genrekit.audio import isolation, mpeg
from genrekit.audio.byte_range import Span
from genrekit.audio.frames import keep_layout
from genrekit.audio.opening import choose_stream, open_container, reason
from genrekit.audio.probing import check_regular
from genrekit.audio.readers import DecodeError
from genrekit.errors import AudioError


def digest(path: str | os.PathLike[str]) -> str:
    """Hash a file's encoded audio packets, without decoding them.

    Two files have the same digest where the codec, the sample rate, the number of channels and
    every encoded byte of the stream that is played are the same. Tags, pictures, padding and the
    name do not count. Of a damaged file, the packets that FFmpeg still finds count.

    Args:
        path: a regular file.

    Returns:
        SHA-256 in 64 lower-case hexadecimal digits.

    Raises:
        AudioError: there is no such file, it cannot be read, or FFmpeg finds no audio in it.
    """
    path = Path(path)
    check_regular(path)
    try:
        return isolation.digest(path)
    except DecodeError as error:
        raise AudioError(
            f"{path}: no audio can be found in it ({error}); is it audio, and complete?"
        ) from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error


def digest_here(path: Path) -> str:
    """Hash as digest does, in this process.

    Raises:
        DecodeError: FFmpeg finds no audio in it.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        span = Span(*mpeg.between_tags(stream))
    with open_container(path, span) as container:
        return _digest(container)


def _digest(container: Any) -> str:
    import av

    stream = choose_stream(container, must_decode=False)
    codec = stream.codec_context
    found = hashlib.sha256()
    if codec is not None:
        n_channels = keep_layout(codec).nb_channels
        found.update(struct.pack("<II", codec.sample_rate or 0, n_channels or 0))
        found.update(str(codec.codec.canonical_name).encode())
    n_packets = 0
    try:
        for packet in container.demux(stream):
            if packet.size:
                found.update(packet)
                n_packets += 1
    except (av.FFmpegError, OSError) as error:
        if not n_packets:
            raise DecodeError(reason(error)) from error
    if not n_packets:
        raise DecodeError("it holds no audio packet")
    return found.hexdigest()
