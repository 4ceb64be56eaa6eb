"""The routes of the table and of single tracks: parse, call, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from genrekit.audio.probing import check_regular
from genrekit.explain.document import ExplanationDocument
from genrekit.library_server import playing, table_view, track_view
from genrekit.library_server.documents import (
    IdsDocument,
    MapDocument,
    SessionDocument,
    SimilarList,
    TrackDocument,
    WindowDocument,
)
from genrekit.library_server.parameters import TrackId, Wanted
from genrekit.server.problems import ProblemError
from genrekit.tags import pictures

if TYPE_CHECKING:
    from genrekit.library_server.analysing import TrackAnalyser
    from genrekit.library_server.library_handle import LibraryHandle

MAX_ROWS = 500
_COVER_SECONDS = 3600  # that a browser may keep a cover without asking again
Label = Annotated[str, Query(max_length=200, description='"" is the most probable one.')]


def track_routes(library: LibraryHandle) -> APIRouter:
    """Return the routes that show the library."""
    router = APIRouter(prefix="/api")

    @router.get("/session")
    def session() -> SessionDocument:
        """Return what the page needs first."""
        with library.reading() as opened:
            return table_view.session(opened, str(library.path), read_only=library.read_only)

    @router.get("/tracks")
    def tracks(
        wanted: Wanted,
        offset: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 100,
    ) -> WindowDocument:
        """Return a part of the table."""
        with library.reading() as opened:
            if opened.table is None:
                return WindowDocument(total=0, revision=0, rows=[])
            window = opened.table.window(opened.connection, wanted, offset, limit)
            rows = table_view.rows(opened.connection, opened.model, window.ids)
        return WindowDocument(total=window.total, revision=window.revision, rows=rows)

    @router.get("/tracks/ids")
    def ids(wanted: Wanted) -> IdsDocument:
        """Return all tracks of a query by their ids, in its order."""
        with library.reading() as opened:
            if opened.table is None:
                return IdsDocument(ids=[])
            return IdsDocument(ids=opened.table.ids(opened.connection, wanted).tolist())

    @router.get("/map")
    def map_of_all() -> MapDocument:
        """Return where the tracks lie on the map."""
        return track_view.map_of(library)

    return router


def single_track_routes(library: LibraryHandle, analyser: TrackAnalyser) -> APIRouter:
    """Return the routes of one track, given by its id."""
    router = APIRouter(prefix="/api/tracks/{track_id}")

    @router.get("")
    def details(track_id: TrackId) -> TrackDocument:
        """Return what is known of a track."""
        with library.reading() as opened:
            found = track_view.details(opened.connection, opened.model, track_id)
            path = track_view.file_of(opened.connection, track_id)
        return track_view.with_file(found, path)

    @router.get("/audio", response_class=Response)
    def sound(
        track_id: TrackId,
        range: Annotated[str | None, Header(max_length=100)] = None,
        decoded: Annotated[bool, Query(description="WAV, whatever the file is.")] = False,
    ) -> Response:
        """Return a track's audio, or the requested range of it."""
        with library.reading() as opened:
            row = table_view.row(opened.connection, opened.model, track_id)
            path = track_view.file_of(opened.connection, track_id)
        may_decode = not row.is_quarantined
        return playing.response(path, range, decoded=decoded, may_decode=may_decode)

    @router.get("/cover", response_class=Response)
    def cover(track_id: TrackId) -> Response:
        """Return a track's cover."""
        path = _file(track_id)
        check_regular(path)
        picture = pictures.cover(path)
        if picture is None:
            raise ProblemError(404, "this track has no cover")
        headers = {"Cache-Control": f"private, max-age={_COVER_SECONDS}"}
        return Response(picture.content, 200, headers, picture.media_type)

    @router.get("/timeline")
    def timeline(track_id: TrackId) -> dict[str, Any]:
        """Return a track's genres over time."""
        return analyser.timeline(_model_folder(), _file(track_id))

    @router.get("/explanation")
    def explanation(track_id: TrackId, label: Label = "") -> ExplanationDocument:
        """Return which seconds and frequencies of a track support a genre."""
        found = analyser.explanation(_model_folder(), _file(track_id), label)
        return ExplanationDocument.model_validate(found)

    @router.get("/similar")
    def similar(track_id: TrackId, top: Annotated[int, Query(ge=1, le=100)] = 10) -> SimilarList:
        """Return the tracks whose embeddings are the most similar to a track's."""
        return SimilarList(tracks=track_view.similar(library, track_id, top))

    def _file(track_id: int) -> Path:
        with library.reading() as opened:
            return track_view.file_of(opened.connection, track_id)

    def _model_folder() -> Path:
        with library.reading() as opened:
            return opened.scanned[0].path

    return router
