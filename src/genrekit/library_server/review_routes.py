"""The routes that change something: jobs, the plan in review, applying and undoing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from genrekit.library import database
from genrekit.library_server import review, table_view
from genrekit.library_server.parameters import JobId, corners
from genrekit.library_server.review_documents import (
    AcceptRequest,
    ApplyRequest,
    DecisionsRequest,
    DropRequest,
    JobList,
    LibraryJobDocument,
    PlanRequest,
    ReviewDocument,
    RevisionDocument,
    ScanRequest,
    TransactionDocument,
    TransactionList,
    UndoRequest,
    WatchRequest,
)
from genrekit.server.problems import ProblemError

if TYPE_CHECKING:
    from genrekit.library_server.job_board import JobBoard
    from genrekit.library_server.library_handle import LibraryHandle

States = Literal["all", "open", "accepted", "rejected", "applied", "failed"]


def job_routes(library: LibraryHandle, board: JobBoard) -> APIRouter:
    """Return the routes that show and control jobs."""
    router = APIRouter(prefix="/api")

    @router.get("/jobs")
    def jobs() -> JobList:
        """List the latest jobs."""
        with library.reading() as opened:
            found = board.documents(opened.connection)
        return JobList(jobs=[LibraryJobDocument(**fields) for fields in found])

    @router.get("/jobs/{job_id}")
    def job(job_id: JobId) -> LibraryJobDocument:
        """Return a job and its progress."""
        with library.reading() as opened:
            return LibraryJobDocument(**board.document(opened.connection, job_id))

    @router.post("/jobs/{job_id}/{action}")
    def control(job_id: JobId, action: Literal["pause", "resume", "cancel"]) -> LibraryJobDocument:
        """Pause, resume or cancel a job; it ends after the current file."""
        with library.writing() as connection:
            if action == "resume":
                board.resume(connection, job_id)
            else:
                board.stop(connection, job_id, "paused" if action == "pause" else "cancelled")
            return LibraryJobDocument(**board.document(connection, job_id))

    return router


def starting_routes(library: LibraryHandle, board: JobBoard) -> APIRouter:
    """Return the routes that start jobs which change no file."""
    router = APIRouter(prefix="/api")

    def start(kind: str, title: str, arguments: dict[str, Any]) -> LibraryJobDocument:
        with library.writing() as connection:
            job_id = board.start(connection, kind, database.text(title), arguments)
            return LibraryJobDocument(**board.document(connection, job_id))

    @router.post("/scan", status_code=202)
    def scan(request: ScanRequest) -> LibraryJobDocument:
        """Scan folders for new and changed files."""
        folders = [_folder(each) for each in request.folders]
        title = f"scan {', '.join(folders)}"
        return start("scan", title, {"folders": folders, "retry": request.retry})

    @router.post("/watch", status_code=202)
    def watch(request: WatchRequest) -> LibraryJobDocument:
        """Analyse new files of a folder as they arrive."""
        folder = _folder(request.folder)
        return start("watch", f"watch {folder}", {"folder": folder})

    @router.post("/plan", status_code=202)
    def plan(request: PlanRequest) -> LibraryJobDocument:
        """Plan genres; the plan replaces the one in review."""
        with library.reading() as opened:
            opened.scanned  # noqa: B018 - refuses where nothing was scanned
            threshold = opened.threshold
        folders = [_folder(each) for each in request.folders]
        arguments = request.model_dump(mode="json") | {"folders": folders, "threshold": threshold}
        if request.filter:
            arguments["filter"]["lasso"] = corners(request.filter.lasso)
        return start("plan", "plan genres", arguments)

    return router


def review_routes(library: LibraryHandle, board: JobBoard) -> APIRouter:
    """Return the routes of the plan in review."""
    router = APIRouter(prefix="/api")

    @router.get("/plan")
    def shown(
        offset: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        decision: States = "all",
    ) -> ReviewDocument:
        """Return a part of the plan in review."""
        with library.reading() as opened:
            is_applying = board.is_active(opened.connection, "apply")
            return review.document(
                opened.connection, decision, offset, limit, is_applying=is_applying
            )

    @router.patch("/plan")
    def decide(request: DecisionsRequest) -> RevisionDocument:
        """Accept, reject and edit lines."""
        with library.writing() as connection:
            _check_reviewable(board, connection)
            return review.decide(connection, request.revision, request.decisions)

    @router.post("/plan/accept")
    def accept(request: AcceptRequest) -> RevisionDocument:
        """Accept every open line of at least a given probability."""
        with library.writing() as connection:
            _check_reviewable(board, connection)
            return review.accept(connection, request.revision, request.min_probability)

    @router.delete("/plan")
    def drop(request: DropRequest) -> RevisionDocument:
        """Forget the plan."""
        with library.writing() as connection:
            _check_reviewable(board, connection)
            return review.drop(connection, request.revision)

    @router.get("/plan/file", response_class=StreamingResponse)
    def plan_file() -> StreamingResponse:
        """Return what is accepted as a plan file, which `genrekit tag apply` takes."""

        def lines() -> Iterator[str]:
            with library.reading() as opened:
                found = list(review.plan_file(opened.connection))
            yield from found

        headers = {"Content-Disposition": 'attachment; filename="plan.jsonl"'}
        return StreamingResponse(lines(), headers=headers, media_type="application/x-ndjson")

    return router


def tag_routes(library: LibraryHandle, board: JobBoard) -> APIRouter:
    """Return the routes that write genres into files and undo it."""
    router = APIRouter(prefix="/api")

    @router.post("/apply", status_code=202)
    def apply(request: ApplyRequest) -> LibraryJobDocument:
        """Write what is accepted into the files."""
        with library.writing() as connection:
            _check_reviewable(board, connection)
            with review.reserved(connection, request.revision, request.expected_count) as ids:
                title = f"write genres into {len(ids)} files"
                job_id = board.add(connection, "apply", title, {})
                review.give(connection, ids, job_id)
            board.begin(connection, job_id)
            return LibraryJobDocument(**board.document(connection, job_id))

    @router.get("/transactions")
    def transactions() -> TransactionList:
        """List the plans that were applied."""
        from genrekit.tagging import journal

        with library.reading() as opened:
            found = journal.runs(opened.connection)
        documents = [
            TransactionDocument(
                id=run.id,
                started=run.started,
                n_files=run.n_files,
                is_undoable=run.is_undoable,
            )
            for run in found
        ]
        return TransactionList(transactions=documents)

    @router.post("/undo", status_code=202)
    def undo(request: UndoRequest) -> LibraryJobDocument:
        """Restore every byte that files had before a transaction, or undo one file's change."""
        from genrekit.tagging import journal

        if (request.transaction is None) == (request.track is None):
            raise ProblemError(422, "name a transaction or a track, one of them")
        with library.writing() as connection:
            if request.track is not None:
                encoded = table_view.path_of(connection, request.track)
                what = os.fsdecode(os.path.realpath(encoded))
                title = f"undo {Path(what).name}"
            else:
                what, title = str(request.transaction), f"undo transaction {request.transaction}"
            journal.chosen(connection, what)  # refuses where there is nothing to undo
            job_id = board.start(connection, "undo", database.text(title), {"what": what})
            return LibraryJobDocument(**board.document(connection, job_id))

    return router


def _check_reviewable(board: JobBoard, connection: sqlite3.Connection) -> None:
    if board.is_active(connection, "apply"):
        raise ProblemError(409, "the plan is being applied; wait until it is done, or cancel that")


def _folder(text: str) -> str:
    """Return a folder's absolute path.

    Raises:
        ProblemError: 422 it does not exist.
    """
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ProblemError(422, f"got the folder {text!r}; give its whole path, from / on")
    try:
        is_there = path.exists()
    except (OSError, ValueError):
        is_there = False
    if not is_there:
        raise ProblemError(422, f"{text}: there is no such folder; give one that is there")
    return str(path)
