"""The folder of uploads: the server's own, emptied whatever happens, bounded in bytes.

Every server has a folder of its own in the system's temporary folder and holds a lock on it. A
server that was killed holds it no longer, so the next one to start removes what was left.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

PREFIX = "genrekit-serve-"
_LOCK = "lock"


class UploadsFullError(Exception):
    """All uploads together would need more than the allowed bytes."""


class UploadFolder:
    """A folder for uploads. Call open before anything else and close at the end."""

    def __init__(self, max_bytes: int) -> None:
        """Prepare a folder; nothing is written before open.

        Args:
            max_bytes: of all its files together.
        """
        self.n_bytes = 0
        self._max_bytes = max_bytes
        self._folder: Path | None = None
        self._lock: IO[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Where the uploads lie.

        Raises:
            RuntimeError: the folder is not open.
        """
        if self._folder is None:
            raise RuntimeError("the folder of uploads is not open")
        return self._folder

    def open(self) -> None:
        """Remove what killed servers left, and make this server's folder.

        Raises:
            OSError: the temporary folder cannot be written.
        """
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_abandoned(folder)
        while self._lock is None:
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = _locked(self._folder)

    def close(self) -> None:
        """Remove the folder with everything in it."""
        if self._lock is not None:
            self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._folder = self._lock = None

    def take(self, n_bytes: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            UploadsFullError: they do not fit.
        """
        if self.n_bytes + n_bytes > self._max_bytes:
            raise UploadsFullError
        self.n_bytes += n_bytes

    def give_back(self, n_bytes: int) -> None:
        """Count bytes that were removed."""
        self.n_bytes -= n_bytes


class Upload:
    """One uploaded file on disk, and the name by which its sender knows it."""

    def __init__(self, folder: UploadFolder, name: str, suffix: str) -> None:
        """Make an empty file.

        Args:
            folder: where it lies and is counted.
            name: what results and errors call it.
            suffix: of the file on disk; some decoders look at it.
        """
        handle, path = tempfile.mkstemp(suffix=suffix, dir=folder.folder)
        self.name, self.path, self.n_bytes = name, Path(path), 0
        self._folder, self._stream = folder, os.fdopen(handle, "wb")

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            UploadsFullError: the folder has no room for them.
            OSError: the disk has none.
        """
        self._folder.take(len(data))
        self.n_bytes += len(data)
        self._stream.write(data)

    def finish(self) -> None:
        """Bring everything to the disk, for others to read.

        Raises:
            OSError: the disk is full.
        """
        self._stream.close()

    def remove(self) -> None:
        """Delete the file; doing so twice does nothing."""
        with suppress(OSError):
            self._stream.close()
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._folder.give_back(self.n_bytes)
        self.n_bytes = 0


def _remove_if_abandoned(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody holds; leave everything else alone."""
    with suppress(OSError):
        status = folder.lstat()
        is_ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if not (is_ours and stat.S_ISDIR(status.st_mode)):
            return
        lock = _locked(folder)
        if lock is not None:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> IO[bytes] | None:
    """Lock a folder; None where another process has locked or removed it."""
    path = folder / _LOCK
    try:
        if os.name == "nt":  # no flock: the lock is the open file, which cannot be deleted
            path.unlink(missing_ok=True)
            return path.open("wb")
        lock = path.open("wb")
    except OSError:
        return None
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
            return lock
    except OSError:
        pass
    lock.close()
    return None
