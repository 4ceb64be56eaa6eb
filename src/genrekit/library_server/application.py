"""The application of a library, put together of its routes, its page and its checks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

from genrekit import __version__, server
from genrekit.errors import GenrekitError
from genrekit.library_server.access import AccessCheck, Secret
from genrekit.library_server.analysing import TrackAnalyser
from genrekit.library_server.library_handle import LibraryHandle
from genrekit.server import problems
from genrekit.server.middleware import Middleware
from genrekit.server.origins import OriginCheck

PAGE = Path(__file__).parent / "page"
COMMON = Path(server.__file__).parent / "page"  # drawing and playing, as the other page does


def create_library_app(path: Path, secret: Secret, *, read_only: bool = False) -> FastAPI:
    """Return the application; the library is opened with its lifespan.

    Args:
        path: the library's database.
        secret: what opens the page.
        read_only: refuse whatever could change something.
    """
    library, analyser = LibraryHandle(path), TrackAnalyser()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        library.open()
        try:
            yield
        finally:
            await asyncio.to_thread(analyser.close)
            await asyncio.to_thread(library.close)

    application = FastAPI(
        title="genrekit library", version=__version__, lifespan=lifespan, docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    problems.handle(application)

    @application.exception_handler(GenrekitError)
    async def _expected(request: Request, error: GenrekitError) -> Response:
        return problems.response(422, " ".join(str(error).split()))

    _add_routes(application, library, analyser, read_only=read_only)
    _add_page(application)
    application.add_middleware(AccessCheck, secret=secret, read_only=read_only)
    application.add_middleware(OriginCheck, reads=True)
    application.add_middleware(Middleware)
    return application


def _add_routes(
    application: FastAPI, library: LibraryHandle, analyser: TrackAnalyser, *, read_only: bool
) -> None:
    """Add every route below /api."""
    from genrekit.library_server.track_routes import single_track_routes, track_routes

    application.include_router(track_routes(library, read_only=read_only))
    application.include_router(single_track_routes(library, analyser))


def _add_page(application: FastAPI) -> None:
    """Serve exactly the files of the page, each by its name, and the other page's modules."""
    own = {f"/{path.relative_to(PAGE).as_posix()}": path for path in _files(PAGE)}
    common = {f"/common/{path.relative_to(COMMON).as_posix()}": path for path in _files(COMMON)}
    for address, path in {**common, **own, "/": PAGE / "index.html"}.items():
        application.add_api_route(address, _sender(path), include_in_schema=False)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sender(path: Path) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(path)

    return send
