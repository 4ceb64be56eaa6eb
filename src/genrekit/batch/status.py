"""How far a run is: read from what it has written, by anybody, at any time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrekit.batch import output_files
from genrekit.batch.job import folder_of, kind_of
from genrekit.errors import BatchError

_RECENT_PARTS = 32


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        output: where its rows are.
        verb: what it does.
        n_files: files of the whole run.
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
    """Look at a run.

    Args:
        output: as for ``run``.

    Raises:
        RunError: there is no run.
    """
    kind, place = kind_of(output), folder_of(output)
    there = place.names()
    if "_run.json" not in there:
        if kind == "jsonl" and Path(output).is_file():
            return _finished(Path(output))
        raise BatchError(f"{output} holds no run; name what was given to -o")
    about = json.loads(place.read("_run.json"))
    times = {
        name: seconds
        for name, seconds in there.items()
        if output_files.index(name, kind) is not None
    }
    counts = {name: output_files.counts(place, name, kind) for name in times}
    n_done = sum(count.n_files for count in counts.values())
    rate = _rate({name: (times[name], counts[name].n_files) for name in times})
    return Status(
        output=output,
        verb=about["work"]["verb"],
        n_files=about["n_files"],
        n_done=n_done,
        n_failed=sum(count.n_failed for count in counts.values()),
        files_per_second=rate,
        seconds_left=(about["n_files"] - n_done) / rate if rate else None,
        seconds_since=max(0.0, time.time() - max(times.values())) if times else None,
    )


def _rate(output: dict[str, tuple[float, int]]) -> float | None:
    """Return files a second between the oldest and the newest of the last parts."""
    last = sorted(output.values())[-_RECENT_PARTS:]
    if len(last) < 2 or last[-1][0] <= last[0][0]:
        return None
    return sum(n_files for _, n_files in last[1:]) / (last[-1][0] - last[0][0])


def _finished(output: Path) -> Status:
    with output.open("rb") as stream:
        counts = output_files.count_lines(stream)
    since = max(0.0, time.time() - output.stat().st_mtime)
    return Status(
        str(output), "", counts.n_files, counts.n_files, counts.n_failed, None, 0.0, since
    )
