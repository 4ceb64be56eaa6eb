"""Which files a batch job processes, and how a worker reads one of them.

A source is a local path, a URL of fsspec, or a member of a tar archive, local or remote.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from genrekit.batch import parts
from genrekit.batch.storage import file_system, is_remote, open_file, with_retries
from genrekit.errors import AudioError, BatchError
from genrekit.files import AUDIO_SUFFIXES, expand

COLUMN = "path"
MAX_FETCH_BYTES = 4 << 30  # a fetched file is on the worker's disk meanwhile
_CHUNK_BYTES = 1 << 20
_FETCHED = "genrekit-fetched"


@dataclass(frozen=True)
class BatchSource:
    """One audio file.

    Attributes:
        location: a path or URL; of an archive, where member is given.
        member: the file's name in a tar archive.
        offset: where the member's bytes begin in the archive.
        size: how many they are.
    """

    location: str
    member: str | None = None
    offset: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """What the output calls it."""
        return self.location if self.member is None else f"{self.location}/{self.member}"

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return PurePosixPath(self.member or self.location).suffix


def list_sources(arguments: Sequence[str]) -> list[BatchSource]:
    """Turn what a user named into sources, in the order named, each once.

    Args:
        arguments: audio files, folders, patterns, lists (.txt, a path or URL a line; - for standard
            input), manifests (.csv or .parquet with a column "path") or tar archives, each of them
            local or a URL. Names in a list or manifest are relative to its folder.

    Raises:
        BatchError: one of them cannot be read, or a manifest has no such column.
    """
    return list(dict.fromkeys(source for argument in arguments for source in _list(argument)))


def _list(argument: str) -> Iterable[BatchSource]:  # noqa: PLR0911 - one a kind
    suffix = PurePosixPath(argument).suffix.lower()
    if argument == "-":
        return _named(lines(sys.stdin.buffer.read()), "")
    if suffix == ".txt":
        return _named(lines(_read(argument)), _folder(argument))
    if suffix == ".csv":
        return _named(_csv_column(argument), _folder(argument))
    if suffix in (".parquet", ".pq"):
        return _named(_parquet_column(argument), _folder(argument))
    if suffix == ".tar":
        return list(_members(argument))
    if is_remote(argument):
        return _remote(argument)
    return [BatchSource(os.fspath(path)) for path in expand([argument])]


def _named(names: Iterable[str], folder: str) -> Iterator[BatchSource]:
    for name in names:
        is_whole = is_remote(name) or Path(name).is_absolute() or not folder
        yield BatchSource(name if is_whole else f"{folder}/{name}")


def _folder(name: str) -> str:
    return name.rpartition("/")[0] if is_remote(name) else str(Path(name).parent)


def lines(data: bytes) -> list[str]:
    """Return the paths in a list: one a line, or separated by NUL as ``find -print0`` does."""
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(name) for name in names if name.strip()]


def _read(name: str) -> bytes:
    with open_file(name) as stream:
        return stream.read()


def _csv_column(name: str) -> list[str]:
    text = io.StringIO(_read(name).decode("utf-8-sig", "surrogateescape"), newline="")
    rows = csv.DictReader(text)
    _check_column(name, rows.fieldnames or [])
    return [row[COLUMN] for row in rows if row[COLUMN]]


def _parquet_column(name: str) -> list[str]:
    parts.check_parquet()
    import pyarrow
    from pyarrow import parquet

    with open_file(name) as stream:
        try:
            file = parquet.ParquetFile(stream)
            _check_column(name, file.schema_arrow.names)
            column = file.read(columns=[COLUMN]).column(COLUMN).to_pylist()
        except pyarrow.ArrowException as error:
            raise BatchError(f"{name} is no readable Parquet file ({error})") from error
    return [path for path in column if path]


def _check_column(name: str, columns: Sequence[str]) -> None:
    if COLUMN not in columns:
        there = ", ".join(repr(column) for column in columns) or "none"
        raise BatchError(f"{name} has no column {COLUMN!r}; its columns are: {there}")


def _members(name: str) -> Iterator[BatchSource]:
    """Give the audio files in a tar archive, read from its headers alone."""
    with open_file(name) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for member in archive:
                    if member.isfile() and _is_audio(member.name):
                        yield BatchSource(name, member.name, member.offset_data, member.size)
        except tarfile.TarError as error:
            raise BatchError(f"{name} is no readable tar archive ({error})") from error


def _is_audio(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES


def _remote(url: str) -> list[BatchSource]:
    """Give the audio files below a URL, those that it matches, or the file that it is."""
    system, path = file_system(url)
    scheme = url.partition("://")[0]
    is_pattern = any(character in path for character in "*[")
    if not is_pattern and _is_audio(path):
        return [BatchSource(url)]
    found = with_retries(url, lambda: (system.glob if is_pattern else system.find)(path))
    names = sorted(filter(_is_audio, found))
    if not names:
        raise BatchError(
            f"{url} holds no audio files; name a folder, a list or an archive that does"
        )
    return [BatchSource(name if is_remote(name) else f"{scheme}://{name}") for name in names]


@contextmanager
def local_copy(source: BatchSource) -> Iterator[Path]:
    """Give a source as a file of this machine; a remote one is fetched and deleted in the end.

    Raises:
        BatchError: it cannot be fetched, or is larger than MAX_FETCH_BYTES.
        OSError: the disk is full.
    """
    if source.member is None and not is_remote(source.location):
        yield Path(source.location)
        return
    handle, name = tempfile.mkstemp(prefix=f"{_FETCHED}-{os.getpid()}-", suffix=source.suffix)
    try:
        with os.fdopen(handle, "wb") as target:
            with_retries(source.name, lambda: _fetch(source, target))
        yield Path(name)
    except AudioError as error:  # it names the copy, not the source
        raise AudioError(str(error).replace(name, source.name)) from error
    finally:
        Path(name).unlink()


def _fetch(source: BatchSource, target: IO[bytes]) -> None:
    target.seek(0)
    target.truncate()
    if source.size > MAX_FETCH_BYTES:
        raise _too_large(source)
    with open_file(source.location) as stream:
        if source.member is None:
            while chunk := stream.read(_CHUNK_BYTES):
                target.write(chunk)
                if target.tell() > MAX_FETCH_BYTES:
                    raise _too_large(source)
            return
        stream.seek(source.offset)
        missing = source.size
        while missing and (chunk := stream.read(min(missing, _CHUNK_BYTES))):
            target.write(chunk)
            missing -= len(chunk)
        if missing:
            raise BatchError(f"{source.name}: the archive ends {missing} bytes early")


def _too_large(source: BatchSource) -> BatchError:
    return BatchError(
        f"{source.name}: is larger than {MAX_FETCH_BYTES >> 30} GiB, the most that is fetched"
    )


def delete_abandoned() -> None:
    """Delete what workers that were killed had fetched on this machine."""
    for path in Path(tempfile.gettempdir()).glob(f"{_FETCHED}-*-*"):
        owner = path.name.removeprefix(f"{_FETCHED}-").partition("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            with suppress(OSError):
                path.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
