"""Errors as problem documents (RFC 9457): the command line's sentences, no path, no traceback."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("genrekit.server")


class ProblemError(Exception):
    """A request that ends in a problem document.

    The type is "about:blank": what a client can decide by is the status.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        """Describe a problem.

        Args:
            status: the HTTP status.
            detail: one sentence: what came, what is allowed, what to do.
            headers: of the answer, with underscores for hyphens, such as Retry_After.
        """
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def document(status: int, detail: str) -> dict[str, Any]:
    """Return a problem document.

    >>> document(404, "no job has this id")["title"]
    'Not Found'
    """
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }


def response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem document as the answer to a request."""
    text = json.dumps(document(status, detail), ensure_ascii=False)
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, status, headers, MEDIA_TYPE)


def handle(application: FastAPI) -> None:
    """Turn everything that an application raises into problem documents."""

    @application.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return response(error.status, error.detail, error.headers)

    @application.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = _ROUTING.get(error.status_code, str(error.detail))
        return response(error.status_code, detail, dict(error.headers or {}))

    @application.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return response(422, "; ".join(_complaint(found) for found in error.errors()))

    @application.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return response(500, "failed unexpectedly; please report it")


_ROUTING = {
    404: "nothing is here; /docs lists what there is",
    405: "this method is not allowed here; /docs lists those that are",
}


def _complaint(found: dict[str, Any]) -> str:
    """Say what is wrong with one parameter.

    >>> _complaint({"loc": ("query", "min_precision"), "msg": "Input should be less than 1"})
    'min_precision: Input should be less than 1'
    """
    return f"{found['loc'][-1]}: {found['msg']}"
