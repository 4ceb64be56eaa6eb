"""Query the files of a library, with their predictions and tags, from its database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genrekit import labels
from genrekit.errors import LibraryError, unknown_name
from genrekit.library import database, keys
from genrekit.library.agreement import Agreement, AgreementBuilder, Albums, Vector
from genrekit.library.artists import ArtistVotes
from genrekit.prediction import is_undecided
from genrekit.tags import spelling

_ENTRIES = """
    SELECT files.*, p.probabilities, p.duration_seconds, p.warnings
    FROM files LEFT JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
"""
_VOTERS = """
    SELECT path, album, album_artist, artist, is_missing, p.audio_id, p.probabilities
    FROM files JOIN predictions AS p ON p.audio_id = files.audio_id AND p.model_id = :model
    WHERE NOT is_missing ORDER BY files.id
"""


@dataclass(frozen=True)
class UsedModel:
    """A model used by a scan: its id in the database, its name, its folder and its labels."""

    id: int
    name: str
    path: Path
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LibraryEntry:
    """A file of the library.

    Attributes:
        path: its path.
        genres: the genres of its tags.
        tags: artist, album_artist, album and title of its tags, each None if absent.
        probabilities: the model's, by label; None, like agreement and duration_seconds, if it has
            not analysed the file.
        agreement: the labels of audio, album, artist, tag and folder.
        warnings: those of the prediction.
        error: why it cannot be analysed.
        is_missing: it no longer exists.
        is_quarantined: it hung, or killed a worker.
    """

    path: Path
    genres: tuple[str, ...]
    tags: dict[str, str | None]
    probabilities: dict[str, float] | None
    agreement: Agreement | None
    duration_seconds: float | None
    warnings: tuple[str, ...]
    error: str | None
    is_missing: bool
    is_quarantined: bool

    @property
    def label(self) -> str | None:
        """The most probable label of the audio; None if it is silent or not music."""
        probabilities = self.probabilities or {}
        if is_undecided(probabilities.values()):
            return None
        return max(probabilities, key=probabilities.__getitem__)

    @property
    def probability(self) -> float | None:
        """The most probable label's probability."""
        return max(self.probabilities.values()) if self.probabilities else None

    @property
    def is_placeholder(self) -> bool:
        """Whether the tags have only placeholders as genres: "Other", "Unknown", "12"."""
        return bool(self.genres) and not spelling.without_placeholders(self.genres)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "path": str(self.path),
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "agreement": self.agreement.to_dict() if self.agreement else None,
            "genres": list(self.genres),
            "is_placeholder": self.is_placeholder,
            **self.tags,
            "duration_seconds": self.duration_seconds,
            "warnings": list(self.warnings),
            "error": self.error,
            "is_missing": self.is_missing,
            "is_quarantined": self.is_quarantined,
        }


@dataclass(frozen=True)
class Votes:
    """The votes of other tracks: the means of albums, and of artists without a track's album."""

    albums: Albums
    artists: ArtistVotes


@dataclass(frozen=True)
class Filters:
    """Conditions on files: those that exist, were analysed, and meet every condition.

    Attributes:
        genre: the most probable label is this one.
        min_probability: the most probable label's probability is at least this.
        missing_tag: its tags have no genre.
        disagrees: the prediction, the tag and the folder's name differ.
        placeholder: its tags have only placeholders, such as "Other".
        failed, quarantined, missing: instead of analysed files, those that cannot be analysed,
            that hung or killed a worker, or that no longer exist.
    """

    genre: str | None = None
    min_probability: float = 0.0
    missing_tag: bool = False
    disagrees: bool = False
    failed: bool = False
    quarantined: bool = False
    missing: bool = False
    placeholder: bool = False

    def accept(self, entry: LibraryEntry) -> bool:
        """Whether a file meets the conditions."""
        states = (
            (self.failed, entry.error is not None),
            (self.quarantined, entry.is_quarantined),
            (self.missing, entry.is_missing),
        )
        if any(requested for requested, _ in states):
            return all(holds for requested, holds in states if requested)
        if entry.is_missing or entry.agreement is None or entry.probability is None:
            return False
        return (
            self.genre in (None, entry.label)
            and entry.probability >= self.min_probability
            and not (self.missing_tag and entry.genres)
            and (entry.is_placeholder or not self.placeholder)
            and (entry.agreement.disagrees or not self.disagrees)
        )


def used_model(connection: sqlite3.Connection, name: str | None = None) -> UsedModel:
    """Return a model used by a scan of this library.

    Args:
        connection: the library's database.
        name: its name, or the first digits of its sha256; None is the last one used.

    Raises:
        LibraryError: nothing has been scanned, or no scan used this model.
    """
    rows = connection.execute("SELECT * FROM models ORDER BY last_scan_ns DESC").fetchall()
    if not rows:
        raise LibraryError("nothing has been scanned yet; run `genrekit library scan FOLDER` first")
    for row in rows:
        if name in (None, row["name"]) or (name and row["sha256"].startswith(name)):
            path = database.decode_path(row["path"])
            return UsedModel(row["id"], row["name"], path, tuple(json.loads(row["labels"])))
    raise LibraryError(unknown_name("model of this library", str(name), {r["name"] for r in rows}))


