"""A library's database with one model, for tests that need no audio."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from genrekit.library import database

LABELS = ("jazz", "metal", "rock")


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a new library with the model, in which nothing was scanned yet."""
    with database.opened(path) as connection:
        add_model(connection)
        yield connection


def add_model(connection: sqlite3.Connection) -> None:
    """Add a model of these labels, as its first scan does."""
    connection.execute(
        "INSERT INTO models VALUES (1, 'sha', 'made', '1', ?, ?, 1)",
        (json.dumps(LABELS), b"/models/made"),
    )


def add_audio(connection: sqlite3.Connection, digest: str) -> int:
    """Add a recording, unless it is there; return its id."""
    connection.execute("INSERT OR IGNORE INTO audio (digest) VALUES (?)", (digest,))
    row = connection.execute("SELECT id FROM audio WHERE digest = ?", (digest,)).fetchone()
    audio_id: int = row[0]
    return audio_id


def add_prediction(
    connection: sqlite3.Connection,
    audio_id: int,
    probabilities: Sequence[float],
    embedding: Sequence[float] | None = None,
) -> None:
    """Add what the model says of a recording, unless it is there."""
    vector = None if embedding is None else np.array(embedding, "<f2").tobytes()
    connection.execute(
        "INSERT OR IGNORE INTO predictions VALUES (?, 1, ?, ?, 30.0, '[]')",
        (audio_id, np.array(probabilities, "<f4").tobytes(), vector),
    )


def add_file(
    connection: sqlite3.Connection,
    name: str,
    audio_id: int,
    genres: tuple[str, ...],
    **columns: object,
) -> int:
    """Add a file that holds some audio; return its id."""
    values = {"path": f"/music/{name}".encode(), "audio_id": audio_id, "genres": json.dumps(genres)}
    values |= {"size_bytes": 1, "mtime_ns": 1, **columns}
    names = ", ".join(values)
    row = connection.execute(
        f"INSERT INTO files ({names}) VALUES ({', '.join('?' * len(values))}) RETURNING id",  # noqa: S608
        tuple(values.values()),
    ).fetchone()
    file_id: int = row[0]
    return file_id
