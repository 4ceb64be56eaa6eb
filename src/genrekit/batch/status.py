"""How far a batch job is: read from what it has written, by anybody, at any time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrekit.batch import parts
from genrekit.batch.job import JOB, folder_of
from genrekit.batch.parts import Counts
from genrekit.errors import BatchError

_RECENT_PARTS = 32


@dataclass(frozen=True)
class Status:
    """How far a job is.

    Attributes:
        output: where its rows are.
        verb: what it does; empty where the output is finished.
        n_files: files of the whole job.
        n_done: those that are written.
        n_failed: those of them whose row is an error.
        files_per_second: of the parts that were written last; None while there are too few.
        seconds_left: at that rate; None where it is unknown.
        seconds_since: since the last part was written; None while there is none.
    """

    output: str
    verb: str
    n_files: int
    n_done: int
    n_failed: int
    files_per_second: float | None
    seconds_left: float | None
    seconds_since: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def status(output: str) -> Status:
    """Read how far a job is.

    Args:
        output: as for ``job.run``.

    Raises:
        BatchError: there is no job.
    """
    kind, storage = parts.kind_of(output), folder_of(output)
    written = storage.names()
    if JOB not in written:
        if kind == "jsonl" and Path(output).is_file():
            return _finished(Path(output))
        raise BatchError(f"{output} holds no batch job; name what was given to -o")
    about = json.loads(storage.read(JOB))
    found = {
        name: (seconds, parts.counts(storage, name, kind))
        for name, seconds in written.items()
        if parts.index(name, kind) is not None
    }
    n_done = sum(count.n_files for _, count in found.values())
    rate = _rate(list(found.values()))
    return Status(
        output=output,
        verb=about["job"]["verb"],
        n_files=about["n_files"],
        n_done=n_done,
        n_failed=sum(count.n_failed for _, count in found.values()),
        files_per_second=rate,
        seconds_left=(about["n_files"] - n_done) / rate if rate else None,
        seconds_since=_since(max(seconds for seconds, _ in found.values())) if found else None,
    )


def _rate(written: list[tuple[float, Counts]]) -> float | None:
    """Return files a second between the oldest and the newest of the last parts."""
    last = sorted(written, key=lambda part: part[0])[-_RECENT_PARTS:]
    if len(last) < 2 or last[-1][0] <= last[0][0]:
        return None
    return sum(counts.n_files for _, counts in last[1:]) / (last[-1][0] - last[0][0])


def _since(seconds: float) -> float:
    return max(0.0, time.time() - seconds)


def _finished(output: Path) -> Status:
    with output.open("rb") as stream:
        n_files, n_failed = parts.count_lines(stream)
    since = _since(output.stat().st_mtime)
    return Status(str(output), "", n_files, n_files, n_failed, None, 0.0, since)
