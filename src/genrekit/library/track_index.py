"""A precomputed index of every file of the library, for fast tables.

Whether a file's sources agree depends on its audio, album, artist, tags and folder, which takes
too long to compute for 100,000 files on every view. So it is stored in a table of the database.
Triggers record which files have changed, whoever changed them; ``refresh`` recomputes those, with
the rest of their albums and artists (``mates``).
"""

from __future__ import annotations

import enum
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence

from genrekit import labels
from genrekit.errors import LibraryError
from genrekit.library import database, query
from genrekit.library.agreement import Agreement, AgreementBuilder
from genrekit.library.keys import key
from genrekit.library.mates import Mates
from genrekit.library.query import UsedModel, Votes
from genrekit.prediction import is_undecided, not_music
from genrekit.tags import spelling

VERSION = 8  # of the rules below; a change recomputes every file
BATCH = 1000
_ROWS = """
    SELECT files.*, p.probabilities, p.duration_seconds, p.warnings,
        EXISTS (SELECT 1 FROM corrections AS c WHERE c.audio_id = files.audio_id) AS is_corrected
    FROM files LEFT JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    WHERE files.id IN (SELECT value FROM json_each(:ids)) ORDER BY files.id
"""
_SAVE = """
    INSERT OR REPLACE INTO track_index (file_id, label, probability, agreement, flags, path_key,
        artist_key, title_key, album_key, tag_key, duration_seconds)
    VALUES (:file_id, :label, :probability, :agreement, :flags, :path_key, :artist_key, :title_key,
        :album_key, :tag_key, :duration_seconds)
"""


class Flag(enum.IntFlag):
    """Properties of a file."""

    ANALYSED = enum.auto()
    FAILED = enum.auto()
    GONE = enum.auto()
    UNTAGGED = enum.auto()
    DISAGREES = enum.auto()
    CORRECTED = enum.auto()
    PLACEHOLDER = enum.auto()
    NOT_MUSIC = enum.auto()


def n_stale(connection: sqlite3.Connection) -> int:
    """Return how many files have changed since they were indexed."""
    return int(connection.execute("SELECT count(*) FROM track_index_stale").fetchone()[0])


def revision(connection: sqlite3.Connection) -> int:
    """Return a number that grows with every change of the index."""
    row = connection.execute("SELECT revision FROM track_index_state").fetchone()
    return int(row[0]) if row else 0


def refresh(connection: sqlite3.Connection, n_files: int = BATCH) -> int:
    """Index files that have changed.

    Args:
        connection: the library's database.
        n_files: the maximum number, not counting the rest of their albums and artists.

    Returns:
        How many are left.

    Raises:
        LibraryError: another process locks the database too long.
    """
    try:
        model = query.used_model(connection)
    except LibraryError:  # nothing was scanned yet
        return 0
    _note_another_model(connection, model)
    stale = "SELECT file_id FROM track_index_stale LIMIT ?"
    ids = [row[0] for row in connection.execute(stale, (n_files,))]
    if not ids:
        return 0
    with database.transaction(connection):
        mates = Mates(connection, model.id)
        every = mates.affected(ids)
        _derive(connection, model, mates, every)
        connection.executemany(
            "DELETE FROM track_index_stale WHERE file_id = ?", [(id,) for id in every]
        )
        note_change(connection)
    return n_stale(connection)


def refresh_all(connection: sqlite3.Connection) -> None:
    """Index every file that has changed."""
    while refresh(connection):
        pass


def note_change(connection: sqlite3.Connection) -> None:
    """Signal readers of the index to read it again."""
    connection.execute("UPDATE track_index_state SET revision = revision + 1")


def sources(connection: sqlite3.Connection, model: UsedModel, file_id: int) -> Agreement | None:
    """Return the agreement of one file's sources; None if it was not analysed."""
    rows = _read(connection, model, Mates(connection, model.id), [file_id])
    row = next((row for row in rows if row["id"] == file_id), None)
    if row is None or row["probabilities"] is None:
        return None
    return query.agreement_of(row, query.votes_of(rows), AgreementBuilder(model.labels))


