"""Tables of the 57 hand-crafted columns: one row a file, or one row a segment of it.

The form is that of the published GTZAN tables: ``filename,length``, the columns, ``label``. While a
table is made, what each file gave is kept in a journal beside it, so that a run that was killed
goes on where it stopped; the table itself appears whole, at the end.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from genrekit import audio, labels
from genrekit.errors import AudioError, DatasetError
from genrekit.features import FeatureSpec, handcrafted
from genrekit.files import write_beside
from genrekit.inference.segments import cut_whole
from genrekit.workers import Failure, Pool, n_cores

HEADER = ("filename", "length", *handcrafted.COLUMNS, "label")
MIN_SEGMENT_SECONDS = 0.1  # one window of the transform
MAX_ROW_SECONDS = 600.0  # a row needs some 30 MB of memory a minute
_FILE_SECONDS = 3600.0  # a worker that takes longer for one file is stopped
_JOURNAL_FORMAT = 1


@dataclass
class Extraction:
    """What became of the files.

    Attributes:
        n_files: how many were asked for.
        n_rows: rows of the table.
        n_resumed: files whose rows an earlier run had left in the journal.
        failures: why a file is not in the table, by path.
        warnings: what was wrong with a file that is in the table, by path.
    """

    n_files: int
    n_rows: int = 0
    n_resumed: int = 0
    failures: dict[Path, str] = field(default_factory=dict)
    warnings: dict[Path, list[str]] = field(default_factory=dict)


def extract(
    paths: Sequence[Path],
    table: Path,
    segment_seconds: float | None = None,
    *,
    jobs: int | None = None,
    label_by_folder: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> Extraction:
    """Write the table of some files, with all cores; no table where every file failed.

    Args:
        paths: audio files, each with a name of its own: rows are named after them.
        table: the CSV file to write. Beside it lies ``table.journal`` while this works.
        segment_seconds: length of the segments that get a row each, from 0.1 to 600; the row of
            segment K of NAME.EXT is called NAME.K.EXT. None: one row a file.
        jobs: worker processes; None is one a core.
        label_by_folder: every file's label is its folder's name. Otherwise it is that only where
            the folder is called like a genre that genrekit knows, and empty elsewhere.
        advance: called after each file.

    Returns:
        Counts, and the files that failed.

    Raises:
        DatasetError: two files have one name.
        OSError: the table or its journal cannot be written.
    """
    _check_names(paths)
    result = Extraction(len(paths))
    with _Journal(table.with_name(f"{table.name}.journal"), segment_seconds) as journal:
        pending = [path for path in paths if not journal.holds(path)]
        result.n_resumed = len(paths) - len(pending)
        for _ in range(result.n_resumed):
            advance()
        start = partial(_start_worker, segment_seconds)
        n_workers = max(1, min(jobs or n_cores(), len(pending)))
        with Pool(start, n_workers, item_seconds=_FILE_SECONDS) as pool:
            for path, found in zip(pending, pool.map(pending), strict=True):
                if isinstance(found, Failure):
                    result.failures[path] = found.message
                else:
                    journal.add(path, found)
                advance()
        if len(result.failures) < len(paths):
            with write_beside(table) as binary:
                stream = io.TextIOWrapper(binary, "utf-8", errors="backslashreplace", newline="")
                _write(stream, paths, journal, label_by_folder, result)
                stream.detach()  # flushes; write_beside closes what lies below
        journal.remove()
    return result


def rows(path: Path, segment_seconds: float | None = None) -> dict[str, Any]:
    """Compute the rows of one file.

    Args:
        path: an audio file.
        segment_seconds: as for extract.

    Returns:
        ``rows``: a list of [length in samples at 22,050 Hz, the 57 values]; ``warnings``: what was
        wrong with the file nevertheless.

    Raises:
        AudioError: the file cannot be heard, is too short for a row or too long for a single one.
        OSError: the file cannot be read.
    """
    warnings: list[str] = []
    info = audio.probe(path)
    spec = FeatureSpec(kind="handcrafted")
    found: list[tuple[int, list[float]]] = []
    if segment_seconds is None:
        if info.duration_seconds > MAX_ROW_SECONDS:
            raise AudioError(
                f"{path} is {info.duration_seconds:.0f} s long; one row can stand for "
                f"{MAX_ROW_SECONDS:.0f} s at most; ask for a row a segment (--segment-seconds 30)"
            )
        waveform = audio.load(info, spec.sample_rate, on_warning=warnings.append)[0]
        found.append((len(waveform), handcrafted.values(waveform).tolist()))
    else:
        spec = FeatureSpec(
            kind="handcrafted", segment_seconds=segment_seconds, segment_hop_seconds=segment_seconds
        )
        blocks = audio.blocks(info, spec.sample_rate, on_warning=warnings.append)
        for _, segments in cut_whole(blocks, spec):
            found += [(segments.shape[1], row) for row in handcrafted.values(segments).tolist()]
    return {"rows": found, "warnings": list(dict.fromkeys(warnings))}


def _start_worker(segment_seconds: float | None) -> Callable[[Path], dict[str, Any]]:
    audio.silence_decoders()
    return partial(rows, segment_seconds=segment_seconds)


def _check_names(paths: Sequence[Path]) -> None:
    stems: dict[str, Path] = {}
    for path in paths:
        other = stems.setdefault(path.stem, path)
        if other != path:
            raise DatasetError(
                f"two files are called {path.stem!r}: {other} and {path}; rows are named after "
                "files, so rename one or make a table of each folder"
            )


def _write(
    stream: IO[str],
    paths: Sequence[Path],
    journal: _Journal,
    label_by_folder: bool,
    result: Extraction,
) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for path in paths:
        if path in result.failures:
            continue
        found = journal.read(path)
        if found["warnings"]:
            result.warnings[path] = found["warnings"]
        label = _label(path, label_by_folder)
        for name, (length, values) in zip(_names(path, journal, found), found["rows"], strict=True):
            writer.writerow([name, length, *values, label])
            result.n_rows += 1


def _names(path: Path, journal: _Journal, found: dict[str, Any]) -> Iterator[str]:
    if journal.segment_seconds is None:
        yield path.name
        return
    for index in range(len(found["rows"])):
        yield f"{path.stem}.{index}{path.suffix}"


def _label(path: Path, by_folder: bool) -> str:
    folder = path.absolute().parent.name
    if by_folder:
        return folder
    known = (labels.label_set(name) for name in ("gtzan", *labels.names()))
    return next((one.canonical(folder) for one in known if folder in one), "")


class _Journal:
    """Lines of JSON, one a file: what it was (path, size, time of change) and what it gave.

    A last line that is cut short is forgotten, and so is everything where the first line, which
    says what rows stand for, is another one. What the files gave stays on the disk.
    """

    def __init__(self, path: Path, segment_seconds: float | None) -> None:
        self.path = path
        self.segment_seconds = segment_seconds
        self._keys: dict[Path, str] = {}
        self._offsets: dict[str, int] = {}

    def __enter__(self) -> _Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.path.open("a+b")
        self._stream.seek(0)
        first = json.dumps(
            {"format": _JOURNAL_FORMAT, "segment_seconds": self.segment_seconds}
        ).encode()
        end = len(first) + 1 if self._stream.readline() == first + b"\n" else 0
        while end:
            line = self._stream.readline()
            try:
                self._offsets[json.loads(line)["key"]] = end
            except ValueError:  # the end, or a line that was cut short
                break
            end += len(line)
        self._stream.truncate(end)
        if not end:
            self._stream.write(first + b"\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def holds(self, path: Path) -> bool:
        return self._key(path) in self._offsets

    def add(self, path: Path, found: dict[str, Any]) -> None:
        key = self._key(path)
        self._stream.seek(0, os.SEEK_END)
        self._offsets[key] = self._stream.tell()
        self._stream.write(json.dumps({"key": key, **found}).encode() + b"\n")
        self._stream.flush()

    def read(self, path: Path) -> dict[str, Any]:
        self._stream.seek(self._offsets[self._key(path)])
        found: dict[str, Any] = json.loads(self._stream.readline())
        return found

    def remove(self) -> None:
        self.path.unlink()

    def _key(self, path: Path) -> str:
        if path not in self._keys:
            self._keys[path] = _key(path)
        return self._keys[path]


def _key(path: Path) -> str:
    """Name a file as it is now: a changed file has another key, one that is gone its path."""
    try:
        status = path.stat()
    except OSError:
        return f"{path.absolute()}"
    return f"{path.absolute()} {status.st_size} {status.st_mtime_ns}"
