"""Corrections of the genres of recordings by people: labels to train on, kept with the audio.

A correction belongs to the audio, not to a path: a file that is moved, renamed or retagged keeps
it, and copies share it. No tag is written.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from genrekit import labels
from genrekit.errors import LibraryError
from genrekit.library import database

MAX_GENRES = 10
MAX_CHARACTERS = 100


@dataclass(frozen=True)
class Correction:
    """A recording's genres by a person, its files, and the time of the correction (UTC)."""

    audio_id: int
    paths: tuple[Path, ...]
    genres: tuple[str, ...]
    corrected: str

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "paths": [str(path) for path in self.paths],
            "genres": list(self.genres),
            "corrected": self.corrected,
        }


def audio_of(connection: sqlite3.Connection, path: str | os.PathLike[str]) -> int:
    """Return the id of the audio of a file in the library.

    Raises:
        LibraryError: no scan has seen the file, or its audio cannot be read.
    """
    query = "SELECT audio_id FROM files WHERE path = ?"
    row = connection.execute(query, (database.encode_path(path),)).fetchone()
    if row is None:
        raise LibraryError(
            f"{os.fspath(path)}: this file has not been scanned; run `genrekit library scan` on it "
            "first"
        )
    if row["audio_id"] is None:
        raise LibraryError(
            f"{os.fspath(path)}: its audio cannot be read, so no genre can be kept with it"
        )
    return int(row["audio_id"])


def correct(
    connection: sqlite3.Connection, audio_id: int, genres: Sequence[str]
) -> tuple[str, ...]:
    """Save the genres of a recording by a person, in place of an earlier correction.

    Args:
        connection: the library's database.
        audio_id: the recording, as ``audio_of`` returns it.
        genres: their names, one or several.

    Returns:
        The names as saved: stripped and without duplicates.

    Raises:
        LibraryError: no name, too many, one too long or without letters; no such recording.
    """
    kept = _cleaned(genres)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with database.transaction(connection):
        if not connection.execute("SELECT 1 FROM audio WHERE id = ?", (audio_id,)).fetchone():
            raise LibraryError("this recording is not in the library; scan it first")
        connection.execute(
            "INSERT INTO corrections VALUES (?, ?, ?) ON CONFLICT (audio_id) DO UPDATE SET "
            "genres = excluded.genres, corrected = excluded.corrected",
            (audio_id, json.dumps(kept, ensure_ascii=False), now),
        )
    return kept


def remove(connection: sqlite3.Connection, audio_id: int) -> bool:
    """Remove the correction of a recording; return whether there was one."""
    query = "DELETE FROM corrections WHERE audio_id = ?"
    return connection.execute(query, (audio_id,)).rowcount > 0


def find(connection: sqlite3.Connection, audio_id: int) -> tuple[str, ...] | None:
    """Return the corrected genres of a recording, None without a correction."""
    query = "SELECT genres FROM corrections WHERE audio_id = ?"
    row = connection.execute(query, (audio_id,)).fetchone()
    return tuple(json.loads(row["genres"])) if row else None


def corrections(connection: sqlite3.Connection) -> list[Correction]:
    """Return every correction, newest first; ``paths`` is empty if no file is left."""
    query = (
        "SELECT audio_id, corrections.genres, corrected, files.path FROM corrections "
        "LEFT JOIN files USING (audio_id) ORDER BY corrected DESC, audio_id DESC, files.path"
    )
    found: dict[int, Correction] = {}
    for row in connection.execute(query):
        before = found.get(row["audio_id"])
        paths = before.paths if before else ()
        if row["path"] is not None:
            paths = (*paths, database.decode_path(row["path"]))
        genres = tuple(json.loads(row["genres"]))
        found[row["audio_id"]] = Correction(row["audio_id"], paths, genres, row["corrected"])
    return list(found.values())


def _cleaned(genres: Sequence[str]) -> tuple[str, ...]:
    kept: dict[str, str] = {}
    for genre in genres:
        name = " ".join(labels.composed(genre).split())
        if not labels.spelling(name) or not name.isprintable() or len(name) > MAX_CHARACTERS:
            raise LibraryError(
                f"{genre!r} is not a genre name; give 1 to {MAX_CHARACTERS} printable characters "
                "with at least one letter or digit"
            )
        kept.setdefault(labels.spelling(name), name)
    if not 0 < len(kept) <= MAX_GENRES:
        raise LibraryError(f"got {len(kept)} genres; expected 1 to {MAX_GENRES}")
    return tuple(kept.values())
