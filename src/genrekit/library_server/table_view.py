"""The table of a library as the page shows it: rows, counts, labels."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrekit import __version__, labels
from genrekit.inference import timeline
from genrekit.library import database, embeddings, track_index
from genrekit.library.query import UsedModel
from genrekit.library_server.documents import (
    IndexingDocument,
    LabelDocument,
    LibraryModelDocument,
    RowDocument,
    SessionDocument,
)
from genrekit.server.problems import ProblemError
from genrekit.tagging import genre_map
from genrekit.tags import profiles

if TYPE_CHECKING:
    from genrekit.library.track_search import TrackTable
    from genrekit.library_server.library_handle import Opened

_ROWS = """
    SELECT f.*, i.label, i.probability, i.agreement, i.flags, i.duration_seconds,
        p.warnings,
        c.genres AS correction
    FROM json_each(:ids) AS wanted
    JOIN files AS f ON f.id = wanted.value
    JOIN track_index AS i ON i.file_id = f.id
    LEFT JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = :model
    LEFT JOIN corrections AS c ON c.audio_id = f.audio_id
    ORDER BY wanted.key
"""


def rows(
    connection: sqlite3.Connection, model: UsedModel | None, ids: Sequence[int]
) -> list[RowDocument]:
    """Return files as lines of the table, in the order of ids; unknown ones are left out."""
    values = {"ids": json.dumps(ids), "model": model.id if model else 0}
    return [RowDocument(**_fields(row)) for row in connection.execute(_ROWS, values)]


def row(connection: sqlite3.Connection, model: UsedModel | None, file_id: int) -> RowDocument:
    """Return one file as a line of the table.

    Raises:
        ProblemError: 404 there is none of this id.
    """
    for found in rows(connection, model, [file_id]):
        return found
    raise ProblemError(404, f"no track of this library has the id {file_id}; load the table again")


def path_of(connection: sqlite3.Connection, file_id: int) -> bytes:
    """Return where a file lies.

    Raises:
        ProblemError: 404 there is none of this id.
    """
    return bytes(_file(connection, file_id)["path"])


def audio_of(connection: sqlite3.Connection, file_id: int) -> int:
    """Return the id of the audio that a file holds.

    Raises:
        ProblemError: 404 there is no file of this id; 409 its audio cannot be read.
    """
    audio_id = _file(connection, file_id)["audio_id"]
    if audio_id is None:
        raise ProblemError(409, "its audio cannot be read, so no genre can be kept with it")
    return int(audio_id)


def _file(connection: sqlite3.Connection, file_id: int) -> sqlite3.Row:
    query = "SELECT path, audio_id FROM files WHERE id = ?"
    found: sqlite3.Row | None = connection.execute(query, (file_id,)).fetchone()
    if found is None:
        raise ProblemError(404, f"no track of this library has the id {file_id}")
    return found


def session(opened: Opened, path: str, *, read_only: bool) -> SessionDocument:
    """Return what the page needs first."""
    connection, model, table = opened.connection, opened.model, opened.table
    n_stale = track_index.n_stale(connection)
    return SessionDocument(
        version=__version__,
        read_only=read_only,
        database=database.text(path),
        model=_model(connection, model) if model else None,
        threshold=round(opened.threshold, 6),
        labels=_labels(connection, model, table) if model and table else [],
        counts=table.counts(connection) if table else {},
        indexing=_indexing(connection, n_stale) if n_stale else None,
        folders=_folders(connection),
        profiles=sorted(profiles.names(), key=lambda name: name != profiles.DEFAULT),
        genre_maps=genre_map.names(),
    )


def _fields(found: sqlite3.Row) -> dict[str, object]:
    text = {name: found[name] for name in database.TAGS}
    label, probability = found["label"], found["probability"]
    return {
        "id": found["id"],
        "path": database.text(str(database.decode_path(found["path"]))),
        **text,
        "tags": json.loads(found["genres"]),
        "label": label,
        "display_name": None if label is None else labels.display_name(label),
        "probability": None if probability is None else round(probability, 6),
        "agreement": found["agreement"],
        "is_placeholder": bool(found["flags"] & track_index.Flag.PLACEHOLDER),
        "duration_seconds": found["duration_seconds"],
        "warnings": json.loads(found["warnings"] or "[]"),
        "error": found["error"],
        "is_missing": bool(found["is_missing"]),
        "is_quarantined": bool(found["is_quarantined"]),
        "correction": json.loads(found["correction"]) if found["correction"] else None,
    }


def _indexing(connection: sqlite3.Connection, n_stale: int) -> IndexingDocument:
    n_files = connection.execute("SELECT count(*) FROM files").fetchone()[0]
    return IndexingDocument(done=max(n_files - n_stale, 0), total=n_files)


def _model(connection: sqlite3.Connection, model: UsedModel) -> LibraryModelDocument:
    has_embedding = embeddings.is_embedded(connection, model)
    return LibraryModelDocument(name=model.name, has_embedding=has_embedding)


def _labels(
    connection: sqlite3.Connection, model: UsedModel, table: TrackTable
) -> list[LabelDocument]:
    n_tracks = table.n_by_label(connection)
    return [
        LabelDocument(
            label=label,
            display_name=labels.display_name(label),
            parent=next(iter(labels.wider(label)), None),
            colour=timeline.colour(index),
            n_tracks=n_tracks.get(label, 0),
        )
        for index, label in enumerate(model.labels)
    ]


def _folders(connection: sqlite3.Connection) -> list[str]:
    """Return the folder that all files share."""
    here = "SELECT path FROM files WHERE NOT is_missing ORDER BY path"
    least = connection.execute(f"{here} LIMIT 1").fetchone()
    most = connection.execute(f"{here} DESC LIMIT 1").fetchone()
    if least is None:
        return []
    folders = [os.path.dirname(row["path"]) for row in (least, most)]  # noqa: PTH120
    return [database.text(os.fsdecode(os.path.commonpath(folders)))]
