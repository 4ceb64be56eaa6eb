"""A hash of a file's encoded audio, whatever its tags, pictures and name."""

from __future__ import annotations

import os
from pathlib import Path

from genrekit.audio import isolation
from genrekit.audio.probing import check_regular
from genrekit.audio.readers import DecodeError
from genrekit.errors import AudioError


def digest(path: str | os.PathLike[str]) -> str:
    """Hash a file's encoded audio packets, without decoding them.

    Two files have the same digest if the codec, the sample rate, the number of channels and every
    encoded byte of the played stream are the same. Tags, pictures, padding and the name do not
    count. For a damaged file, the packets that FFmpeg still finds count.

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
