"""Files: written beside their place and renamed, so that none is ever partial; found by name."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

_SUFFIXES = """
    .aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .dsf .flac .m4a .m4b .mka .mp2 .mp3 .mp4 .mpc
    .oga .ogg .opus .ra .snd .tta .w64 .wav .webm .wma .wv
"""
AUDIO_SUFFIXES = frozenset(_SUFFIXES.split())
PLAYLISTS = (".m3u", ".m3u8")
FULL = (errno.ENOSPC, errno.EDQUOT)


def expand(arguments: Iterable[str]) -> list[Path]:
    """Expand what a user named into files, in that order.

    A folder expands to the audio files in and below it (by suffix, sorted, without hidden ones), a
    pattern with ``*``, ``?`` or ``[`` to its matches (``**`` descends into folders), a playlist
    (.m3u, .m3u8) to its files. A folder without audio, a pattern without matches and a path that
    does not exist are kept as they are, so that the reader can report what is wrong with each.

    Args:
        arguments: paths of files or folders, or patterns.

    Returns:
        Each file once, where it was first named.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        path = Path(argument)
        if is_playlist(path) and path.is_file():
            below = playlist(path)
        elif path.is_dir():
            below = audio_files(path) or [path]
        elif not path.exists() and glob.has_magic(argument):
            below = _matches(argument) or [path]
        else:
            below = [path]
        found.update(dict.fromkeys(below))
    return list(found)


def is_playlist(path: Path) -> bool:
    """Return whether a file name is that of a playlist."""
    return path.suffix.lower() in PLAYLISTS


def playlist(path: Path) -> list[Path]:
    """Return the files of a playlist in order; lines that begin with # are comments.

    Names are relative to the playlist's folder; names with the backslashes of another system and
    file:// URLs are found too. Files that no longer exist are returned as well.

    Raises:
        OSError: the playlist cannot be read.
    """
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    names = [os.fsdecode(line.strip()) for line in lines]
    return [_listed_file(path.parent, name) for name in names if name and name[0] != "#"]


def _listed_file(folder: Path, name: str) -> Path:
    if name.lower().startswith("file://"):
        from urllib.request import url2pathname  # a fifth of the time of --help

        name = url2pathname(urlsplit(name).path)
    found = folder / name
    other = folder / name.replace("\\", "/")
    return other if other != found and not found.exists() else found


def _matches(pattern: str) -> list[Path]:
    """Return the files that a pattern matches and the audio files in folders that it matches."""
    matches = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
    nested = [audio_files(match) if match.is_dir() else [match] for match in matches]
    return [file for files in nested for file in files]


def audio_files(folder: Path) -> list[Path]:
    """Return the audio files in a folder and below it, sorted, without hidden ones.

    Links to folders are followed, and a folder reached by several paths is searched once.
    """
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = Path(parent).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
        ]
    return sorted(found)


@contextmanager
def write_beside(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside path; rename it to path when the block succeeds.

    If the block raises (a full disk, Ctrl-C), the temporary file is removed and path is unchanged.
    The data is flushed to the disk before the rename.

    Args:
        path: the file to write; its folder is created if it is missing.
        mode: "wb" or "w" (UTF-8 text).

    Raises:
        OSError: the folder cannot be written, or the disk is full; then the error names path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp makes private files
        os.replace(name, path)  # noqa: PTH105
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            advice = f"{error.strerror}; free some space or write elsewhere"
            raise OSError(error.errno, advice, os.fspath(path)) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def joined_sha256(hashes: Sequence[str]) -> str:
    """Return a single hash as it is, or the SHA-256 of several in their order."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as lower-case hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
