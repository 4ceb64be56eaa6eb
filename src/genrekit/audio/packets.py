"""What a file sounds like, as a hash: its encoded audio, whatever its tags, pictures and name."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from pathlib import Path
from typing import IO, Any

from genrekit.audio import mpeg
from genrekit.audio.probing import check_regular
from genrekit.audio.pyav_reader import reason
from genrekit.audio.readers import DecodeError
from genrekit.errors import AudioError


def digest(path: str | os.PathLike[str]) -> str:
    """Hash a file's encoded audio packets, without decoding them.

    Two files have the same digest where the codec, the sample rate, the number of channels and
    every encoded byte of the first audio stream are the same. Tags, pictures, padding and the name
    do not count. Of a damaged file, the packets that FFmpeg still finds count.

    Args:
        path: a regular file.

    Returns:
        SHA-256 in 64 lower-case hexadecimal digits.

    Raises:
        AudioError: there is no such file, it cannot be read, or FFmpeg finds no audio in it.
    """
    import av  # 0.1 s that not every command needs

    path = Path(path)
    check_regular(path)
    try:
        with path.open("rb") as stream, av.open(_Untagged(stream, path.suffix), **_OPTIONS) as file:
            return _digest(file)
    except (av.FFmpegError, ValueError, DecodeError) as error:
        raise AudioError(
            f"{path}: no audio can be found in it ({reason(error)}); is it audio, and complete?"
        ) from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error


_OPTIONS: dict[str, Any] = {"metadata_errors": "ignore", "options": {"protocol_whitelist": "file"}}


def _digest(container: Any) -> str:
    import av

    if not container.streams.audio:
        raise DecodeError("it holds no audio stream")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    found = hashlib.sha256()
    if codec is not None:
        found.update(struct.pack("<II", codec.sample_rate or 0, codec.channels or 0))
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


class _Untagged(io.RawIOBase):
    """A file as if nobody had put an ID3v2 tag before its audio or an ID3v1 or APEv2 one behind.

    FFmpeg takes the size of some formats' last packet (Monkey's Audio) from the size of the file.
    """

    def __init__(self, stream: IO[bytes], suffix: str) -> None:
        self.name = f"audio{suffix}" if suffix.isascii() else "audio"  # FFmpeg looks at the suffix
        self._stream = stream
        self._first, self._end = mpeg.between_tags(stream)
        stream.seek(self._first)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {
            io.SEEK_SET: self._first,
            io.SEEK_CUR: self._stream.tell(),
            io.SEEK_END: self._end,
        }
        return self._stream.seek(max(self._first, origin[whence] + offset)) - self._first

    def tell(self) -> int:
        return self._stream.tell() - self._first
