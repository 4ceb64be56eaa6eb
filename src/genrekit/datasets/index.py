"""SHA-256 of a dataset's files, cached while size and time of change stay."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from genrekit import files
from genrekit.errors import DatasetError
from genrekit.workers import n_cores

Entry = tuple[int, int, str]


def hashes(
    paths: Iterable[Path],
    jobs: int | None = None,
    advance: Callable[[], object] = lambda: None,
    folder: Path | None = None,
) -> dict[Path, str]:
    """Return the SHA-256 of each file.

    What was computed is kept in the user's cache folder, keyed by path, size and time of change.
    Where that folder cannot be written, everything is computed again the next time.

    Args:
        paths: the files.
        jobs: number of threads; None means one for each core.
        advance: called once for every file.
        folder: the cache; None means genrekit's in the user's cache folder.

    Returns:
        Path -> lower-case hexadecimal SHA-256.

    Raises:
        DatasetError: a file is gone or cannot be read.
    """
    import platformdirs

    unique = list(dict.fromkeys(paths))
    home = Path(platformdirs.user_cache_dir("genrekit", appauthor=False))
    cache = _cache_file(unique, folder or home / "sha256")
    known = _load(cache)

    def entry(path: Path) -> Entry:
        found = _entry(path, known.get(_key(path)))
        advance()
        return found

    with ThreadPoolExecutor(jobs or n_cores()) as pool:
        entries = dict(zip(unique, pool.map(entry, unique), strict=True))
    if any(known.get(_key(path)) != its for path, its in entries.items()):
        _save(cache, {_key(path): its for path, its in entries.items()})
    return {path: digest for path, (_, _, digest) in entries.items()}


def _entry(path: Path, known: Entry | None) -> Entry:
    try:
        status = path.stat()
        if known and known[:2] == (status.st_size, status.st_mtime_ns):
            return known
        return status.st_size, status.st_mtime_ns, files.sha256(path)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}; restore or remove it"
        ) from error


def _cache_file(paths: list[Path], folder: Path) -> Path:
    """The file that caches this set of files: one for each folder that holds them all."""
    common = os.path.commonpath([_key(path) for path in paths]) if paths else ""
    return folder / f"{hashlib.sha256(os.fsencode(common)).hexdigest()[:16]}.json"


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, absolute() keeps ".."


def _load(cache: Path) -> dict[str, Entry]:
    try:
        content = json.loads(cache.read_bytes())
        return {key: (int(size), int(time), str(sha)) for key, (size, time, sha) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # missing or damaged: only a cache: everything can be computed again


def _save(cache: Path, entries: dict[str, Entry]) -> None:
    with suppress(OSError), files.write_beside(cache, "w") as stream:
        json.dump(entries, stream)
