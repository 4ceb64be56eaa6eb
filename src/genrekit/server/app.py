"""The application, put together of its routes and pages, and the server around it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from genrekit import __version__
from genrekit.server import apidocs, connection, problems, routes
from genrekit.server.middleware import Middleware
from genrekit.server.problems import ProblemError
from genrekit.server.prometheus import Figures
from genrekit.server.service import Service
from genrekit.server.settings import Settings

PAGE = Path(__file__).parent / "page"
_SHUTDOWN_GRACE_SECONDS = 5
_KEY_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False)


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its workers start with its lifespan.

    Raises:
        ModelError: a model is missing or broken.
    """
    service = Service(settings)
    figures = Figures(service)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.open()
        try:
            yield
        finally:
            await asyncio.to_thread(service.close)

    application = FastAPI(
        title="genrekit",
        summary="Hears what genre music is.",
        version=__version__,
        root_path=settings.root_path,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    problems.handle(application)
    guarded = [Depends(_key_check(settings.api_key))] if settings.api_key else []
    refused = routes.problem_answers(401) if settings.api_key else None
    application.include_router(
        routes.hearing_routes(service), dependencies=guarded, responses=refused
    )
    application.include_router(routes.state_routes(service, figures))
    _add_pages(application)
    if settings.allow_origins:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allow_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Prefer", "X-API-Key"],
            expose_headers=["Location", "Retry-After"],
        )
    application.add_middleware(Middleware, figures=figures)
    return application


def run(settings: Settings, host: str, port: int, report: Callable[[str], None]) -> None:
    """Serve until the process is told to end; then finish what runs.

    Args:
        settings: of the application.
        host: a name or address of this machine.
        port: 0 takes a free one.
        report: called with the address once connections are taken.

    Raises:
        ModelError: a model is missing or broken.
        OSError: the address cannot be used.
    """
    application = create_app(settings)
    _allow_many_connections()
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.create_server(address[:2], family=family, backlog=2048) as listener:
        config = uvicorn.Config(
            application,
            http=connection.limited(settings.limits.idle_seconds),
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=round(settings.limits.item_seconds) + _SHUTDOWN_GRACE_SECONDS,
        )
        name = f"[{host}]" if ":" in host else host
        report(f"http://{name}:{listener.getsockname()[1]}")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _key_check(api_key: str) -> Callable[..., Awaitable[None]]:
    expected = api_key.encode()

    async def check(
        header: Annotated[str | None, Security(_KEY_HEADER)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> None:
        given = header or (bearer.credentials if bearer else "")
        # Headers arrive as latin-1; compare_digest takes as long for a wrong key as for the right.
        if not secrets.compare_digest(given.encode("latin-1", "replace"), expected):
            detail = "the key is missing or wrong; send it as X-API-Key or as a bearer token"
            raise ProblemError(401, detail, WWW_Authenticate="Bearer")

    return check


def _add_pages(application: FastAPI) -> None:
    """Serve /docs and exactly the files of the page, each by its name."""

    @application.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(apidocs.render(application.openapi()))

    style = Path(__file__).parent / "apidocs.css"
    files = {"/docs.css": style}
    files |= {f"/{path.relative_to(PAGE).as_posix()}": path for path in _page_files()}
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    for place, path in files.items():
        application.add_api_route(place, _sender(path), include_in_schema=False)


def _page_files() -> list[Path]:
    return sorted(path for path in PAGE.rglob("*") if path.is_file())


def _sender(path: Path) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(path)

    return send


def _allow_many_connections() -> None:
    """Lift the soft limit of open files to the hard one: each slow client holds one."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
