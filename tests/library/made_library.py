"""A library's database with one model, for tests that need no audio."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    return connection.execute(
        f"INSERT INTO files ({names}) VALUES ({', '.join('?' * len(values))}) RETURNING id",  # noqa: S608
        tuple(values.values()),
    ).fetchone()[0]
