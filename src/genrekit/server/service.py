"""The service behind the routes: from uploads to results in JSON, by workers and jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from genrekit.errors import GenrekitError, ModelError, unknown_name
from genrekit.models import registry
from genrekit.models.card import threshold_for
from genrekit.prediction import FailedFile
from genrekit.server import problems
from genrekit.server.jobs import Job, Jobs, JobsFullError
from genrekit.server.problems import ProblemError
from genrekit.server.upload_folder import Upload, UploadFolder
from genrekit.server.worker_queue import (
    INCLUDABLE,
    BusyError,
    FileTask,
    TaskOptions,
    TaskResult,
    WorkerQueue,
)

if TYPE_CHECKING:
    from genrekit.inference.segments import SegmentChoice
    from genrekit.models.registry import ModelFolder
    from genrekit.server.settings import Settings

_NO_JOB = float("inf")


def _offered(settings: Settings) -> list[ModelFolder]:
    """Return the models that were named, or the embedded ones that reach the precision."""
    if settings.models:
        return [registry.find(name) for name in settings.models]
    default, *others = [registry.find(name) for name in registry.embedded_names()]
    return [default, *(model for model in others if _reaches(model, settings.min_precision))]


def _reaches(model: ModelFolder, min_precision: float | None) -> bool:
    try:
        threshold_for(model.card, min_precision)
    except ModelError:
        return False
    return True


class Service:
    """One server's models, workers, uploads and jobs."""

    def __init__(self, settings: Settings) -> None:
        """Find the models; open starts the workers.

        Raises:
            ModelError: a model is missing or broken, two have one name, or one cannot reach
                settings.min_precision.
        """
        from genrekit.server import worker

        self.settings = settings
        self.models = _offered(settings)
        self._names = [model.card.name for model in self.models]
        if len(set(self._names)) < len(self._names):
            raise ModelError(f"two models have the same name ({', '.join(self._names)}); give one")
        self._thresholds = [threshold_for(m.card, settings.min_precision) for m in self.models]
        self.uploads = UploadFolder(settings.limits.upload_bytes)
        folders = tuple(model.path for model in self.models)
        self.queue = WorkerQueue(partial(worker.start, folders), settings)
        self.jobs = Jobs(settings.limits)

    def open(self) -> None:
        """Make the folder of uploads and start the workers.

        Raises:
            OSError: the temporary folder cannot be written.
        """
        self.uploads.open()
        self.queue.open()

    def close(self) -> None:
        """Finish what runs, end the workers and remove every upload."""
        self.queue.close()
        self.uploads.close()

    @property
    def is_ready(self) -> bool:
        """Whether a worker has loaded the models and the queue has room."""
        try:
            self.queue.check_room()
        except BusyError:
            return False
        return self.queue.n_ready > 0

    def prediction_options(
        self, model: str | None, min_precision: float | None, segments: str | None, include: str
    ) -> TaskOptions:
        """Check what a request for predictions needs, before its body is read.

        Args:
            model: a name; None is the first model.
            min_precision: as Classifier takes it; None is the server's own.
            segments: "all" or a number; None is all with a timeline, else as Classifier does.
            include: names of INCLUDABLE with commas between them.

        Raises:
            ProblemError: 422 an unknown name or a precision that the model cannot reach; 503 no
                room.
        """
        index = 0 if model is None else _index("model", model, self._names)
        included = frozenset(name for name in include.split(",") if name)
        for name in included:
            _index("include", name, INCLUDABLE)
        choice = "all" if segments is None and "timeline" in included else segments
        self._check_room()
        return TaskOptions(index, self._threshold(index, min_precision), _choice(choice), included)

    def explanation_options(self, model: str | None, genre: str) -> TaskOptions:
        """Check what a request for explanations needs, before its body is read.

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
        return TaskOptions(index, self._thresholds[index], explain=genre)

    def _check_room(self) -> None:
        try:
            self.queue.check_room()
        except BusyError as error:
            raise _busy(error) from error

    def _threshold(self, index: int, min_precision: float | None) -> float:
        if min_precision is None:
            return self._thresholds[index]
        try:
            return threshold_for(self.models[index].card, min_precision)
        except GenrekitError as error:
            raise ProblemError(422, str(error)) from error

    async def process(
        self, uploads: Sequence[Upload], options: TaskOptions, *, as_job: bool
    ) -> str | Job:
        """Predict or explain uploads and remove them.

        Args:
            uploads: one or several.
            options: of their request.
            as_job: make a job of it in any case.

        Returns:
            The JSON of the result, or a job where a file is long.

        Raises:
            ProblemError: 413 or 422 the only file cannot be processed; 503 no room.
        """
        job = None
        try:
            if not as_job:
                limit = self.settings.limits.job_from_seconds
                results = await _all(self._submit(uploads, options, limit))
                if not any(result.needs_job for result in results):
                    return _combined(uploads, results)
            job = self._start_job(uploads, options)
            return job
        finally:
            if job is None:
                _remove(uploads)

    def _submit(
        self, uploads: Iterable[Upload], options: TaskOptions, job_from_seconds: float
    ) -> list[Future[TaskResult]]:
        limit = self.settings.limits.max_seconds
        try:
            return self.queue.submit(
                [FileTask(u.path, u.name, options, limit, job_from_seconds) for u in uploads]
            )
        except BusyError as error:
            raise _busy(error) from error

    def _start_job(self, uploads: Sequence[Upload], options: TaskOptions) -> Job:
        futures = self._submit(uploads, options, _NO_JOB)
        try:
            return self.jobs.start(_finish(uploads, futures))
        except JobsFullError as error:
            for future in futures:
                future.cancel()
            detail = "too many jobs are waiting; try again later"
            raise ProblemError(503, detail, Retry_After="60") from error


async def _all(futures: Iterable[Future[TaskResult]]) -> list[TaskResult]:
    return await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))


async def _finish(
    uploads: Sequence[Upload], futures: Sequence[Future[TaskResult]]
) -> tuple[int, str]:
    """Do a job; return the status and the JSON of its result."""
    try:
        return 200, _combined(uploads, await _all(futures))
    except ProblemError as problem:
        return problem.status, problems.to_json(problem.status, problem.detail)
    finally:
        _remove(uploads)


def _remove(uploads: Iterable[Upload]) -> None:
    for upload in uploads:
        upload.remove()


def _combined(uploads: Sequence[Upload], results: Sequence[TaskResult]) -> str:
    """Return one file's JSON, or {"results": [...]} of several; the only file's error is raised."""
    if len(results) == 1:
        if results[0].error:
            retry = {"Retry_After": "10"} if results[0].status == 503 else {}
            raise ProblemError(results[0].status, results[0].error, **retry)
        return results[0].body
    bodies = [
        result.body or json.dumps(asdict(FailedFile(upload.name, result.error)), ensure_ascii=False)
        for upload, result in zip(uploads, results, strict=True)
    ]
    return f'{{"results": [{", ".join(bodies)}]}}'


def _index(kind: str, name: str, allowed: Sequence[str]) -> int:
    if name not in allowed:
        raise ProblemError(422, unknown_name(kind, name, allowed))
    return allowed.index(name)


def _choice(segments: str | None) -> SegmentChoice:
    """Read a choice of segments as the routes' pattern lets it through."""
    return "all" if segments == "all" else None if segments is None else int(segments)


def _busy(error: BusyError) -> ProblemError:
    return ProblemError(503, f"all workers are busy; {error}", Retry_After=str(error.retry_seconds))
