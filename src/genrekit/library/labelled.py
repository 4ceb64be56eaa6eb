"""The labelled recordings of a library: those with a correction, and those with genre tags."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.library import database
from genrekit.library.labelling import groups, ties_of
from genrekit.library.query import UsedModel, vector_of
from genrekit.prediction import is_undecided

_ROWS = """
    SELECT files.path, files.genres, files.artist, files.album_artist, files.album, audio.digest,
        p.embedding, p.probabilities, corrections.genres AS corrected
    FROM files
    JOIN audio ON audio.id = files.audio_id
    JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    LEFT JOIN corrections ON corrections.audio_id = files.audio_id
    WHERE NOT files.is_missing AND p.embedding IS NOT NULL
        AND (corrections.genres IS NOT NULL OR files.genres <> '[]')
    ORDER BY files.id
"""


class LabelledRecording(NamedTuple):
    """A recording with its genres, one of its files, and its mean embedding of shape (d,).

    ``group`` is that of its artists and albums, which folds keep together. ``digest`` is the
    audio's.
    """

    path: Path
    digest: str
    genres: tuple[str, ...]
    is_correction: bool
    group: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class LabelledLibrary:
    """A library's labelled recordings, and how many files were left out, by reason."""

    recordings: list[LabelledRecording]
    left_out: dict[str, int]


def labelled(connection: sqlite3.Connection, model: UsedModel) -> LabelledLibrary:
    """Return the recordings analysed by a model that have a correction or genre tags.

    A correction overrules the tags. Placeholders ("Other", "Unknown") are no genres.
    """
    left_out = {"its tags name no genre": 0, "silent or no music": 0}
    rows: dict[str, tuple[sqlite3.Row, tuple[str, ...]]] = {}
    ties: dict[str, list[str]] = {}
    for row in connection.execute(_ROWS, {"model": model.id}):
        if is_undecided(vector_of(row)):
            left_out["silent or no music"] += 1
            continue
        genres = tuple(_genres(row))
        if not genres:
            left_out["its tags name no genre"] += 1
            continue
        rows.setdefault(row["digest"], (row, genres))
        ties.setdefault(row["digest"], []).extend(_ties(row))
    group_of = groups(ties)
    recordings = [
        LabelledRecording(
            database.decode_path(row["path"]),
            digest,
            genres,
            row["corrected"] is not None,
            group_of[digest],
            np.frombuffer(row["embedding"], "<f2").astype(np.float32),
        )
        for digest, (row, genres) in rows.items()
    ]
    return LabelledLibrary(recordings, {reason: n for reason, n in left_out.items() if n})


def _genres(row: sqlite3.Row) -> Iterator[str]:
    if row["corrected"] is not None:
        yield from json.loads(row["corrected"])
        return
    for genre in json.loads(row["genres"]):
        if not labels.is_placeholder(genre):
            yield genre


def _ties(row: sqlite3.Row) -> Iterator[str]:
    path = database.decode_path(row["path"])
    return ties_of(path, row["artist"], row["album_artist"], row["album"])
