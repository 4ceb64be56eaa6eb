"""The routes by which a library is taught."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query

from genrekit.library_server import teaching_view
from genrekit.library_server.documents import GenreList, RowDocument, TeachList
from genrekit.library_server.parameters import TrackId
from genrekit.library_server.review_documents import (
    AcceptedModel,
    CorrectionRequest,
    LibraryJobDocument,
    TrainedRequest,
)

if TYPE_CHECKING:
    from genrekit.library_server.job_board import JobBoard
    from genrekit.library_server.library_handle import LibraryHandle


def teaching_routes(library: LibraryHandle, board: JobBoard) -> APIRouter:
    """Return the routes of corrections and of what to correct."""
    router = APIRouter(prefix="/api")

    @router.get("/teach")
    def teach(n: Annotated[int, Query(ge=1, le=100)] = 14) -> TeachList:
        """Return the tracks whose genres would teach the model most."""
        with library.reading() as opened:
            return teaching_view.suggestions(opened, n)

    @router.get("/genres")
    def genres() -> GenreList:
        """Return names of genres to choose from."""
        with library.reading() as opened:
            return GenreList(genres=teaching_view.genre_names(opened))

    @router.put("/tracks/{track_id}/correction")
    def correct(track_id: TrackId, request: CorrectionRequest) -> RowDocument:
        """Keep a person's genres for a track; the file is not changed."""
        with library.reading() as opened:
            return teaching_view.correct(opened, track_id, request.genres)

    @router.delete("/tracks/{track_id}/correction")
    def forget(track_id: TrackId) -> RowDocument:
        """Forget a person's genres for a track."""
        with library.reading() as opened:
            return teaching_view.correct(opened, track_id, None)

    @router.post("/train", status_code=202)
    def train() -> LibraryJobDocument:
        """Teach the model by tags and corrections, and measure the new one beside it."""
        with library.writing() as connection:
            job_id = board.start(connection, "train", "train on tags and corrections", {})
            return LibraryJobDocument(**board.document(connection, job_id))

    @router.post("/train/accept")
    def accept(request: TrainedRequest) -> AcceptedModel:
        """Use the model that a job has trained, from the next scan on."""
        from genrekit.library_server import training_job

        with library.reading() as opened:
            job = board.document(opened.connection, request.job)
            return AcceptedModel(model=training_job.accept(opened.connection, job))

    return router
