"""Connections that say nothing, or say it very slowly, are closed: one place for their limits."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from genrekit.server import problems


class Connection(H11Protocol):
    """HTTP/1.1 that waits idle_seconds for the head of a request and for its answer to be read.

    uvicorn limits neither. While a request is handled no limit holds here: its body has one of its
    own (uploads.py), and so has the work (settings.py).
    """

    idle_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None
    _n_unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._time()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a complete head of a request ends the wait."""
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, unless it is there already."""
        super().on_response_complete()
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem document, and close."""
        answer = problems.response(400, f"{msg.rstrip('.').lower()}; speak HTTP/1.1")
        headers = [*answer.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
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
        """Close, unless the last answer is still being read."""
        self._timer = None
        if 0 < self.transport.get_write_buffer_size() < self._n_unread:
            self._time()
        else:
            self.transport.abort()


def limited(idle_seconds: float) -> type[Connection]:
    """Return the protocol with another limit, in the form that uvicorn takes."""
    return type("LimitedConnection", (Connection,), {"idle_seconds": idle_seconds})
