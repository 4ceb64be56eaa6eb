"""Who may ask: the names that the server answers to, and the pages that may post to it.

A page of another site that a visitor's browser runs could otherwise use a server on the visitor's
own machine: by a name of its own that it lets point there (DNS rebinding), or by a form.

Source: Fetch Metadata Request Headers (W3C); RFC 6454 (Origin); RFC 9112, 6.3 (both lengths).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from genrekit.server import problems

_SAFE = {"GET", "HEAD", "OPTIONS"}
_SAME = {"same-origin", "none"}  # "none": typed by the user


class OriginCheck:
    """Middleware that refuses requests to other hosts and posts from pages of other sites."""

    def __init__(
        self, app: ASGIApp, allow_origins: Iterable[str] = (), *, reads: bool = False
    ) -> None:
        """Check in front of an application.

        Args:
            app: what handles the requests that pass.
            allow_origins: origins of pages that may post. The server answers to their names,
                beside this machine's own and every IP address; "*" allows each.
            reads: also refuse what other sites' pages want to read. A visitor who follows a link
                to "/" is no page that reads.
        """
        own = {"localhost", socket.gethostname().lower(), socket.getfqdn().lower()}
        self._app = app
        self._origins, self._reads = set(allow_origins), reads
        self._hosts = own | {_without_port(origin.rpartition("://")[2]) for origin in allow_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond with what is wrong with where it comes from."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problems.response(*problem)(scope, receive, send)

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            return 400, "got Content-Length and Transfer-Encoding; send one of them"
        host = headers.get("host", "")
        if not self._is_own(host):
            return 421, f"got Host {host!r}; {self._way_out('--allow-origin https://NAME')}"
        if scope["method"] in _SAFE and (not self._reads or _is_visit(scope, headers)):
            return None
        origin = headers.get("origin")
        is_allowed = origin in self._origins or "*" in self._origins
        is_foreign = headers.get("sec-fetch-site", "none") not in _SAME
        if origin is not None:
            is_foreign = is_foreign or origin.partition("://")[2].lower() != host.lower()
        if is_foreign and not is_allowed:
            way_out = self._way_out(f"--allow-origin {origin or 'ORIGIN'}")
            return 403, f"a page of {origin or 'another site'} may not call; {way_out}"
        return None

    def _way_out(self, option: str) -> str:
        """Say what lets a refused request pass; where reads are refused, nothing does."""
        return "use the address that was printed" if self._reads else f"see {option}"

    def _is_own(self, host: str) -> bool:
        name = _without_port(host)
        if not host or "*" in self._origins or name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether a user follows a link to the first page, into a tab and no frame."""
    return (
        scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _without_port(host: str) -> str:
    """Return a Host header's name.

    >>> _without_port("[::1]:8000"), _without_port("Localhost:80"), _without_port("a.b")
    ('::1', 'localhost', 'a.b')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
