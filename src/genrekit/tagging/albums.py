"""One prediction per album: the mean over its tracks, if the tracks agree.

An album agrees if it has an album artist, or tracks by fewer than three artists, and the mean's
most probable genre is that of more than half of them. Compilations and albums of various artists
never agree: their tracks are predicted one by one, as are those of other albums that do not agree.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.library import query
from genrekit.prediction import is_undecided

MANY_ARTISTS = 3  # an album by this many artists, without an album artist, is a compilation
_TRACKS = """
    SELECT f.path, f.audio_id, f.album, f.album_artist, f.artist, p.probabilities
    FROM files AS f
    JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = :model
    WHERE f.album IS NOT NULL AND NOT f.is_missing
"""


@dataclass
class AlbumTracks:
    """The recordings of one album: their probabilities, each once, and their artists."""

    vectors: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    artists: set[str] = field(default_factory=set)
    is_various: bool = False

    @property
    def is_compilation(self) -> bool:
        """Whether the album has many artists."""
        return self.is_various or len(self.artists) >= MANY_ARTISTS


def means(
    connection: sqlite3.Connection,
    model_id: int,
    name_of: Callable[[int], str | None],
) -> dict[Hashable, NDArray[np.float64]]:
    """Return the mean of each album whose tracks agree; ``query.album_of`` names the albums.

    Args:
        connection: the library's database.
        model_id: the model whose predictions to use.
        name_of: returns the name to write for the label at an index.

    Returns:
        Each of shape (n_labels,). A silent track does not count, nor does an album of one track.
    """
    found: dict[Hashable, AlbumTracks] = defaultdict(AlbumTracks)
    for row in connection.execute(_TRACKS, {"model": model_id}):
        vector = query.vector_of(row)
        if is_undecided(vector):
            continue
        album = found[query.album_of(row)]
        album.vectors.setdefault(row["audio_id"], vector)
        owner = row["album_artist"]
        if owner:
            album.is_various = labels.artist_group(owner) is None
        elif row["artist"] and (artist := labels.artist_group(row["artist"])):
            album.artists.add(artist)
    result = {}
    for key, album in found.items():
        vectors = np.stack(list(album.vectors.values()))
        mean = vectors.mean(axis=0)
        name = name_of(int(mean.argmax()))
        n_agree = sum(
            any(name_of(int(index)) == name for index in np.flatnonzero(vector == vector.max()))
            for vector in vectors
        )
        if len(vectors) > 1 and not album.is_compilation and 2 * n_agree > len(vectors):
            result[key] = mean
    return result
