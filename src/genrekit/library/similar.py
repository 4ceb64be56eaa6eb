"""Tracks that sound alike: the cosine between what the network made of them."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import LibraryError
from genrekit.inference.classifier import Classifier
from genrekit.library import database
from genrekit.library.query import UsedModel

Vectors = NDArray[np.float32]
_STILL = 1e-4
_ROWS = 4096  # so that memory does not grow with the library
_KNOWN = """
    FROM files JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    WHERE p.embedding IS NOT NULL
"""


def similar(
    connection: sqlite3.Connection, model: UsedModel, path: Path, top: int = 10
) -> list[tuple[Path, float]]:
    """Return the tracks of a library that sound most like a file.

    Each value of the embedding is standardised over the library first: what all tracks share says
    nothing, and no value outweighs others by its scale alone.

    Args:
        connection: the library's database.
        model: whose embeddings to compare.
        path: a file of the library, or any other, which is then heard now.
        top: how many at most.

    Returns:
        (path, cosine in [-1, 1]), the most similar first; one file of each audio, without the
        file's own audio and without files that are gone.

    Raises:
        LibraryError: the library holds no embeddings by this model.
        AudioError: the file is not of the library and cannot be heard.
    """
    mean, std = _mean_std(connection, model)
    own, vector = _own(connection, model, path)
    wanted = _unit((vector[None] - mean) / std)[0]
    best: list[tuple[float, bytes]] = []
    for rows in _batches(connection, model):
        others = [row for row in rows if row["audio_id"] != own]
        cosines = _unit((_vectors(others) - mean) / std) @ wanted if others else []
        pairs = zip(map(float, cosines), (row["path"] for row in others), strict=True)
        best = heapq.nlargest(top, [*best, *pairs])
    return [(database.decode_path(place), cosine) for cosine, place in best]


def _mean_std(connection: sqlite3.Connection, model: UsedModel) -> tuple[Vectors, Vectors]:
    total, squares, n_rows = np.zeros(1), np.zeros(1), 0
    for rows in _batches(connection, model):
        vectors = _vectors(rows).astype(np.float64)
        total, squares = total + vectors.sum(axis=0), squares + (vectors**2).sum(axis=0)
        n_rows += len(rows)
    if not n_rows:
        raise LibraryError(
            f"this library holds no embeddings by model {model.name!r}; scan it with a model that "
            "gives some, such as the default one"
        )
    mean = total / n_rows
    std = np.sqrt(np.maximum(squares / n_rows - mean**2, 0))
    std[std <= _STILL * (1 + np.abs(mean))] = np.inf  # a value that never changes says nothing
    return mean.astype(np.float32), std.astype(np.float32)


def _own(
    connection: sqlite3.Connection, model: UsedModel, path: Path
) -> tuple[int | None, Vectors]:
    values = {"model": model.id, "path": database.encode_path(path)}
    query = f"SELECT files.audio_id, p.embedding {_KNOWN} AND files.path = :path"
    row = connection.execute(query, values).fetchone()
    if row:
        return row["audio_id"], _vectors([row])[0]
    _, embedding = Classifier(model.path).analyse_file(path)
    if embedding is None:
        raise LibraryError(f"model {model.name!r} gives no embedding; use another with --model")
    return None, embedding


def _batches(connection: sqlite3.Connection, model: UsedModel) -> Iterator[list[sqlite3.Row]]:
    query = f"SELECT min(files.path) AS path, files.audio_id, p.embedding {_KNOWN} "
    query += "AND NOT files.is_missing GROUP BY files.audio_id"
    rows = connection.execute(query, {"model": model.id})
    while batch := rows.fetchmany(_ROWS):
        yield batch


def _vectors(rows: list[sqlite3.Row]) -> Vectors:
    """Return embeddings of shape (n_rows, d)."""
    return np.stack([np.frombuffer(row["embedding"], "<f2") for row in rows]).astype(np.float32)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
