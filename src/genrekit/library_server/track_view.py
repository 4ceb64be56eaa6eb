"""One track as the page shows it: its probabilities, what each source says, what was written."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrekit import labels
from genrekit.library import database, embedding_map, track_index
from genrekit.library_server import table_view
from genrekit.library_server.documents import (
    ChangeDocument,
    MapDocument,
    ProbabilityDocument,
    SimilarDocument,
    SourceDocument,
    TrackDocument,
)
from genrekit.tags import formats, pictures

if TYPE_CHECKING:
    from genrekit.library.agreement import Agreement
    from genrekit.library.query import UsedModel
    from genrekit.library_server.library_handle import LibraryHandle

_CHANGES = """
    SELECT c.id, c.run_id, r.started, c.state, c.old, c.new, c.style
    FROM tag_changes AS c JOIN tag_runs AS r ON r.id = c.run_id
    WHERE c.path = :path OR c.path = :real
    ORDER BY c.id DESC
"""


def details(connection: sqlite3.Connection, model: UsedModel | None, file_id: int) -> TrackDocument:
    """Return what the library knows of a track; with_file adds what only the file says.

    Raises:
        ProblemError: 404 there is none of this id.
    """
    row = table_view.row(connection, model, file_id)
    encoded = table_view.path_of(connection, file_id)
    path = database.decode_path(encoded)
    found = track_index.sources(connection, model, file_id) if model else None
    audio = found.sources["audio"].tolist() if found else []
    named = zip(found.labels, audio, strict=True) if found else ()
    together = found.to_dict() if found else None
    return TrackDocument(
        **row.model_dump(),
        folder=database.text(str(path.parent)),
        probabilities=[
            ProbabilityDocument(
                label=label, display_name=labels.display_name(label), probability=round(p, 6)
            )
            for label, p in sorted(named, key=lambda pair: -pair[1])
        ],
        sources=_sources(found) if found else [],
        together=ProbabilityDocument(
            label=together["label"],
            display_name=labels.display_name(together["label"]),
            probability=together["probability"],
        )
        if together
        else None,
        history=_history(connection, encoded),
        has_cover=False,
        conflicts=[],
    )


def _sources(found: Agreement) -> list[SourceDocument]:
    """Return what each source says, also of a tag with only genres that the model lacks."""
    inside = [
        SourceDocument(source=name, **fields) for name, fields in found.to_dict()["sources"].items()
    ]
    if not found.outside:
        return inside
    names = [database.text(name) for name in found.outside]
    return [*inside, SourceDocument(source="tag", weight=None, labels=names, probability=None)]


def with_file(found: TrackDocument, path: Path) -> TrackDocument:
    """Return a track with what its file says; the library is not held while the file is read."""
    if not path.is_file():  # it is gone, or a pipe now
        return found
    conflicts = [database.text(each) for each in formats.conflicts(path)]
    has_cover = pictures.cover(path) is not None
    return found.model_copy(update={"has_cover": has_cover, "conflicts": conflicts})


def _history(connection: sqlite3.Connection, path: bytes) -> list[ChangeDocument]:
    """Return what was written into a file, the latest first; links lead to one file."""
    values = {"path": path, "real": os.path.realpath(path)}
    return [
        ChangeDocument(
            change=row["id"],
            transaction=row["run_id"],
            time=row["started"],
            state=row["state"],
            old=json.loads(row["old"]),
            new=json.loads(row["new"]),
            style=json.loads(row["style"] or "null"),
        )
        for row in connection.execute(_CHANGES, values)
    ]


def file_of(connection: sqlite3.Connection, file_id: int) -> Path:
    """Return where a track lies.

    Raises:
        ProblemError: 404 there is none of this id.
    """
    return database.decode_path(table_view.path_of(connection, file_id))


def similar(library: LibraryHandle, file_id: int, top: int) -> list[SimilarDocument]:
    """Return the tracks that are the most similar to one.

    Raises:
        ProblemError: 404 there is none of this id; 409 nothing was scanned yet.
    """
    with library.reading() as opened:
        connection, (model, table) = opened.connection, opened.scanned
        table_view.path_of(connection, file_id)
        points = table.map(connection)
        pairs = dict(embedding_map.similar(connection, model, points, file_id, top))
        rows = table_view.rows(connection, model, list(pairs))
    return [SimilarDocument(**row.model_dump(), similarity=round(pairs[row.id], 6)) for row in rows]


def map_of(library: LibraryHandle) -> MapDocument:
    """Return where every track that has an embedding lies, and its label.

    Raises:
        ProblemError: 503 the database fails.
    """
    with library.reading() as opened:
        if opened.model is None or opened.table is None:
            return MapDocument(revision=0, label_names=[], ids=[], x=[], y=[], labels=[])
        found = opened.table.map(opened.connection)
        names = opened.model.labels
        index = {label: number for number, label in enumerate(names)}
        rows = opened.connection.execute("SELECT file_id, label FROM track_index")
        label_of = {row[0]: index.get(row[1], -1) for row in rows}
        revision = track_index.revision(opened.connection)
    ids = found.file_ids.tolist()
    places = found.places().astype(np.float64).round(4)
    return MapDocument(
        revision=revision,
        label_names=list(names),
        ids=ids,
        x=places[:, 0].tolist(),
        y=places[:, 1].tolist(),
        labels=[label_of.get(id, -1) for id in ids],
    )
