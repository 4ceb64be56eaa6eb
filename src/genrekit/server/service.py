"""What the routes call: uploads in, answers in JSON out, by the workers and the jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from genrekit.errors import GenrekitError, ModelError, unknown_name
from genrekit.inference.classifier import threshold_for
from genrekit.inference.segments import SegmentChoice
from genrekit.models import registry
from genrekit.server import problems, worker
from genrekit.server.jobs import Job, Jobs, JobsFullError
from genrekit.server.problems import ProblemError
from genrekit.server.settings import Settings
from genrekit.server.upload_folder import Upload, UploadFolder
from genrekit.server.worker import Answer, Task
from genrekit.server.worker_queue import BusyError, WorkerQueue

_NO_JOB = float("inf")


@dataclass(frozen=True)
class Order:
    """What a request wants of its files; hearing.Task says what the fields mean."""

    model: int
    threshold: float
    segments: SegmentChoice = None
    include: frozenset[str] = frozenset()
    explain: str | None = None


class Service:
    """One server's models, workers, uploads and jobs."""

    def __init__(self, settings: Settings) -> None:
        """Find the models; open starts the workers.

        Raises:
            ModelError: a model is missing or broken, two have one name, or one cannot reach
                settings.min_precision.
        """
        self.settings = settings
        self.models = [registry.find(name) for name in settings.models or (None,)]
        self._names = [model.card.name for model in self.models]
        if len(set(self._names)) < len(self._names):
            raise ModelError(f"two models have the same name ({', '.join(self._names)}); give one")
        self._thresholds = [threshold_for(m.card, settings.min_precision) for m in self.models]
        self.spool = UploadFolder(settings.limits.spool_bytes)
        folders = tuple(model.path for model in self.models)
        self.desk = WorkerQueue(partial(worker.start, folders), settings)
        self.jobs = Jobs(settings.limits)

    def open(self) -> None:
        """Make the folder of uploads and start the workers.

        Raises:
            OSError: the temporary folder cannot be written.
        """
        self.spool.open()
        self.desk.open()

    def close(self) -> None:
        """Finish what runs, end the workers and remove every upload."""
        self.desk.close()
        self.spool.close()

    @property
    def is_ready(self) -> bool:
        """Whether a worker has loaded the models and the queue has room."""
        try:
            self.desk.check_room()
        except BusyError:
            return False
        return self.desk.n_ready > 0

    def order(
        self, model: str | None, min_precision: float | None, segments: str | None, include: str
    ) -> Order:
        """Check what a request asks for before its body is read.

        Args:
            model: a name; None is the first model.
            min_precision: as Classifier takes it; None is the server's own.
            segments: "all" or a number; None is all with a timeline, else as Classifier does.
            include: names of hearing.INCLUDABLE with commas between them.

        Raises:
            ProblemError: 422 an unknown name or a precision that the model cannot reach; 503 no
                room.
        """
        index = 0 if model is None else _index("model", model, self._names)
        wanted = frozenset(name for name in include.split(",") if name)
        for name in wanted:
            _index("include", name, worker.INCLUDABLE)
        choice = "all" if segments is None and "timeline" in wanted else segments
        self._check_room()
        return Order(index, self._threshold(index, min_precision), _choice(choice), wanted)

    def explanation_order(self, model: str | None, genre: str) -> Order:
        """Check what a request for an explanation asks for before its body is read.

        Args:
            model: a name; None is the first model.
            genre: one of its labels; "" is the file's most probable one.

        Raises:
            ProblemError: 422 an unknown name; 503 no room.
        """
        index = 0 if model is None else _index("model", model, self._names)
        if genre:
            _index("genre", genre, self.models[index].card.labels)
        self._check_room()
        return Order(index, self._thresholds[index], explain=genre)

    def _check_room(self) -> None:
        try:
            self.desk.check_room()
        except BusyError as error:
            raise _busy(error) from error

    def _threshold(self, index: int, min_precision: float | None) -> float:
        if min_precision is None:
            return self._thresholds[index]
        try:
            return threshold_for(self.models[index].card, min_precision)
        except GenrekitError as error:
            raise ProblemError(422, str(error)) from error

    async def hear(self, uploads: Sequence[Upload], order: Order, later: bool) -> str | Job:
        """Hear uploads and remove them.

        Args:
            uploads: one or several.
            order: as the method order gives it.
            later: make a job of it in any case.

        Returns:
            The answer's JSON, or a job where a file is long.

        Raises:
            ProblemError: 413 or 422 the only file cannot be heard; 503 no room.
        """
        job = None
        try:
            if not later:
                limit = self.settings.limits.job_from_seconds
                answers = await _all(self._submit(uploads, order, limit))
                if not any(answer.needs_job for answer in answers):
                    return _combined(uploads, answers)
            job = self._start_job(uploads, order)
            return job
        finally:
            if job is None:
                _remove(uploads)

    def _submit(
        self, uploads: Iterable[Upload], order: Order, job_from_seconds: float
    ) -> list[Future[Answer]]:
        tasks = [
            Task(
                path=upload.path,
                name=upload.name,
                model=order.model,
                max_seconds=self.settings.limits.max_seconds,
                job_from_seconds=job_from_seconds,
                threshold=order.threshold,
                segments=order.segments,
                include=order.include,
                explain=order.explain,
            )
            for upload in uploads
        ]
        try:
            return self.desk.submit(tasks)
        except BusyError as error:
            raise _busy(error) from error

    def _start_job(self, uploads: Sequence[Upload], order: Order) -> Job:
        futures = self._submit(uploads, order, _NO_JOB)
        try:
            return self.jobs.start(_finish(uploads, futures))
        except JobsFullError as error:
            for future in futures:
                future.cancel()
            detail = "too many jobs are waiting; try again later"
            raise ProblemError(503, detail, Retry_After="60") from error


async def _all(futures: Iterable[Future[Answer]]) -> list[Answer]:
    return await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))


async def _finish(uploads: Sequence[Upload], futures: Sequence[Future[Answer]]) -> tuple[int, str]:
    """Do a job; return the status and the JSON of its answer."""
    try:
        return 200, _combined(uploads, await _all(futures))
    except ProblemError as problem:
        return problem.status, json.dumps(problems.document(problem.status, problem.detail))
    finally:
        _remove(uploads)


def _combined(uploads: Sequence[Upload], answers: Sequence[Answer]) -> str:
    """Return one file's JSON, or {"results": [...]} of several.

    Raises:
        ProblemError: the only file failed.
    """
    if len(answers) == 1:
        if answers[0].error:
            retry = {"Retry_After": "10"} if answers[0].status == 503 else {}
            raise ProblemError(answers[0].status, answers[0].error, **retry)
        return answers[0].body
    results = [
        answer.body or _json({"path": upload.name, "error": answer.error})
        for upload, answer in zip(uploads, answers, strict=True)
    ]
    return f'{{"results": [{", ".join(results)}]}}'


def _index(kind: str, name: str, allowed: Sequence[str]) -> int:
    if name not in allowed:
        raise ProblemError(422, unknown_name(kind, name, allowed))
    return allowed.index(name)


def _choice(segments: str | None) -> SegmentChoice:
    """Read a choice of segments as the routes' pattern lets it through.

    >>> _choice("all"), _choice("12"), _choice(None)
    ('all', 12, None)
    """
    return "all" if segments == "all" else None if segments is None else int(segments)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _busy(error: BusyError) -> ProblemError:
    return ProblemError(503, f"all workers are busy; {error}", Retry_After=str(error.retry_seconds))


def _remove(uploads: Iterable[Upload]) -> None:
    for upload in uploads:
        upload.remove()
