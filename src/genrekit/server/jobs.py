"""Jobs: results that are fetched later, bounded in number and forgotten after a while."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import accumulate
from time import monotonic

from genrekit.server.settings import ServerLimits


class JobsFullError(Exception):
    """As many jobs as are allowed are waiting or running."""


@dataclass
class Job:
    """One job: its id, and its result's status and JSON once it is done."""

    job_id: str
    task: asyncio.Task[tuple[int, str]]
    done_at: float | None = None
    n_bytes: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the result is there."""
        return self.task.done()

    def to_json(self) -> str:
        """Return the JSON of a JobDocument; the result in it is JSON already."""
        if not self.is_done:
            return json.dumps({"id": self.job_id, "status": "running"})
        status, result = self.task.result()
        word, key = ("done", "result") if status == 200 else ("failed", "problem")
        return f'{{"id": "{self.job_id}", "status": "{word}", "{key}": {result}}}'


class Jobs:
    """The jobs of one server, in the memory of its event loop."""

    def __init__(self, limits: ServerLimits) -> None:
        """Prepare for jobs.

        Args:
            limits: how many are kept and for how long.
        """
        self._limits = limits
        self._jobs: dict[str, Job] = {}

    def start(self, work: Coroutine[None, None, tuple[int, str]]) -> Job:
        """Start a job.

        Args:
            work: gives the status and the JSON of its result.

        Raises:
            JobsFullError: too many others have not finished; work was closed.
        """
        self._forget(n_new=1)
        if len(self._jobs) >= self._limits.max_jobs:
            work.close()
            raise JobsFullError
        job = Job(secrets.token_urlsafe(16), asyncio.ensure_future(work))
        job.task.add_done_callback(lambda task: self._finish(job, task))
        self._jobs[job.job_id] = job
        return job

    def find(self, job_id: str) -> Job | None:
        """Return a job; None where no job has this id, or no longer."""
        self._forget(n_new=0)
        return self._jobs.get(job_id)

    def _finish(self, job: Job, task: asyncio.Task[tuple[int, str]]) -> None:
        job.done_at = monotonic()
        if not task.cancelled() and task.exception() is None:
            job.n_bytes = len(task.result()[1])
        self._forget(n_new=0)

    def _forget(self, n_new: int) -> None:
        """Drop what is too old, and the oldest results where there are too many or too large ones.

        The newest result is kept whatever its size.
        """
        limits, now = self._limits, monotonic()
        done = [job for job in self._jobs.values() if job.done_at is not None]
        done.sort(key=lambda job: job.done_at or 0.0, reverse=True)
        room = limits.max_jobs - n_new - (len(self._jobs) - len(done))
        n_bytes = accumulate(job.n_bytes for job in done)
        for index, (job, total) in enumerate(zip(done, n_bytes, strict=True)):
            is_old = now - (job.done_at or now) > limits.job_seconds
            is_over = index > 0 and total > limits.job_bytes
            if is_old or is_over or index >= room:
                del self._jobs[job.job_id]
