"""Unpack untrusted archives: nothing lands outside, nothing grows without bound.

Only plain files and folders are unpacked. A name that is absolute, climbs with ``..`` or means
something else on another system, a link, a device and a second file of one name stop it, and
nothing stays behind.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from genrekit.errors import DatasetError

BLOCK_BYTES = 1 << 20
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError)


def unpack(archive: Path, name: str, target: Path, max_bytes: int) -> None:
    """Unpack the one folder of an archive and rename it when all of it is there.

    Args:
        archive: the file.
        name: what the archive is called: its suffix gives whether it is a zip or a tar.
        target: the folder to make; the archive must hold one of this name at its top.
        max_bytes: bound for the size of all files together.

    Raises:
        DatasetError: the archive is damaged, holds something that must not be unpacked, is larger
            than the bound, or lacks the folder.
        OSError: the disk is full, or the folder cannot be written.
    """
    with _beside(target) as room:
        left = max_bytes
        try:
            for member, stream in _members(archive, name):
                left -= _write(room, member, stream, left, name)
        except _DAMAGED as error:
            raise DatasetError(f"{name} is damaged: {error}; download it again") from error
        except RuntimeError as error:  # zipfile raises it for an encrypted member
            raise DatasetError(f"{name} cannot be unpacked: {error}") from error
        inside = room / target.name
        if not inside.is_dir():
            found = ", ".join(sorted(entry.name for entry in room.iterdir())[:5]) or "nothing"
            raise DatasetError(f"{name} holds no folder {target.name!r}, but {found}")
        os.replace(inside, target)  # noqa: PTH105


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A temporary folder beside the target, removed in any case."""
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=".unpacking.", dir=target.parent))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _members(archive: Path, name: str) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Yield (name, content) of each file and folder; the content of a folder is None."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refused(name, entry.filename, "is a link or a device")
                if entry.is_dir():
                    yield entry.filename, None
                else:
                    with zipped.open(entry) as stream:
                        yield entry.filename, stream
        return
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            if not (member.isreg() or member.isdir()):
                raise _refused(name, member.name, "is a link or a device")
            yield member.name, tar.extractfile(member) if member.isreg() else None


def _write(room: Path, member: str, stream: IO[bytes] | None, left: int, name: str) -> int:
    """Write one member; return its size."""
    path = room / _safe(member, name)
    if stream is None:
        path.mkdir(parents=True, exist_ok=True)
        return 0
    n_bytes = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            while block := stream.read(BLOCK_BYTES):
                n_bytes += len(block)
                if n_bytes > left:
                    why = "makes it larger than this archive can honestly be"
                    raise _refused(name, member, why)
                out.write(block)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise _refused(name, member, "is in it twice") from error
    return n_bytes


def _safe(member: str, name: str) -> PurePosixPath:
    """Return the member's name as a path that stays inside."""
    path = PurePosixPath(member)
    # "\\" and ":" separate folders and drives on Windows.
    if path.is_absolute() or ".." in path.parts or set(member) & set("\\:\0"):
        raise _refused(name, member, "leads out of the folder")
    return path


def _refused(name: str, member: str, why: str) -> DatasetError:
    return DatasetError(
        f"{name} is refused: its member {member!r} {why}; nothing was unpacked; get the dataset "
        "from another source"
    )
