"""A pool of processes that can be killed: a bad item fails on its own, whatever it does.

    start() -> function        called once in each worker, for example to load a model
    function(item) -> result   called for each item

A worker that hangs past the deadline is killed, and one that dies is noticed at once; its item
becomes a ``Failure`` and a fresh worker replaces it. Workers are spawned, not forked, so that no
lock held by a thread is copied. They ignore Ctrl-C, which the parent handles, and exit as soon as
their parent is gone, for whatever reason.
"""

from __future__ import annotations

import functools
import os
import pickle
import queue
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from genrekit.errors import GenrekitError

Item = TypeVar("Item")
Result = TypeVar("Result")

START_SECONDS = 120.0
_LOOK_AHEAD = 8  # finished items per worker that may wait for a slow one before them
_MEMORY_POLL_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 3600.0  # the system call accepts no more than some weeks
# A worker sends one of these and its payload.
_READY, _DONE, _FAILED, _BROKEN = "ready", "done", "failed", "broken"
_STARTING = threading.Lock()  # see _no_main, which changes state of the entire process

Reason = Literal["error", "limit", "death"]


@dataclass(frozen=True)
class Failure(Generic[Item]):
    """An item that could not be processed, and why, in one sentence.

    ``reason`` is "error" if the function raised, "limit" if the item took too long or too much
    memory, and "death" if the worker died while it held the item.
    """

    item: Item
    message: str
    reason: Reason = "error"


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool(Generic[Item, Result]):
    """Killable workers. Use it as a context manager, or call close.

    Only one thread at a time may use a pool, which works only while results are being consumed.
    Each thread may have its own pool.
    """

    def __init__(
        self,
        start: Callable[[], Callable[[Item], Result]],
        n_workers: int,
        *,
        item_seconds: float,
        memory_bytes: int | None = None,
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Prepare a pool; the workers start with the first items.

        Args:
            start: called once in each worker; returns the function that is called for each item.
                It must be picklable: a module's function, or functools.partial of one.
            n_workers: the maximum number of processes.
            item_seconds: an item that takes longer fails and its worker is killed; may be infinite.
            memory_bytes: a worker whose resident memory exceeds this is killed and its item fails.
                Checked five times per second in /proc; without effect where there is none.
            start_seconds: a worker that takes longer to be ready is given up.
        """
        if n_workers < 1:
            raise ValueError(f"got n_workers {n_workers}; expected at least 1")
        self._start = pickle.dumps(start)
        self._n_workers = n_workers
        self._item_seconds = item_seconds
        self._memory_bytes = memory_bytes
        self._start_seconds = start_seconds
        self._workers: list[_Worker] = []

    def __enter__(self) -> Pool[Item, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all workers, losing their items. The next map starts new ones."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def map(
        self, items: Iterable[Item], *, in_order: bool = True
    ) -> Iterator[Result | Failure[Item]]:
        """Process items; a bad one fails on its own.

        Args:
            items: read only a few ahead of the results, so they may be endless.
            in_order: yield the results in the order of items, each as soon as it and all before
                it are ready; otherwise each as soon as it is ready.

        Yields:
            One result or Failure per item.

        Raises:
            GenrekitError: start raised one, or a worker died before it was ready.
            RuntimeError: another map of this pool has not ended yet.
        """
        if any(worker.job for worker in self._workers):
            raise RuntimeError("another map of this pool has not ended yet; end or close it first")
        source = enumerate(items)
        waiting = next(source, None)
        done: dict[int, Result | Failure[Item]] = {}
        n_given = 0
        try:
            while waiting is not None or done or any(worker.job for worker in self._workers):
                while waiting is not None and self._has_room(waiting[0] - n_given):
                    self._idle_worker().give(*waiting)
                    waiting = next(source, None)
                done.update(self._collect())
                while done and (n_given in done or not in_order):
                    yield done.pop(n_given if in_order else next(iter(done)))
                    n_given += 1
        finally:
            self._drop([worker for worker in self._workers if worker.job])

    def _has_room(self, n_ahead: int) -> bool:
        n_busy = sum(worker.job is not None for worker in self._workers)
        return n_busy < self._n_workers and n_ahead < _LOOK_AHEAD * self._n_workers

    def _idle_worker(self) -> _Worker:
        for worker in self._workers:
            if worker.job is None and worker.process.is_alive():
                return worker
        self._drop([worker for worker in self._workers if worker.job is None])  # died while idle
        self._workers.append(_Worker(self._start))
        return self._workers[-1]

    def _drop(self, workers: list[_Worker]) -> None:
        for worker in workers:
            worker.stop()
            self._workers.remove(worker)

    def _collect(self) -> dict[int, Any]:
        """Wait until a worker answers, dies or must be killed; return the outcome of its item."""
        busy = {worker.link: worker for worker in self._workers if worker.job}
        outcomes: dict[int, Any] = {}
        for link in connection.wait(list(busy), self._patience(list(busy.values()))):
            outcomes.update(self._receive(busy.pop(cast(Any, link))))
        for worker in busy.values():
            message = self._complaint(worker)
            if message is not None:
                outcomes.update(self._fail(worker, message, "limit"))
        return outcomes

    def _patience(self, workers: list[_Worker]) -> float:
        now = time.monotonic()
        until_deadline = min(self._deadline(worker) for worker in workers) - now
        poll = _MEMORY_POLL_SECONDS if self._memory_bytes else until_deadline
        return max(0.0, min(until_deadline, poll, _LONGEST_WAIT_SECONDS))

    def _deadline(self, worker: _Worker) -> float:
        return worker.since + self._limit(worker)

    def _limit(self, worker: _Worker) -> float:
        return self._item_seconds if worker.is_ready else self._start_seconds

    def _receive(self, worker: _Worker) -> dict[int, Any]:
        try:
            kind, payload = worker.receive()
        except (EOFError, OSError):
            return self._fail(worker, f"the worker {worker.epitaph()}", "death")
        except Exception as error:  # unpickling runs any code
            return self._fail(
                worker, f"the result cannot be read back: {_describe(error)}", "error"
            )
        if kind == _READY:
            worker.is_ready, worker.since = True, time.monotonic()
            return {}
        if kind == _BROKEN:
            self._drop([worker])
            raise payload
        index, item = worker.take_job()
        return {index: payload if kind == _DONE else Failure(item, payload)}

    def _complaint(self, worker: _Worker) -> str | None:
        if time.monotonic() > self._deadline(worker):
            return f"took longer than {self._limit(worker):g} s and was stopped"
        if self._memory_bytes and _resident_bytes(worker.process.pid) > self._memory_bytes:
            return f"needed more than {self._memory_bytes / 1e6:.0f} MB of memory and was stopped"
        return None

    def _fail(self, worker: _Worker, message: str, reason: Reason) -> dict[int, Any]:
        index, item = worker.take_job()
        self._drop([worker])
        if not worker.is_ready:
            raise GenrekitError(
                f"a worker process could not start: {message}; try again with one job"
            )
        return {index: Failure(item, message, reason)}


class _Worker:
    """A process, the pipe to it, and its current item."""

    def __init__(self, start: bytes) -> None:
        self.link, far_end = get_context("spawn").Pipe()
        self.process = get_context("spawn").Process(
            target=_work, args=(far_end, start), daemon=True
        )
        with _STARTING, _no_interrupt(), _no_main(start):
            self.process.start()
        far_end.close()
        self.is_ready = False
        self.since = time.monotonic()
        self.job: tuple[int, Any] | None = None

    def give(self, index: int, item: Any) -> None:
        self.job = (index, item)
        if self.is_ready:
            self.since = time.monotonic()
        try:
            self.link.send_bytes(pickle.dumps(item))
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died, which the next wait will find

    def receive(self) -> tuple[str, Any]:
        return cast("tuple[str, Any]", pickle.loads(self.link.recv_bytes()))  # noqa: S301

    def take_job(self) -> tuple[int, Any]:
        if self.job is None:
            raise RuntimeError("the worker answered without having been asked")
        job, self.job = self.job, None
        return job

    def epitaph(self) -> str:
        self.process.join(5.0)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"died of {signal.Signals(-code).name}"
        return f"died with exit code {code}"

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.link.close()


def _work(link: Any, start: bytes) -> None:
    """Run as a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    items: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # A thread reads the pipe all the time, so that the end of the parent ends even a busy worker.
    threading.Thread(target=_receive_items, args=(link, items), daemon=True).start()
    try:
        function = pickle.loads(start)()  # noqa: S301 - our own parent's bytes
    except GenrekitError as error:
        _send(link, _BROKEN, error)
        return
    except Exception as error:
        _send(link, _BROKEN, GenrekitError(f"a worker could not start: {_describe(error)}"))
        return
    _send(link, _READY, None)
    while True:
        _send(link, *_attempt(function, items.get()))


def _receive_items(link: Any, items: queue.SimpleQueue[bytes]) -> None:
    while True:
        try:
            items.put(link.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)


def _attempt(function: Callable[[Any], Any], item: bytes) -> tuple[str, Any]:
    try:
        return _DONE, function(pickle.loads(item))  # noqa: S301
    except (GenrekitError, OSError) as error:
        return _FAILED, " ".join(str(error).split())
    except MemoryError:
        return _FAILED, "ran out of memory"
    except Exception as error:
        return _FAILED, f"failed unexpectedly: {_describe(error)}; please report it"


def _send(link: Any, kind: str, payload: Any) -> None:
    try:
        message = pickle.dumps((kind, payload))
    except Exception as error:
        message = pickle.dumps((_FAILED, f"the result cannot be sent back: {_describe(error)}"))
    link.send_bytes(message)


def _describe(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _resident_bytes(pid: int | None) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * _page_bytes()


@functools.cache
def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Let a child start with SIGINT blocked, so that Ctrl-C does not hit it while importing."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _no_main(start: bytes) -> Iterator[None]:
    """Keep a child from running the user's script again, unless start is defined in it.

    A spawned process imports its parent's main module, so a script without an
    ``if __name__ == "__main__"`` would run again in each worker.
    """
    main = sys.modules["__main__"]
    if b"__main__" not in start:
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
