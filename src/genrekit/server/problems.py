"""Errors as problem documents (RFC 9457): the command line's sentences, no path, no traceback."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from genrekit.strict import StrictModel

MEDIA_TYPE = "application/problem+json"
LOG = logging.getLogger("genrekit.server")
UNEXPECTED = "failed unexpectedly; please report it"
_ROUTING = {
    404: "not found; /docs lists the routes",
    405: "this method is not allowed for this path; /docs lists the allowed ones",
}


class ProblemDocument(StrictModel):
    """A problem, as in RFC 9457.

    The type is always "about:blank": clients should decide by the status.
    """

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str


class ProblemError(Exception):
    """A request that ends in a problem document."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        """Describe a problem.

        Args:
            status: the HTTP status.
            detail: one sentence: what was given, what is allowed, what to do.
            headers: of the response, with underscores for hyphens, such as Retry_After.
        """
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def to_json(status: int, detail: str) -> str:
    """Return a problem document as JSON.

    >>> to_json(404, "no job has this id")[:45]
    '{"type": "about:blank", "title": "Not Found",'
    """
    document = ProblemDocument(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return json.dumps(document.model_dump(), ensure_ascii=False)


def response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem document as the response to a request."""
    body = to_json(status, detail).encode("utf-8", "backslashreplace")
    return Response(body, status, headers, MEDIA_TYPE)


def descriptions(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of a route's problems."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def handle(application: FastAPI) -> None:
    """Turn every exception of an application into a problem document."""

    @application.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return response(error.status, error.detail, error.headers)

    @application.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = _ROUTING.get(error.status_code, str(error.detail))
        return response(error.status_code, detail, dict(error.headers or {}))

    @application.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        found = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
        return response(422, "; ".join(found))

    @application.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return response(500, UNEXPECTED)
