"""uvicorn around the application, with limits for connections that send and read too slowly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from genrekit.server import problems
from genrekit.server.settings import ServerLimits

_SHUTDOWN_GRACE_SECONDS = 5
# A chunk of one byte costs 30 us of the event loop: 64 kB of them stall it for a third of a second.
_MIN_LINE_BYTES = 64  # on average between two ends of a line, which frame every chunk
_MIN_READ_BYTES = 64  # on average of what arrives at a time
_FREE_LINES = 500  # of a request: its head has 20
_FREE_READS = 500


class Connection(H11Protocol):
    """HTTP/1.1 that waits idle_seconds for the head of a request and for its response to be read.

    uvicorn limits neither. While a request is handled no limit holds here: its body has one of its
    own (uploads.py), and so has the work (settings.py).
    """

    idle_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None
    _n_unread = 0
    _n_lines = _n_reads = _n_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._time()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a complete head of a request ends the wait.

        A client that sends them in crumbs is dropped before they are parsed.
        """
        if self._is_chunked(data):
            self._n_lines += data.count(b"\r\n")
        self._n_reads += 1
        self._n_bytes += len(data)
        if self._comes_in_crumbs():
            self._stop_timer()
            self.transport.abort()
            return
        super().data_received(data)
        self._time()

    def _is_chunked(self, data: bytes) -> bool:
        """Whether a request's body is framed by lines: by its head, or by what may be its head."""
        is_head = self.cycle is None or self.cycle.response_complete
        known = any(name == b"transfer-encoding" for name, _ in self.headers or ())
        return known or (is_head and b"transfer-encoding" in data.lower())

    def _comes_in_crumbs(self) -> bool:
        has_tiny_chunks = self._n_lines > _FREE_LINES + self._n_bytes / _MIN_LINE_BYTES
        has_tiny_reads = self._n_reads > _FREE_READS + self._n_bytes / _MIN_READ_BYTES
        return has_tiny_chunks or has_tiny_reads

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, unless it is there already."""
        self._n_lines = self._n_reads = self._n_bytes = 0
        super().on_response_complete()
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Respond to what is not HTTP with a problem document, and close."""
        response = problems.response(400, f"{msg.rstrip('.').lower()}; send HTTP/1.1")
        headers = [*response.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _time(self) -> None:
        """Let the timer run while no request is handled, from when the last one ended."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._timer is None:
            self._n_unread = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(self.idle_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Close, unless the last response is still being read."""
        self._timer = None
        if 0 < self.transport.get_write_buffer_size() < self._n_unread:
            self._time()
        else:
            self.transport.abort()


def run(
    application: FastAPI,
    limits: ServerLimits,
    host: str,
    port: int,
    report: Callable[[str], None],
    *,
    grace_seconds: int | None = None,
) -> None:
    """Serve until the process gets SIGTERM or Ctrl-C; then finish what runs.

    Args:
        application: what handles the requests.
        limits: of connections, and of the work that is finished at the end.
        host: a name or address of this machine.
        port: 0 takes a free one.
        report: called with the address once connections are taken.
        grace_seconds: what runs at the end gets this long; None is what the limits give a file.

    Raises:
        OSError: the address cannot be used.
    """
    _allow_many_connections()
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if grace_seconds is None:
        grace_seconds = round(limits.item_seconds) + _SHUTDOWN_GRACE_SECONDS
    with socket.create_server(address[:2], family=family, backlog=2048) as server:
        # Connections inherit it. Else a response's body waits 40 ms for the acknowledgement of its
        # head, as asyncio takes no socket of an unnamed protocol for TCP.
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            application,
            http=type("Connection", (Connection,), {"idle_seconds": limits.idle_seconds}),
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=grace_seconds,
        )
        name = f"[{host}]" if ":" in host else host
        report(f"http://{name}:{server.getsockname()[1]}")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[server])


def _allow_many_connections() -> None:
    """Lift the soft limit of open files to the hard one: each slow client holds one."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
