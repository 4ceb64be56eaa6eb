"""Which files' sources follow from which others': those of one album, and those of one artist.

A change of a file changes the mean of its album for all files of that. It changes the vote of its
artist only where it is, or was, among the recordings that vote: so an artist with thousands of
tracks costs no more than the first hundred of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from genrekit.library import keys
from genrekit.library.artists import MAX_VOTERS

_ALBUMS = """
    SELECT DISTINCT album FROM files
    WHERE album IS NOT NULL AND id IN (SELECT value FROM json_each(:ids))
"""
_ON_ALBUMS = """
    SELECT id FROM files WHERE album IN (SELECT value FROM json_each(:albums))
    UNION SELECT file_id FROM track_index
    WHERE album_key IN (SELECT value FROM json_each(:keys))
"""
_NAMED = """
    SELECT f.id, f.artist, i.artist_key FROM files AS f
    LEFT JOIN track_index AS i ON i.file_id = f.id
    WHERE f.id IN (SELECT value FROM json_each(:ids))
"""
_BY_ARTISTS = """
    SELECT f.id, f.artist, NOT f.is_missing AS is_here, p.audio_id
    FROM files AS f
    LEFT JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = :model
    WHERE f.id IN (
        SELECT id FROM files WHERE artist IN (SELECT value FROM json_each(:names))
        UNION SELECT file_id FROM track_index
        WHERE artist_key IN (SELECT value FROM json_each(:keys))
    )
    ORDER BY f.id
"""


@dataclass
class _ArtistFiles:
    """An artist's files, and which of them holds each recording that votes."""

    ids: list[int] = field(default_factory=list)
    voters: dict[int, int] = field(default_factory=dict)

    def has_voted(self, file_id: int) -> bool:
        """Whether a file votes, or did before its last change.

        What comes after the last voter never did: a voter that left has let a later one in.
        """
        return len(self.voters) < MAX_VOTERS or file_id <= max(self.voters.values())


def affected(connection: sqlite3.Connection, model_id: int, ids: Sequence[int]) -> set[int]:
    """Return the files whose sources change with some files: those, their albums' and artists'."""
    found = _with_albums(connection, ids)
    rows = connection.execute(_NAMED, {"ids": json.dumps(ids)}).fetchall()
    named = [(row["id"], _artists_of(row)) for row in rows]
    names = {row["artist"] for row in rows}
    artists = _artists(connection, model_id, names, set().union(*(its for _, its in named)))
    for file_id, its in named:
        for artist in its:
            if artists[artist].has_voted(file_id):
                found.update(artists[artist].ids)
    return found


def needed(connection: sqlite3.Connection, model_id: int, ids: Sequence[int]) -> set[int]:
    """Return the files that the sources of some files follow from, those among them."""
    rows = connection.execute(_NAMED, {"ids": json.dumps(ids)}).fetchall()
    names = {row["artist"] for row in rows}
    wanted = {artist for artist in map(keys.artist, names) if artist}
    artists = _artists(connection, model_id, names, wanted)
    voters = (its.voters.values() for its in artists.values())
    return _with_albums(connection, ids).union(*voters)


def _artists_of(row: sqlite3.Row) -> set[str]:
    """Return the artist of a file, and the one that it had when it was derived."""
    return {its for its in map(keys.artist, (row["artist"], row["artist_key"])) if its}


def _artists(
    connection: sqlite3.Connection, model_id: int, names: Iterable[str], wanted: set[str]
) -> dict[str, _ArtistFiles]:
    """Read the files of some artists: by their names as they stand in tags, and by keys."""
    spelled = [name for name in names if keys.artist(name)]
    values = {"model": model_id, "names": json.dumps(spelled), "keys": json.dumps(sorted(wanted))}
    found: dict[str, _ArtistFiles] = defaultdict(_ArtistFiles)
    for row in connection.execute(_BY_ARTISTS, values):
        artist = keys.artist(row["artist"])
        if artist is None:
            continue
        its = found[artist]
        its.ids.append(row["id"])
        if row["is_here"] and row["audio_id"] is not None and len(its.voters) < MAX_VOTERS:
            its.voters.setdefault(row["audio_id"], row["id"])
    return found


def _with_albums(connection: sqlite3.Connection, ids: Sequence[int]) -> set[int]:
    """Add the other files of the albums, in any spelling: their mean is another one now."""
    albums = [row[0] for row in connection.execute(_ALBUMS, {"ids": json.dumps(ids)})]
    values = {
        "albums": json.dumps(albums),
        "keys": json.dumps([keys.key(album) for album in albums if album]),
    }
    return {*ids, *(row[0] for row in connection.execute(_ON_ALBUMS, values))}
