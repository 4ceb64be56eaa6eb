"""Jobs of a library's page: they report their progress, can be stopped, and resume after a crash.

A paused job has ended between two files; what it did is in the database or in the files. Resumed,
it starts again and determines what is left. So nothing is lost when the program is killed: a job
that was running is "interrupted" at the next start, and can be resumed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from genrekit.errors import GenrekitError
from genrekit.library import database
from genrekit.server import problems
from genrekit.server.problems import ProblemError

N_MESSAGES = 50
N_SHOWN = 50
_CLOSE_SECONDS = 10.0
_GROUPS = {
    "scan": "analysing",
    "watch": "analysing",
    "plan": "tagging",
    "apply": "tagging",
    "undo": "tagging",
    "train": "training",
}
_PAUSABLE = {"scan", "watch", "apply", "undo"}
_RESUMABLE = ("paused", "interrupted", "failed")
Ending = Literal["paused", "cancelled", "interrupted"]


class JobStoppedError(Exception):
    """A job should end here."""


@dataclass
class RunningJob:
    """A job as its thread sees it: what to do, and where to report progress."""

    id: int
    kind: str
    arguments: dict[str, Any]
    done: int = 0
    total: int | None = None
    messages: deque[str] = field(default_factory=lambda: deque(maxlen=N_MESSAGES))
    ending: Ending | None = None
    is_ending: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """End the job here if it was asked to end.

        Raises:
            JobStoppedError: it was.
        """
        if self.is_ending.is_set():
            raise JobStoppedError

    def advance(self, n_done: int = 1) -> None:
        """Report more work as done.

        Raises:
            JobStoppedError: the job should end here.
        """
        self.done += n_done
        self.check()

    @contextmanager
    def progress(self, n_files: int) -> Iterator[Callable[[int], None]]:
        """Report the progress of a batch job; see ``genrekit.batch.processing.Progress``."""
        self.done, self.total = 0, n_files
        self.check()
        yield self.advance

    def say(self, sentence: str) -> None:
        """Add a message."""
        self.messages.append(" ".join(sentence.split()))

    def stop(self, ending: Ending) -> None:
        """Ask it to end at the next opportunity."""
        self.ending = ending
        self.is_ending.set()


# Does a job's work with a connection of its own; returns the result that the page shows.
Work = Callable[[sqlite3.Connection, RunningJob], dict[str, Any]]


class JobBoard:
    """The jobs of one library. Every method may be called by any thread."""

    def __init__(self, path: Path, works: Mapping[str, Work]) -> None:
        """Set the library and what its jobs do; open makes it ready.

        Args:
            path: the library's database.
            works: what to do, by the kind of job.
        """
        self._path, self._works = path, works
        self._lock = threading.Lock()
        self._running: dict[int, RunningJob] = {}
        self._threads: dict[int, threading.Thread] = {}

    def open(self) -> None:
        """Mark the jobs that ran when the program ended as interrupted.

        Raises:
            LibraryError: the database fails.
        """
        with database.opened(self._path) as connection:
            connection.execute(
                "UPDATE page_jobs SET state = 'interrupted', ended = NULL WHERE state = 'running'"
            )

    def close(self) -> None:
        """End every job; they count as interrupted."""
        with self._lock:
            jobs, threads = list(self._running.values()), list(self._threads.values())
        for job in jobs:
            job.stop("interrupted")
        end = time.monotonic() + _CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def start(
        self, connection: sqlite3.Connection, kind: str, title: str, arguments: dict[str, Any]
    ) -> int:
        """Start a job.

        Args:
            connection: the library's database.
            kind: which of the works.
            title: what it does, in words.
            arguments: its parameters, in JSON's types.

        Returns:
            Its id.

        Raises:
            ProblemError: 409 another job of its group has not ended.
        """
        job_id = self.add(connection, kind, title, arguments)
        self.begin(connection, job_id)
        return job_id

    def add(
        self, connection: sqlite3.Connection, kind: str, title: str, arguments: dict[str, Any]
    ) -> int:
        """Add a job as start does, perhaps within a transaction; begin runs it."""
        with self._lock:
            self._check_free(connection, kind)
            row = connection.execute(
                "INSERT INTO page_jobs (kind, title, arguments, state, started) "
                "VALUES (?, ?, ?, 'running', ?) RETURNING id",
                (kind, title, json.dumps(arguments), _now()),
            ).fetchone()
        return int(row["id"])

    def begin(self, connection: sqlite3.Connection, job_id: int) -> None:
        """Run a job that was added."""
        with self._lock:
            row = _row(connection, job_id)
            self._begin(RunningJob(job_id, row["kind"], json.loads(row["arguments"])))

    def resume(self, connection: sqlite3.Connection, job_id: int) -> None:
        """Resume a job that was paused or interrupted, or retry one that failed.

        Raises:
            ProblemError: 404 there is none of this id; 409 it is running or has ended, or another
                job of its group has not.
        """
        with self._lock:
            row = _row(connection, job_id)
            if row["state"] not in _RESUMABLE:
                raise ProblemError(409, f"job {job_id} is {row['state']}; it cannot be resumed")
            self._check_free(connection, row["kind"], but=job_id)
            connection.execute(
                "UPDATE page_jobs SET state = 'running', ended = NULL WHERE id = ?", (job_id,)
            )
            job = RunningJob(job_id, row["kind"], json.loads(row["arguments"]))
            job.done, job.total = row["done"], row["total"]
            self._begin(job)

    def stop(self, connection: sqlite3.Connection, job_id: int, ending: Ending) -> None:
        """Pause or cancel a job; it ends after the current file.

        Raises:
            ProblemError: 404 there is none of this id; 409 it has ended, or cannot be paused.
        """
        with self._lock:
            row, job = _row(connection, job_id), self._running.get(job_id)
            if ending == "paused" and row["kind"] not in _PAUSABLE:
                raise ProblemError(409, f"a job of kind {row['kind']!r} cannot be paused")
            if job is not None:
                job.stop(ending)
            elif ending == "cancelled" and row["state"] in _RESUMABLE:
                connection.execute(
                    "UPDATE page_jobs SET state = 'cancelled', ended = ? WHERE id = ?",
                    (_now(), job_id),
                )
            else:
                raise ProblemError(409, f"job {job_id} is {row['state']} already")

    def is_active(self, connection: sqlite3.Connection, kind: str) -> bool:
        """Return whether a job of a kind has begun and not ended, even if it is paused."""
        row = connection.execute(
            "SELECT 1 FROM page_jobs WHERE kind = ? AND state IN ('running', 'paused', "
            "'interrupted')",
            (kind,),
        ).fetchone()
        return row is not None

    def document(self, connection: sqlite3.Connection, job_id: int) -> dict[str, Any]:
        """Return a job's JSON form.

        Raises:
            ProblemError: 404 there is none of this id.
        """
        return self._document(_row(connection, job_id))

    def documents(self, connection: sqlite3.Connection) -> list[dict[str, Any]]:
        """Return the latest jobs' JSON forms, the latest first."""
        rows = connection.execute("SELECT * FROM page_jobs ORDER BY id DESC LIMIT ?", (N_SHOWN,))
        return [self._document(row) for row in rows.fetchall()]

    def _document(self, row: sqlite3.Row) -> dict[str, Any]:
        fields = {key: row[key] for key in row.keys()}  # noqa: SIM118 - a Row iterates over values
        del fields["arguments"]
        fields["messages"] = json.loads(row["messages"])
        fields["result"] = json.loads(row["result"]) if row["result"] else None
        fields["can_pause"] = row["kind"] in _PAUSABLE
        if job := self._running.get(row["id"]):
            fields |= {"done": job.done, "total": job.total, "messages": list(job.messages)}
        return fields

    def _check_free(self, connection: sqlite3.Connection, kind: str, but: int = 0) -> None:
        others = [other for other, group in _GROUPS.items() if group == _GROUPS[kind]]
        row = connection.execute(
            "SELECT id, title, state FROM page_jobs WHERE state IN ('running', 'paused', "
            "'interrupted') AND id <> ? AND kind IN (SELECT value FROM json_each(?))",
            (but, json.dumps(others)),
        ).fetchone()
        if row:
            detail = f"{row['title']!r} is {row['state']}; wait until it is done, or cancel it"
            raise ProblemError(409, detail)

    def _begin(self, job: RunningJob) -> None:
        self._running[job.id] = job
        thread = threading.Thread(target=self._run, args=(job,), daemon=True)
        self._threads[job.id] = thread
        thread.start()

    def _run(self, job: RunningJob) -> None:
        """Run as a thread: do a job and record its outcome."""
        result, state = None, "done"
        try:
            with database.opened(self._path) as connection:
                result = self._works[job.kind](connection, job)
        except JobStoppedError:
            state = job.ending or "interrupted"
        except (GenrekitError, ProblemError, OSError) as error:
            state = "failed"
            job.say(str(error))
        except Exception as error:
            problems.LOG.error("%s failed", job.kind, exc_info=error)
            state = "failed"
            job.say(problems.UNEXPECTED)
        self._keep(job, state, result)

    def _keep(self, job: RunningJob, state: str, result: dict[str, Any] | None) -> None:
        ended = None if state in ("paused", "interrupted") else _now()
        try:
            with database.opened(self._path) as connection:
                connection.execute(
                    "UPDATE page_jobs SET state = ?, done = ?, total = ?, messages = ?, "
                    "result = ?, ended = ? WHERE id = ?",
                    (
                        state,
                        job.done,
                        job.total,
                        json.dumps(list(job.messages)),
                        None if result is None else json.dumps(result),
                        ended,
                        job.id,
                    ),
                )
        except GenrekitError as error:  # a full disk: it counts as interrupted the next time
            problems.LOG.error("what became of %s cannot be kept: %s", job.kind, error)
        with self._lock:
            del self._running[job.id], self._threads[job.id]


def _row(connection: sqlite3.Connection, job_id: int) -> sqlite3.Row:
    row = connection.execute("SELECT * FROM page_jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise ProblemError(404, f"no job has the id {job_id}")
    found: sqlite3.Row = row
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
