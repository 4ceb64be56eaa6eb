"""The database queries of a scan."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING

from genrekit.library import database
from genrekit.library.walk import Found

if TYPE_CHECKING:
    from pathlib import Path

    from genrekit.library.analysis import Analysis, Identity
    from genrekit.models.registry import ModelFolder

# Not known; not as it was; failed before and tried again; known, but without a prediction.
STATES = ("new", "changed", "retried", "known")
_WALKED = """
    CREATE TEMP TABLE IF NOT EXISTS walked (
        path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
    ) WITHOUT ROWID
"""
_IS_OLD = "f.size_bytes = w.size_bytes AND f.mtime_ns = w.mtime_ns"
_STATE = f"""
    CASE WHEN f.id IS NULL THEN 'new'
         WHEN NOT ({_IS_OLD}) THEN 'changed'
         WHEN f.error IS NOT NULL THEN 'retried'
         ELSE 'known' END
"""
_PENDING = f"""
    FROM walked AS w
    LEFT JOIN files AS f ON f.path = w.path
    LEFT JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = :model
    WHERE (f.id IS NULL OR NOT ({_IS_OLD})
        OR CASE WHEN f.error IS NULL THEN p.audio_id IS NULL ELSE :retry END)
"""
_IDENTIFY = """
    INSERT INTO files (path, size_bytes, mtime_ns, audio_id, error, is_quarantined, is_missing,
        genres, artist, album_artist, album, title)
    VALUES (:path, :size_bytes, :mtime_ns, (SELECT id FROM audio WHERE digest = :digest), :error,
        :is_quarantined, 0, :genres, :artist, :album_artist, :album, :title)
    ON CONFLICT (path) DO UPDATE SET size_bytes = excluded.size_bytes,
        mtime_ns = excluded.mtime_ns, audio_id = excluded.audio_id, error = excluded.error,
        is_quarantined = excluded.is_quarantined, is_missing = 0, genres = excluded.genres,
        artist = excluded.artist, album_artist = excluded.album_artist, album = excluded.album,
        title = excluded.title
