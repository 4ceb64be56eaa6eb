"""Around every request: security headers, Prometheus metrics, and no traceback for anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genrekit.server import problems

if TYPE_CHECKING:
    from genrekit.server.service import Service

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# No other host, no inline script or style; the page may play what it creates itself (blob:).
_CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' "
    "blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
Count = Callable[[str, str, int, float], None]
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class ServerMetrics(Collector):
    """Counts requests by route and status, and shows the workers and the uploads."""

    def __init__(self, service: Service) -> None:
        """Count in a registry of its own.

        Args:
            service: whose state is read when the metrics are collected.
        """
        self.registry = CollectorRegistry()
        self._service = service
        self._requests = Counter(
            "genrekit_requests",
            "Finished requests.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "genrekit_request_seconds",
            "From the head of a request to the end of its response.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that ended."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the service."""
        queue, uploads = self._service.queue, self._service.uploads
        yield GaugeMetricFamily(
            "genrekit_files_open", "Files waiting for a worker or in one.", queue.n_open
        )
        yield GaugeMetricFamily(
            "genrekit_workers_ready", "Workers that have started.", queue.n_ready
        )
        yield CounterMetricFamily(
            "genrekit_workers_killed", "Workers that died at work or were stopped.", queue.n_killed
        )
        yield GaugeMetricFamily("genrekit_upload_bytes", "Uploads on disk.", uploads.n_bytes)


class Middleware:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, count: Count | None = None) -> None:
        """Stand around an application.

        Args:
            app: what handles the requests.
            count: called with method, route, status and seconds of each request that ended.
        """
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; count it when its response has been sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            problems.LOG.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            if status:
                raise
            failed = problems.response(500, problems.UNEXPECTED)
            await failed(scope, receive, send_with_headers)
        finally:
            if self._count:
                method = scope["method"] if scope["method"] in _METHODS else "other"
                route = getattr(scope.get("route"), "path", "other")
                self._count(method, route, status, perf_counter() - began)
