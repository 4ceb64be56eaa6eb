"""Hash the encoded packets of a file; ``packets.digest`` does so in another process."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

from genrekit.audio import mpeg
from genrekit.audio.byte_range import ByteSpan
from genrekit.audio.frames import keep_layout
from genrekit.audio.opening import choose_stream, open_container, reason
from genrekit.audio.readers import DecodeError


def hash_packets(path: Path) -> str:
    """Hash the codec, the rate, the number of channels and every packet of the played stream.

    Raises:
        DecodeError: FFmpeg finds no audio in it.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        span = ByteSpan(*mpeg.between_tags(stream))
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
        raise DecodeError("it has no audio packets")
    return found.hexdigest()
