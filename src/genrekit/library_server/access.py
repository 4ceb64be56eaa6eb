"""Who may use a library: whoever has the token of the printed address, or the key.

The token is exchanged for a cookie that neither scripts nor other sites' pages can use, so that it
does not stay in the address. Programs may send it as a bearer token instead.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genrekit.server import problems

_HERE = Path(__file__).parent
MAX_BODY_BYTES = 32 << 20
_MAX_FORM_BYTES = 4096
_WRONG_KEY_SECONDS = 1.0  # so that keys cannot be tried quickly
_SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Secret:
    """What opens a library: the user's token or key, and the cookie that it is exchanged for.

    Attributes:
        token: random where the program made it, the user's own key where one was given.
        is_key: it is the user's own; then no address holds it.
        session: the cookie's value, which ends with the program.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    is_key: bool = False
    session: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def url(self, address: str) -> str:
        """Return the address that a user opens."""
        return f"{address}/" if self.is_key else f"{address}/?token={self.token}"


class AccessCheck:
    """Middleware that admits whoever has the secret, and lets others enter it."""

    def __init__(self, app: ASGIApp, secret: Secret, *, read_only: bool) -> None:
        """Check in front of an application.

        Args:
            app: what handles the requests that pass.
            secret: what opens the library.
            read_only: refuse every request that could change something.
        """
        self._app, self._secret, self._read_only = app, secret, read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond in its place."""
        response = None
        if scope["type"] == "http":
            response = await self._response(scope, receive)
        await (response or self._app)(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response | None:
        request = Request(scope, receive)
        asked = (scope["method"], scope["path"])
        if asked == ("GET", "/") and "token" in request.query_params:
            return await self._enter(scope, request.query_params["token"])
        if asked == ("POST", "/login"):
            return await self._enter(scope, await _key_of(request))
        if asked == ("GET", "/login.css"):
            return FileResponse(_HERE / "login.css")
        if not self._is_known(scope, request.headers):
            return _refused(asked)
        if self._read_only and scope["method"] not in _SAFE:
            detail = "this library is read-only; start it without --read-only to change it"
            return problems.response(403, detail)
        return None

    def _is_known(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), self._secret.token):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(_cookie(scope))
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, self._secret.session)

    async def _enter(self, scope: Scope, given: str) -> Response:
        """Exchange the token for a cookie, and let the address be without it."""
        if not _same(given, self._secret.token):
            await asyncio.sleep(_WRONG_KEY_SECONDS)
            return FileResponse(_HERE / "login.html", 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            _cookie(scope), self._secret.session, path="/", httponly=True, samesite="strict"
        )
        return response


def _refused(asked: tuple[str, str]) -> Response:
    """Return the form where the page was requested, and a problem elsewhere."""
    if asked == ("GET", "/"):
        return FileResponse(_HERE / "login.html", 401)
    detail = "the token is missing or wrong; open the address that the program printed"
    return problems.response(401, detail, {"WWW-Authenticate": "Bearer"})


class BodyLimit:
    """Middleware that refuses bodies that no page of a library sends."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        """Limit the bodies that an application reads to max_bytes."""
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; reading too much of it ends in a problem."""
        n_bytes = 0

        async def receive_some() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._max_bytes:
                raise HTTPException(413, f"more than {self._max_bytes} bytes came; send less")
            return message

        await self._app(scope, receive_some, send)


async def _key_of(request: Request) -> str:
    """Return what a user entered into the form; what is no form is no key."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_FORM_BYTES:
            return ""
    values = parse_qs(body.decode("utf-8", "replace")).get("key", [""])
    return values[0].strip()


def _cookie(scope: Scope) -> str:
    """Return the cookie's name: browsers keep one set for all ports of a host."""
    return f"genrekit_library_{(scope.get('server') or ('', 0))[1]}"


def _same(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), expected.encode())
