"""The bounded queue in front of the workers, as futures.

Each thread here has a pool of one killable worker process, so that a file that hangs, dies or grows
holds up nobody but its own sender.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from genrekit.errors import GenrekitError
from genrekit.workers import Failure, Pool

if TYPE_CHECKING:
    from genrekit.inference.segments import SegmentChoice
    from genrekit.server.settings import Settings

INCLUDABLE = ("spectrogram", "timeline")
_LOG = logging.getLogger("genrekit.server")
_N_TRIES = 3  # of a file beside which workers die; which one killed them is not known
_FIRST_GUESS_SECONDS = 0.5  # what a file takes, until one is done
_PAST_WEIGHT = 0.9  # of the past in the mean of what files take


@dataclass(frozen=True)
class TaskOptions:
    """What a request needs of its files.

    Args:
        model: the position in the server's list of models.
        threshold: the prediction abstains below it.
        segments: as Classifier takes it.
        include: what of INCLUDABLE the result holds beside the Prediction's own keys.
        explain: explain this genre instead, "" for the most probable one; None predicts.
    """

    model: int = 0
    threshold: float = 0.0
    segments: SegmentChoice = None
    include: frozenset[str] = frozenset()
    explain: str | None = None


@dataclass(frozen=True)
class FileTask:
    """One uploaded file and what to do with it.

    Args:
        path: where it lies.
        name: what the result calls it.
        options: of its request.
        max_seconds: longer audio is refused.
        job_from_seconds: longer audio is left for now; the result is that it needs a job.
    """

    path: Path
    name: str
    options: TaskOptions
    max_seconds: float
    job_from_seconds: float


@dataclass(frozen=True)
class TaskResult:
    """What became of a file: JSON, or an error's status and sentence, or that it needs a job."""

    body: str = ""
    status: int = 200
    error: str = ""
    needs_job: bool = False


RunTask = Callable[[FileTask | None], TaskResult]
_Pool = Pool[FileTask | None, TaskResult]
_Entry = tuple[FileTask, Future[TaskResult]]


class BusyError(Exception):
    """The queue has no room; after retry_seconds it probably has."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"try again in {retry_seconds} s")
        self.retry_seconds = retry_seconds


class WorkerQueue:
    """Takes tasks, gives futures of their results. Every method may be called by any thread."""

    def __init__(self, start: Callable[[], RunTask], settings: Settings) -> None:
        """Prepare a queue; open starts its workers.

        Args:
            start: called once in each worker, as Pool describes. What it returns is first called
                with None, to see that it is there.
            settings: number of workers, size of the queue, limits of an item.
        """
        self._start = start
        self._settings = settings
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._mean_seconds = _FIRST_GUESS_SECONDS
        self._threads: list[threading.Thread] = []
        self.n_open = 0
        self.n_ready = 0
        self.n_killed = 0

    def open(self) -> None:
        """Start the workers; they are ready a moment later."""
        for _ in range(self._settings.n_workers):
            self._threads.append(threading.Thread(target=self._serve, daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Finish what runs, drop what waits, end the workers."""
        with suppress(queue.Empty):
            while True:
                entry = self._entries.get_nowait()
                if entry is not None and entry[1].cancel():
                    self._leave()
        for _ in self._threads:
            self._entries.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def check_room(self) -> None:
        """Look whether a task would be taken now.

        Raises:
            BusyError: it would not.
        """
        with self._lock:
            self._check_room(1)

    def submit(self, tasks: Sequence[FileTask]) -> list[Future[TaskResult]]:
        """Put tasks into the queue, all or none of them.

        Raises:
            BusyError: they do not fit.
        """
        with self._lock:
            self._check_room(len(tasks))
            self.n_open += len(tasks)
        futures: list[Future[TaskResult]] = [Future() for _ in tasks]
        for entry in zip(tasks, futures, strict=True):
            self._entries.put(entry)
        return futures

    def _check_room(self, n_tasks: int) -> None:
        if self.n_open + n_tasks > self._settings.limits.queue_size + self._settings.n_workers:
            left_seconds = self.n_open * self._mean_seconds / self._settings.n_workers
            raise BusyError(max(1, math.ceil(left_seconds)))

    def _leave(self) -> None:
        with self._lock:
            self.n_open -= 1

    def _serve(self) -> None:
        """Live as a thread: start a worker, give it one task after the other."""
        limits = self._settings.limits
        with Pool(
            self._start, 1, item_seconds=limits.item_seconds, memory_bytes=limits.memory_bytes
        ) as pool:
            first = _run_in(pool, None)
            if isinstance(first, Failure):
                _LOG.error("no worker could be started: %s", first.message)
            with self._lock:
                self.n_ready += isinstance(first, TaskResult)
            while (entry := self._entries.get()) is not None:
                task, future = entry
                is_due = future.set_running_or_notify_cancel()
                result = self._run(pool, task) if is_due else TaskResult()
                self._leave()
                if is_due:
                    future.set_result(result)

    def _run(self, pool: _Pool, task: FileTask) -> TaskResult:
        began = monotonic()
        for _ in range(_N_TRIES):
            found = _run_in(pool, task)
            if isinstance(found, TaskResult) or found.reason == "error":
                break
            with self._lock:
                self.n_killed += 1
            if found.reason == "limit":
                break
        spent = monotonic() - began
        with self._lock:
            self._mean_seconds = _PAST_WEIGHT * self._mean_seconds + (1 - _PAST_WEIGHT) * spent
        return found if isinstance(found, TaskResult) else _failed(task, found)


def _run_in(pool: _Pool, task: FileTask | None) -> TaskResult | Failure[FileTask | None]:
    """Let a worker do a task; where none could start, the failure holds no task."""
    try:
        return next(pool.map([task]))
    except GenrekitError as error:
        return Failure(None, str(error), "death")


def _failed(task: FileTask, failure: Failure[FileTask | None]) -> TaskResult:
    """Return the result of a task whose worker gave none."""
    _LOG.error("%s: %s", task.name, failure.message)
    if failure.item is None:
        return TaskResult(status=503, error="no worker could be started; try again later")
    if failure.reason == "error":
        return TaskResult(status=500, error=f"{task.name}: failed unexpectedly; please report it")
    status = 413 if failure.reason == "limit" else 422
    return TaskResult(status=status, error=f"{task.name}: {failure.message}")
