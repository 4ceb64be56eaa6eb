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
from time import monotonic

from genrekit.errors import GenrekitError
from genrekit.server.settings import Settings
from genrekit.server.worker import Answer, Hear, Task
from genrekit.workers import Failure, Pool

_LOG = logging.getLogger("genrekit.server")
_Pool = Pool[Task | None, Answer]
_N_TRIES = 3  # of a file beside which workers die; who killed them is not known
_FIRST_GUESS_SECONDS = 0.5  # what a file takes, until one was heard
_MEMORY = 0.9  # weight of the past in the mean of what files take


class BusyError(Exception):
    """The queue has no room; after retry_seconds it probably has."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"try again in {retry_seconds} s")
        self.retry_seconds = retry_seconds


class WorkerQueue:
    """Takes tasks, gives futures of their answers. Every method may be called by any thread."""

    def __init__(self, start: Callable[[], Hear], settings: Settings) -> None:
        """Prepare a desk; open starts its workers.

        Args:
            start: called once in each worker, as Pool says. What it gives is first called with
                None, to see that it is there.
            settings: number of workers, size of the queue, limits of an item.
        """
        self._start = start
        self._settings = settings
        self._entries: queue.SimpleQueue[tuple[Task, Future[Answer]] | None] = queue.SimpleQueue()
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
        while True:
            try:
                entry = self._entries.get_nowait()
            except queue.Empty:
                break
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

    def submit(self, tasks: Sequence[Task]) -> list[Future[Answer]]:
        """Put tasks into the queue, all or none of them.

        Raises:
            BusyError: they do not fit.
        """
        with self._lock:
            self._check_room(len(tasks))
            self.n_open += len(tasks)
        futures: list[Future[Answer]] = [Future() for _ in tasks]
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
        """Live as a thread: start a worker, hand it one task after the other."""
        limits = self._settings.limits
        with Pool(
            self._start, 1, item_seconds=limits.item_seconds, memory_bytes=limits.memory_bytes
        ) as pool:
            first = _ask(pool, None)
            if isinstance(first, Failure):
                _LOG.error("no worker could be started: %s", first.message)
            with self._lock:
                self.n_ready += isinstance(first, Answer)
            while (entry := self._entries.get()) is not None:
                task, future = entry
                wanted = future.set_running_or_notify_cancel()
                answer = self._answer(pool, task) if wanted else Answer()
                self._leave()
                if wanted:
                    future.set_result(answer)

    def _answer(self, pool: _Pool, task: Task) -> Answer:
        began = monotonic()
        for _ in range(_N_TRIES):
            found = _ask(pool, task)
            if isinstance(found, Answer) or found.reason == "error":
                break
            self._count_killed()
            if found.reason == "limit":
                break
        spent = monotonic() - began
        with self._lock:
            self._mean_seconds = _MEMORY * self._mean_seconds + (1 - _MEMORY) * spent
        return found if isinstance(found, Answer) else _judged(task, found)

    def _count_killed(self) -> None:
        with self._lock:
            self.n_killed += 1


def _ask(pool: _Pool, task: Task | None) -> Answer | Failure[Task | None]:
    """Let a worker do a task; where none could start, the failure holds no task."""
    try:
        return next(pool.map([task]))
    except GenrekitError as error:
        return Failure(None, str(error), "death")


def _judged(task: Task, failure: Failure[Task | None]) -> Answer:
    """Return the answer to a task whose worker gave none."""
    _LOG.error("%s: %s", task.name, failure.message)
    if failure.item is None:
        return Answer(status=503, error="no worker could be started; try again later")
    if failure.reason == "error":
        return Answer(status=500, error=f"{task.name}: failed unexpectedly; please report it")
    status = 413 if failure.reason == "limit" else 422
    return Answer(status=status, error=f"{task.name}: {failure.message}")
