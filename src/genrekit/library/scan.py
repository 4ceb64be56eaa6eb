"""Scan a library: each new audio is heard once, whatever happens on the way.

What a scan finds out is committed at once, so it can be stopped at any moment and goes on where it
was. Files are told apart by size and time of change first, by the digest of their audio then.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from genrekit.batch.engines import Engine, Local, Workers
from genrekit.library import analysis, database, store, walk
from genrekit.library.analysis import Analysis, AnalysisRequest, Identity
from genrekit.library.store import Todo
from genrekit.models import registry
from genrekit.models.registry import ModelFolder
from genrekit.workers import Failure

BATCH = 64  # files that are identified in one transaction
ITEM_SECONDS = 120.0
MEMORY_BYTES = 2 << 30

Advance = Callable[[int], None]


@dataclass(frozen=True)
class ScanLimits:
    """How much of the machine a scan may take.

    Attributes:
        jobs: worker processes; None is one a core.
        niceness: how far the workers step back behind other programs, from 0 to 19.
        item_seconds: a file that takes longer is quarantined.
        memory_bytes: a file that needs more is quarantined.
    """

    jobs: int | None = None
    niceness: int = 0
    item_seconds: float = ITEM_SECONDS
    memory_bytes: int = MEMORY_BYTES


@dataclass(frozen=True)
class ScanPlan:
    """What a scan would do.

    Attributes:
        model: the model that it would ask.
        retry: whether files that failed before are tried again.
        n_files: files that are there.
        n_todo: files to look at, by state: new, changed, retried (it failed before), known (but
            not heard by this model).
        absent: known files that are no longer there.
        problems: what was left out, each in one sentence.
    """

    model: ModelFolder
    retry: bool
    n_files: int
    n_todo: dict[str, int]
    absent: tuple[bytes, ...]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "model": self.model.card.name,
            "n_files": self.n_files,
            **{f"n_{state}": self.n_todo.get(state, 0) for state in store.STATES},
            "n_missing": len(self.absent),
            "problems": list(self.problems),
        }


@dataclass
class ScanReport:
    """What a scan did; counts are of files, but ``n_heard`` is of different audio.

    ``failures`` maps the path of each file that failed to its reason; ``n_quarantined`` of them
    hung or killed a worker.
    """

    n_heard: int = 0
    n_moved: int = 0
    n_quarantined: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "n_heard": self.n_heard,
            "n_moved": self.n_moved,
            "n_failed": len(self.failures),
            "n_quarantined": self.n_quarantined,
            "seconds": round(self.seconds, 3),
            "failures": self.failures,
        }


def plan(
    connection: sqlite3.Connection,
    folders: Sequence[Path],
    model: str | os.PathLike[str] | None = None,
    *,
    retry: bool = False,
) -> ScanPlan:
    """Walk folders and find out what a scan has to do; nothing is heard or changed.

    Args:
        connection: the library's database.
        folders: folders, or single files.
        model: a model's name or folder; None is the default model.
        retry: try the files again that failed before.

    Raises:
        LibraryError: a folder is not there.
        ModelError: the model is missing or broken.
    """
    found = registry.find(model)
    problems: list[str] = []
    absent: list[bytes] = []

    def on_problem(path: bytes, reason: str) -> None:
        unseen.append(path)
        problems.append(f"{os.fsdecode(path)}: left out: {reason}")

    store.forget_walk(connection)
    for folder in map(database.encode_path, folders):
        unseen: list[bytes] = []
        n_found = store.add_walked(connection, walk.walk(folder, on_problem))
        n_known = store.count_known(connection, folder)
        if n_known and not n_found:
            problems.append(
                f"{os.fsdecode(folder)}: holds no audio now, but {n_known} files of it are known; "
                "they stay as they are; is the drive mounted?"
            )
        else:
            absent += _without(store.absent(connection, folder), unseen)
    known_as = store.model_id(connection, found.card.onnx_sha256)
    n_todo = store.count_todo(connection, known_as, retry=retry)
    n_files = store.count_walked(connection)
    return ScanPlan(found, retry, n_files, n_todo, tuple(absent), tuple(problems))


def _without(absent: list[bytes], unseen: list[bytes]) -> list[bytes]:
    """Leave out what may be there but could not be looked at."""
    hidden = tuple(path + os.fsencode(os.sep) for path in unseen)
    return [path for path in absent if path not in unseen and not path.startswith(hidden)]


def run(
    connection: sqlite3.Connection,
    planned: ScanPlan,
    limits: ScanLimits | None = None,
    advance: Advance = lambda n_files: None,
    engine: Engine | None = None,
) -> ScanReport:
    """Do what was planned on the same connection just before.

    Args:
        connection: the library's database.
        planned: what plan returned.
        limits: how much of the machine may be taken.
        advance: called with a number of files when these are done.
        engine: who works; None is the processes of this machine. The workers of another one must
            see the files under the same paths.

    Raises:
        LibraryError: the database fails, such as by a full disk.
        GenrekitError: the workers cannot start.
        KeyboardInterrupt: after Ctrl-C; whatever was found out stays.
    """
    limits = limits or ScanLimits()
    began = time.perf_counter()
    report = ScanReport()
    store.mark(connection, planned.absent)
    model = store.remember_model(connection, planned.model)
    engine = engine or Local(limits.jobs)
    start = partial(analysis.start, planned.model.path, limits.niceness)
    with engine.workers(
        start, item_seconds=limits.item_seconds, memory_bytes=limits.memory_bytes
    ) as workers:
        work = _Scan(connection, model, workers, engine.block_items, report, advance)
        for batch in store.todo(connection, model, retry=planned.retry, n_files=engine.map_items):
            work.do(batch)
    report.n_moved = store.forget_moved(connection, planned.absent)
    report.seconds = time.perf_counter() - began
    return report


@dataclass(frozen=True)
class _Scan:
    """One scan at work."""

    connection: sqlite3.Connection
    model: int
    workers: Workers
    block_items: int
    report: ScanReport
    advance: Advance

    def do(self, batch: Sequence[Todo]) -> None:
        self._identify([todo for todo in batch if todo.state != "known"])
        self._hear(batch)

    def _identify(self, batch: Sequence[Todo]) -> None:
        jobs = [AnalysisRequest("identify", todo.file) for todo in batch]
        results = self._map(jobs)
        while answered := list(islice(results, BATCH)):
            with database.transaction(self.connection):
                for result in answered:
                    self._keep_identity(result)

    def _keep_identity(self, result: Any) -> None:
        if isinstance(result, Identity):
            store.identified(self.connection, result)
        elif isinstance(result, Failure) and os.path.lexists(result.item.file.path):
            self._fail([result.item.file.path], result)
            store.unidentified(
                self.connection, result.item.file, result.message, _is_deadly(result)
            )

    def _map(self, jobs: Sequence[AnalysisRequest]) -> Iterator[Any]:
        """Give what becomes of each job, in any order."""
        blocks = (jobs[i : i + self.block_items] for i in range(0, len(jobs), self.block_items))
        for _, results in self.workers.map(blocks):
            yield from results

    def _hear(self, batch: Sequence[Todo]) -> None:
        paths = [todo.file.path for todo in batch]
        unheard = store.unheard(self.connection, self.model, paths)
        jobs = [
            AnalysisRequest("hear", batch[index].file, audio) for audio, index in unheard.items()
        ]
        self.advance(len(batch) - len(jobs))
        for result in self._map(jobs):
            if isinstance(result, Analysis):
                store.heard(self.connection, self.model, result)
                self.report.n_heard += 1
            elif isinstance(result, Failure):
                failed = store.unhearable(
                    self.connection, result.item.audio, result.message, _is_deadly(result)
                )
                self._fail(failed, result)
            self.advance(1)

    def _fail(self, paths: Sequence[bytes], failure: Failure[AnalysisRequest]) -> None:
        self.report.failures.update({os.fsdecode(path): failure.message for path in paths})
        self.report.n_quarantined += len(paths) * _is_deadly(failure)


def _is_deadly(failure: Failure[AnalysisRequest]) -> bool:
    return failure.reason != "error"
