"""Which tracks of a library would teach a model most: it is unsure of them, and they differ.

Labels of tracks that a model is sure of teach it little, and so do many labels of the same kind of
track. So tracks are chosen one after the other, each by its uncertainty times its distance from
those that are chosen or corrected already, one of each album.

Source: the idea is that of Sener & Savarese (2018), Active Learning for Convolutional Neural
Networks: A Core-Set Approach, weighted by the margin of Scheffer et al. (2001), Active Hidden
Markov Models for Information Extraction.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.library import database, embeddings, query
from genrekit.library.query import UsedModel
from genrekit.prediction import is_undecided, percent
from genrekit.tags import spelling

Floats = NDArray[np.float64]
N_CANDIDATES = 1000  # the most uncertain ones, among which the different ones are chosen
N_CORRECTED = 1000  # the newest corrections, from which those chosen shall differ
TAGGED = 0.5  # a track with a tag has a label already, though another than the prediction
_ROWS = """
    SELECT min(files.id) AS file_id, files.path, files.genres, files.artist, files.album,
        files.album_artist, p.audio_id, p.probabilities
    FROM files JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    WHERE NOT files.is_missing AND p.embedding IS NOT NULL
        AND p.audio_id NOT IN (SELECT audio_id FROM corrections)
    GROUP BY p.audio_id
"""
_CORRECTED = """
    SELECT audio_id FROM corrections JOIN predictions AS p USING (audio_id)
    WHERE p.model_id = :model AND p.embedding IS NOT NULL ORDER BY corrected DESC LIMIT :limit
"""


@dataclass(frozen=True)
class Suggestion:
    """A track whose genre would teach, why, and the model's most probable label for it."""

    file_id: int
    path: Path
    why: str
    label: str
    probability: float

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        probability = round(self.probability, 6)
        return {
            "path": str(self.path),
            "label": self.label,
            "probability": probability,
            "why": self.why,
        }


class _Candidate(NamedTuple):
    value: float
    audio_id: int
    suggestion: Suggestion


def uncertain(connection: sqlite3.Connection, model: UsedModel, top: int = 14) -> list[Suggestion]:
    """Return the tracks whose genres would teach a model most, the first one most.

    Tracks whose tag names the predicted label are left out, and so are those that are corrected,
    gone or silent.

    Args:
        connection: the library's database.
        model: whose predictions and embeddings count.
        top: how many at most.

    Raises:
        LibraryError: the library holds no embeddings by this model.
    """
    candidates = heapq.nlargest(N_CANDIDATES, _by_album(connection, model).values())
    if not candidates:
        if not embeddings.is_embedded(connection, model):
            raise embeddings.no_embeddings(model)
        return []
    values = {"model": model.id, "limit": N_CORRECTED}
    corrected = [row["audio_id"] for row in connection.execute(_CORRECTED, values)]
    ids = [candidate.audio_id for candidate in candidates]
    vectors = _vectors(connection, model, [*ids, *corrected])
    order = choose(
        np.array([candidate.value for candidate in candidates]),
        vectors[: len(ids)],
        vectors[len(ids) :],
        top,
    )
    return [candidates[index].suggestion for index in order]


def choose(values: Floats, vectors: Floats, known: Floats, top: int) -> list[int]:
    """Choose items of large values that differ from each other and from known ones.

    Args:
        values: how much each item is worth alone, 0 or more. Shape (n,).
        vectors: what tells how alike two items are. Shape (n, d).
        known: vectors of what need not be chosen. Shape (n_known, d).
        top: how many at most.

    Returns:
        Indices in the order of their choice: each time the item whose value times its distance
        (one minus cosine, over standardised columns) from the nearest one so far is largest.
    """
    every = np.concatenate([vectors, known])
    std = every.std(axis=0)
    every = (every - every.mean(axis=0)) / np.where(std > 0, std, np.inf)
    unit = every / np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12)
    items, others = unit[: len(vectors)], unit[len(vectors) :]
    distance = np.full(len(items), 2.0)
    for start in range(0, len(others), N_CANDIDATES):
        cosines = items @ others[start : start + N_CANDIDATES].T
        distance = np.minimum(distance, 1 - cosines.max(axis=1))
    order: list[int] = []
    left = np.ones(len(items), bool)
    while left.any() and len(order) < top:
        worth = np.where(left, values * np.maximum(distance, 1e-9), -1)
        best = int(worth.argmax())
        order.append(best)
        left[best] = False
        distance = np.minimum(distance, 1 - items @ items[best])
    return order


def margin(probabilities: Floats) -> Floats:
    """Return how unsure predictions are: one minus the lead of the most probable label.

    Args:
        probabilities: shape (n, n_labels).

    >>> margin(np.array([[0.5, 0.4, 0.1], [1.0, 0.0, 0.0]])).round(2).tolist()
    [0.9, 0.0]
    """
    two = np.sort(probabilities, axis=1)[:, -2:]
    lead: Floats = two[:, 1] - two[:, 0]
    return 1 - lead


def _by_album(connection: sqlite3.Connection, model: UsedModel) -> dict[Hashable, _Candidate]:
    """Return the most uncertain track of each album."""
    best: dict[Hashable, _Candidate] = {}
    known = spelling.spellings(model.labels)
    meanings: dict[str, set[str]] = {}
    for row in connection.execute(_ROWS, {"model": model.id}):
        genres = json.loads(row["genres"])
        for genre in genres:
            if genre not in meanings:
                meanings[genre] = spelling.meant(genre, known)
        tagged = set().union(*(meanings[genre] for genre in genres))
        candidate = _candidate(row, model, tagged, spelling.without_placeholders(genres))
        album = _album(row)
        if candidate and (album not in best or best[album] < candidate):
            best[album] = candidate
    return best


def _candidate(
    row: sqlite3.Row, model: UsedModel, tagged: set[str], named: Sequence[str]
) -> _Candidate | None:
    """Return a track with what its label would be worth; None where nothing."""
    vector = query.vector_of(row)
    second, first = np.argsort(vector)[-2:].tolist()
    label = model.labels[first]
    if is_undecided(vector) or label in tagged:
        return None
    guess, other = (
        f"{labels.display_name(model.labels[index])} at {percent(float(vector[index]))}"
        for index in (first, second)
    )
    if tagged:
        own = max(vector[model.labels.index(name)] for name in tagged)
        value = TAGGED * (1 - own)
        said = " and ".join(labels.display_name(name) for name in sorted(tagged))
        why = f"its tag says {said}, the audio {guess}"
    else:
        value = float(margin(vector[None])[0])
        unknown = f"its tag says {' and '.join(named)}, which the model does not know"
        why = f"{unknown if named else 'no genre yet'}, and {guess} or {other}"
    path = database.decode_path(row["path"])
    found = Suggestion(row["file_id"], path, why, label, float(vector[first]))
    return _Candidate(value, row["audio_id"], found)


def _album(row: sqlite3.Row) -> Hashable:
    """Return what at most one track is chosen of: an album, or else the recording."""
    return query.album_of(row) if row["album"] else row["audio_id"]


def _vectors(connection: sqlite3.Connection, model: UsedModel, ids: list[int]) -> Floats:
    """Return the mean embeddings of recordings. Shape (len(ids), d)."""
    found = embeddings.read(connection, model, ids)
    return np.stack([found[audio_id] for audio_id in ids]).astype(np.float64)
