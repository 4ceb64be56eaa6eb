"""The application of a library, assembled from its routes, its page and its checks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import Response

from genrekit import __version__, server
from genrekit.errors import GenrekitError
from genrekit.library_server import job_works
from genrekit.library_server.access import AccessCheck, BodyLimit, Secret
from genrekit.library_server.analysing import TrackAnalyser
from genrekit.library_server.job_board import JobBoard
from genrekit.library_server.library_handle import LibraryHandle
from genrekit.server import page_files, problems
from genrekit.server.middleware import Middleware
from genrekit.server.origins import OriginCheck

PAGE = Path(__file__).parent / "page"
COMMON = Path(server.__file__).parent / "page"  # drawing and playing, as the other page does


@contextlib.contextmanager
def opened_library_app(path: Path, secret: Secret, *, read_only: bool = False) -> Iterator[FastAPI]:
    """Open a library and yield its application; what runs is ended with the block.

    Args:
        path: the library's database.
        secret: what opens the page.
        read_only: refuse whatever could change something.

    Raises:
        LibraryError: the library cannot be used, or another program serves it.
    """
    with contextlib.ExitStack() as stack:
        library = LibraryHandle(path, read_only=read_only)
        library.open()
        stack.callback(library.close)
        analyser = TrackAnalyser()
        stack.callback(analyser.close)
        board = JobBoard(path, job_works.works())
        if not read_only:
            board.open()
        stack.callback(board.close)
        yield _application(library, analyser, board, secret)


def _application(
    library: LibraryHandle, analyser: TrackAnalyser, board: JobBoard, secret: Secret
) -> FastAPI:
    application = FastAPI(
        title="genrekit library", version=__version__, docs_url=None, redoc_url=None
    )
    problems.handle(application)

    @application.exception_handler(GenrekitError)
    async def _expected(request: Request, error: GenrekitError) -> Response:
        return problems.response(422, " ".join(str(error).split()))

    _add_routes(application, library, analyser, board)
    _add_page(application)
    application.add_middleware(BodyLimit)
    application.add_middleware(AccessCheck, secret=secret, read_only=library.read_only)
    application.add_middleware(OriginCheck, reads=True)
    application.add_middleware(Middleware)
    return application


def _add_routes(
    application: FastAPI, library: LibraryHandle, analyser: TrackAnalyser, board: JobBoard
) -> None:
    """Add every route below /api."""
    from genrekit.library_server.review_routes import (
        job_routes,
        review_routes,
        starting_routes,
        tag_routes,
    )
    from genrekit.library_server.teaching_routes import teaching_routes
    from genrekit.library_server.track_routes import single_track_routes, track_routes

    for router in (
        track_routes(library),
        single_track_routes(library, analyser),
        job_routes(library, board),
        starting_routes(library, board),
        review_routes(library, board),
        tag_routes(library, board),
        teaching_routes(library, board),
    ):
        application.include_router(router)


def _add_page(application: FastAPI) -> None:
    """Serve exactly the files of the page, each by its name, and the other page's modules."""
    files = page_files.below(COMMON, "/common") | page_files.below(PAGE)
    page_files.add(application, {**files, "/": PAGE / "index.html"})
