"""A library's mean embeddings, for similar tracks and for training a new genre."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.errors import LibraryError, ModelError, TagError
from genrekit.library import database

if TYPE_CHECKING:
    from genrekit.library.query import UsedModel
    from genrekit.models.registry import ModelFolder

Vectors = NDArray[np.float32]
_CONSTANT = 1e-4
_ROWS = 4096  # so that memory does not grow with the library
_EMBEDDED = """
    FROM files JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    WHERE p.embedding IS NOT NULL
"""


@dataclass(frozen=True)
class Examples:
    """Tracks of a new genre: mean embeddings of shape (n, d), artists or albums, digests."""

    embeddings: Vectors
    groups: tuple[str, ...]
    digests: frozenset[str]


def similar(
    connection: sqlite3.Connection, model: UsedModel, path: Path, top: int = 10
) -> list[tuple[Path, float]]:
    """Return the tracks of a library whose embeddings have the largest cosine to a file's.

    Each value of the embedding is first standardised over the library, so that neither the common
    mean nor the scale of single values matters.

    Args:
        connection: the library's database.
        model: the model whose embeddings to compare.
        path: a file of the library, or any other file, which is then analysed.
        top: the maximum number.

    Returns:
        (path, cosine in [-1, 1]), the most similar first; one file per audio, without the file's
        own audio and without missing files.

    Raises:
        LibraryError: the library has no embeddings by this model.
        AudioError: the file is not in the library and cannot be decoded.
    """
    mean, std = _mean_std(connection, model)
    own, vector = _own(connection, model, path)
    target = unit((vector[None] - mean) / std)[0]
    best: list[tuple[float, bytes]] = []
    for rows in _batches(connection, model):
        others = [row for row in rows if row["audio_id"] != own]
        cosines = unit((vectors_of(others) - mean) / std) @ target if others else []
        pairs = zip(map(float, cosines), (row["path"] for row in others), strict=True)
        best = heapq.nlargest(top, [*best, *pairs])
    return [(database.decode_path(encoded), cosine) for cosine, encoded in best]


def embed_examples(
    folder: ModelFolder, paths: Sequence[Path], advance: Callable[[], None]
) -> Examples:
    """Embed tracks of a new genre; the same audio counts once.

    Args:
        folder: the model that embeds them.
        paths: the files.
        advance: called for each file.

    Raises:
        AudioError: one of them cannot be decoded.
        ModelError: the model has no embedding.
    """
    from genrekit.audio import packets
    from genrekit.inference.classifier import Classifier

    classifier = Classifier(folder.path)
    found: dict[str, tuple[Vectors, str]] = {}
    for path in paths:
        _, embedding = classifier.analyse_file(path)
        if embedding is None:
            raise ModelError(f"model {folder.card.name!r} has no embedding; use another one")
        found.setdefault(packets.digest(path), (embedding, _group(path)))
        advance()
    embeddings = [embedding for embedding, _ in found.values()]
    groups = tuple(group for _, group in found.values())
    shape = (len(embeddings), -1) if embeddings else (0, 0)
    return Examples(np.reshape(embeddings, shape).astype(np.float32), groups, frozenset(found))


def other_music(
    connection: sqlite3.Connection, sha256: str, genre: str, examples: Examples
) -> Vectors:
    """Return a library's mean embeddings of music that is not of the new genre.

    The examples' audio, and files whose tags or folders name the genre, are left out.

    Args:
        connection: the library's database.
        sha256: of the model that embedded it.
        genre: the new genre.
        examples: what to leave out.

    Returns:
        Shape (n, d), one row per distinct audio.
    """
    rows = connection.execute(
        "SELECT files.path, files.genres, audio.digest, p.embedding FROM files "
        "JOIN audio ON audio.id = files.audio_id JOIN predictions AS p USING (audio_id) "
        "JOIN models ON models.id = p.model_id WHERE models.sha256 = ? "
        "AND p.embedding IS NOT NULL",
        (sha256,),
    )
    name = labels.spelling(genre)
    kept: dict[str, Vectors] = {}
    dropped = set(examples.digests)
    for row in rows:
        folders = (folder.name for folder in database.decode_path(row["path"]).parents)
        if name in map(labels.spelling, (*json.loads(row["genres"]), *folders)):
            dropped.add(row["digest"])
        kept[row["digest"]] = np.frombuffer(row["embedding"], "<f2").astype(np.float32)
    others = [vector for digest, vector in kept.items() if digest not in dropped]
    return np.stack(others) if others else np.zeros((0, examples.embeddings.shape[1]), np.float32)


def _group(path: Path) -> str:
    """Return the artist, else the album, else the file itself."""
    from genrekit.tags import formats

    try:
        tags = formats.read(path)
    except TagError:
        return str(path)
    return tags.artist or tags.album_artist or tags.album or str(path)


def _mean_std(connection: sqlite3.Connection, model: UsedModel) -> tuple[Vectors, Vectors]:
    total, squares, n_rows = np.zeros(1), np.zeros(1), 0
    for rows in _batches(connection, model):
        vectors = vectors_of(rows).astype(np.float64)
        total, squares = total + vectors.sum(axis=0), squares + (vectors**2).sum(axis=0)
        n_rows += len(rows)
    if not n_rows:
        raise no_embeddings(model)
    mean = total / n_rows
    std = np.sqrt(np.maximum(squares / n_rows - mean**2, 0))
    std[std <= _CONSTANT * (1 + np.abs(mean))] = np.inf  # ignore constant values
    return mean.astype(np.float32), std.astype(np.float32)


def _own(
    connection: sqlite3.Connection, model: UsedModel, path: Path
) -> tuple[int | None, Vectors]:
    values = {"model": model.id, "path": database.encode_path(path)}
    query = f"SELECT files.audio_id, p.embedding {_EMBEDDED} AND files.path = :path"
    row = connection.execute(query, values).fetchone()
    if row:
        return row["audio_id"], vectors_of([row])[0]
    from genrekit.inference.classifier import Classifier

    _, embedding = Classifier(model.path).analyse_file(path)
    if embedding is None:
        raise LibraryError(f"model {model.name!r} has no embedding; use another with --model")
    return None, embedding


def _batches(connection: sqlite3.Connection, model: UsedModel) -> Iterator[list[sqlite3.Row]]:
    query = f"SELECT min(files.path) AS path, files.audio_id, p.embedding {_EMBEDDED} "
    query += "AND NOT files.is_missing GROUP BY files.audio_id"
    rows = connection.execute(query, {"model": model.id})
    while batch := rows.fetchmany(_ROWS):
        yield batch


def is_embedded(connection: sqlite3.Connection, model: UsedModel) -> bool:
    """Return whether a library has embeddings by a model."""
    query = "SELECT 1 FROM predictions WHERE model_id = ? AND embedding IS NOT NULL LIMIT 1"
    return connection.execute(query, (model.id,)).fetchone() is not None


def no_embeddings(model: UsedModel) -> LibraryError:
    """Return the error for a library without embeddings by a model."""
    return LibraryError(
        f"this library has no embeddings by model {model.name!r}; scan it with a model that "
        "has some, such as the default model"
    )


def read(
    connection: sqlite3.Connection, model: UsedModel, audio_ids: Sequence[int]
) -> dict[int, Vectors]:
    """Return the mean embeddings of recordings by id. Each of shape (d,)."""
    rows = connection.execute(
        "SELECT audio_id, embedding FROM predictions WHERE model_id = ? AND embedding IS NOT NULL "
        "AND audio_id IN (SELECT value FROM json_each(?))",
        (model.id, json.dumps(audio_ids)),
    )
    return {row["audio_id"]: vectors_of([row])[0] for row in rows}


def vectors_of(rows: Sequence[sqlite3.Row]) -> Vectors:
    """Return embeddings of shape (n_rows, d)."""
    return np.stack([np.frombuffer(row["embedding"], "<f2") for row in rows]).astype(np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Normalise vectors to length 1; zeros are unchanged. Shape (n, d)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
