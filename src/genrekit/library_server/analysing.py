"""Timelines and explanations of single tracks, by a worker process that may be killed."""

from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

from genrekit.server.problems import ProblemError
from genrekit.server.settings import ServerLimits, Settings
from genrekit.server.worker_queue import BusyError, FileTask, TaskOptions, WorkerQueue

_LIMITS = ServerLimits(queue_size=8, item_seconds=120.0)


class TrackAnalyser:
    """One worker, started at the first request and restarted for another model."""

    def __init__(self) -> None:
        """Prepare; nothing starts yet."""
        self._lock = threading.Lock()
        self._queue: WorkerQueue | None = None
        self._model: Path | None = None

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            if self._queue:
                self._queue.close()
            self._queue = None

    def timeline(self, model: Path, path: Path) -> dict[str, Any]:
        """Return a track's genres over time, and its spectrogram.

        Raises:
            ProblemError: the track cannot be analysed, or too many wait.
        """
        options = TaskOptions(segments="all", include=frozenset({"timeline", "spectrogram"}))
        found = self._result(model, path, options)
        about = ("label", "probability", "duration_seconds", "spectrogram")
        return {**found["timeline"], **{name: found[name] for name in about}}

    def explanation(self, model: Path, path: Path, label: str) -> dict[str, Any]:
        """Return which seconds and frequencies support a label, "" the most probable one.

        Raises:
            ProblemError: as timeline.
        """
        return self._result(model, path, TaskOptions(explain=label))

    def _result(self, model: Path, path: Path, options: TaskOptions) -> dict[str, Any]:
        long = _LIMITS.max_seconds
        try:
            future = self._started(model).submit([FileTask(path, path.name, options, long, long)])
        except BusyError as error:
            raise ProblemError(503, f"other tracks are being analysed; {error}") from error
        result = future[0].result()
        if result.error:
            raise ProblemError(result.status, result.error)
        found: dict[str, Any] = json.loads(result.body)
        return found

    def _started(self, model: Path) -> WorkerQueue:
        with self._lock:
            if self._queue is None or self._model != model:
                from genrekit.server import worker

                if self._queue:
                    self._queue.close()
                self._queue = WorkerQueue(partial(worker.start, (model,)), Settings(limits=_LIMITS))
                self._queue.open()
                self._model = model
            return self._queue