def label_of(model: UsedModel, name: str) -> str:
    """Return the model's label for a name in any spelling.

    Raises:
        LibraryError: there is none.
    """
    label = spelling.spellings(model.labels).get(labels.spelling(name))
    if label is None:
        raise LibraryError(unknown_name(f"genre of model {model.name!r}", name, model.labels))
    return label


def entries(
    connection: sqlite3.Connection, model: UsedModel, filters: Filters | None = None
) -> Iterator[LibraryEntry]:
    """Yield the files of a library, sorted by path.

    Args:
        connection: the library's database.
        model: the model whose predictions to return.
        filters: which files; None for all.
    """
    found, agreements = votes(connection, model.id), AgreementBuilder(model.labels)
    for row in connection.execute(_ENTRIES + "ORDER BY files.path", {"model": model.id}):
        entry = _entry(row, model, found, agreements)
        if filters is None or filters.accept(entry):
            yield entry


def entry_of(connection: sqlite3.Connection, model: UsedModel, path: Path) -> LibraryEntry:
    """Return one file of a library.

    Raises:
        LibraryError: it has not been scanned.
    """
    for entry in entries_of(connection, model, [path]):
        return entry
    raise LibraryError(
        f"{path}: this file has not been scanned; run `genrekit library scan` on it first"
    )


def entries_of(
    connection: sqlite3.Connection, model: UsedModel, paths: Iterable[Path]
) -> Iterator[LibraryEntry]:
    """Yield those of some files that have been scanned, in their order."""
    found, agreements = votes(connection, model.id), AgreementBuilder(model.labels)
    for path in paths:
        values = {"model": model.id, "path": database.encode_path(path)}
        for row in connection.execute(_ENTRIES + "WHERE files.path = :path", values):
            yield _entry(row, model, found, agreements)


def votes(connection: sqlite3.Connection, model_id: int) -> Votes:
    """Return the votes of all tracks of a library."""
    return votes_of(connection.execute(_VOTERS, {"model": model_id}))


def votes_of(rows: Iterable[sqlite3.Row]) -> Votes:
    """Return the votes of rows of files and predictions, sorted by the files' ids.

    Missing files and further copies of the same audio do not count.
    """
    found, seen = Votes(Albums(), ArtistVotes()), set()
    for row in rows:
        if row["is_missing"] or row["probabilities"] is None:
            continue
        album, vector = _album(row), vector_of(row)
        found.artists.add(keys.artist(row["artist"]), album, row["audio_id"], vector)
        recording = (album, row["audio_id"])
        if album is not None and recording not in seen:
            seen.add(recording)
            found.albums.add(album, vector)
    return found


def vector_of(row: sqlite3.Row) -> Vector:
    """Return a prediction's probabilities. Shape (n_labels,)."""
    return np.frombuffer(row["probabilities"], "<f4").astype(np.float64)


def agreement_of(row: sqlite3.Row, found: Votes, agreements: AgreementBuilder) -> Agreement:
    """Return the agreement of an analysed file's sources."""
    album = _album(row)
    return agreements.build(
        vector_of(row),
        found.albums.mean(album) if album is not None else None,
        found.artists.mean(keys.artist(row["artist"]), album, row["audio_id"]),
        json.loads(row["genres"]),
        database.decode_path(row["path"]),
    )


def album_of(row: sqlite3.Row) -> Hashable:
    """Return a key that separates albums of one name: by artist, or else by folder."""
    artist = row["album_artist"]
    owner = labels.spelling(artist) if artist else database.decode_path(row["path"]).parent
    return row["album"].casefold(), owner


def _album(row: sqlite3.Row) -> Hashable | None:
    return album_of(row) if row["album"] is not None else None


def _entry(
    row: sqlite3.Row, model: UsedModel, found: Votes, agreements: AgreementBuilder
) -> LibraryEntry:
    probabilities, agreement = None, None
    if row["probabilities"] is not None:
        values = vector_of(row).round(6).tolist()
        probabilities = dict(zip(model.labels, values, strict=True))
        agreement = agreement_of(row, found, agreements)
    return LibraryEntry(
        path=database.decode_path(row["path"]),
        genres=tuple(json.loads(row["genres"])),
        tags={name: row[name] for name in database.TAGS},
        probabilities=probabilities,
        agreement=agreement,
        duration_seconds=row["duration_seconds"],
        warnings=tuple(json.loads(row["warnings"] or "[]")),
        error=row["error"],
        is_missing=bool(row["is_missing"]),
        is_quarantined=bool(row["is_quarantined"]),
    )
