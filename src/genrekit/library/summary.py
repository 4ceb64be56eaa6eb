"""Counts over a whole library."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from genrekit.library import query


@dataclass(frozen=True)
class Summary:
    """What is in a library.

    Files that are gone count in ``n_missing`` only. Genres are those that the model which was used
    last finds most probable.
    """

    n_files: int
    n_audio: int
    n_missing: int
    n_failed: int
    n_quarantined: int
    n_untagged: int
    n_heard_by_model: dict[str, int]
    n_files_by_genre: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def summarise(connection: sqlite3.Connection) -> Summary:
    """Count what is in a library.

    Raises:
        LibraryError: nothing was scanned yet.
    """
    used = query.used_model(connection)
    counts = connection.execute(
        "SELECT sum(NOT is_missing) AS n_files, sum(is_missing) AS n_missing, "
        "count(DISTINCT CASE WHEN NOT is_missing THEN audio_id END) AS n_audio, "
        "sum(NOT is_missing AND error IS NOT NULL) AS n_failed, "
        "sum(NOT is_missing AND is_quarantined) AS n_quarantined, "
        "sum(NOT is_missing AND genres = '[]') AS n_untagged FROM files"
    ).fetchone()
    heard = connection.execute(
        "SELECT name || ' ' || version || ' (' || substr(sha256, 1, 12) || ')', count(*) "
        "FROM models JOIN predictions ON model_id = models.id JOIN files USING (audio_id) "
        "WHERE NOT is_missing GROUP BY models.id ORDER BY last_scan_ns DESC"
    )
    genres = Counter(
        entry.label for entry in query.entries(connection, used, query.Filters()) if entry.label
    )
    return Summary(
        **{name: counts[name] or 0 for name in counts.keys()},  # noqa: SIM118 - a Row is no dict
        n_heard_by_model=dict(heard.fetchall()),
        n_files_by_genre=dict(genres.most_common()),
    )
