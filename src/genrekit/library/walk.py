"""Find the audio files of a library of any size: no link is followed twice, nothing blocks."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from genrekit.errors import LibraryError
from genrekit.files import AUDIO_SUFFIXES

# Called with a path and why it was left out, in one clause.
Problem = Callable[[bytes, str], None]
_SUFFIXES = frozenset(suffix.encode() for suffix in AUDIO_SUFFIXES)


@dataclass(frozen=True)
class Found:
    """An audio file as it lies there: its absolute path as bytes, size and time of change."""

    path: bytes
    size_bytes: int
    mtime_ns: int


def walk(start: bytes, on_problem: Problem) -> Iterator[Found]:
    """Find the audio files (by suffix) in a folder and below it, without hidden ones.

    Links are followed; a folder that several paths lead to is looked into once, so loops end. Pipes
    and devices are left out without being opened.

    Args:
        start: a folder, or one file of whatever suffix. Absolute, as bytes.
        on_problem: called for each folder and file that cannot be read.

    Yields:
        Every file, folder by folder, sorted by name.

    Raises:
        LibraryError: start is not there.
    """
    try:
        status = os.stat(start)  # noqa: PTH116 - paths are bytes here
    except OSError as error:
        raise LibraryError(
            f"{Path(os.fsdecode(start))}: {error.strerror}; give a folder that is there"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        found = _file(start, status, on_problem)
        yield from [found] if found else []
        return
    waiting, seen = [start], {(status.st_dev, status.st_ino)}
    while waiting:
        folders = []
        for entry in _entries(waiting.pop(), on_problem):
            try:
                status = entry.stat()
            except OSError as error:
                on_problem(entry.path, _reason(entry, error))
                continue
            if not stat.S_ISDIR(status.st_mode):
                found = _file(entry.path, status, on_problem)
                yield from [found] if found else []
            elif (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                folders.append(entry.path)
        waiting += reversed(folders)


def _reason(entry: os.DirEntry[bytes], error: OSError) -> str:
    """Return why what was listed just now cannot be read."""
    if isinstance(error, FileNotFoundError) and entry.is_symlink():
        return "a link that leads nowhere"
    return error.strerror or str(error)


def _entries(folder: bytes, on_problem: Problem) -> list[os.DirEntry[bytes]]:
    """Return what may be audio, or a folder, in a folder."""
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not entry.name.startswith(b".")]
    except OSError as error:
        on_problem(folder, error.strerror or str(error))
        return []
    return sorted(filter(_may_matter, listed), key=lambda entry: entry.name)


def _may_matter(entry: os.DirEntry[bytes]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in _SUFFIXES or entry.is_dir()  # noqa: PTH122


def _file(path: bytes, status: os.stat_result, on_problem: Problem) -> Found | None:
    if not stat.S_ISREG(status.st_mode):
        on_problem(path, "a pipe or a device, not a file")
        return None
    return Found(path, status.st_size, status.st_mtime_ns)
