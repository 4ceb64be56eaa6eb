"""Counts over a library, and the copies in it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrekit.library import database, query


@dataclass(frozen=True)
class Summary:
    """The contents of a library.

    Missing files count only in ``n_missing``. Genres are the most probable ones by the model used
    last.
    """

    n_files: int
    n_audio: int
    n_missing: int
    n_failed: int
    n_quarantined: int
    n_untagged: int
    n_analysed_by_model: dict[str, int]
    n_files_by_genre: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def summarise(connection: sqlite3.Connection) -> Summary:
    """Count the contents of a library.

    Raises:
        LibraryError: nothing has been scanned yet.
    """
    used = query.used_model(connection)
    counts = connection.execute(
        "SELECT sum(NOT is_missing) AS n_files, sum(is_missing) AS n_missing, "
        "count(DISTINCT CASE WHEN NOT is_missing THEN audio_id END) AS n_audio, "
        "sum(NOT is_missing AND error IS NOT NULL) AS n_failed, "
        "sum(NOT is_missing AND is_quarantined) AS n_quarantined, "
        "sum(NOT is_missing AND genres = '[]') AS n_untagged FROM files"
    ).fetchone()
    analysed = connection.execute(
        "SELECT name || ' ' || version || ' (' || substr(sha256, 1, 12) || ')', count(*) "
        "FROM models JOIN predictions ON model_id = models.id JOIN files USING (audio_id) "
        "WHERE NOT is_missing GROUP BY models.id ORDER BY last_scan_ns DESC"
    )
    genres = Counter(
        entry.label for entry in query.entries(connection, used, query.Filters()) if entry.label
    )
    return Summary(
        **{name: counts[name] or 0 for name in counts.keys()},  # noqa: SIM118 - a Row is no dict
        n_analysed_by_model=dict(analysed.fetchall()),
        n_files_by_genre=dict(genres.most_common()),
    )


def duplicates(connection: sqlite3.Connection) -> Iterator[dict[Path, int]]:
    """Yield the files of each audio that has several, sorted by path, with their sizes.

    A file with several names, by links of any kind, is yielded once, under its first name.
    """
    held = "FROM files WHERE NOT is_missing AND audio_id"
    audio = f"SELECT audio_id {held} NOT NULL GROUP BY audio_id HAVING count(*) > 1"
    for group in connection.execute(f"{audio} ORDER BY min(path)").fetchall():
        query = f"SELECT path, size_bytes {held} = ? ORDER BY path"
        found: dict[object, tuple[Path, int]] = {}
        for row in connection.execute(query, (group["audio_id"],)):
            path = database.decode_path(row["path"])
            found.setdefault(_identity(path), (path, row["size_bytes"]))
        if len(found) > 1:
            yield dict(found.values())


def _identity(path: Path) -> object:
    """Return a key that all names of one file share."""
    try:
        status = path.stat()
    except OSError:  # its drive is not mounted
        return path
    return status.st_dev, status.st_ino
