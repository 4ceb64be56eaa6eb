"""The dependencies between files' sources: within an album, and within an artist.

A change of a file changes the mean of its album for all files of the album. It changes the vote of
its artist only if the file is, or was, among the recordings that vote: so an artist with thousands
of tracks costs no more than the first hundred of them.
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
    """An artist's files, and the file of each recording that votes."""

    ids: list[int] = field(default_factory=list)
    voters: dict[int, int] = field(default_factory=dict)

    def has_voted(self, file_id: int) -> bool:
        """Whether a file votes, or did before its last change.

        Files after the last voter never did: a voter that left was replaced by a later one.
        """
        return len(self.voters) < MAX_VOTERS or file_id <= max(self.voters.values())


class Mates:
    """The files that others' sources depend on, while the library does not change.

    The files of an artist are read only once.
    """

    def __init__(self, connection: sqlite3.Connection, model_id: int) -> None:
        """Prepare, without reading anything."""
        self._connection = connection
        self._model_id = model_id
        self._artists: dict[str, _ArtistFiles] = {}
        self._names: set[str] = set()  # the spellings that were searched for

    def affected(self, ids: Sequence[int]) -> set[int]:
        """Return the files whose sources change with these: these, their albums' and artists'."""
        found = _with_albums(self._connection, ids)
        rows = self._named(ids)
        self._read(rows, set().union(*map(_artists_of, rows)))
        for row in rows:
            for artist in map(self._artists.__getitem__, _artists_of(row)):
                if artist.has_voted(row["id"]):
                    found.update(artist.ids)
        return found

    def needed(self, ids: Sequence[int]) -> set[int]:
        """Return the files that the sources of these files depend on, including these."""
        rows = self._named(ids)
        wanted = {artist for row in rows if (artist := keys.artist(row["artist"]))}
        self._read(rows, wanted)
        voters = (self._artists[artist].voters.values() for artist in wanted)
        return _with_albums(self._connection, ids).union(*voters)

    def _named(self, ids: Sequence[int]) -> list[sqlite3.Row]:
        return self._connection.execute(_NAMED, {"ids": json.dumps(ids)}).fetchall()

    def _read(self, rows: Iterable[sqlite3.Row], wanted: set[str]) -> None:
        """Read the files of artists that were not read yet, or not by the rows' spelling."""
        spelled = {name: artist for row in rows if (artist := keys.artist(name := row["artist"]))}
        missing = wanted - self._artists.keys()
        missing.update(artist for name, artist in spelled.items() if name not in self._names)
        self._names.update(spelled)
        if missing:
            names = [name for name in self._names if keys.artist(name) in missing]
            found = _artists(self._connection, self._model_id, names, missing)
            self._artists.update((artist, found[artist]) for artist in missing)


def _artists_of(row: sqlite3.Row) -> set[str]:
    """Return the artist of a file, and its artist when it was last derived."""
    return {its for its in map(keys.artist, (row["artist"], row["artist_key"])) if its}


def _artists(
    connection: sqlite3.Connection, model_id: int, names: Iterable[str], wanted: set[str]
) -> dict[str, _ArtistFiles]:
    """Read the files of some artists, by their names in tags and by keys."""
    values = {
        "model": model_id, "names": json.dumps(list(names)), "keys": json.dumps(sorted(wanted)),
    }  # fmt: skip
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
    """Add the other files of the albums, in any spelling: their mean has changed."""
    albums = [row[0] for row in connection.execute(_ALBUMS, {"ids": json.dumps(ids)})]
    values = {
        "albums": json.dumps(albums),
        "keys": json.dumps([keys.key(album) for album in albums if album]),
    }
    return {*ids, *(row[0] for row in connection.execute(_ON_ALBUMS, values))}