def _note_another_model(connection: sqlite3.Connection, model: UsedModel) -> None:
    """Mark every file for indexing if another model, or another genrekit, did it last."""
    row = connection.execute("SELECT model_id, version FROM track_index_state").fetchone()
    if row and tuple(row) == (model.id, VERSION):
        return
    with database.transaction(connection):
        connection.execute("INSERT OR IGNORE INTO track_index_stale SELECT id FROM files")
        connection.execute(
            "INSERT INTO track_index_state VALUES (1, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET "
            "model_id = excluded.model_id, version = excluded.version, revision = revision + 1",
            (model.id, VERSION),
        )


def _derive(
    connection: sqlite3.Connection, model: UsedModel, mates: Mates, ids: Collection[int]
) -> None:
    """Index some files."""
    agreements = AgreementBuilder(model.labels)
    rows = _read(connection, model, mates, ids)
    found = query.votes_of(rows)
    derived = list(_derived([r for r in rows if r["id"] in ids], model, found, agreements))
    connection.executemany(_SAVE, derived)
    connection.executemany("INSERT OR REPLACE INTO track_words VALUES (:file_id, :words)", derived)


def _read(
    connection: sqlite3.Connection, model: UsedModel, mates: Mates, ids: Collection[int]
) -> list[sqlite3.Row]:
    """Return some files and what their sources follow from."""
    every = mates.needed(sorted(ids))
    return connection.execute(
        _ROWS, {"model": model.id, "ids": json.dumps(sorted(every))}
    ).fetchall()


def _derived(
    rows: Sequence[sqlite3.Row], model: UsedModel, votes: Votes, agreements: AgreementBuilder
) -> Iterator[dict[str, object]]:
    for row in rows:
        genres = json.loads(row["genres"])
        named = spelling.without_placeholders(genres)
        found, label, probability = None, None, None
        if row["probabilities"] is not None:
            vector = query.vector_of(row)
            found = query.agreement_of(row, votes, agreements)
            label = None if is_undecided(vector) else model.labels[int(vector.argmax())]
            probability = float(vector.max())
        shown = database.text(str(database.decode_path(row["path"])))
        yield {
            "file_id": row["id"],
            "label": label,
            "probability": probability,
            "agreement": _agreement(found, named),
            "flags": int(_flags(row, found, label) | _tag_flags(genres, named)),
            "path_key": key(shown),
            **{f"{name}_key": key(row[name]) for name in ("artist", "title", "album")},
            "tag_key": key("; ".join(genres)),
            "duration_seconds": row["duration_seconds"],
            "words": _words([shown, row["artist"], row["title"], row["album"], *genres]),
        }


def _words(parts: Sequence[str | None]) -> str:
    return "\n".join(key(part) for part in parts if part)


def _agreement(found: Agreement | None, named: Sequence[str]) -> str:
    if found is None:
        return "none"
    if found.disagrees:
        return "disagrees"
    return "agrees" if named else "untagged"


def _tag_flags(genres: Sequence[str], named: Sequence[str]) -> Flag:
    if not genres:
        return Flag.UNTAGGED
    return Flag(0) if named else Flag.PLACEHOLDER


def _is_not_music(row: sqlite3.Row, label: str | None) -> bool:
    if label is not None:
        return labels.is_not_music(label)
    return not_music(json.loads(row["warnings"] or "[]")) is not None


def _flags(row: sqlite3.Row, found: Agreement | None, label: str | None) -> Flag:
    conditions = {
        Flag.ANALYSED: found is not None,
        Flag.FAILED: row["error"] is not None,
        Flag.GONE: bool(row["is_missing"]),
        Flag.NOT_MUSIC: _is_not_music(row, label),
        Flag.DISAGREES: found is not None and found.disagrees,
        Flag.CORRECTED: bool(row["is_corrected"]),
    }
    held = Flag(0)
    for flag, holds in conditions.items():
        held |= flag if holds else Flag(0)
    return held
