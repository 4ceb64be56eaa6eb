"""A library as the server holds it open: a connection for reading, and what is derived from it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from genrekit.errors import GenrekitError, LibraryError
from genrekit.library import database, embedding_map, query, track_index
from genrekit.library.query import UsedModel
from genrekit.library.track_search import TrackTable
from genrekit.models import registry
from genrekit.server import problems
from genrekit.server.problems import ProblemError
from genrekit.tagging import policy

_FEW = 20  # files that are derived while a request waits
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 30.0
_SERVED = (
    "another `genrekit library serve` has this library open; use the address that it printed, end "
    "it, or open the library with --read-only"
)


@dataclass(frozen=True)
class Opened:
    """What a request works with while it holds the library.

    Attributes:
        connection: to the database.
        model: the one of the last scan; None before the first.
        table: the table of that model's predictions.
        threshold: probabilities below count as "below".
    """

    connection: sqlite3.Connection
    model: UsedModel | None
    table: TrackTable | None
    threshold: float

    @property
    def scanned(self) -> tuple[UsedModel, TrackTable]:
        """The model and the table.

        Raises:
            ProblemError: 409 nothing was scanned yet.
        """
        if self.model is None or self.table is None:
            raise ProblemError(409, "nothing was scanned yet; scan a folder first")
        return self.model, self.table


class LibraryHandle:
    """An open library; one request reads at a time, and the index is updated in between."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        """Set the library; open makes it ready.

        Args:
            path: its database.
            read_only: another program may serve it at the same time.
        """
        self.path, self.read_only = path, read_only
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._table: tuple[UsedModel, TrackTable, float] | None = None
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_index, daemon=True)

    def open(self) -> None:
        """Open the database, and start keeping the index up to date.

        Raises:
            LibraryError: it cannot be used, see ``database.opened``; another program serves it.
        """
        with ExitStack() as stack:
            connection = stack.enter_context(database.opened(self.path, any_thread=True))
            if not self.read_only:
                stack.enter_context(database.locked(connection, ".serving", _SERVED))
            self._stack, self._connection = stack.pop_all(), connection
        self._thread.start()

    def close(self) -> None:
        """Close the database."""
        self._is_closing.set()
        self._thread.join()
        with self._lock:
            self._connection = None
            self._stack.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the library to one request that changes it; see reading."""
        with self.reading() as opened:
            yield opened.connection

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Lend the library to one request.

        Raises:
            ProblemError: 503 the database fails, or another process holds it too long.
        """
        with self._lock:
            if self._connection is None:
                raise ProblemError(503, "the library is being closed")
            try:
                if not self.read_only and track_index.n_stale(self._connection) <= _FEW:
                    track_index.refresh(self._connection, _FEW)
                yield self._opened(self._connection)
            except sqlite3.Error as error:
                detail = f"the library's database cannot be used ({error}); try again"
                raise ProblemError(503, detail) from error

    def _opened(self, connection: sqlite3.Connection) -> Opened:
        try:
            model = query.used_model(connection)
        except LibraryError:
            return Opened(connection, None, None, policy.PRECISION)
        if self._table is None or self._table[0] != model:
            threshold = _threshold(model)
            self._table = model, TrackTable(model, threshold), threshold
        return Opened(connection, *self._table)

    def _keep_index(self) -> None:
        """Run as a thread: derive what has changed, whoever changed it."""
        while not self._is_closing.is_set():
            try:
                with database.opened(self.path) as connection:
                    self._derive(connection)
            except (GenrekitError, ProblemError) as error:  # such as a full or read-only disk
                problems.LOG.error("the index of the library waits: %s", error)
                self._is_closing.wait(_RETRY_SECONDS)

    def _derive(self, connection: sqlite3.Connection) -> None:
        before = 0
        while not self._is_closing.is_set():
            if track_index.refresh(connection):
                continue
            _update_map(connection)
            revision = track_index.revision(connection)
            if revision == before:  # nothing has changed since the last look
                self._prepare()
            before = revision
            self._is_closing.wait(_LOOK_SECONDS)

    def _prepare(self) -> None:
        """Sort the table by each column, one at a time, so that requests are served in between."""
        is_left = True
        while is_left and not self._is_closing.is_set():
            with self.reading() as opened:
                is_left = bool(opened.table and opened.table.prepare(opened.connection))


def _update_map(connection: sqlite3.Connection) -> None:
    with suppress(LibraryError):  # nothing was scanned yet
        if embedding_map.update(connection, query.used_model(connection)):
            track_index.note_change(connection)


def _threshold(model: UsedModel) -> float:
    """Return the least probability of a proposed genre."""
    try:
        return policy.least_probability(registry.find(model.path).card)
    except GenrekitError:  # it is gone
        return policy.PRECISION
