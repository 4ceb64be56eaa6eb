"""A library's embeddings in few dimensions, for its map and for finding similar tracks fast.

The embeddings are standardised and projected on their principal components (Pearson, 1901), fitted
on an evenly spread sample. The points are kept in the database, and triggers record which
recordings lack one, so that a scan adds only the new ones.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrekit.library import database, embeddings
from genrekit.library.embeddings import unit, vectors_of
from genrekit.library.query import UsedModel

N_COMPONENTS = 32  # the first two are the map; all are used to find candidates
MAX_FITTED = 20_000  # recordings
BATCH = 2000
_GROWTH = 1.5  # of the library since the fit; beyond it the components are refitted
_CONSTANT = 1e-4
_N_CANDIDATES = 200
_EDGE = 99.5  # the percentile of the distances at the edge of the map

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """How an embedding becomes a point: (embedding - mean) * scale, times the components."""

    mean: Matrix
    scale: Matrix
    components: Matrix

    def standardised(self, embeddings: Matrix) -> Matrix:
        """Return embeddings with mean 0 and deviation 1 over the library. Shape (n, d)."""
        standardised: Matrix = (embeddings - self.mean) * self.scale
        return standardised

    def points(self, embeddings: Matrix) -> Matrix:
        """Return points of shape (n, n_components)."""
        projected: Matrix = self.standardised(embeddings) @ self.components.T
        return projected


@dataclass(frozen=True)
class LibraryMap:
    """The points of a library's files.

    Attributes:
        file_ids: shape (n_files,).
        audio_ids: the recording of each file. Shape (n_files,).
        points: shape (n_files, n_components).
    """

    file_ids: NDArray[np.int64]
    audio_ids: NDArray[np.int64]
    points: NDArray[np.float16]

    def places(self) -> Matrix:
        """Return the position of each file in [-1, 1] x [-1, 1]. Shape (n_files, 2)."""
        places = self.points[:, :2].astype(np.float32)
        if not len(places):
            return np.zeros((0, 2), np.float32)
        edge = np.percentile(np.abs(places), _EDGE, axis=0)
        scaled: Matrix = (places / np.maximum(edge, _CONSTANT)).clip(-1, 1)
        return scaled

    def inside(self, corners: Sequence[tuple[float, float]]) -> NDArray[np.int64]:
        """Return the ids of the files in a polygon, whose edges may cross.

        Source: the even-odd rule (Shimrat 1962, CACM 5(8), algorithm 112).
        """
        x, y = self.places().T
        is_inside = np.zeros(len(x), np.bool_)
        for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if y1 == y2:
                continue
            crosses = (y1 > y) != (y2 > y)
            is_inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        return self.file_ids[is_inside]


def update(connection: sqlite3.Connection, model: UsedModel) -> int:
    """Compute the missing points of recordings, after fitting the components if needed.

    Returns:
        The number of points computed.

    Raises:
        sqlite3.Error: the database fails.
    """
    projection = _fitted(connection, model.id)
    n_made = 0
    stale = (
        "SELECT s.audio_id, p.embedding FROM map_stale AS s LEFT JOIN predictions AS p "
        "ON p.audio_id = s.audio_id AND p.model_id = s.model_id WHERE s.model_id = ? LIMIT ?"
    )
    while rows := connection.execute(stale, (model.id, BATCH)).fetchall():
        embedded = [row for row in rows if row["embedding"] is not None]
        with database.transaction(connection):
            if projection and embedded:
                points = projection.points(vectors_of(embedded)).astype("<f2")
                connection.executemany(
                    "INSERT OR REPLACE INTO map_points VALUES (?, ?, ?)",
                    [
                        (model.id, row["audio_id"], point.tobytes())
                        for row, point in zip(embedded, points, strict=True)
                    ],
                )
                n_made += len(embedded)
            connection.executemany(
                "DELETE FROM map_stale WHERE model_id = ? AND audio_id = ?",
                [(model.id, row["audio_id"]) for row in rows],
            )
    return n_made


def points(connection: sqlite3.Connection, model: UsedModel) -> LibraryMap:
    """Return the points of all existing files, in the order of their ids."""
    rows = connection.execute(
        "SELECT f.id, f.audio_id, m.point FROM files AS f JOIN map_points AS m "
        "ON m.model_id = ? AND m.audio_id = f.audio_id WHERE NOT f.is_missing ORDER BY f.id",
        (model.id,),
    ).fetchall()
    values = np.frombuffer(b"".join(row["point"] for row in rows), "<f2")
    return LibraryMap(
        np.array([row["id"] for row in rows], np.int64),
        np.array([row["audio_id"] for row in rows], np.int64),
        values.reshape(len(rows), -1) if rows else np.zeros((0, N_COMPONENTS), np.float16),
    )


def similar(
    connection: sqlite3.Connection, model: UsedModel, found: LibraryMap, file_id: int, top: int
) -> list[tuple[int, float]]:
    """Return the most similar files to a file, from other recordings.

    Candidates are the nearest by points; they are compared by their full embeddings.

    Args:
        connection: the library's database.
        model: the model whose embeddings to compare.
        found: the result of points.
        file_id: a file of the library.
        top: the maximum number, one per recording.

    Returns:
        (id, cosine in [-1, 1]), the most similar first; none for a file without a point.
    """
    projection = _read(connection, model.id)
    position = np.flatnonzero(found.file_ids == file_id)
    if projection is None or not len(position):
        return []
    own = found.audio_ids[position[0]]
    vectors = found.points.astype(np.float32)
    cosines = unit(vectors) @ unit(vectors[position])[0]
    cosines[found.audio_ids == own] = -2
    n_candidates = min(len(cosines), max(_N_CANDIDATES, 4 * top))
    nearest = np.argpartition(-cosines, n_candidates - 1)[:n_candidates]
    first = {int(found.audio_ids[i]): int(found.file_ids[i]) for i in nearest if cosines[i] > -2}
    wholes = embeddings.read(connection, model, [int(own), *first])
    target = unit(projection.standardised(wholes.pop(int(own))[None]))[0]
    pairs = [
        (first[audio], float(unit(projection.standardised(vector[None]))[0] @ target))
        for audio, vector in wholes.items()
    ]
    return sorted(pairs, key=lambda pair: -pair[1])[:top]


def _fitted(connection: sqlite3.Connection, model_id: int) -> Projection | None:
    """Return the projection, refitted if the library has grown much since the last fit."""
    n_points, n_stale = connection.execute(
        "SELECT (SELECT count(*) FROM map_points WHERE model_id = :model), "
        "(SELECT count(*) FROM map_stale WHERE model_id = :model)",
        {"model": model_id},
    ).fetchone()
    n_recordings = n_points + n_stale
    row = connection.execute(
        "SELECT n_fitted FROM embedding_maps WHERE model_id = ?", (model_id,)
    ).fetchone()
    if not n_stale:
        return None
    if row and min(n_recordings, MAX_FITTED) <= _GROWTH * row["n_fitted"]:
        return _read(connection, model_id)
    projection, n_fitted = _fit(connection, model_id)
    if projection is not None:
        _save(connection, model_id, projection, n_fitted)
    return projection


def _fit(connection: sqlite3.Connection, model_id: int) -> tuple[Projection | None, int]:
    """Fit the components on at most MAX_FITTED recordings, evenly spread; return how many."""
    ids = _evenly_spread(connection, model_id)
    n_rows = len(ids)
    if not n_rows:
        return None, 0
    rows = connection.execute(
        "SELECT embedding FROM json_each(?) AS chosen "
        "JOIN predictions ON audio_id = chosen.value AND model_id = ?",
        (json.dumps(ids), model_id),
    )
    total, products = np.zeros(1), np.zeros((1, 1))
    while batch := rows.fetchmany(BATCH):
        vectors = vectors_of(batch).astype(np.float64)
        total, products = total + vectors.sum(axis=0), products + vectors.T @ vectors
    mean = total / n_rows
    covariance = products / n_rows - np.outer(mean, mean)
    std = np.sqrt(np.maximum(covariance.diagonal(), 0))
    # A constant does not count.
    scale = np.where(std > _CONSTANT, 1 / np.maximum(std, _CONSTANT), 0)
    _, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    components = vectors.T[::-1][:N_COMPONENTS]  # (n_components, d), the largest variance first
    signs = np.sign(components[np.arange(len(components)), np.abs(components).argmax(axis=1)])
    kinds = (mean, scale, components * signs[:, None])
    return Projection(*(values.astype(np.float32) for values in kinds)), n_rows


def _evenly_spread(connection: sqlite3.Connection, model_id: int) -> list[int]:
    """Return the recordings with embeddings, or MAX_FITTED of them."""
    rows = connection.execute(
        "SELECT audio_id FROM predictions WHERE model_id = ? AND embedding IS NOT NULL "
        "ORDER BY audio_id",
        (model_id,),
    )
    ids = [row["audio_id"] for row in rows]
    places = np.linspace(0, len(ids) - 1, min(len(ids), MAX_FITTED)).round().astype(int)
    return [ids[place] for place in places.tolist()]


def _save(
    connection: sqlite3.Connection, model_id: int, projection: Projection, n_fitted: int
) -> None:
    """Save a projection; every recording's point has to be recomputed."""
    kinds = (projection.mean, projection.scale, projection.components)
    with database.transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO embedding_maps VALUES (?, ?, ?, ?, ?)",
            (model_id, n_fitted, *(values.astype("<f4").tobytes() for values in kinds)),
        )
        connection.execute(
            "INSERT INTO map_stale SELECT model_id, audio_id FROM map_points WHERE model_id = ? "
            "ON CONFLICT DO NOTHING",
            (model_id,),
        )
        connection.execute("DELETE FROM map_points WHERE model_id = ?", (model_id,))


def _read(connection: sqlite3.Connection, model_id: int) -> Projection | None:
    row = connection.execute(
        "SELECT mean, scale, components FROM embedding_maps WHERE model_id = ?", (model_id,)
    ).fetchone()
    if row is None:
        return None
    mean, scale, components = (np.frombuffer(values, "<f4") for values in row)
    return Projection(mean, scale, components.reshape(-1, len(mean)))