"""
_SEPARATOR = os.fsencode(os.sep)
_BELOW = "path >= :first AND path < :behind"


@dataclass(frozen=True)
class PendingFile:
    """A file that a scan has to process, and its state."""

    file: Found
    state: str


def save_model(connection: sqlite3.Connection, folder: ModelFolder) -> int:
    """Save a model as the last one used; return its id."""
    card = folder.card
    about = (card.onnx_sha256, card.name, card.version, json.dumps(card.labels))
    row = connection.execute(
        "INSERT INTO models (sha256, name, version, labels, path, last_scan_ns) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, "
        "version = excluded.version, path = excluded.path, last_scan_ns = excluded.last_scan_ns "
        "RETURNING id",
        (*about, database.encode_path(folder.path), time.time_ns()),
    ).fetchone()
    return int(row["id"])


def model_id(connection: sqlite3.Connection, sha256: str) -> int:
    """Return the id of a model, 0 if no scan has used it."""
    row = connection.execute("SELECT id FROM models WHERE sha256 = ?", (sha256,)).fetchone()
    return int(row["id"]) if row else 0


def start_walk(connection: sqlite3.Connection) -> None:
    """Begin a list of existing files; it lasts as long as the connection."""
    connection.execute(_WALKED)
    connection.execute("DELETE FROM walked")


def add_walked(connection: sqlite3.Connection, files: Iterable[Found]) -> int:
    """Add to the list of existing files; return how many were added."""
    rows = ((file.path, file.size_bytes, file.mtime_ns) for file in files)
    query = "INSERT OR IGNORE INTO walked VALUES (?, ?, ?)"
    with database.transaction(connection):
        return connection.executemany(query, rows).rowcount


def count_pending(connection: sqlite3.Connection, model: int, *, retry: bool) -> dict[str, int]:
    """Return how many files a scan has to process, by their state; see PendingFile."""
    query = f"SELECT {_STATE} AS state, count(*) {_PENDING} GROUP BY state"
    return {row[0]: row[1] for row in connection.execute(query, {"model": model, "retry": retry})}


def pending(
    connection: sqlite3.Connection, model: int, *, retry: bool, n_files: int
) -> Iterator[list[PendingFile]]:
    """Yield existing files without a prediction of the model, sorted by path.

    Args:
        connection: the database; commits in between do not matter.
        model: the model's id.
        retry: also files that failed before and have not changed.
        n_files: how many at a time.
    """
    query = (
        f"SELECT w.path, w.size_bytes, w.mtime_ns, {_STATE} AS state {_PENDING} "
        "AND w.path > :after ORDER BY w.path LIMIT :limit"
    )
    values = {"model": model, "retry": retry, "after": b"", "limit": n_files}
    while rows := connection.execute(query, values).fetchall():
        yield [PendingFile(Found(*row[:3]), row["state"]) for row in rows]
        values["after"] = rows[-1]["path"]


def count_walked(connection: sqlite3.Connection, folder: bytes) -> int:
    """Return how many files the walk found below a folder."""
    query = f"SELECT count(*) FROM walked WHERE {_BELOW}"  # noqa: S608
    return int(connection.execute(query, below(folder)).fetchone()[0])


def count_known(connection: sqlite3.Connection, folder: bytes) -> int:
    """Return how many files below a folder are known and not marked as missing."""
    query = f"SELECT count(*) FROM files WHERE {_BELOW} AND NOT is_missing"  # noqa: S608
    return int(connection.execute(query, below(folder)).fetchone()[0])


def absent(connection: sqlite3.Connection, folder: bytes) -> list[bytes]:
    """Return the known, unmarked files below a folder that the walk did not find."""
    query = (
        f"SELECT path FROM files WHERE {_BELOW} AND NOT is_missing "  # noqa: S608
        "AND path NOT IN (SELECT path FROM walked)"
    )
    return [row["path"] for row in connection.execute(query, below(folder))]


def mark_missing(connection: sqlite3.Connection, absent: Sequence[bytes]) -> None:
    """Mark files as missing, and those that have reappeared as present."""
    with database.transaction(connection):
        connection.executemany(
            "UPDATE files SET is_missing = 1 WHERE path = ?", [(path,) for path in absent]
        )
        connection.execute(
            "UPDATE files SET is_missing = 0 WHERE is_missing AND path IN (SELECT path FROM walked)"
        )


def delete_moved(connection: sqlite3.Connection, absent: Sequence[bytes]) -> int:
    """Delete absent files whose audio has since been found at a new path; return how many."""
    with database.transaction(connection):
        return connection.executemany(
            "DELETE FROM files WHERE path = ? AND is_missing AND EXISTS (SELECT 1 FROM files AS f "
            "WHERE f.audio_id = files.audio_id AND NOT f.is_missing AND f.id > files.id)",
            [(path,) for path in absent],
        ).rowcount


def save_identity(connection: sqlite3.Connection, identity: Identity) -> None:
    """Save the audio of a file, and its tags."""
    connection.execute("INSERT OR IGNORE INTO audio (digest) VALUES (?)", (identity.digest,))
    found = {name: getattr(identity.tags, name) for name in database.TAGS}
    tags = {name: value and database.text(value) for name, value in found.items()}
    found = {"digest": identity.digest, "genres": json.dumps(identity.tags.genres)}
    connection.execute(_IDENTIFY, _columns(identity.file) | tags | found)


def save_genres(
    connection: sqlite3.Connection, path: Path, status: os.stat_result, genres: Sequence[str]
) -> None:
    """Save the genres, size and modification time of a known file after its tags were written.

    The same is saved for links to it. Its audio is unchanged.
    """
    same_audio = (
        "SELECT path FROM files WHERE path = :path OR audio_id = (SELECT audio_id FROM files "
        "WHERE path = :path)"
    )
    for row in connection.execute(same_audio, {"path": database.encode_path(path)}).fetchall():
        if _leads_to(row["path"], status):
            connection.execute(
                "UPDATE files SET size_bytes = ?, mtime_ns = ?, genres = ? WHERE path = ?",
                (status.st_size, status.st_mtime_ns, json.dumps(genres), row["path"]),
            )


def _leads_to(path: bytes, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)  # noqa: PTH116 - bytes are no Path
    except OSError:  # it is gone
        return False


def save_file_error(
    connection: sqlite3.Connection, file: Found, error: str, is_quarantined: bool
) -> None:
    """Save why a file's audio cannot be found."""
    columns = _columns(file) | {"error": database.text(error), "is_quarantined": is_quarantined}
    connection.execute(_IDENTIFY, columns)


def without_prediction(
    connection: sqlite3.Connection, model: int, paths: Sequence[bytes]
) -> dict[int, int]:
    """Return audio_id -> position in paths, once each, for audio that a model has to analyse."""
    found: dict[int, int] = {}
    for position, path in enumerate(paths):
        row = connection.execute(
            "SELECT audio_id FROM files WHERE path = ? AND error IS NULL AND NOT EXISTS (SELECT 1 "
            "FROM predictions AS p WHERE p.audio_id = files.audio_id AND p.model_id = ?)",
            (path, model),
        ).fetchone()
        if row:
            found.setdefault(row["audio_id"], position)
    return found


def save_prediction(connection: sqlite3.Connection, model: int, analysis: Analysis) -> None:
    """Save a model's prediction for audio."""
    audio, *values, warnings = astuple(analysis)
    connection.execute(
        "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?, ?)",
        (audio, model, *values, json.dumps(warnings)),
    )


def save_audio_error(
    connection: sqlite3.Connection, audio: int | None, error: str, is_quarantined: bool
) -> list[bytes]:
    """Save why audio cannot be analysed, for every file with it; return their paths."""
    rows = connection.execute(
        "UPDATE files SET error = ?, is_quarantined = ? WHERE audio_id = ? RETURNING path",
        (database.text(error), is_quarantined, audio),
    )
    return [row["path"] for row in rows.fetchall()]


def below(folder: bytes) -> dict[str, bytes]:
    """Return the range of paths below a folder, for a query with :first and :behind."""
    first = folder.rstrip(_SEPARATOR) + _SEPARATOR
    return {"first": first, "behind": first[:-1] + bytes([first[-1] + 1])}


def _columns(file: Found) -> dict[str, object]:
    nothing = dict.fromkeys(("digest", "error", *database.TAGS))
    return asdict(file) | nothing | {"genres": "[]", "is_quarantined": False}
