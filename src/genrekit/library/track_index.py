"""What a table of the whole library shows of each file, kept ready so that it is quick.

Whether a file's sources agree follows from its audio, its album, its tags and its folder, which
takes too long to find out for 100,000 files at each look. So it is kept in a table of the database.
Triggers note which files have changed, whoever changed them; ``refresh`` derives those anew, with
the rest of their albums.
"""

from __future__ import annotations

import enum
import json
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence

from genrekit import labels
from genrekit.errors import LibraryError
from genrekit.library import database, query
from genrekit.library.agreement import Agreement, AgreementBuilder, Albums
from genrekit.library.query import UsedModel
from genrekit.tags import spelling

VERSION = 5  # of the rules below: another one derives every file anew
BATCH = 1000
LAST = "\U0010ffff"  # sorts what has no artist, title, ... behind all that has
_ROWS = """
    SELECT files.*, p.probabilities, p.duration_seconds,
        EXISTS (SELECT 1 FROM corrections AS c WHERE c.audio_id = files.audio_id) AS is_corrected
    FROM files LEFT JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    WHERE files.id IN (SELECT value FROM json_each(:ids))
"""
_ALBUMS = """
    SELECT DISTINCT album FROM files
    WHERE album IS NOT NULL AND id IN (SELECT value FROM json_each(:ids))
"""
_ON_ALBUMS = """
    SELECT id FROM files WHERE album IN (SELECT value FROM json_each(:albums))
    UNION SELECT file_id FROM track_index
    WHERE album_key IN (SELECT value FROM json_each(:keys))
"""
_SAVE = """
    INSERT OR REPLACE INTO track_index (file_id, label, probability, agreement, flags, path_key,
        artist_key, title_key, album_key, tag_key, duration_seconds)
    VALUES (:file_id, :label, :probability, :agreement, :flags, :path_key, :artist_key, :title_key,
        :album_key, :tag_key, :duration_seconds)
"""


class Flag(enum.IntFlag):
    """What holds of a file."""

    ANALYSED = enum.auto()
    FAILED = enum.auto()
    GONE = enum.auto()
    UNTAGGED = enum.auto()
    DISAGREES = enum.auto()
    CORRECTED = enum.auto()
    PLACEHOLDER = enum.auto()
    NOT_MUSIC = enum.auto()


def n_stale(connection: sqlite3.Connection) -> int:
    """Return how many files have changed since they were derived."""
    return int(connection.execute("SELECT count(*) FROM track_index_stale").fetchone()[0])


def revision(connection: sqlite3.Connection) -> int:
    """Return a number that grows with every change of the index."""
    row = connection.execute("SELECT revision FROM track_index_state").fetchone()
    return int(row[0]) if row else 0


def refresh(connection: sqlite3.Connection, n_files: int = BATCH) -> int:
    """Derive files that have changed.

    Args:
        connection: the library's database.
        n_files: how many at most, but for those of their albums.

    Returns:
        How many are left.

    Raises:
        LibraryError: another process holds the database too long.
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
        ids = _with_albums(connection, ids)
        _derive(connection, model, ids)
        connection.executemany(
            "DELETE FROM track_index_stale WHERE file_id = ?", [(id,) for id in ids]
        )
        note_change(connection)
    return n_stale(connection)


def refresh_all(connection: sqlite3.Connection) -> None:
    """Derive every file that has changed."""
    while refresh(connection):
        pass


def note_change(connection: sqlite3.Connection) -> None:
    """Let those who keep what the index gave read it again."""
    connection.execute("UPDATE track_index_state SET revision = revision + 1")


def sources(connection: sqlite3.Connection, model: UsedModel, file_id: int) -> Agreement | None:
    """Return what the sources of one file name; None where it was not analysed."""
    values = {"model": model.id, "ids": json.dumps(_with_albums(connection, [file_id]))}
    rows = connection.execute(_ROWS, values).fetchall()
    row = next((row for row in rows if row["id"] == file_id), None)
    if row is None or row["probabilities"] is None:
        return None
    return query.agreement_of(row, query.albums_of(rows), AgreementBuilder(model.labels))


def key(value: str | None) -> str:
    """Return what text is sorted and found by: without case, with composed letters."""
    return unicodedata.normalize("NFC", database.text(value)).casefold() if value else LAST


def _note_another_model(connection: sqlite3.Connection, model: UsedModel) -> None:
    """Let every file be derived anew where another model, or another genrekit, did so before."""
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


def _with_albums(connection: sqlite3.Connection, ids: Sequence[int]) -> list[int]:
    """Add the other files of the albums, in any spelling: their mean is another one now."""
    albums = [row[0] for row in connection.execute(_ALBUMS, {"ids": json.dumps(ids)})]
    values = {
        "albums": json.dumps(albums),
        "keys": json.dumps([key(album) for album in albums if album]),
    }
    return sorted({*ids, *(row[0] for row in connection.execute(_ON_ALBUMS, values))})


def _derive(connection: sqlite3.Connection, model: UsedModel, ids: Sequence[int]) -> None:
    """Derive some files, among them all of their albums."""
    agreements = AgreementBuilder(model.labels)
    values = {"model": model.id, "ids": json.dumps(ids)}
    rows = connection.execute(_ROWS, values).fetchall()
    means = query.albums_of(rows)
    derived = list(_derived(rows, model, means, agreements))
    connection.executemany(_SAVE, derived)
    connection.executemany("INSERT OR REPLACE INTO track_words VALUES (:file_id, :words)", derived)


def _derived(
    rows: Sequence[sqlite3.Row], model: UsedModel, means: Albums, agreements: AgreementBuilder
) -> Iterator[dict[str, object]]:
    for row in rows:
        genres = json.loads(row["genres"])
        named = spelling.without_placeholders(genres)
        found, label, probability = None, None, None
        if row["probabilities"] is not None:
            vector = query.vector_of(row)
            found = query.agreement_of(row, means, agreements)
            is_silent = vector.min() == vector.max()
            label = None if is_silent else model.labels[int(vector.argmax())]
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


def _flags(row: sqlite3.Row, found: Agreement | None, label: str | None) -> Flag:
    conditions = {
        Flag.ANALYSED: found is not None,
        Flag.FAILED: row["error"] is not None,
        Flag.GONE: bool(row["is_missing"]),
        Flag.NOT_MUSIC: label is not None and labels.is_not_music(label),
        Flag.DISAGREES: found is not None and found.disagrees,
        Flag.CORRECTED: bool(row["is_corrected"]),
    }
    held = Flag(0)
    for flag, holds in conditions.items():
        held |= flag if holds else Flag(0)
    return held
