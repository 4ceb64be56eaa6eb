"""Start a run, or go on with one: every block of its list is written once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrekit import __version__
from genrekit.batch import output_files, sources
from genrekit.batch.engines import Engine
from genrekit.batch.output_files import Counts, Kind
from genrekit.batch.sources import BatchSource
from genrekit.batch.storage import Place, is_remote
from genrekit.batch.tasks import Row, Work
from genrekit.errors import BatchError
from genrekit.files import write_beside
from genrekit.workers import Failure

Advance = Callable[[int], object]

ITEM_SECONDS = 600.0
MEMORY_BYTES = 2 << 30
# Blocks are small enough that little is lost by a kill, and few enough that an object store lists
# them quickly.
_MIN_BLOCK_ITEMS, _MAX_BLOCK_ITEMS, _BLOCKS_WANTED = 8, 2048, 512
_RUN, _SOURCES = "_run.json", "_sources.jsonl"
_FORMAT = 1


@dataclass(frozen=True)
class JobReport:
    """What a run did.

    Attributes:
        output: where the rows are.
        n_files: files of the whole run.
        n_before: those of them that an earlier start had done.
        n_failed: those whose row is an error, of the whole run.
        failures: why, by name, of those that failed this time.
        seconds: what this start took.
    """

    output: str
    n_files: int
    n_before: int
    n_failed: int
    failures: dict[str, str]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "output": self.output,
            "files": self.n_files,
            "before": self.n_before,
            "failed": self.n_failed,
            "failures": self.failures,
            "seconds": round(self.seconds, 3),
        }


def kind_of(output: str) -> Kind:
    """Return how an output is written: JSON lines where its name says so, otherwise Parquet.

    >>> kind_of("genres.jsonl"), kind_of("s3://bucket/genres/")
    ('jsonl', 'parquet')
    """
    return "jsonl" if output.endswith(".jsonl") else "parquet"


def folder_of(output: str) -> Place:
    """Return the folder of a run: the output itself, or one beside a file of JSON lines."""
    if kind_of(output) == "jsonl":
        if is_remote(output):
            raise BatchError(
                f"{output}: JSON lines are written here only; give a folder for Parquet"
            )
        return Place(f"{output}.run")
    return Place(output)


def run(
    work: Work,
    arguments: Sequence[str],
    output: str,
    engine: Engine,
    *,
    progress: Callable[[int], AbstractContextManager[Advance]] = lambda n_files: nullcontext(
        lambda n_steps: None
    ),
) -> JobReport:
    """Do some work on many files; each of them is in the output once, failed ones with their error.

    Args:
        work: what to do.
        arguments: the files, as for ``sources.listed``.
        output: NAME.jsonl, or a folder or URL for parts in Parquet.
        engine: who works.
        progress: called with how many files there are; gives, for as long as the work lasts, what
            is called with a number of files when these are written.

    Raises:
        RunError: the files cannot be listed, or the output holds something else.
        GenrekitError: the workers cannot start.
        OSError: the output cannot be written.
    """
    began = time.perf_counter()
    kind = kind_of(output)
    output_files.check(kind)
    place = folder_of(output)
    with place.alone():
        listed, block_items = _listed(place, work, arguments, output)
        blocks = [listed[i : i + block_items] for i in range(0, len(listed), block_items)]
        there = {output_files.index(name, kind) for name in place.names()}
        pending = [index for index in range(len(blocks)) if index not in there]
        n_before = len(listed) - sum(len(blocks[index]) for index in pending)
        failures: dict[str, str] = {}
        with (
            progress(len(listed)) as advance,
            engine.workers(
                work.start, item_seconds=ITEM_SECONDS, memory_bytes=MEMORY_BYTES
            ) as workers,
        ):
            advance(n_before)
            for position, results in workers.map(blocks[index] for index in pending):
                rows, failed = _rows(work, results)
                counts = Counts(len(results), len(failed))
                part = output_files.name(pending[position], kind)
                place.write(part, output_files.content(rows, kind, work, counts))
                failures |= failed
                advance(len(results))
        names = [output_files.name(index, kind) for index in range(len(blocks))]
        n_failed = len(failures)
        if n_before:
            n_failed = sum(output_files.counts(place, name, kind).n_failed for name in names)
        if kind == "jsonl":
            _join(place, names, Path(output))
    return JobReport(output, len(listed), n_before, n_failed, failures, time.perf_counter() - began)


def _rows(work: Work, results: Sequence[Any]) -> tuple[list[Row], dict[str, str]]:
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for result in results:
        if isinstance(result, Failure):
            rows.append(work.failed(result))
            failed[result.item.name] = result.message
        else:
            rows += result
    return rows, failed


def _listed(
    place: Place, work: Work, arguments: Sequence[str], output: str
) -> tuple[list[BatchSource], int]:
    """Return the files of a run that is new, or of the one that the folder holds."""
    wanted = {
        "format": _FORMAT,
        "arguments": [
            argument if is_remote(argument) else _absolute(argument) for argument in arguments
        ],
        "work": work.facts() | {"verb": work.verb},
    }
    there = place.names()
    if _RUN in there:
        kept = json.loads(place.read(_RUN))
        _check_same(kept, wanted, output)
        with place.open(_SOURCES) as stream:
            return [BatchSource(*json.loads(line)) for line in stream], int(kept["block_items"])
    strangers = sorted(name for name in there if not name.startswith(("_", ".")))
    if strangers:
        raise BatchError(
            f"{output} holds files that are no run of genrekit, such as {strangers[0]}; name a "
            "folder that is empty or not there"
        )
    listed = sources.listed(arguments)
    if not listed:
        raise BatchError(f"there are no files in {', '.join(arguments)}; name some")
    block_items = min(max(len(listed) // _BLOCKS_WANTED, _MIN_BLOCK_ITEMS), _MAX_BLOCK_ITEMS)
    lines = b"".join(json.dumps(sources.to_json(source)).encode() + b"\n" for source in listed)
    place.write(_SOURCES, lines)
    about = {
        "genrekit": __version__,
        "kind": kind_of(output),
        "n_files": len(listed),
        "block_items": block_items,
        "sources_sha256": hashlib.sha256(lines).hexdigest(),
        "began": time.time(),
    }
    place.write(_RUN, json.dumps(wanted | about, indent=2).encode())  # last: now it is a run
    return listed, block_items


def _absolute(argument: str) -> str:
    return argument if argument == "-" else str(Path(argument).absolute())


def _check_same(kept: dict[str, Any], wanted: dict[str, Any], output: str) -> None:
    for key, asked in wanted.items():
        if kept.get(key) != asked:
            raise BatchError(
                f"{output} holds another run ({_difference(key, kept.get(key), asked)}); give "
                "another output, or delete that one"
            )


def _difference(key: str, kept: Any, asked: Any) -> str:
    if isinstance(kept, dict) and isinstance(asked, dict):
        key = next(name for name in sorted(kept | asked) if kept.get(name) != asked.get(name))
        kept, asked = kept.get(key), asked.get(key)
    return f"its {key} is {kept!r}, not {asked!r}"


def _join(place: Place, names: Sequence[str], output: Path) -> None:
    """Write the parts as one file, in the order of the list; then the run's folder can go."""
    with write_beside(output) as stream:
        for content in output_files.joined(place, names):
            stream.write(content)
    folder = Path(place.name)
    for name in [_RUN, *names, _SOURCES]:  # without _RUN it is no run any more
        (folder / name).unlink()
