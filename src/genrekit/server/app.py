"""The application, assembled from its routes and pages."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import jinja2
from fastapi import Depends, FastAPI, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, Response
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from genrekit import __version__, demo
from genrekit.server import page_files, problems, routes
from genrekit.server.middleware import Middleware, ServerMetrics
from genrekit.server.origins import OriginCheck
from genrekit.server.problems import ProblemError
from genrekit.server.service import Service
from genrekit.server.settings import Settings

_HERE = Path(__file__).parent
PAGE = _HERE / "page"
_KEY_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False)


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its workers start with its lifespan.

    Raises:
        ModelError: a model is missing or broken.
    """
    service = Service(settings)
    metrics = ServerMetrics(service)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.open()
        try:
            yield
        finally:
            await asyncio.to_thread(service.close)

    application = FastAPI(
        title="genrekit",
        summary="Music genre classification of audio files.",
        version=__version__,
        root_path=settings.root_path,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    problems.handle(application)
    application.include_router(
        routes.service_routes(service),
        dependencies=[Depends(_key_check(settings.api_key))] if settings.api_key else [],
        responses=problems.descriptions(401) if settings.api_key else None,
    )
    application.include_router(routes.state_routes(service, metrics.registry))
    _add_pages(application)
    if settings.allow_origins:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allow_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Prefer", "X-API-Key"],
            expose_headers=["Location", "Retry-After"],
        )
    application.add_middleware(OriginCheck, allow_origins=settings.allow_origins)
    application.add_middleware(Middleware, count=metrics.count)
    return application


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
    template = jinja2.Environment(autoescape=True).from_string(
        (_HERE / "docs.html").read_text(encoding="utf-8")
    )

    @application.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(template.render(application.openapi()))

    named = {"/": PAGE / "index.html", "/docs.css": _HERE / "docs.css"}
    page_files.add(application, page_files.below(PAGE) | named)
    for name in demo.NAMES:
        application.add_api_route(f"/demo/{name}.flac", _demo(name), include_in_schema=False)


def _demo(name: str) -> Callable[[], Response]:
    """Return a route for a synthetic track, which is made on its first request."""
    made = cache(partial(demo.flac, name))

    def send() -> Response:
        return Response(made(), media_type="audio/flac")

    return send
