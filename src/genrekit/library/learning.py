"""What a new genre is learnt from: examples, and a library's other music."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.audio import packets
from genrekit.errors import ModelError, TagError
from genrekit.inference.classifier import Classifier
from genrekit.library import database
from genrekit.models.registry import ModelFolder
from genrekit.tags import formats

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """Tracks of a new genre: mean embeddings of shape (n, d), artists or else albums, digests."""

    embeddings: Vectors
    groups: tuple[str, ...]
    digests: frozenset[str]


def hear(folder: ModelFolder, paths: Sequence[Path], advance: Callable[[], None]) -> Examples:
    """Hear examples; the same audio counts once.

    Args:
        folder: the model that embeds them.
        paths: the files.
        advance: called for each file.

    Raises:
        AudioError: one of them cannot be heard.
        ModelError: the model gives no embedding.
    """
    classifier = Classifier(folder.path)
    found: dict[str, tuple[Vectors, str]] = {}
    for path in paths:
        _, embedding = classifier.analyse_file(path)
        if embedding is None:
            raise ModelError(f"model {folder.card.name!r} gives no embedding; use another one")
        found.setdefault(packets.digest(path), (embedding, _group(path)))
        advance()
    embeddings = [embedding for embedding, _ in found.values()]
    groups = tuple(group for _, group in found.values())
    shape = (len(embeddings), -1) if embeddings else (0, 0)
    return Examples(np.reshape(embeddings, shape).astype(np.float32), groups, frozenset(found))


def others(connection: sqlite3.Connection, sha256: str, genre: str, examples: Examples) -> Vectors:
    """Return a library's mean embeddings of what is not of the new genre.

    Left out are the examples' own audio and files whose tags or folders are called like the genre.

    Args:
        connection: the library's database.
        sha256: of the model that embedded it.
        genre: the new genre.
        examples: what to leave out.

    Returns:
        Shape (n, d), one row a different audio.
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
        said = map(labels.spelling, (*json.loads(row["genres"]), *folders))
        if name in said:
            dropped.add(row["digest"])
        kept[row["digest"]] = np.frombuffer(row["embedding"], "<f2").astype(np.float32)
    wanted = [vector for digest, vector in kept.items() if digest not in dropped]
    return np.stack(wanted) if wanted else np.zeros((0, examples.embeddings.shape[1]), np.float32)


def _group(path: Path) -> str:
    """Return an artist, or else an album, or else the file itself."""
    try:
        tags = formats.read(path)
    except TagError:
        return str(path)
    return tags.artist or tags.album_artist or tags.album or str(path)
