"""Where files are stored: folders of this machine, and whatever fsspec reads (S3, GCS, HTTP)."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from genrekit import extras
from genrekit.errors import BatchError
from genrekit.files import write_beside

Result = TypeVar("Result")

N_TRIES = 5
FIRST_PAUSE_SECONDS = 0.5
# Errors that another try does not change.
_FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def is_remote(name: str) -> bool:
    """Whether a name is a URL, such as s3://bucket/key, and not a path of this machine.

    >>> is_remote("s3://music/a.mp3"), is_remote("C:/music"), is_remote("a.mp3")
    (True, False, False)
    """
    return "://" in name


def file_system(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL and the URL's path in it.

    Raises:
        BatchError: fsspec, or the package of the URL's protocol, is not installed.
    """
    try:
        import fsspec

        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise BatchError(
            f"{url} cannot be read: {_sentence(error)}; install what it needs with: "
            f"{extras.command('ray,s3')}"
        ) from error
    return found


def with_retries(url: str, function: Callable[[], Result]) -> Result:
    """Call a function that reads or writes a URL, again where it may succeed later.

    Raises:
        BatchError: the last try failed too, or the first where another would not help.
    """
    pause = FIRST_PAUSE_SECONDS
    for remaining in reversed(range(N_TRIES)):
        try:
            return function()
        except BatchError:
            raise
        except Exception as error:  # each file system has errors of its own
            reason = _reason(error)
            if not remaining or isinstance(reason, _FINAL):
                raise _failed(url, reason) from error
            time.sleep(pause * (0.5 + random.random()))  # noqa: S311 - so that not all come at once
            pause *= 2
    raise AssertionError("unreachable")


def open_file(name: str) -> IO[bytes]:
    """Open a path or URL to read it.

    Raises:
        BatchError: it cannot be read.
    """

    def opened() -> IO[bytes]:
        if not is_remote(name):
            return Path(name).open("rb")
        system, path = file_system(name)
        stream: IO[bytes] = system.open(path, "rb")
        return stream

    return with_retries(name, opened)


def _reason(error: Exception) -> Exception:
    """Return what a missing file hides: fsspec gives that error for HTTP hosts without a reply."""
    cause = error.__cause__
    hidden = isinstance(error, FileNotFoundError) and isinstance(cause, OSError)
    return cause if hidden and isinstance(cause, Exception) else error


def _failed(url: str, error: Exception) -> BatchError:
    if isinstance(error, FileNotFoundError):
        return BatchError(f"{url}: there is no such file")
    if isinstance(error, PermissionError):
        return BatchError(
            f"{url}: access is refused ({_sentence(error)}); check the credentials, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return BatchError(
        f"{url} cannot be reached ({_sentence(error)}); check the address and try again"
    )


def _sentence(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())


class Storage:
    """A folder that a batch job writes to, local or remote: whole files, written at once."""

    def __init__(self, name: str) -> None:
        """Name a folder, which need not exist.

        Raises:
            BatchError: the package of the URL's protocol is not installed.
        """
        self.name = name.rstrip("/") or name
        self.is_remote = is_remote(name)
        if self.is_remote:
            self._system, self._root = file_system(self.name)

    def path(self, name: str) -> str:
        """Return the whole name of a file in the folder, for messages and readers."""
        return f"{self.name}/{name}" if self.is_remote else str(Path(self.name, name))

    def names(self) -> dict[str, float]:
        """Return the files in the folder, each with its time of change; none if it is missing.

        Raises:
            BatchError: the folder cannot be listed.
        """
        if not self.is_remote:
            folder = Path(self.name)
            if not folder.is_dir():
                return {}
            with os.scandir(folder) as entries:
                return {e.name: e.stat().st_mtime for e in entries if e.is_file()}
        return with_retries(self.name, self._remote_names)

    def _remote_names(self) -> dict[str, float]:
        self._system.invalidate_cache()
        try:
            listed = self._system.ls(self._root, detail=True)
        except FileNotFoundError:
            return {}
        found = (entry for entry in listed if entry["type"] == "file")
        return {PurePosixPath(entry["name"]).name: _modified(entry) for entry in found}

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            BatchError: it cannot be read.
        """
        with self.open(name) as stream:
            return stream.read()

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it.

        Raises:
            BatchError: it cannot be read.
        """
        return open_file(self.path(name))

    def write(self, name: str, content: bytes) -> None:
        """Write a file at once: nobody ever sees half of it.

        Raises:
            BatchError: a remote folder refuses it.
            OSError: the folder cannot be written or the disk is full.
        """
        if not self.is_remote:
            with write_beside(Path(self.name, name)) as stream:
                stream.write(content)
            return
        # A remote file system here puts an object whole, and none appears where the put fails.
        with_retries(
            self.path(name), lambda: self._system.pipe_file(f"{self._root}/{name}", content)
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock a local folder against another batch job; without effect on a remote one.

        Raises:
            BatchError: another batch job is writing here.
        """
        if self.is_remote:
            yield
            return
        folder = Path(self.name)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _locked(folder):
                for unfinished in folder.glob(".*.part"):  # of a job that was killed
                    unfinished.unlink()
                yield
        finally:
            with suppress(OSError):
                folder.rmdir()  # where nothing was written


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BatchError(
            f"{folder}: another batch job is writing there; wait for it: genrekit batch status "
            "OUTPUT shows how far it is"
        ) from error
    finally:
        os.close(handle)


def _modified(entry: dict[str, Any]) -> float:
    stamp = entry.get("LastModified") or entry.get("updated") or entry.get("mtime") or 0.0
    return stamp.timestamp() if hasattr(stamp, "timestamp") else float(stamp)
