"""The routes of the table and of single tracks: parse, call, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query

from genrekit.library.track_search import Filter, Sort, TrackQuery
from genrekit.library_server import table_view
from genrekit.library_server.documents import IdsDocument, SessionDocument, WindowDocument

if TYPE_CHECKING:
    from genrekit.library_server.library_handle import LibraryHandle

MAX_ROWS = 500
Probability = Annotated[float | None, Query(ge=0, le=1)]


def wanted_tracks(
    sort: Sort = "path",
    descending: bool = False,
    search: Annotated[str, Query(max_length=200)] = "",
    filter: Filter = "all",
    genre: Annotated[str | None, Query(max_length=200)] = None,
    min_probability: Probability = None,
    max_probability: Probability = None,
) -> TrackQuery:
    """Return which tracks a request asks for."""
    return TrackQuery(sort, descending, search, filter, genre, min_probability, max_probability)


Wanted = Annotated[TrackQuery, Depends(wanted_tracks)]


def track_routes(library: LibraryHandle, *, read_only: bool) -> APIRouter:
    """Return the routes that show the library."""
    router = APIRouter(prefix="/api")

    @router.get("/session")
    def session() -> SessionDocument:
        """Return what the page needs first."""
        with library.reading() as opened:
            return table_view.session(opened, str(library.path), read_only=read_only)

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

    return router
