"""Download archives with progress; resume broken downloads and verify checksums."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from genrekit.datasets import unpacking
from genrekit.errors import DatasetError

BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30.0
N_ATTEMPTS = 6
# An archive of audio hardly shrinks: the same again for what comes out of it.
SPACE_FACTOR = 2.2
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

Progress = Callable[[int, int | None], object]


@dataclass(frozen=True)
class Archive:
    """An archive that a dataset, or a part of it, comes in.

    Attributes:
        url: where it is.
        checksum: "md5:...", "sha1:..." or "sha256:..." of the whole file.
        provides: the folder that it unpacks to; where this is there, nothing is downloaded.
        max_bytes: unpacking stops with an error above this size.
    """

    url: str
    checksum: str
    provides: str
    max_bytes: int

    @property
    def file_name(self) -> str:
        """The last part of the url."""
        return self.url.partition("?")[0].rpartition("/")[2]


def get(
    archives: Sequence[Archive],
    folder: Path,
    progress: Progress | None = None,
    pause_seconds: float = 1.0,
) -> list[Path]:
    """Download and unpack archives into a folder; what is there already is left as it is.

    An archive is downloaded to ``NAME.part`` in the folder, checked, unpacked into a temporary
    folder, which is renamed, and removed. When the download fails for good, the part stays, and
    the next call resumes it.

    Args:
        archives: what to get.
        folder: where to; made if it is missing.
        progress: called with (bytes so far, bytes in all or None) while an archive is downloaded.
        pause_seconds: pause before the second attempt; it doubles with each further one.

    Returns:
        The folders that were unpacked now.

    Raises:
        DatasetError: the server refuses, the connection keeps breaking, the checksum is another,
            the disk is too small, or the archive holds something that must not be unpacked.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for archive in archives:
        target = folder / archive.provides
        if target.exists():
            continue
        part = folder / f"{archive.file_name}.part"
        fetch(archive.url, part, progress, pause_seconds)
        verify(part, archive)
        unpacking.unpack(part, archive.file_name, target, archive.max_bytes)
        part.unlink()
        made.append(target)
    return made


def fetch(
    url: str,
    part: Path,
    progress: Progress | None = None,
    pause_seconds: float = 1.0,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Download a file, resuming from what ``part`` already holds.

    A broken connection is tried again, N_ATTEMPTS times without a byte of progress.

    Args:
        url: where the file is.
        part: where to write.
        progress: called with (bytes so far, bytes in all or None).
        pause_seconds: pause before the second attempt; it doubles with each further one.
        timeout_seconds: how long a connection may be silent.

    Raises:
        DatasetError: the server refuses, the connection keeps breaking, or the disk is too small.
        OSError: the file cannot be written.
    """
    attempt = 0
    while True:
        before = _size(part)
        try:
            _go_on(url, part, progress, timeout_seconds)
        except _BrokenError as error:
            attempt = 1 if _size(part) > before else attempt + 1
            if attempt >= N_ATTEMPTS:
                raise DatasetError(
                    f"cannot download {url}: {error} ({N_ATTEMPTS} attempts); check the network "
                    f"and run it again: it goes on from the {_size(part):,} bytes in {part}"
                ) from error
            time.sleep(min(pause_seconds * 2 ** (attempt - 1), 60.0))
        else:
            return


def verify(path: Path, archive: Archive) -> None:
    """Check a downloaded file against the archive's checksum; a wrong file is removed.

    Raises:
        DatasetError: the checksum is another.
    """
    algorithm, _, expected = archive.checksum.partition(":")
    with path.open("rb") as stream:
        # MD5 and SHA-1 are what the publishers give; they find damage, not forgery.
        found = hashlib.file_digest(
            stream, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
    if found != expected:
        path.unlink()
        raise DatasetError(
            f"{archive.url} has {algorithm} {found}, expected {expected}: the download was damaged "
            "or the file was changed there; it was removed, try again"
        )


class _BrokenError(Exception):
    """An attempt that failed for a reason that may pass."""


def _go_on(url: str, part: Path, progress: Progress | None, timeout_seconds: float) -> None:
    """One attempt to download the rest of a file."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "genrekit"})  # noqa: S310 - our URLs
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as response:  # noqa: S310
            start, total = _range(response, start)
            _check_space(part, total, start)
            _copy(response, part, start, total, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            _check_beyond(error, part, start)
        elif error.code in _PASSING:
            raise _BrokenError(f"the server returned {error.code} {error.reason}") from error
        else:
            raise DatasetError(
                f"cannot download {url}: the server returned {error.code} {error.reason}; see "
                "whether the dataset has moved, and open your own copy of it instead"
            ) from error
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise _BrokenError(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _check_beyond(error: urllib.error.HTTPError, part: Path, start: int) -> None:
    """Nothing lies beyond what is here: it is the whole file, or part of another one."""
    if error.headers.get("Content-Range", "") != f"bytes */{start}":
        part.unlink()
        raise _BrokenError("the part that was kept does not fit the file there")


def _range(response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Where what comes begins, and how long the whole file is."""
    length = response.headers.get("Content-Length")
    total = int(length) if length else None
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return 0, total  # the server does not resume: all of it comes again
    if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        raise _BrokenError("the server sent another part than was requested")
    return start, None if total is None else start + total


def _copy(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    total: int | None,
    progress: Progress | None,
) -> None:
    done = start
    with part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        stream.truncate()
        while block := response.read(BLOCK_BYTES):
            stream.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    if total is not None and done < total:
        raise _BrokenError(f"the connection ended after {done:,} of {total:,} bytes")


def _check_space(part: Path, total: int | None, start: int) -> None:
    needed = int((total or 0) * SPACE_FACTOR) - start
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise DatasetError(
            f"{part.parent} has {free / 1e9:.1f} GB free; downloading and unpacking {part.stem} "
            f"takes about {needed / 1e9:.1f} GB; free some space or name another folder with -o"
        )


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
