"""Start a batch job that writes a table, or resume one: every block of its list is written once.

A job has a folder, here or in an object store, that holds what it is (``_job.json``), the list of
its files (``_sources.jsonl``) and its parts, each of them one block of that list. A part appears
whole or not at all; a job that is started again does the blocks whose parts are missing, and those
with a file that has changed since.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from genrekit import __version__
from genrekit.batch import parts, processing, sources
from genrekit.batch.engines import Engine, Limits
from genrekit.batch.parts import Counts, Kind, Row
from genrekit.batch.processing import Progress, Report, Round
from genrekit.batch.sources import BatchSource
from genrekit.batch.storage import Storage, is_remote
from genrekit.errors import BatchError
from genrekit.workers import Failure

if TYPE_CHECKING:
    from genrekit.batch.feature_task import PublishedTable

# Blocks are small enough that little is lost by a kill, and few enough that an object store lists
# them quickly. The parts of a CSV table, whose files take longest, do not outlive the job.
_MIN_BLOCK_ITEMS: dict[Kind, int] = {"csv": 1, "jsonl": 8, "parquet": 8}
_MAX_BLOCK_ITEMS, _TARGET_BLOCKS = 2048, 512
JOB, SOURCES = "_job.json", "_sources.jsonl"
_FORMAT = 2


class JobTask(Protocol):
    """What a batch job does with each file: a verb with its options.

    A row is a dictionary that JSON can hold. Every file gives at least one; one that failed gives a
    row with its path, its error and nothing else but the model.
    """

    verb: ClassVar[str]  # the verb's name
    limits: ClassVar[Limits]  # what each worker may take

    @property
    def csv_table(self) -> PublishedTable | None:
        """The CSV form, where there is one."""

    def parameters(self) -> dict[str, Any]:
        """Return all that decides the rows, as JSON: another job differs in it."""

    def start(self) -> Callable[[BatchSource], list[Row]]:
        """Make a worker ready; what is returned turns a source into rows."""

    def failed(self, failure: Failure[BatchSource]) -> Row:
        """Return the row of a file that failed."""

    def columns(self) -> dict[str, str]:
        """Return the columns of a Parquet table and their types; see ``parts.content``."""

    def flat(self, row: Row) -> Row:
        """Turn a row into one of such a table."""


@dataclass
class JobReport(Report):
    """What one start of a job did, and how many files of the whole job failed.

    Attributes:
        output: where the rows are.
        n_rows: rows of a CSV table; None for other outputs.
    """

    output: str = ""
    n_rows: int | None = None


def folder_of(output: str) -> Storage:
    """Return the folder of a job: the output itself, or one beside a file that parts are joined to.

    Raises:
        BatchError: a file that would have to be joined remotely.
    """
    if parts.kind_of(output) == "parquet":
        return Storage(output)
    if is_remote(output):
        raise BatchError(
            f"{output}: JSON lines and CSV are written on this machine only; give a folder for "
            "Parquet"
        )
    return Storage(f"{output}.job")


def run(
    task: JobTask,
    arguments: Sequence[str],
    output: str,
    engine: Engine,
    *,
    progress: Progress = processing.no_progress,
) -> JobReport:
    """Process many files; each of them is in the output once, failed ones with their error.

    Args:
        task: what to do with each.
        arguments: the files, as for ``sources.list_sources``.
        output: NAME.jsonl; NAME.csv, for tasks with a CSV form: failed files are in the report
            alone, and there is no table where every file failed; or a folder or URL for Parquet.
        engine: where they are processed.
        progress: shows how far the job is.

    Raises:
        BatchError: the files cannot be listed, or the output holds something else.
        GenrekitError: the workers cannot start.
        OSError: the output cannot be written.
    """
    kind = parts.kind_of(output)
    if kind == "parquet":
        parts.check_parquet()
    if kind == "csv" and task.csv_table is None:
        raise BatchError(
            f"{output}: a batch job of {task.verb} writes NAME.jsonl, or a folder or URL for "
            "Parquet; leave --engine out to write CSV"
        )
    storage = folder_of(output)
    with storage.locked():
        listed, block_items = _listed(storage, task, arguments, kind)
        record = _Parts(task, storage, kind, processing.blocks_of(listed, block_items))
        record.report.output, record.report.n_files = output, len(listed)
        processing.process(
            task.start, record, engine, task.limits, n_files=len(listed), progress=progress
        )
        record.finish()
    return record.report


@dataclass
class _Parts:
    """The record of a job: a part for each block that is done."""

    task: JobTask
    storage: Storage
    kind: Kind
    blocks: list[Sequence[BatchSource]]
    report: JobReport = field(default_factory=JobReport)
    pending: list[int] = field(default_factory=list)

    def rounds(self, engine: Engine) -> Iterator[Round]:
        del engine
        written = self.storage.names()
        for index, block in enumerate(self.blocks):
            since = written.get(parts.name(index, self.kind))
            if since is None or _has_changed(block, since):
                self.pending.append(index)
            else:
                self.report.n_resumed += len(block)
        yield Round([self.blocks[index] for index in self.pending], self.report.n_resumed)

    def keep(self, position: int, results: Sequence[Any]) -> int:
        rows: list[Row] = []
        failures: dict[str, str] = {}
        for result in results:
            if isinstance(result, Failure):
                rows.append(self.task.failed(result))
                failures[result.item.name] = result.message
            else:
                rows += result
        content = parts.content(rows, self.kind, self.task, Counts(len(results), len(failures)))
        self.storage.write(parts.name(self.pending[position], self.kind), content)
        self.report.failures |= failures
        return len(results)

    def finish(self) -> None:
        """Count what earlier starts did, and join the parts where the output is one file."""
        report, output = self.report, Path(self.report.output)
        names = [parts.name(index, self.kind) for index in range(len(self.blocks))]
        table = self.task.csv_table
        if self.kind == "csv" and table:
            for row in parts.read_rows(self.storage, names):
                if "error" in row:
                    report.failures[row["path"]] = row["error"]
                elif row["warnings"]:
                    report.warnings[row["path"]] = row["warnings"]
            report.n_rows = 0
            if len(report.failures) < report.n_files:
                report.n_rows = parts.join_csv(self.storage, names, output, table)
            report.n_failed = len(report.failures)
        elif report.n_resumed:
            counts = (parts.counts(self.storage, name, self.kind).n_failed for name in names)
            report.n_failed = sum(counts)
        if self.kind == "jsonl":
            parts.join_lines(self.storage, names, output)
        if self.kind != "parquet":
            for name in [JOB, *names, SOURCES]:  # without JOB it is no job any more
                Path(self.storage.name, name).unlink()


def _has_changed(block: Sequence[BatchSource], since: float) -> bool:
    """Return whether a local file of a block has changed since a time."""
    for location in {source.location for source in block if not is_remote(source.location)}:
        with suppress(OSError):  # it is gone, but its rows are there
            status = os.stat(location)  # noqa: PTH116 - many, and quick
            if max(status.st_mtime, status.st_ctime) > since:
                return True
    return False


def _listed(
    storage: Storage, task: JobTask, arguments: Sequence[str], kind: Kind
) -> tuple[list[BatchSource], int]:
    """Return the files of a new job, or of the one that the folder holds, and those of a block."""
    requested = {
        "format": _FORMAT,
        "arguments": [
            argument if argument == "-" or is_remote(argument) else str(Path(argument).absolute())
            for argument in arguments
        ],
        "verb": task.verb,
        **task.parameters(),
    }
    written = storage.names()
    if JOB not in written:
        return _new(storage, requested, _list(written, storage, task, arguments, kind), kind)
    stored = json.loads(storage.read(JOB))
    for key, value in requested.items():
        if (before := stored["job"].get(key)) != value:
            raise BatchError(
                f"{storage.name} holds another batch job (its {key} is {before!r}, not {value!r}); "
                "give another output, or delete that folder"
            )
    with storage.open(SOURCES) as stream:
        return [BatchSource(*json.loads(line)) for line in stream], int(stored["block_items"])


def _list(
    written: Iterable[str], storage: Storage, task: JobTask, arguments: Sequence[str], kind: Kind
) -> list[BatchSource]:
    """List the files of a new job in a folder that holds nothing else."""
    others = sorted(name for name in written if not name.startswith(("_", ".")))
    if others:
        raise BatchError(
            f"{storage.name} holds files that are no batch job of this version, such as "
            f"{others[0]}; name a folder that is empty or does not exist"
        )
    listed = sources.list_sources(arguments)
    if not listed:
        raise BatchError(f"there are no files in {', '.join(arguments)}; name some")
    if kind == "csv" and task.csv_table:
        task.csv_table.check(listed)
    return listed


def _new(
    storage: Storage, requested: dict[str, Any], listed: list[BatchSource], kind: Kind
) -> tuple[list[BatchSource], int]:
    """Write what a new job is; return its files and how many of them a block has."""
    n_items = max(len(listed) // _TARGET_BLOCKS, _MIN_BLOCK_ITEMS[kind])
    block_items = min(n_items, _MAX_BLOCK_ITEMS)
    lines = b"".join(json.dumps(astuple(source)).encode() + b"\n" for source in listed)
    storage.write(SOURCES, lines)
    about = {
        "job": requested,
        "genrekit": __version__,
        "kind": kind,
        "n_files": len(listed),
        "block_items": block_items,
        "sources_sha256": hashlib.sha256(lines).hexdigest(),
        "began": time.time(),
    }
    storage.write(JOB, json.dumps(about, indent=2).encode())  # last: now it is a job
    return listed, block_items
