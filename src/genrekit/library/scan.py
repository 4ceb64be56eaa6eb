"""Scan a library: new audio is analysed exactly once, whatever happens meanwhile.

Results are committed to the database at once, so a scan can be stopped at any moment and resumed.
Files are compared first by size and modification time, then by the digest of their audio.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrekit.batch import processing
from genrekit.batch.engines import Engine, Limits, LocalEngine
from genrekit.batch.processing import Progress, Report, Round
from genrekit.library import (
    analysis,
    database,
    embedding_map,
    query,
    store,
    track_index,
    walk,
)
from genrekit.library.analysis import Analysis, AnalysisRequest, Identity
from genrekit.models import registry
from genrekit.workers import Failure

if TYPE_CHECKING:
    from genrekit.models.registry import ModelFolder

TRANSACTION_FILES = 64  # files whose identity is committed in one transaction
LIMITS = Limits(item_seconds=120.0)


@dataclass(frozen=True)
class ScanPlan:
    """The work of a scan.

    Attributes:
        model: the model that would analyse the files.
        retry: whether files that failed before are tried again.
        n_files: existing files.
        n_pending: files to process, by state: new, changed, retried (failed before), known (but
            not analysed by this model).
        absent: known files that no longer exist.
        problems: what was left out, one sentence each.
    """

    model: ModelFolder
    retry: bool
    n_files: int
    n_pending: dict[str, int]
    absent: tuple[bytes, ...]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "model": self.model.card.name,
            "n_files": self.n_files,
            **{f"n_{state}": self.n_pending.get(state, 0) for state in store.STATES},
            "n_missing": len(self.absent),
            "problems": list(self.problems),
        }


@dataclass
class ScanReport(Report):
    """The results of a scan, counted in files, except ``n_analysed``, in distinct audio.

    Attributes:
        n_analysed: the number of predictions.
        n_moved: files whose audio was found at a new path.
        n_quarantined: files of ``failures`` that hung or killed a worker.
    """

    n_analysed: int = 0
    n_moved: int = 0
    n_quarantined: int = 0


def plan(
    connection: sqlite3.Connection,
    folders: Sequence[Path],
    model: str | os.PathLike[str] | None = None,
    *,
    retry: bool = False,
) -> ScanPlan:
    """Walk folders and determine the work of a scan, without analysing or changing anything.

    Args:
        connection: the library's database.
        folders: folders, or single files.
        model: a model's name or folder; None is the default model.
        retry: retry files that failed before.

    Raises:
        LibraryError: a folder does not exist.
        ModelError: the model is missing or broken.
    """
    found = registry.find(model)
    problems: list[str] = []
    absent: list[bytes] = []
    n_files = 0
    store.start_walk(connection)
    for folder in map(database.encode_path, folders):
        hidden: list[bytes] = []

        def on_problem(path: bytes, reason: str, hidden: list[bytes] = hidden) -> None:
            hidden.append(path)
            problems.append(f"{os.fsdecode(path)}: left out: {reason}")

        n_files += store.add_walked(connection, walk.walk(folder, on_problem))
        n_known = store.count_known(connection, folder)
        if n_known and not store.count_walked(connection, folder):
            problems.append(
                f"{os.fsdecode(folder)}: has no audio now, but {n_known} files of it are known and "
                "are kept; is the drive mounted?"
            )
        else:
            absent += _without(store.absent(connection, folder), hidden)
    model_id = store.model_id(connection, found.card.onnx_sha256)
    n_pending = store.count_pending(connection, model_id, retry=retry)
    return ScanPlan(found, retry, n_files, n_pending, tuple(absent), tuple(problems))


def _without(absent: list[bytes], hidden: list[bytes]) -> list[bytes]:
    """Leave out files that may exist but could not be read."""
    below = tuple(path + os.fsencode(os.sep) for path in hidden)
    return [path for path in absent if path not in hidden and not path.startswith(below)]


def run(
    connection: sqlite3.Connection,
    planned: ScanPlan,
    engine: Engine | None = None,
    limits: Limits = LIMITS,
    progress: Progress = processing.no_progress,
) -> ScanReport:
    """Run a scan that was planned just before on the same connection.

    Args:
        connection: the library's database.
        planned: the result of plan.
        engine: where files are processed; None is one process per core on this machine. The workers
            of other engines must see the files under the same paths.
        limits: the limits of each worker; a file that exceeds them is quarantined.
        progress: shows the progress.

    Raises:
        LibraryError: the database fails, such as by a full disk.
        GenrekitError: the workers cannot start.
        KeyboardInterrupt: after Ctrl-C; committed results are kept.
    """
    store.mark_missing(connection, planned.absent)
    model = store.save_model(connection, planned.model)
    n_pending = sum(planned.n_pending.values())
    report = ScanReport(planned.n_files, planned.n_files - n_pending)
    processing.process(
        partial(analysis.start, planned.model.path),
        _Scan(connection, model, planned.retry, report),
        engine or LocalEngine(),
        limits,
        n_files=n_pending,
        progress=progress,
    )
    report.n_moved = store.delete_moved(connection, planned.absent)
    track_index.refresh_all(connection)
    embedding_map.update(connection, query.used_model(connection))
    return report


@dataclass
class _Scan:
    """The record of a scan: the library's database."""

    connection: sqlite3.Connection
    model: int
    retry: bool
    report: ScanReport
    identities: list[Identity | Failure[AnalysisRequest]] = field(default_factory=list)

    def rounds(self, engine: Engine) -> Iterator[Round]:
        """Yield files to identify, then those whose audio has no prediction yet."""
        for files in store.pending(
            self.connection, self.model, retry=self.retry, n_files=engine.map_items
        ):
            unknown = (each.file for each in files if each.state != "known")
            new = [AnalysisRequest("identify", file) for file in unknown]
            yield Round(processing.blocks_of(new, engine.block_items))
            self._save_identities()
            paths = [each.file.path for each in files]
            audio = store.without_prediction(self.connection, self.model, paths)
            requests = [
                AnalysisRequest("analyse", files[index].file, id) for id, index in audio.items()
            ]
            blocks = processing.blocks_of(requests, engine.block_items)
            yield Round(blocks, len(files) - len(requests))

    def keep(self, position: int, results: Sequence[Any]) -> int:
        del position
        n_done = 0
        for result in results:
            if isinstance(result, Analysis):
                store.save_prediction(self.connection, self.model, result)
                self.report.n_analysed += 1
                n_done += 1
            elif isinstance(result, Failure) and result.item.task == "analyse":
                why = (result.message, _is_deadly(result))
                self._fail(store.save_audio_error(self.connection, result.item.audio, *why), result)
                n_done += 1
            else:
                self.identities.append(result)
        if len(self.identities) >= TRANSACTION_FILES:
            self._save_identities()
        return n_done

    def _save_identities(self) -> None:
        with database.transaction(self.connection):
            for result in self.identities:
                if isinstance(result, Identity):
                    store.save_identity(self.connection, result)
                elif os.path.lexists(result.item.file.path):
                    self._fail([result.item.file.path], result)
                    why = (result.message, _is_deadly(result))
                    store.save_file_error(self.connection, result.item.file, *why)
        self.identities.clear()

    def _fail(self, paths: Sequence[bytes], failure: Failure[AnalysisRequest]) -> None:
        self.report.failures.update({os.fsdecode(path): failure.message for path in paths})
        self.report.n_quarantined += len(paths) * _is_deadly(failure)


def _is_deadly(failure: Failure[AnalysisRequest]) -> bool:
    return failure.reason != "error"
