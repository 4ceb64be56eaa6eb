"""The loop of every batch job: a record lists what is pending, an engine does it, it is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from genrekit.batch.engines import Engine, Limits, Start

Advance = Callable[[int], object]
# Called with the number of files; what it gives is called with a number of files that are done.
Progress = Callable[[int], AbstractContextManager[Advance]]


def no_progress(n_files: int) -> AbstractContextManager[Advance]:
    """Show nothing."""
    del n_files
    return nullcontext(lambda n_done: None)


@dataclass
class Report:
    """What one start of a batch job did.

    Attributes:
        n_files: files of the whole job.
        n_resumed: those of them that an earlier start had done.
        n_failed: those of them that failed.
        failures: why files failed, by name, where this start knows it.
        warnings: what was wrong with files that are done, by name, where the job collects it.
        seconds: what this start took.
    """

    n_files: int = 0
    n_resumed: int = 0
    n_failed: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        fields = {key: value for key, value in asdict(self).items() if value is not None}
        return fields | {"seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Round:
    """Blocks of items, none of them empty, and how many files are done without processing."""

    blocks: Sequence[Sequence[Any]]
    n_done: int = 0


class Record(Protocol):
    """What is done of a job, so that a killed one can go on: a folder of parts, a database, ..."""

    @property
    def report(self) -> Report:
        """What this start has done so far; counts and failures are the record's to keep."""

    def rounds(self, engine: Engine) -> Iterator[Round]:
        """Yield what is pending; all that a round gives is kept before the next one is made."""

    def keep(self, position: int, results: Sequence[Any]) -> int:
        """Keep the results of a block of the round.

        Args:
            position: of the block in the round.
            results: of its items, in their order; a ``Failure`` for each that failed.

        Returns:
            How many files are done by this.
        """


def process(
    start: Start,
    record: Record,
    engine: Engine,
    limits: Limits,
    *,
    n_files: int,
    progress: Progress = no_progress,
) -> None:
    """Process all that a record lists as pending; it is kept as soon as it is done.

    Args:
        start: called once in each worker; returns the function that processes an item.
        record: lists the items and keeps their results.
        engine: where they are processed.
        limits: what each worker may take.
        n_files: how many files the progress is counted to.
        progress: shows how far the job is.

    Raises:
        GenrekitError: the workers cannot start.
    """
    began = time.perf_counter()
    prepared = partial(_prepare, start, limits.niceness)
    with progress(n_files) as advance, engine.workers(prepared, limits) as workers:
        for each in record.rounds(engine):
            advance(each.n_done)
            for position, results in workers.map(each.blocks):
                advance(record.keep(position, results))
    record.report.n_failed = len(record.report.failures)
    record.report.seconds = time.perf_counter() - began


def blocks_of(items: Sequence[Any], n_items: int) -> list[Sequence[Any]]:
    """Cut a sequence into blocks.

    >>> blocks_of([1, 2, 3, 4, 5], 2)
    [[1, 2], [3, 4], [5]]
    """
    return [items[first : first + n_items] for first in range(0, len(items), n_items)]


def _prepare(start: Start, niceness: int) -> Callable[[Any], Any]:
    """Make a worker ready."""
    from genrekit import audio

    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    audio.silence_decoders()
    return start()
