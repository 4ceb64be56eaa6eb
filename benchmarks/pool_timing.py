"""Time one way over files in several processes, after each has been warmed up.

The standard library is enough for this module: ``peer_ways.py`` runs it in environments that hold
no genrekit.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Run = Callable[[Any], object]
Helpers = Callable[[], list[int]]
_run: list[Run] = []
_helpers: list[Helpers] = []


class Timed(NamedTuple):
    """Wall and processor time of all files, and the peak memory of one process."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(
    make: Callable[[], Run],
    files: Sequence[Any],
    n_processes: int,
    n_warm: int,
    helpers: Helpers = list,
) -> Timed:
    """Run what ``make`` returns over files.

    Args:
        make: called once in each process; it can be pickled.
        files: whatever the way takes.
        n_processes: how many.
        n_warm: how many of the files are run before the clock starts.
        helpers: gives the processes that work for a process, whose time and memory count as its.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(n_processes, _start, (make, files[0], helpers)) as pool:
        pool.map(_one, files[:n_warm], chunksize=1)
        start = time.perf_counter()
        cpu_seconds = sum(pool.imap_unordered(_one, files, chunksize=1))
        wall_seconds = time.perf_counter() - start
        peaks = pool.map(_peak_mb, range(4 * n_processes), chunksize=1)
    return Timed(wall_seconds, cpu_seconds, max(peaks))


def _start(make: Callable[[], Run], first: Any, helpers: Helpers) -> None:
    _run.append(make())
    _helpers.append(helpers)
    _run[0](first)


def _one(file: Any) -> float:
    """Run one file; return the processor time it took."""
    start = _processor_seconds()
    _run[0](file)
    return _processor_seconds() - start


def _processor_seconds() -> float:
    others = (Path(f"/proc/{pid}/schedstat").read_text() for pid in _helpers[0]())
    return time.process_time() + sum(int(text.split()[0]) for text in others) / 1e9


def _peak_mb(_: int) -> float:
    """The peak of these processes; getrusage would count what a parent held when it forked."""
    pids = [os.getpid(), *_helpers[0]()]
    texts = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in pids]
    return sum(int(text.partition("VmHWM:")[2].split()[0]) / 1024 for text in texts)
